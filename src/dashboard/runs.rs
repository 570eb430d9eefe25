//! The runners, and the page of one run: how far it is, what it used, and how its log ends.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;
use chrono::TimeDelta;

use super::access::Reader;
use super::elements::is_hidden;
use super::frame::{Frame, NavItem, render};
use super::refusal::Refusal;
use crate::issue::ending;
use crate::store::{RunLog, RunView, RunnerSeen};

/// A runner that asks for work calls once a minute.
const ALIVE: TimeDelta = TimeDelta::minutes(3);
/// How much of the end of a log is shown, in bytes.
const TAIL: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "runners.html")]
struct RunnersPage {
    frame: Frame,
    runners: Vec<RunnerSeen>,
    runs: Vec<RunView>,
}

impl RunnersPage {
    fn is_alive(&self, runner: &RunnerSeen) -> bool {
        self.frame.now - runner.seen_at < ALIVE
    }
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    run: RunView,
    log: String,
    /// How many bytes of the log are not shown.
    left_out: u64,
}

/// The handler of `GET /runners`.
pub(super) async fn list(reader: Reader) -> Result<HttpResponse, Refusal> {
    let store = &reader.dashboard.parts.store;
    let (runners, runs) =
        (store.runners().await?, store.run_views(reader.visitor.sees.clone()).await?);
    Ok(render(&RunnersPage { frame: reader.frame(NavItem::Agents, "Runners"), runners, runs }))
}

/// The handler of `GET /runs/{id}`.
pub(super) async fn page(reader: Reader, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let unknown = || reader.not_found("there is no such run");
    let store = &reader.dashboard.parts.store;
    let id: i64 = id.parse().map_err(|_| unknown())?;
    let run = store.run_view(id).await?.ok_or_else(unknown)?;
    if !reader.sees_repo(&run.repo) {
        return Err(unknown());
    }
    let (log, left_out) = tail(store.run_log(id).await?);
    let frame = reader.frame(NavItem::Agents, format!("Run {id}"));
    Ok(render(&RunPage { frame, run, log, left_out }))
}

/// How a log ends, without what nobody sees, and how many bytes come before.
fn tail(log: RunLog) -> (String, u64) {
    let RunLog { head, left_out, tail } = log;
    let all = match left_out {
        0 => head + &tail,
        _ => format!("{head}\n[{left_out} bytes are left out]\n{tail}"),
    };
    let end = ending(&all, TAIL);
    let shown = end.chars().filter(|c| matches!(c, '\n' | '\t') || !is_hidden(*c));
    (shown.collect(), (all.len() - end.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_shown_from_its_end_without_what_nobody_sees() {
        let short = RunLog { head: "a\x1b[31mb\u{202e}\n".into(), ..RunLog::default() };
        assert_eq!(tail(short), ("a[31mb\n".to_owned(), 0));
        let left_out = RunLog { head: "a".into(), left_out: 7, tail: "z".into() };
        assert_eq!(tail(left_out).0, "a\n[7 bytes are left out]\nz");
        let long = RunLog { tail: "é".repeat(TAIL), ..RunLog::default() };
        let (shown, before) = tail(long);
        assert_eq!((shown.len(), before), (TAIL, TAIL as u64));
    }
}
