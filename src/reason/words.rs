//! The sentences for reasons, holds and causes; nothing else in the program words them. Names and text of others are
//! quoted as code, so that a sentence calls nobody.

use std::fmt::{self, Display};

use super::{Brief, Cause, Hold, Missing, NoPlace, Reason, TextChange, Unmet, code};
use crate::clock::Timestamp;
use crate::delivery::WakeCause;
use crate::dispatch::AgentId;
use crate::dispatch::budget::{BudgetScope, UsedUp};
use crate::dispatch::run::Asked;
use crate::issue::{IssueRef, IssueType, RepoName};

const RESUME: &str = "; `/triage resume` continues";
const GO: &str = "; `/triage go` says that it is none";
const APPROVE: &str = "; `/triage approve` lets an agent have it";
const CHOOSE: &str = "; `/triage assign <agent>` gives it to one";
const RAISE: &str = "a higher limit in `runs.budget` lets it go on";
const NEARLY: &str = "the agent works on it, and has nearly used a budget up";
const PERMIT: &str = "; `/triage allow` or `/triage deny` answers it";
const RETRY: &str = "; `/triage retry` dispatches it again";

impl Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.paused {
            Some(paused) => paused.fmt(f),
            None => write!(f, "busy with {} of {}", self.load, self.limit),
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the issue is closed"),
            Self::Gone => f.write_str("the issue no longer exists"),
            Self::ChecksRun(pull) => write!(f, "closed; the checks of `{pull}` still run"),
            Self::PullRequest => f.write_str("a pull request, not an issue"),
            Self::OwnSummary => f.write_str("our own daily summary"),
            Self::IgnoredAuthor(by) => write!(f, "opened by `{by}`, whose issues are ignored"),
            Self::IgnoredLabel(label) => write!(f, "its label `{label}` says to ignore it"),
            Self::Held(hold) => hold.fmt(f),
            Self::Chosen(agent) => write!(f, "chosen for `{agent}` by a person"),
            Self::ChosenButBusy { agent, place } => {
                write!(f, "chosen for `{agent}` by a person, {place}")
            }
            Self::Philosophy => f.write_str("a philosophy/meta issue: needs discussion, not work"),
            Self::Assigned(logins) => write!(f, "already assigned to {}", quoted(logins)),
            Self::Claimed { login, until } => {
                write!(f, "claimed by {} until {}", code(login), minute(*until))
            }
            Self::OpenToClaim(label) => open_to_claim(f, label),
            Self::NotReady { score, ready_at, missing, is_urgent } => {
                let urgent = if *is_urgent { "urgent, but " } else { "" };
                let lacks = lacks(missing);
                write!(f, "{urgent}score {score} is below the threshold of {ready_at}: {lacks}")
            }
            Self::Depends(on) => write!(f, "blocked: it depends on {}, still open", quoted(on)),
            Self::BlockedByText { by, repo } => {
                let by = named_blockers(by, repo);
                write!(f, "blocked{by}, by its own text: a person has to resolve that")
            }
            Self::BlockedByLabel(label) => blocked_by_label(f, label),
            Self::Duplicate { of, percent, words, closed_at } => {
                write!(f, "likely a duplicate of `#{}`: {percent} % the same", of.number)?;
                write!(f, ", by the words {}{}{GO}", codes(words), closed_on(*closed_at))
            }
            Self::AwaitsApproval { author, change, by_choice } => {
                awaits_approval(f, author, change.as_ref())?;
                f.write_str(if *by_choice { CHOOSE } else { APPROVE })
            }
            Self::StaysWith { subject, agent } => write!(f, "{subject}: stays with `{agent}`"),
            Self::GoesTo { subject, agent } => {
                let first = if subject.is_first { " first" } else { "" };
                write!(f, "{subject}: goes to `{agent}`{first}")
            }
            Self::WaitsFor { subject, agent, place } => {
                write!(f, "{subject}: waits for `{agent}`, {place}")
            }
            Self::WaitsForBudget { agent, used_up } => waits_for_budget(f, agent, used_up),
            Self::NoAgent { subject, task } => {
                write!(f, "{subject}: no agent is configured for it (task type `{task}`)")
            }
            Self::TimedOut(cause) => write!(f, "timed out: {cause}"),
            Self::Escalated(cause) => write!(f, "escalated: {cause}"),
            Self::GivenByPerson(to) => write!(f, "given to {} by a person", code(to.as_str())),
            Self::WriteLimit { limit, until } => write_limit(f, *limit, *until),
            Self::GivenUp { error } => write!(f, "given up before all was done: {error}"),
            Self::RunByHand => f.write_str("the local agent was run by hand"),
            Self::Earlier(text) => f.write_str(text),
        }
    }
}

