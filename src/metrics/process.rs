//! The figures every process has, under the names Prometheus expects.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::page::Sheet;
use crate::clock::Timestamp;

/// This process.
#[derive(Debug)]
pub(super) struct Process {
    pub started: Timestamp,
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut sheet = Sheet(encoder);
        let started = self.started.timestamp_millis() as f64 / 1_000.0;
        sheet.gauge(
            "process_start_time_seconds",
            "When the service started, in Unix time",
            started,
        )?;
        if let Some(bytes) = resident_bytes() {
            sheet.gauge("process_resident_memory_bytes", "Memory that is held in RAM", bytes)?;
        }
        if let Some(files) = open_files() {
            sheet.gauge("process_open_fds", "Files and sockets that are open", files)?;
        }
        Ok(())
    }
}

/// Only on Linux; elsewhere there is no such file.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn open_files() -> Option<f64> {
    let files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(files).ok().map(f64::from)
}
