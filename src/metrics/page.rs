//! The figures: their names, what they mean, and where each comes from. A label only ever holds a word of this program,
//! or the name of an agent or the place of a secret in the configuration, never anything from outside.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::clock::Timestamp;
use crate::dispatch::budget::MILLION;
use crate::meters::{BOUNDS_S, Calls, Latency, Receiving, Working};
use crate::store::{AgentLoad, AgentSpending, Gauges};

/// What each figure means. Prometheus expects the names of those that every process has.
const HELP: &str = "\
process_start_time_seconds: When the service started, in Unix time
process_resident_memory_bytes: Memory that is held in RAM
process_open_fds: Files and sockets that are open
gitea_triage_deliveries: Deliveries by how they were answered; refused ones by why
gitea_triage_accept_duration_seconds: From the head of a delivery to its answer, for those that came as far as the store
gitea_triage_webhook_secret_last_used_time_seconds: When each secret of the configuration, by its place there, last signed a delivery since the start, in Unix time
gitea_triage_evaluations: Evaluations by what was decided
gitea_triage_effects: Writes that were meant, by kind and by what became of them
gitea_triage_fuse_trips: Issues whose writes were held back because there were too many within an hour
gitea_triage_breaker_open: 1 while the forge is unreachable and no issue is taken up
gitea_triage_breaker_openings: Outages of the forge
gitea_triage_gitea_requests: Requests to the forge by method and by class of status, or by how they failed
gitea_triage_gitea_request_duration_seconds: From a request to the forge to the end of its answer
gitea_triage_store_up: 1 when the store could be read
gitea_triage_inbox_deliveries: Deliveries that are not finished: not read yet, or in the lane of their issue
gitea_triage_inbox_oldest_age_seconds: How long the oldest of them has waited
gitea_triage_lanes: Issues that wait for their turn or are worked on
gitea_triage_dead_letters: Deliveries that were given up and wait for a person
gitea_triage_runs: Runs that have not ended: waiting for a runner, or leased by one
gitea_triage_runs_oldest_wait_seconds: How long the oldest run has waited for a runner
gitea_triage_runners: Runners that have ever called: alive, or silent for some minutes
gitea_triage_runner_places: Places of the runners that are alive: busy or free
gitea_triage_dispatches: Issues that agents have, or that wait for an agent's place
gitea_triage_dispatches_ended: Dispatches by how they ended, since the store was made
gitea_triage_dispatches_oldest_wait_seconds: How long ago the first issue that waits for an agent's place was last decided about
gitea_triage_dispatches_median_seconds: How long half of the dispatches took at most that were completed, among the newest thousand
gitea_triage_agent_tokens: Tokens that agents on runners used, for those that count them
gitea_triage_agent_money: Money that agents on runners used, for those that name it or have a price
gitea_triage_missed_events: Changes that no webhook reported and the sweep found, since the store was made
gitea_triage_replicas: Services that share the store and are alive
gitea_triage_replica_leads: 1 where this one sweeps, posts summaries and removes what is past its time for all
gitea_triage_build_info: The version that runs";

/// What the rooms count.
#[derive(Clone, Debug)]
pub struct Meters {
    /// What the receiver counted.
    pub receiving: Arc<Receiving>,
    /// What the worker counted.
    pub working: Arc<Working>,
    /// What the forge's client counted.
    pub calls: Arc<Calls>,
}