fn write_limit(f: &mut fmt::Formatter<'_>, limit: u32, until: Timestamp) -> fmt::Result {
    write!(
        f,
        "the limit of {limit} writes to one issue within an hour (`worker.fuse`) is reached; nothing is written until {}, then the issue is evaluated again",
        until.format("%H:%M:%S UTC")
    )
}

fn lacks(missing: &[Missing]) -> String {
    match missing {
        [] => "no single signal is missing".to_owned(),
        _ => missing.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", "),
    }
}

/// `waits for a budget before `claude` gets it: 1200 of the 1000 tokens per day are used, until …`.
fn waits_for_budget(f: &mut fmt::Formatter<'_>, agent: &AgentId, used_up: &UsedUp) -> fmt::Result {
    let UsedUp { spent, until } = used_up;
    let agent = code(agent.as_str());
    write!(f, "waits for a budget before {agent} gets it: {spent} are used; ")?;
    match spent.per {
        BudgetScope::Repository | BudgetScope::Day => {
            write!(f, "a new day begins at {}", minute(*until))
        }
        BudgetScope::Dispatch | BudgetScope::Issue => f.write_str(RAISE),
    }
}

/// `waits for approval: opened by `bob`, who may not write here`.
fn awaits_approval(
    f: &mut fmt::Formatter<'_>,
    author: &str,
    change: Option<&TextChange>,
) -> fmt::Result {
    f.write_str("waits for approval: ")?;
    match (change, author) {
        (Some(TextChange { approved_by, by: Some(by) }), _) => {
            write!(f, "{} changed the text since {} approved it", code(by), code(approved_by))
        }
        (Some(TextChange { approved_by, by: None }), _) => {
            write!(f, "the text is not known to be what {} approved", code(approved_by))
        }
        (None, "") => f.write_str("nobody knows who opened it"),
        (None, author) => write!(f, "opened by {}, who may not write here", code(author)),
    }
}

/// `its label keeps it for people`.
fn open_to_claim(f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
    let ways = "`/triage claim` takes it, `/triage assign <agent>` gives it to an agent";
    write!(f, "its label {} keeps it for people; {ways}", code(label))
}

/// `; closed on 2026-03-23`; nothing while it is open.
fn closed_on(at: Option<Timestamp>) -> String {
    at.map(|at| format!("; closed on {}", at.format("%Y-%m-%d"))).unwrap_or_default()
}

/// `2026-03-23 12:00 UTC`.
fn minute(at: Timestamp) -> impl Display {
    at.format("%Y-%m-%d %H:%M UTC")
}

/// `blocked, as its label says`.
fn blocked_by_label(f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
    write!(f, "blocked, as its label {} says: a person has to resolve that", code(label))
}

/// ` by #12, other/repo#3`; nothing when there are none.
fn named_blockers(by: &[IssueRef], repo: &RepoName) -> String {
    let name = |at: &IssueRef| match at.repo == *repo {
        true => format!("#{}", at.number),
        false => at.to_string(),
    };
    let by: Vec<_> = by.iter().map(name).collect();
    if by.is_empty() { String::new() } else { format!(" by {}", quoted(&by)) }
}

/// Words of others as code.
fn codes(words: &[String]) -> String {
    words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", ")
}

fn quoted(list: &[impl Display]) -> String {
    list.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
}

impl Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_first, self.issue_type) {
            (true, IssueType::Unknown) => f.write_str("P0")?,
            (true, kind) => write!(f, "P0/{kind}")?,
            (false, IssueType::Unknown) => f.write_str("ready")?,
            (false, kind) => write!(f, "ready {kind}")?,
        }
        let says_purpose = self.is_research && self.issue_type != IssueType::Research;
        let purpose = if says_purpose { " to research" } else { "" };
        write!(f, " issue{purpose} (score {}, {})", self.score, age(self.age_days))
    }
}

/// The age in a sentence.
pub fn age(days: i64) -> String {
    match days {
        ..=0 => "opened today".to_owned(),
        1 => "1 day old".to_owned(),
        _ => format!("{days} days old"),
    }
}

