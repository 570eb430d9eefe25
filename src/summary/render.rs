//! A digest as Markdown. Text from outside is quoted as code, and every link is one that leaves no reference, so that a
//! summary mentions nobody and references no issue. Pure.

use std::collections::HashSet;
use std::fmt::Write as _;

use chrono_tz::Tz;

use crate::clock::Timestamp;
use crate::dispatch::DispatchState;
use crate::issue::IssueNumber;
use crate::plan::code;
use crate::store::{ActionTaken, Digest, OpenIssue, Period};

/// How many ready issues are listed.
const TOP: usize = 10;
/// How many actions, and how many issues that need attention, are listed.
const LISTED: usize = 20;
/// How many skipped issues are listed.
const SKIPPED: usize = 5;
/// How many characters of a title and of a reason are shown.
const TITLE: usize = 80;
const REASON: usize = 100;

/// What a summary is written from.
pub(super) struct Page<'a> {
    pub(super) digest: &'a Digest,
    pub(super) period: Period,
    pub(super) timezone: Tz,
    /// The person who decides what an agent cannot.
    pub(super) owner: &'a str,
    /// The address of an issue.
    pub(super) link: &'a dyn Fn(IssueNumber) -> String,
}

impl Page<'_> {
    /// The whole text.
    pub(super) fn render(&self) -> String {
        format!(
            "{}\n\n{}\n{}{}{}{}{}\n---\n*Auto-generated from the triage ledger. Override any decision by assigning \
             somebody or editing the issue. It is then evaluated again.*\n",
            self.counts(),
            self.covers(),
            self.top(),
            self.actions(),
            self.needs(),
            self.quiet(),
            self.skipped(),
        )
    }

    fn counts(&self) -> String {
        let open = &self.digest.open;
        let by = |action: &str| open.iter().filter(|i| i.action == action).count();
        let dead: u32 = self.digest.dead.iter().map(|d| d.count).sum();
        let counts = [
            ("Open issues", open.len()),
            ("Ready", open.iter().filter(|i| i.is_listed_ready()).count()),
            ("Dispatched", open.iter().filter(|i| i.is_dispatched()).count()),
            ("Done", self.digest.done as usize),
            ("Flagged", by("flag")),
            ("Waiting", by("wait")),
            ("Missed webhooks", self.digest.missed as usize),
            ("Failed deliveries", dead as usize),
        ];
        counts.map(|(name, count)| format!("**{name}:** {count}")).join(" | ")
    }

    fn covers(&self) -> String {
        let Period { from, until } = self.period;
        let zone = self.timezone.name();
        format!("As of {}, with the activity since {} ({zone}).", self.time(until), self.time(from))
    }

    fn time(&self, at: Timestamp) -> String {
        at.with_timezone(&self.timezone).format("%Y-%m-%d %H:%M").to_string()
    }

    /// `#12`, clickable, without being a reference.
    fn issue(&self, number: IssueNumber) -> String {
        format!("[`#{number}`]({})", (self.link)(number))
    }

    fn top(&self) -> String {
        let mut ready: Vec<_> = self.digest.open.iter().filter(|i| i.is_listed_ready()).collect();
        ready.sort_by_key(|i| (std::cmp::Reverse(i.score), i.number));
        let line = |i: &&OpenIssue| {
            let flag = match (i.is_bug, i.is_p0) {
                (true, _) => "🐛 ",
                (false, true) => "⚡ ",
                (false, false) => "",
            };
            let (score, age) = (i.score, i.age_days);
            let (issue, title) = (self.issue(i.number), quoted(&i.title, TITLE));
            format!("{flag}**{issue}** (score={score}, age={age}d) — {title}{}", holder(i))
        };
        let lines: Vec<_> = ready.iter().take(TOP).map(line).collect();
        let heading = "Top 10 Ready Issues (by score)";
        match lines.is_empty() {
            true => format!("\n## {heading}\n\nNo issue is ready.\n"),
            false => section(heading, &lines, TOP),
        }
    }

    fn actions(&self) -> String {
        let mut seen = HashSet::new();
        // An action that was interrupted and repeated counts once.
        let mut actions: Vec<&ActionTaken> = self.digest.actions.iter().collect();
        actions.retain(|a| seen.insert((a.number, a.what.as_str(), a.agent.as_deref())));
        let line = |a: &ActionTaken| {
            let agent = a.agent.as_ref().map(|agent| format!(" ({})", code(agent)));
            let (issue, agent) = (self.issue(a.number), agent.unwrap_or_default());
            format!("{issue} → `{}`{agent}: {}", a.what, quoted(&a.reason, REASON))
        };
        let lines: Vec<_> = actions.into_iter().map(line).collect();
        section("Actions Taken", &lines, LISTED)
    }

    /// What needs the attention of a person, and of whom.
    fn needs(&self) -> String {
        let owner = format!("the owner, {}", code(self.owner));
        let flagged = self.digest.open.iter().filter_map(|i| {
            let is_asked = (i.action == "flag" || is_neglected(i)) && !is_quiet(i);
            let reason = given_up(i).or_else(|| is_asked.then(|| i.reason.clone()))?;
            Some(format!("{} needs {owner}: {}", self.issue(i.number), quoted(&reason, REASON)))
        });
        let dead = self.digest.dead.iter().map(|d| {
            let failed = if d.count == 1 { "a failed delivery" } else { "failed deliveries" };
            let (issue, reason) = (self.issue(d.number), quoted(&d.reason, REASON));
            format!("{issue} needs the operator: {failed}, {reason}; `gitea-triage inbox list --state dead`")
        });
        section("Needs Attention", &flagged.chain(dead).collect::<Vec<_>>(), LISTED)
    }

    /// What would need a person and was open before the repository was first read: nobody was mentioned for it.
    fn quiet(&self) -> String {
        let quiet = self.digest.open.iter().filter(|i| is_quiet(i));
        let line =
            |i: &OpenIssue| format!("{}: {}", self.issue(i.number), quoted(&i.reason, REASON));
        let lines: Vec<_> = quiet.map(line).collect();
        if lines.is_empty() {
            return String::new();
        }
        let listed = section("From Before", &lines, LISTED);
        format!(
            "{listed}\nThese were open before the first sweep. Nobody was mentioned for them; comment on one, or run \
             `gitea-triage sweep --backlog`.\n"
        )
    }

    fn skipped(&self) -> String {
        let skipped = self.digest.open.iter().filter(|i| i.is_skipped());
        let line =
            |i: &OpenIssue| format!("{}: {}", self.issue(i.number), quoted(&i.reason, TITLE));
        let lines: Vec<_> = skipped.map(line).collect();
        let issues = if lines.len() == 1 { "issue" } else { "issues" };
        section(&format!("Skipped ({} {issues})", lines.len()), &lines, SKIPPED)
    }
}

