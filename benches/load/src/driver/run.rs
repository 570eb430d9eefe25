//! The loop: one thread waits for all connections, so that the driver competes little with the receiver for the CPU.

use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use serde_json::Value;

use super::Options;
use super::connection::{Connection, Progress};
use super::deliveries::{Address, Deliveries};
use super::machine::Usage;
use super::pace::Pace;
use super::tally::{Tally, Window};

/// How long answers may come after the last request.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait for an answer before the clock is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Timers may fire that much late, in nanoseconds; the usual 50 µs would count as latency.
const TIMER_SLACK: Option<NonZeroU64> = NonZeroU64::new(1_000);

/// One run, from the first request to the last answer.
struct Run<'a> {
    options: &'a Options,
    deliveries: Deliveries,
    connections: Vec<Connection>,
    /// Places of connections without a request.
    idle: Vec<usize>,
    epoll: OwnedFd,
    pace: Pace,
    tally: Tally,
    at_start: Option<Usage>,
    at_end: Option<(Instant, Usage)>,
}

/// Runs the load that the options ask for, and reports.
pub fn run(options: &Options) -> anyhow::Result<Value> {
    let mut run = Run::prepare(options)?;
    run.until_answered()?;
    Ok(run.report())
}

impl<'a> Run<'a> {
    fn prepare(options: &'a Options) -> anyhow::Result<Self> {
        rustix::thread::set_current_timer_slack(TIMER_SLACK)?;
        let secret =
            if options.forged { format!("not-{}", options.secret) } else { options.secret.clone() };
        let to = Address { host: options.addr, path: &options.path, secret: secret.as_bytes() };
        let deliveries = Deliveries::read(&options.payloads, &to, options.duplicates)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(options.connections);
        for place in 0..options.connections {
            connections.push(connect(options, &epoll, place)?);
        }
        let (warmup, seconds) =
            (Duration::from_secs_f64(options.warmup), Duration::from_secs_f64(options.seconds));
        Ok(Self {
            options,
            deliveries,
            idle: (0..connections.len()).rev().collect(),
            connections,
            epoll,
            pace: Pace::new(warmup, seconds, options.rate, options.count),
            tally: Tally::default(),
            at_start: None,
            at_end: None,
        })
    }

    fn until_answered(&mut self) -> anyhow::Result<()> {
        let mut events = Vec::with_capacity(1024);
        loop {
            let now = Instant::now();
            self.look_at_usage(now);
            self.send_due()?;
            let is_sent = self.pace.next(now).is_none();
            if is_sent && self.idle.len() == self.connections.len() || now > self.pace.ends + DRAIN
            {
                return Ok(());
            }
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&self.patience(now)))?;
            for event in events.drain(..) {
                self.ready(event.data.u64() as usize, event.flags)?;
            }
        }
    }

    /// How long nothing has to be sent.
    fn patience(&self, now: Instant) -> Timespec {
        let next = self.pace.next(now).filter(|_| self.pace.is_open() && !self.idle.is_empty());
        let patience = next
            .map_or(LOOK_AGAIN, |at| at.saturating_duration_since(Instant::now()).min(LOOK_AGAIN));
        Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) }
    }

    /// Reads the CPU times where measuring begins, and where it ends: with the last request of a closed loop, with
    /// the last answer of an open one.
    fn look_at_usage(&mut self, now: Instant) {
        if self.at_start.is_none() && now >= self.pace.measured_from {
            self.at_start = Some(Usage::now(self.options.pid));
        }
        if self.at_end.is_none() && !self.pace.is_open() && self.pace.next(now).is_none() {
            self.at_end = Some((now, Usage::now(self.options.pid)));
        }
    }

    fn send_due(&mut self) -> anyhow::Result<()> {
        while let Some(&place) = self.idle.last() {
            let Some(planned) = self.pace.take(Instant::now()) else { break };
            self.idle.pop();
            let connection = &mut self.connections[place];
            self.deliveries.write_next(&mut connection.request);
            let progress = connection.begin(planned);
            self.after(place, &progress)?;
        }
        Ok(())
    }

    fn ready(&mut self, place: usize, flags: epoll::EventFlags) -> anyhow::Result<()> {
        let connection = &mut self.connections[place];
        if flags.contains(epoll::EventFlags::OUT) {
            let progress = connection.write();
            if progress == Progress::Reading {
                self.wait_for(place, epoll::EventFlags::IN)?;
            }
            return self.after(place, &progress);
        }
        let progress = connection.read();
        self.after(place, &progress)
    }

    fn after(&mut self, place: usize, progress: &Progress) -> anyhow::Result<()> {
        match *progress {
            Progress::Reading => Ok(()),
            // Also woken by an early answer, which is read once the request is out.
            Progress::Writing => self.wait_for(place, epoll::EventFlags::OUT),
            Progress::Broken => {
                self.tally.broken += u64::from(self.connections[place].planned.is_some());
                self.reconnect(place)
            }
            Progress::Answered { status, keeps } => {
                self.answered(place, status);
                if keeps { Ok(()) } else { self.reconnect(place) }
            }
        }
    }

    fn answered(&mut self, place: usize, status: u16) {
        let Some(planned) = self.connections[place].planned.take() else { return };
        self.idle.push(place);
        let now = Instant::now();
        let is_measured = if self.pace.is_open() {
            planned >= self.pace.measured_from
        } else {
            now >= self.pace.measured_from && self.at_end.is_none()
        };
        self.tally.count(status);
        if is_measured {
            let is_good =
                if self.options.forged { status == 401 } else { (200..300).contains(&status) };
            self.tally.measure(is_good, planned, now);
        }
    }

    fn wait_for(&self, place: usize, what: epoll::EventFlags) -> anyhow::Result<()> {
        let data = epoll::EventData::new_u64(place as u64);
        Ok(epoll::modify(&self.epoll, self.connections[place].socket(), data, what)?)
    }

    /// A closed socket leaves the epoll by itself.
    fn reconnect(&mut self, place: usize) -> anyhow::Result<()> {
        let was_busy = self.connections[place].planned.is_some();
        self.connections[place] = connect(self.options, &self.epoll, place)?;
        if was_busy {
            self.idle.push(place);
        }
        Ok(())
    }

    fn report(mut self) -> Value {
        let (ended, at_end) =
            self.at_end.unwrap_or_else(|| (self.pace.ends, Usage::now(self.options.pid)));
        let at_start = self.at_start.unwrap_or(at_end);
        self.tally.unanswered = (self.connections.len() - self.idle.len()) as u64;
        let length =
            ended.saturating_duration_since(self.pace.measured_from).max(Duration::from_millis(1));
        self.tally.report(&Window { length, usage: at_end.since(&at_start) })
    }
}

fn connect(options: &Options, epoll: &OwnedFd, place: usize) -> anyhow::Result<Connection> {
    let connection = Connection::open(options.addr)
        .with_context(|| format!("`{}` takes no connection", options.addr))?;
    let data = epoll::EventData::new_u64(place as u64);
    epoll::add(epoll, connection.socket(), data, epoll::EventFlags::IN)?;
    Ok(connection)
}