impl Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = &self.0;
        match cause {
            Cause::NotFinished { .. } | Cause::NotCalled { .. } => {
                write!(f, "timed out: {cause}{RETRY}")
            }
            Cause::NotEvaluated { .. } => {
                write!(f, "timed out, and could not be evaluated{RETRY}")
            }
            Cause::ReportedDone { .. } => write!(f, "{cause}{RETRY}"),
            Cause::OutOfReach { .. } => write!(f, "out of reach: {cause}{RETRY}"),
            Cause::ReviewFailed { .. }
            | Cause::ReportedFailed { .. }
            | Cause::TurnsUsed { .. }
            | Cause::Refused { .. }
            | Cause::BudgetUsedUp { .. }
            | Cause::HandOffFailed { .. } => write!(f, "escalated: {cause}{RETRY}"),
            Cause::AsksPermission { .. } => write!(f, "{cause}{PERMIT}"),
            // These say themselves how to go on.
            Cause::TakenOff { .. } | Cause::TakenOver { .. } | Cause::Earlier { .. } => {
                cause.fmt(f)
            }
            _ => write!(f, "{cause}{RESUME}"),
        }
    }
}

impl Cause {
    /// How the work goes on, or ends.
    fn of_work(&self) -> String {
        match self {
            Self::ReportedWorking { url } => {
                let url = after_colon(url.as_deref());
                format!("the agent reported that it works on it{url}")
            }
            Self::ReportedDone { agent } => {
                format!("{} reported that it is done", code(agent.as_str()))
            }
            Self::FollowedUp { turn, limit, asked } => {
                format!("turn {turn} of {limit}, for {asked}")
            }
            Self::TurnsUsed { limit, asked } => format!(
                "{asked} would need another turn of the agent, and it has had as many as there may be ({limit})"
            ),
            _ => String::new(),
        }
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided { reason: text }
            | Self::Earlier { text }
            | Self::NotEvaluated { error: text }
            | Self::OutOfReach { error: text } => f.write_str(text),
            Self::HeldBy { by, reason } => {
                write!(f, "held by {}{}", code(by), after_colon(reason.as_deref()))
            }
            Self::DoneBy { by } => write!(f, "done, says {}", code(by)),
            Self::RetriedBy { by } => write!(f, "dispatched again by {}", code(by)),
            Self::GivenBy { by, to } => write!(f, "given to {} by {}", code(to), code(by)),
            Self::TakenOff { what } => {
                let names: Vec<_> = what.iter().map(|value| code(value)).collect();
                write!(f, "a person removed {}{RESUME}", names.join(" and "))
            }
            Self::TakenOver { login } => write!(f, "given to {}{RESUME}", code(login)),
            Self::TextChanged { by: Some(by) } => {
                write!(f, "the text was changed by {} since it was approved", code(by))
            }
            Self::TextChanged { by: None } => {
                f.write_str("the text is not known to be what was approved")
            }
            Self::Accepted { agent, what } => {
                write!(f, "{} took {} off", code(agent.as_str()), code(what))
            }
            Self::Commented { agent } => write!(f, "{} commented", code(agent.as_str())),
            Self::Linked { pull } => write!(f, "{} is about it", code(&pull.to_string())),
            Self::ReportedWorking { .. }
            | Self::ReportedDone { .. }
            | Self::FollowedUp { .. }
            | Self::TurnsUsed { .. } => f.write_str(&self.of_work()),
            Self::ReportedFailed { message } => reported(f, "it failed", message.as_deref()),
            Self::NeedsPerson { message } => {
                reported(f, "a person has to decide first", message.as_deref())
            }
            Self::AsksPermission { asked, .. } => asks_permission(f, asked),
            Self::BudgetNear { spent } => write!(f, "{NEARLY}: {spent}"),
            Self::BudgetUsedUp { spent } => write!(f, "a budget is used up: {spent}"),
            Self::ReviewFailed { unmet } => {
                let all: Vec<_> = unmet.iter().map(Unmet::to_string).collect();
                write!(f, "the review was not passed: {}", all.join("; "))
            }
            Self::HandOffFailed { number, limit, reason, answer } => {
                let answer = after_colon(Some(answer.as_str()).filter(|text| !text.is_empty()));
                write!(f, "hand-off {number} of {limit} failed: {reason}{answer}")
            }
            Self::Refused { reason } => write!(f, "nobody could be called: {reason}"),
            Self::NotFinished { agent } => {
                write!(f, "{} did not finish it in time", code(agent.as_str()))
            }
            Self::NotCalled { agent } => {
                write!(f, "{} could not be called in time", code(agent.as_str()))
            }
        }
    }
}