/// The figures of one moment.
#[derive(Debug)]
pub(super) struct Page {
    pub started: Timestamp,
    pub now: Timestamp,
    /// `None` when the store does not say.
    pub stored: Option<(Gauges, Vec<AgentLoad>)>,
    pub meters: Meters,
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut sheet = Sheet(encoder);
        let started = self.started.timestamp_millis() as f64 / 1_000.0;
        sheet.gauge("process_start_time_seconds", started)?;
        if let Some(bytes) = resident_bytes() {
            sheet.gauge("process_resident_memory_bytes", bytes)?;
        }
        if let Some(files) = open_files() {
            sheet.gauge("process_open_fds", files)?;
        }
        let Meters { receiving, working, calls } = &self.meters;
        sheet.counters("gitea_triage_deliveries", ["answer"], receiving.answers.rows())?;
        sheet.histogram("gitea_triage_accept_duration_seconds", &receiving.accept)?;
        let signed = receiving.signed.all().into_iter();
        let signed: Vec<_> = signed.map(|(place, at)| ((place + 1).to_string(), at)).collect();
        let signed = signed.iter().map(|(place, at)| ([place.as_str()], at.timestamp() as f64));
        let name = "gitea_triage_webhook_secret_last_used_time_seconds";
        sheet.table(name, ["secret"], signed)?;
        sheet.counters("gitea_triage_evaluations", ["action"], working.decisions.rows())?;
        sheet.counters("gitea_triage_effects", ["kind", "result"], working.effects.rows())?;
        sheet.counter("gitea_triage_fuse_trips", working.write_limits.load(Ordering::Relaxed))?;
        let is_open = working.is_unreachable.load(Ordering::Relaxed);
        sheet.gauge("gitea_triage_breaker_open", is_open.into())?;
        sheet.counter("gitea_triage_breaker_openings", working.outages.load(Ordering::Relaxed))?;
        let outcomes = calls.outcomes.rows();
        sheet.counters("gitea_triage_gitea_requests", ["method", "outcome"], outcomes)?;
        sheet.histogram("gitea_triage_gitea_request_duration_seconds", &calls.time)?;
        sheet.gauge("gitea_triage_store_up", self.stored.is_some().into())?;
        if let Some((gauges, agents)) = &self.stored {
            self.store(gauges, &mut sheet)?;
            self.dispatches(agents, &mut sheet)?;
        }
        sheet.gauges("gitea_triage_build_info", "version", [(env!("CARGO_PKG_VERSION"), 1)])
    }
}

impl Page {
    fn dispatches(&self, agents: &[AgentLoad], sheet: &mut Sheet<'_>) -> Result<(), Error> {
        let by_state = |one: &AgentLoad| [("open", one.open), ("waiting", one.waiting)];
        let now = agents.iter().flat_map(|one| {
            by_state(one).map(|(state, count)| ([one.agent.as_str(), state], count as f64))
        });
        sheet.table("gitea_triage_dispatches", ["agent", "state"], now)?;
        let ended = agents.iter().flat_map(|one| {
            one.ended.iter().map(|(state, count)| ([one.agent.as_str(), state.as_str()], *count))
        });
        let labels = ["agent", "outcome"];
        sheet.counters("gitea_triage_dispatches_ended", labels, ended.collect())?;
        let waits = agents.iter().filter_map(|one| {
            let waited = self.now - one.oldest_wait?;
            Some(([one.agent.as_str()], seconds(waited)))
        });
        sheet.table("gitea_triage_dispatches_oldest_wait_seconds", ["agent"], waits)?;
        let medians =
            agents.iter().filter_map(|one| Some(([one.agent.as_str()], seconds(one.median()?))));
        sheet.table("gitea_triage_dispatches_median_seconds", ["agent"], medians)
    }

    fn store(&self, gauges: &Gauges, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        let waiting = [("received", gauges.received), ("pending", gauges.pending)];
        sheet.gauges("gitea_triage_inbox_deliveries", "state", waiting)?;
        let age = gauges.oldest_at.map_or(0.0, |at| seconds(self.now - at));
        sheet.gauge("gitea_triage_inbox_oldest_age_seconds", age)?;
        let lanes = [("due", gauges.lanes_due), ("busy", gauges.lanes_busy)];
        sheet.gauges("gitea_triage_lanes", "state", lanes)?;
        sheet.gauge("gitea_triage_dead_letters", gauges.dead as f64)?;
        let runs = [("waiting", gauges.runs_waiting), ("leased", gauges.runs_leased)];
        sheet.gauges("gitea_triage_runs", "state", runs)?;
        let wait = gauges.runs_oldest_at.map_or(0.0, |at| seconds(self.now - at));
        sheet.gauge("gitea_triage_runs_oldest_wait_seconds", wait)?;
        let alive: Vec<_> = gauges.runners.iter().filter(|one| one.is_alive(self.now)).collect();
        let silent = (gauges.runners.len() - alive.len()) as u64;
        let runners = [("alive", alive.len() as u64), ("silent", silent)];
        sheet.gauges("gitea_triage_runners", "state", runners)?;
        let places: u64 = alive.iter().map(|runner| u64::from(runner.places)).sum();
        let free = places.saturating_sub(gauges.runs_leased);
        let places = [("busy", gauges.runs_leased), ("free", free)];
        sheet.gauges("gitea_triage_runner_places", "state", places)?;
        let tokens = |one: &AgentSpending| one.used.tokens.map(|tokens| tokens as f64);
        sheet.spent("gitea_triage_agent_tokens", &gauges.spending, tokens)?;
        let money = |one: &AgentSpending| one.used.money.map(|money| money as f64 / MILLION as f64);
        sheet.spent("gitea_triage_agent_money", &gauges.spending, money)?;
        sheet.gauge("gitea_triage_replicas", gauges.replicas as f64)?;
        sheet.gauge("gitea_triage_replica_leads", gauges.leads.into())?;
        sheet.counter("gitea_triage_missed_events", gauges.missed_events)
    }
}

fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds().max(0) as f64 / 1_000.0
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

/// Writes figures, one name at a time.
struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn begin<'s>(
        &'s mut self,
        name: &'s str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        let help = HELP.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        self.0.encode_descriptor(name, help.unwrap_or_default(), None, kind)
    }

    /// One number that goes up and down.
    fn gauge(&mut self, name: &str, value: f64) -> Result<(), Error> {
        self.begin(name, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// Several numbers that go up and down, under this label.
    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        label: &str,
        rows: [(&str, u64); N],
    ) -> Result<(), Error> {
        self.table(name, [label], rows.into_iter().map(|(row, value)| ([row], value as f64)))
    }

    /// Several numbers that go up and down, under these labels.
    fn table<'r, const N: usize>(
        &mut self,
        name: &str,
        labels: [&str; N],
        rows: impl Iterator<Item = ([&'r str; N], f64)>,
    ) -> Result<(), Error> {
        let mut family = self.begin(name, MetricType::Gauge)?;
        for (row, value) in rows {
            let pairs: Vec<_> = labels.into_iter().zip(row).collect();
            family.encode_family(&pairs)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// One number that only goes up.
    fn counter(&mut self, name: &str, value: u64) -> Result<(), Error> {
        let mut counter = self.begin(name, MetricType::Counter)?;
        counter.encode_counter::<NoLabelSet, u64, f64>(&value, None)
    }

    /// What agents used, for those of which it is known.
    fn spent(
        &mut self,
        name: &str,
        spending: &[AgentSpending],
        amount: impl Fn(&AgentSpending) -> Option<f64>,
    ) -> Result<(), Error> {
        let known: Vec<_> = spending.iter().filter_map(|one| Some((one, amount(one)?))).collect();
        if known.is_empty() {
            return Ok(());
        }
        let mut family = self.begin(name, MetricType::Counter)?;
        known.into_iter().try_for_each(|(one, amount)| {
            let labels = [("agent", one.agent.as_str())];
            let mut counter = family.encode_family(&labels)?;
            counter.encode_counter::<NoLabelSet, f64, f64>(&amount, None)
        })
    }

    /// Several numbers that only go up, under these labels.
    fn counters<const N: usize>(
        &mut self,
        name: &str,
        labels: [&str; N],
        rows: Vec<([&str; N], u64)>,
    ) -> Result<(), Error> {
        let mut family = self.begin(name, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(row, value)| {
            let pairs: Vec<_> = labels.into_iter().zip(row).collect();
            let mut counter = family.encode_family(&pairs)?;
            counter.encode_counter::<NoLabelSet, u64, f64>(&value, None)
        })
    }

    fn histogram(&mut self, name: &str, latency: &Latency) -> Result<(), Error> {
        let counts = latency.buckets();
        // The crate writes the largest number as `+Inf`.
        let buckets: Vec<_> = BOUNDS_S.into_iter().chain([f64::MAX]).zip(counts).collect();
        let mut histogram = self.begin(name, MetricType::Histogram)?;
        let count = counts.iter().sum();
        histogram.encode_histogram::<NoLabelSet>(latency.sum_s(), count, &buckets, None)
    }
}
