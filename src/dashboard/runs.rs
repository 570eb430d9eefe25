//! The runners, and the page of one run: how far it is, what it used, and how its log ends.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::access::Reader;
use super::elements::is_hidden;
use super::frame::{Frame, NavItem, render};
use super::refusal::Refusal;
use super::spending::{self, AgentDay, BudgetRow, Viewer};
use crate::dispatch::budget::Spent;
use crate::issue::ending;
use crate::store::{RunLog, RunView, RunnerSeen};

/// How much of the end of a log is shown, in bytes.
const TAIL: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "runners.html")]
struct RunnersPage {
    frame: Frame,
    runners: Vec<RunnerSeen>,
    runs: Vec<RunView>,
    budgets: Vec<BudgetRow>,
    days: Vec<AgentDay>,
}

impl RunnersPage {
    fn is_alive(&self, runner: &RunnerSeen) -> bool {
        runner.is_alive(self.frame.now)
    }
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    run: RunView,
    /// The budgets that it is held against.
    spent: Vec<Spent>,
    log: String,
    /// How many bytes of the log are not shown.
    left_out: u64,
}

/// The handler of `GET /runners`.
pub(super) async fn list(reader: Reader) -> Result<HttpResponse, Refusal> {
    let (store, sight) = (&reader.dashboard.parts.store, &reader.visitor.sees);
    let (budgets, frame) = (&reader.settings.budgets, reader.frame(NavItem::Agents, "Runners"));
    let spent = store.spending_since(spending::first_day(budgets, frame.now)).await?;
    let viewer = Viewer { sight, is_admin: frame.is_admin, now: frame.now };
    Ok(render(&RunnersPage {
        runners: store.runners().await?,
        runs: store.run_views(sight.clone()).await?,
        budgets: spending::rows(budgets, &spent, &viewer),
        days: spending::days(&spent, sight),
        frame,
    }))
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
    let spent = store.spent_by(id, reader.settings.budgets.clone(), frame.now).await?;
    Ok(render(&RunPage { frame, run, spent, log, left_out }))
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