/// `the agent asks whether it may use a tool of the kind `execute`: `…``.
fn asks_permission(f: &mut fmt::Formatter<'_>, asked: &Asked) -> fmt::Result {
    let Asked { kind, title } = asked;
    let title = after_colon(Some(title.as_str()).filter(|title| !title.is_empty()));
    write!(f, "the agent asks whether it may use a tool of the kind `{kind}`{title}")
}

/// `the agent reported that it failed: `…``.
fn reported(f: &mut fmt::Formatter<'_>, what: &str, message: Option<&str>) -> fmt::Result {
    write!(f, "the agent reported that {what}{}", after_colon(message))
}

/// `: ` and somebody's own words as code; nothing when there are none.
fn after_colon(words: Option<&str>) -> String {
    words.map(|words| format!(": {}", code(words))).unwrap_or_default()
}

impl Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenTasks { count: 1 } => f.write_str("1 task in its list is not ticked"),
            Self::OpenTasks { count } => write!(f, "{count} tasks in its list are not ticked"),
            Self::NoMergedPull => f.write_str("no merged pull request is linked to it"),
            Self::NoChecksToRead => {
                f.write_str("no merged pull request whose checks could be read is linked to it")
            }
            Self::PullGone { pull } => {
                write!(f, "the pull request {} is gone", code(&pull.to_string()))
            }
            Self::NoChecks { pull } => {
                write!(f, "no check ran on {}", code(&pull.to_string()))
            }
            Self::Checks { pull, status } => {
                write!(f, "the checks of {} say {}", code(&pull.to_string()), code(status))
            }
        }
    }
}

/// Why an issue was woken.
fn wake_cause(cause: WakeCause) -> &'static str {
    match cause {
        WakeCause::Unblocked => "what it waited for is closed",
        WakeCause::PlaceFree => "a place is free",
        WakeCause::Due => "its time has come",
        WakeCause::Pull => "a pull request concerns it",
        WakeCause::DryRunOver => "the dry run is over",
    }
}

/// What a delivery is called, as `kind/action`.
pub fn action(name: String) -> String {
    let cause = name.strip_prefix("wake/").and_then(|cause| cause.parse().ok());
    cause.map_or(name, |cause| format!("wake/{}", wake_cause(cause)))
}

/// That a delivery says what the one called `id` said before.
pub fn same_bytes(id: &str) -> String {
    format!("the same bytes as `{id}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(cause: Cause) -> String {
        Hold(cause).to_string()
    }

    #[test]
    fn a_hold_says_how_to_go_on() {
        let by = || "alice".to_owned();
        let reason = Some("not @now".to_owned());
        let expected = "held by `alice`: `not @now`; `/triage resume` continues";
        assert_eq!(hold(Cause::HeldBy { by: by(), reason }), expected);
        let what = vec!["claude-ready".to_owned(), "claude".to_owned()];
        let expected = "a person removed `claude-ready` and `claude`; `/triage resume` continues";
        assert_eq!(hold(Cause::TakenOff { what }), expected);
        let unmet = vec![Unmet::OpenTasks { count: 1 }, Unmet::NoMergedPull];
        let expected = "escalated: the review was not passed: 1 task in its list is not ticked; no merged pull request \
             is linked to it; `/triage retry` dispatches it again";
        assert_eq!(hold(Cause::ReviewFailed { unmet }), expected);
    }

    #[test]
    fn a_cause_is_read_back_as_it_was_kept() {
        let pull = "acme/widgets#7".parse().unwrap();
        let kept = serde_json::to_string(&Hold(Cause::Linked { pull })).unwrap();
        assert_eq!(kept, r#"{"kind":"linked","pull":"acme/widgets#7"}"#);
        let read: Hold = serde_json::from_str(&kept).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), kept);
        let earlier: Hold =
            serde_json::from_str(r#"{"kind":"earlier","text":"held by `bob`"}"#).unwrap();
        assert_eq!(earlier.to_string(), "held by `bob`");
    }
}
