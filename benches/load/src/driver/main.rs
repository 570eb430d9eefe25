//! Sends signed deliveries to a receiver on this machine and measures how it answers. Without `--rate` each connection
//! sends its next delivery as soon as the last one is answered (closed loop); with it deliveries leave at planned
//! times whatever the answers do, and latency counts from the planned time (open loop). Prints one JSON object.

mod connection;
mod deliveries;
mod machine;
mod pace;
mod run;
mod tally;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;

/// The longest a run may take, however it was asked for.
const LONGEST: Duration = Duration::from_secs(300);

/// Load driver for webhook receivers on loopback
#[derive(Debug, Parser)]
struct Options {
    /// Where the receiver listens; loopback only
    #[arg(long)]
    addr: SocketAddr,
    /// The path deliveries are posted to
    #[arg(long, default_value = "/webhook")]
    path: String,
    /// A file with one JSON string a line: the bodies
    #[arg(long)]
    payloads: PathBuf,
    /// The secret that signs them
    #[arg(long)]
    secret: String,
    /// How many connections are kept open
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Deliveries a second, at planned times; without it every connection is kept busy
    #[arg(long)]
    rate: Option<f64>,
    /// How long is measured, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How long the load runs before measuring, in seconds
    #[arg(long, default_value_t = 0.7)]
    warmup: f64,
    /// Stop after this many deliveries
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    count: u64,
    /// The share of deliveries that repeat an id sent before, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    duplicates: f64,
    /// Sign with another secret than the receiver's; good answers are 401 then
    #[arg(long)]
    forged: bool,
    /// The receiver's process, to count its CPU time
    #[arg(long)]
    pid: Option<u32>,
}

impl Options {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.addr.ip().is_loopback(), "`{}` is not on this machine", self.addr);
        ensure!(self.connections > 0, "`--connections` must be above zero");
        ensure!((0.0..=1.0).contains(&self.duplicates), "`--duplicates` must be from 0 to 1");
        ensure!(self.rate.is_none_or(|rate| rate > 0.0), "`--rate` must be above zero");
        ensure!(
            self.warmup >= 0.0
                && self.seconds > 0.0
                && self.warmup + self.seconds <= LONGEST.as_secs_f64(),
            "`--warmup` and `--seconds` must fit into {} s",
            LONGEST.as_secs()
        );
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    options.check()?;
    println!("{}", run::run(&options)?);
    Ok(())
}
