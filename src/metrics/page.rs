//! The service's own figures: their names, what they mean, and where each comes from. A label only ever holds a word
//! of this program, never one from outside.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::clock::Timestamp;
use crate::meters::{BOUNDS_S, Calls, Latency, Receiving, Working};
use crate::store::Gauges;

/// The figures of one moment.
#[derive(Debug)]
pub(super) struct Page {
    pub now: Timestamp,
    /// `None` when the store does not say.
    pub gauges: Option<Gauges>,
    pub receiving: Arc<Receiving>,
    pub working: Arc<Working>,
    pub calls: Arc<Calls>,
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut sheet = Sheet(encoder);
        self.receiving(&mut sheet)?;
        self.working(&mut sheet)?;
        self.calls(&mut sheet)?;
        sheet.gauge("store_up", "1 when the store could be read", flag(self.gauges.is_some()))?;
        self.gauges.as_ref().map_or(Ok(()), |gauges| self.store(gauges, &mut sheet))?;
        let version = [([env!("CARGO_PKG_VERSION")], 1)];
        sheet.gauges("build_info", "The version that runs", ["version"], version)
    }
}

impl Page {
    fn receiving(&self, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        sheet.counters(
            "deliveries",
            "Deliveries by how they were answered; refused ones by why",
            ["answer"],
            self.receiving.answers.rows(),
        )?;
        sheet.histogram(
            "accept_duration_seconds",
            "From the head of a delivery to its answer, for those that came as far as the store",
            &self.receiving.accept,
        )
    }

    fn working(&self, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        let working = &self.working;
        let decisions = working.decisions.rows();
        sheet.counters("evaluations", "Evaluations by what was decided", ["action"], decisions)?;
        sheet.counters(
            "effects",
            "Writes that were meant, by kind and by what became of them",
            ["kind", "result"],
            working.effects.rows(),
        )?;
        sheet.counter(
            "fuse_trips",
            "Issues whose writes were held back because there were too many within an hour",
            working.write_limits.load(Ordering::Relaxed),
        )?;
        let is_open = flag(working.is_unreachable.load(Ordering::Relaxed));
        sheet.gauge(
            "breaker_open",
            "1 while Gitea is unreachable and no issue is taken up",
            is_open,
        )?;
        sheet.counter(
            "breaker_openings",
            "Outages of Gitea",
            working.outages.load(Ordering::Relaxed),
        )
    }

    fn calls(&self, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        sheet.counters(
            "gitea_requests",
            "Requests to Gitea by method and by class of status, or by how they failed",
            ["method", "outcome"],
            self.calls.outcomes.rows(),
        )?;
        sheet.histogram(
            "gitea_request_duration_seconds",
            "From a request to Gitea to the end of its answer",
            &self.calls.time,
        )
    }

    fn store(&self, gauges: &Gauges, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        let waiting = [(["received"], gauges.received), (["pending"], gauges.pending)];
        sheet.gauges(
            "inbox_deliveries",
            "Deliveries that are not finished: not read yet, or in the lane of their issue",
            ["state"],
            waiting,
        )?;
        let age = gauges.oldest_at.map_or(0, |at| (self.now - at).num_milliseconds().max(0));
        sheet.gauge(
            "inbox_oldest_age_seconds",
            "How long the oldest of them has waited",
            age as f64 / 1_000.0,
        )?;
        let lanes = [(["due"], gauges.lanes_due), (["busy"], gauges.lanes_busy)];
        sheet.gauges(
            "lanes",
            "Issues that wait for their turn or are worked on",
            ["state"],
            lanes,
        )?;
        let dead = gauges.dead as f64;
        sheet.gauge("dead_letters", "Deliveries that were given up and wait for a person", dead)?;
        sheet.counter(
            "missed_events",
            "Changes that no webhook reported and the sweep found, since the store was made",
            gauges.missed_events,
        )
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

type Rows<const N: usize> = ([&'static str; N], u64);

/// Writes figures, one name at a time.
pub(super) struct Sheet<'a>(pub DescriptorEncoder<'a>);

impl Sheet<'_> {
    /// One number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// Several numbers that go up and down, under these labels.
    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        rows: impl IntoIterator<Item = Rows<N>>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (row, value) in rows {
            let pairs = pairs(labels, row);
            family.encode_family(&pairs)?.encode_gauge(&(value as f64))?;
        }
        Ok(())
    }

    /// One number that only goes up.
    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let mut counter = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        counter.encode_counter::<NoLabelSet, u64, f64>(&value, None)
    }

    /// Several numbers that only go up, under these labels.
    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        rows: impl IntoIterator<Item = Rows<N>>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (row, value) in rows {
            let pairs = pairs(labels, row);
            let mut counter = family.encode_family(&pairs)?;
            counter.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, latency: &Latency) -> Result<(), Error> {
        let counts = latency.buckets();
        // The crate writes the largest number as `+Inf`.
        let buckets: Vec<_> = BOUNDS_S.into_iter().chain([f64::MAX]).zip(counts).collect();
        let mut histogram = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let count = counts.iter().sum();
        histogram.encode_histogram::<NoLabelSet>(latency.sum_s(), count, &buckets, None)
    }
}

fn pairs<const N: usize>(
    labels: [&'static str; N],
    row: [&'static str; N],
) -> Vec<(&'static str, &'static str)> {
    labels.into_iter().zip(row).collect()
}