/// Whether it needs a person, and nobody was mentioned for it.
fn is_quiet(issue: &OpenIssue) -> bool {
    issue.is_from_before && issue.action == "flag" && issue.dispatch.is_none()
}

/// Whether it is urgent and nobody has it.
fn is_neglected(issue: &OpenIssue) -> bool {
    issue.is_urgent && !issue.is_dispatched()
}

fn holder(issue: &OpenIssue) -> String {
    match &issue.dispatch {
        Some((agent, state)) if state.is_open() => format!(", with {}", code(agent)),
        _ => String::new(),
    }
}

/// Why an issue needs attention whose dispatch ended without success.
fn given_up(issue: &OpenIssue) -> Option<String> {
    match issue.dispatch.as_ref()? {
        (agent, DispatchState::Escalated) => Some(format!("escalated: {agent} did not finish it")),
        (agent, DispatchState::TimedOut) => Some(format!("the dispatch to {agent} timed out")),
        _ => None,
    }
}

/// Text from outside as code, which mentions and references nothing. Code inside of code is not possible, so backticks
/// are removed.
fn quoted(text: &str, most: usize) -> String {
    let plain: String = text.chars().filter(|c| *c != '`').collect();
    let Some((end, _)) = plain.char_indices().nth(most) else { return code(plain.trim()) };
    code(&format!("{}…", whole_words(&plain, end)))
}

/// The words of `text` that end before `end`; a part of the first one where it is as long.
fn whole_words(text: &str, end: usize) -> &str {
    let start = &text[..end];
    let goes_on = text[end..].chars().next().is_some_and(|c| !c.is_whitespace());
    let cut = if goes_on { start.rfind(char::is_whitespace) } else { None };
    // Text of some languages has no spaces, or one in a long while.
    let kept = cut.filter(|cut| *cut > end / 2).map_or(start, |cut| &start[..cut]);
    kept.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':'))
}

/// A list below its heading; nothing when there is none.
fn section(heading: &str, lines: &[String], most: usize) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\n## {heading}\n\n");
    for line in lines.iter().take(most) {
        let _ = writeln!(text, "- {line}");
    }
    if lines.len() > most {
        let _ = writeln!(text, "- … and {} more", lines.len() - most);
    }
    text
}
