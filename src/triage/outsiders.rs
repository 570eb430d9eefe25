//! Who may cause work. The issue of an outsider, somebody who may not write to the repository's issues, is given to an
//! agent as far as a person who may has approved its text: by a command, by a label, or by giving it to an agent. What was
//! approved is what is worked on: a text that was changed since by somebody who may not write, or nobody knows by whom, has
//! to be approved again. Pure.

use super::commands::{Assignee, Command};
use super::policy::{Authors, AuthorsIn};
use super::{
    Approval, Choice, CommandRequest, Custody, Evaluation, OrderState, Policy, Question, Rules,
    Snapshot, Source, Way,
};
use crate::clock::Timestamp;
use crate::delivery::{ShownEvent, ShownText};
use crate::dispatch::{Agent, DispatchState, Interface, Mark};
use crate::issue::{Account, Change, IssueState, TextDigest, TextEdit, TimelineEvent};
use crate::reason::{Cause, Reason};

/// Finds what calls an agent on an issue that nobody has, and was put there by somebody who may not write: with the form of
/// a new issue everybody can send labels and assignees (routers/web/repo/issue_new.go, `NewIssuePost`).
pub(super) fn revoke(
    mut e: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    let policy = rules.triage.policy();
    let is_free = e.custody.dispatch().is_none() && e.resumes.is_none() && e.is_open(s.issue);
    if policy.authors == Authors::Anyone || !is_free || s.issue.is_pull_request {
        return Ok(e);
    }
    let is_ours =
        |mark: &Mark| s.record.leftovers.contains(mark) || s.record.applied.contains(mark);
    let agents = rules.agents.iter().filter(|agent| agent.interface == Interface::Forge);
    let marks = agents.flat_map(Agent::marks);
    for mark in marks.filter(|mark| mark.is_on(s.issue) && !is_ours(mark)) {
        if !is_outsiders(s, policy)? {
            break;
        }
        let by = put_on(&mark, s)?.and_then(|put| put.by.as_ref());
        let may_write = by.map_or(Ok(false), |by| s.may_write(&by.login))?;
        e.revoked.extend((!may_write).then_some(mark));
    }
    Ok(e)
}

/// Notes what people approve and take back, and ends the dispatch of which the text was changed.
pub(super) fn follow(
    mut e: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    let policy = rules.triage.policy();
    let matters = policy.authors != Authors::Anyone;
    e.approval = by_command(&e, s, matters)?.or(e.approval);
    if !matters {
        return Ok(e);
    }
    e.text = Some(s.issue.text());
    let label = rules.approve_label.clone().map(Mark::Label).filter(|mark| mark.is_on(s.issue));
    let is_taken_back = label.is_none() && e.custody.dispatch().is_none();
    e.approval.take_if(|approval| is_taken_back && approval.way == Way::Label);
    e = vouch(e, s)?;
    // Who put a label on is only asked where that can change something.
    let is_open = e.is_open(s.issue);
    let label = label.filter(|_| is_open && e.approved().is_none()).map(|mark| (Way::Label, mark));
    let given = e.given.as_ref().and_then(|id| rules.agent(id)).into_iter().flat_map(Agent::marks);
    let given = given.filter(|mark| mark.is_on(s.issue)).map(|mark| (Way::Choice, mark));
    for (way, mark) in label.into_iter().chain(given).collect::<Vec<_>>() {
        e.approval = by_mark(&e, s, way, &mark)?.or(e.approval);
    }
    let e = call_off(vouch(e, s)?, s, rules)?;
    let given = e.given.as_ref().and_then(|id| rules.agent(id)).cloned();
    let Some(agent) = given.filter(|_| is_stale(&e)) else { return Ok(e) };
    Ok(if is_outsiders(s, policy)? {
        Evaluation { given: None, ..withdrawn(e, &agent, s) }
    } else {
        e
    })
}

/// Whether what was approved is not the text as it is.
fn is_stale(e: &Evaluation) -> bool {
    e.approval.is_some() && e.approved().is_none()
}

/// Takes off by what a person called the agent: the text is another one since.
fn withdrawn(mut e: Evaluation, agent: &Agent, s: &Snapshot<'_>) -> Evaluation {
    e.revoked.extend(agent.marks().filter(|mark| mark.is_on(s.issue)));
    e
}

/// Why the issue is given to no agent by the rules or an earlier choice, if it is not.
pub(super) fn awaits(
    e: &Evaluation,
    s: &Snapshot<'_>,
    policy: &Policy,
) -> Result<Option<Reason>, Question> {
    let is_chosen = matches!(e.custody, Custody::Chosen(_));
    let is_allowed = match policy.authors {
        Authors::Anyone => true,
        // A choice approved the text as it was then; one from before that mattered is still a choice.
        _ if is_chosen && !s.requests.iter().any(CommandRequest::is_local_agents) => {
            e.approval.is_none() || e.approved().is_some()
        }
        _ if is_chosen => e.approved().is_some(),
        Authors::Approved => e.approved().is_some(),
        Authors::Members => false,
    };
    if is_allowed || e.custody.dispatch().is_some() || !is_outsiders(s, policy)? {
        return Ok(None);
    }
    let stale = e.approval.as_ref().filter(|_| e.approved().is_none());
    Ok(Some(Reason::AwaitsApproval {
        author: s.issue.author.as_ref().map(|by| by.login.clone()).unwrap_or_default(),
        change: stale.map(Approval::change),
        by_choice: policy.authors == Authors::Members && !is_chosen,
    }))
}

/// Whether it matters who opened the issue, and they may not write.
fn is_outsiders(s: &Snapshot<'_>, policy: &Policy) -> Result<bool, Question> {
    if policy.authors_in == AuthorsIn::Public && !s.is_public()? {
        return Ok(false);
    }
    let author = s.issue.author.as_ref().map(|by| by.login.as_str());
    Ok(!s.may_write(author.unwrap_or_default())?)
}

/// What the latest command approves that is carried out by this evaluation.
fn by_command(
    e: &Evaluation,
    s: &Snapshot<'_>,
    matters: bool,
) -> Result<Option<Approval>, Question> {
    let each = s.requests.iter().zip(&e.orders).rev();
    let mut carried_out = each.filter(|(request, end)| {
        request.state == OrderState::Received && end.state != OrderState::Refused
    });
    let granted = carried_out.find_map(|(request, _)| Some((request, way(request, e, matters)?)));
    let Some((request, way)) = granted else { return Ok(None) };
    let (by, at) = (request.by.clone(), s.now);
    let is_it = |shown: &&ShownText| match (&shown.event, request.source) {
        (ShownEvent::Commented(comment), Source::Comment(source)) => *comment == source,
        _ => false,
    };
    let digest = match shown_to(s.shown_texts()?.iter().filter(is_it)) {
        Some(shown) => shown,
        None => seen_last(s, request.source)?,
    };
    Ok(Some(Approval { by, at, way, digest, edited_by: None }))
}

/// How a command approves the text, if it does: by saying so, or by giving the issue to an agent by name.
fn way(request: &CommandRequest, e: &Evaluation, matters: bool) -> Option<Way> {
    let is_chosen = matches!(e.custody, Custody::Chosen(_));
    match request.command {
        _ if request.is_local_agents() => None,
        Command::Approve => Some(Way::Command),
        Command::Assign(Assignee::Agent(_)) if matters => Some(Way::Choice),
        Command::Retry | Command::Resume if matters && is_chosen => Some(Way::Choice),
        _ => None,
    }
}

/// The text that these deliveries show; empty where they show more than one.
fn shown_to<'a>(mut shown: impl Iterator<Item = &'a ShownText>) -> Option<String> {
    let first = shown.next()?.text;
    Some(if shown.all(|one| one.text == first) { first.to_string() } else { String::new() })
}

/// The text that somebody had before them of whom no delivery shows it: as it was at the last look, after which they
/// wrote, or as it is, where nobody looked before, they order by hand, and nobody is known to have changed it.
fn seen_last(s: &Snapshot<'_>, source: Source) -> Result<String, Question> {
    let is_edit = |shown: &ShownText| matches!(shown.event, ShownEvent::Edited(_));
    Ok(match &s.record.text_digest {
        Some(seen) => seen.clone(),
        // The comment was found without its delivery: the text may have been another one then.
        None if matches!(source, Source::Comment(_)) => String::new(),
        None if s.shown_texts()?.iter().any(is_edit) => String::new(),
        None => s.issue.text().to_string(),
    })
}

/// When this was put on the issue last, and by whom.
fn put_on<'a>(mark: &Mark, s: &'a Snapshot<'_>) -> Result<Option<&'a TimelineEvent>, Question> {
    let timeline = s.timeline(s.issue.created_at.unwrap_or_default())?;
    Ok(timeline.iter().rev().find(|one| match (&one.change, mark) {
        (Change::Labelled { name, on: true }, Mark::Label(label)) => name == label,
        (Change::Assigned { login, on: true }, Mark::Assignee(assignee)) => {
            login.eq_ignore_ascii_case(assignee)
        }
        _ => false,
    }))
}

/// What a person approved by putting this on the issue, later than what was approved before.
fn by_mark(
    e: &Evaluation,
    s: &Snapshot<'_>,
    way: Way,
    mark: &Mark,
) -> Result<Option<Approval>, Question> {
    let Some(put) = put_on(mark, s)? else { return Ok(None) };
    let Some((by, at)) = put.by.as_ref().zip(put.at) else { return Ok(None) };
    let is_news = e.approval.as_ref().is_none_or(|known| known.at < at);
    if !is_news || by.is_same_as(s.account()?) || !s.may_write(&by.login)? {
        return Ok(None);
    }
    let digest = text_before(put, mark, s)?;
    Ok(Some(Approval { by: by.login.clone(), at, way, digest, edited_by: None }))
}

/// The digest of the text that somebody had before them who put this on the issue; empty where nobody knows.
fn text_before(put: &TimelineEvent, mark: &Mark, s: &Snapshot<'_>) -> Result<String, Question> {
    let is_it = |shown: &&ShownText| {
        let is_of = match (&shown.event, mark) {
            (ShownEvent::Labelled(labels), Mark::Label(label)) => labels.contains(label),
            (ShownEvent::Assigned, Mark::Assignee(_)) => true,
            _ => false,
        };
        let both = shown.by.as_ref().zip(put.by.as_ref());
        is_of && both.is_some_and(|(one, other)| one.is_same_as(other))
    };
    if let Some(shown) = shown_to(s.shown_texts()?.iter().filter(is_it)) {
        return Ok(shown);
    }
    let is_after = |at: Option<Timestamp>| put.at.zip(at).is_some_and(|(put, at)| at <= put);
    let is_later = is_after(s.record.evaluated_at);
    let is_untouched = is_after(s.issue.updated_at);
    Ok(match &s.record.text_digest {
        Some(seen) if is_later => seen.clone(),
        // What was approved before anybody looked, and nothing happened since.
        None if is_untouched => s.issue.text().to_string(),
        _ => String::new(),
    })
}

/// Takes the text as it is for approved where the deliveries show that people who may write made every change since.
fn vouch(mut e: Evaluation, s: &Snapshot<'_>) -> Result<Evaluation, Question> {
    let (Some(approval), Some(text)) = (e.approval.as_mut(), e.text) else { return Ok(e) };
    if !approval.is_of(text) {
        match changes_since(s, approval, text)? {
            Changes::ByWriters => approval.digest = text.to_string(),
            // For good: who may not write must not start agents by changing the text to and fro.
            Changes::By(outsider) => {
                approval.edited_by = Some(outsider);
                approval.digest.clear();
            }
            Changes::Unexplained => {}
        }
    }
    if approval.is_of(text) {
        approval.edited_by = None;
    }
    Ok(e)
}

/// What is known of the changes from one text to another.
enum Changes {
    ByWriters,
    By(String),
    Unexplained,
}

/// Goes back from the text as it is, by one edit after the other, to the one that was approved. The order in which
/// deliveries came says nothing.
fn changes_since(
    s: &Snapshot<'_>,
    approval: &Approval,
    text: TextDigest,
) -> Result<Changes, Question> {
    let edit = |shown: &ShownText| match shown.event {
        ShownEvent::Edited(edit) => Some((shown.by.clone(), edit)),
        _ => None,
    };
    let mut edits: Vec<(Option<Account>, TextEdit)> =
        s.shown_texts()?.iter().filter_map(edit).collect();
    let mut at = text;
    while !approval.is_of(at) {
        let (mut outsider, mut step) = (None, None);
        for (place, (by, edit)) in edits.iter().enumerate().rev() {
            let Some(before) = at.before(edit).filter(|before| *before != at) else { continue };
            let by = by.as_ref().map(|by| by.login.as_str()).unwrap_or_default();
            if !by.is_empty() && s.may_write(by)? {
                step = Some((place, before));
                break;
            }
            outsider.get_or_insert_with(|| by.to_owned());
        }
        let Some((place, before)) = step else {
            let outsider = outsider.filter(|login| !login.is_empty());
            return Ok(outsider.map_or(Changes::Unexplained, Changes::By));
        };
        edits.remove(place);
        at = before;
    }
    Ok(Changes::ByWriters)
}

/// Ends the dispatch of an outsider's issue of which the text is not what was approved. The agent that a person chose stays
/// chosen, for when the text is approved.
fn call_off(mut e: Evaluation, s: &Snapshot<'_>, rules: &Rules) -> Result<Evaluation, Question> {
    let is_open = s.issue.state == IssueState::Open;
    let open = e.custody.dispatch().filter(|_| is_stale(&e) && is_open);
    let Some(open) = open.cloned() else { return Ok(e) };
    if !is_outsiders(s, rules.triage.policy())? {
        return Ok(e);
    }
    let by = e.approval.as_ref().and_then(|approval| approval.edited_by.clone());
    e = e.end(DispatchState::Failed, Cause::TextChanged { by });
    if let Some(agent) = rules.agent(&open.agent).filter(|_| open.by_person) {
        return Ok(withdrawn(e, agent, s));
    }
    if open.is_chosen {
        let choice = Choice { agent: open.agent, task: Some(open.task_type) };
        e.custody = Custody::Chosen(choice);
    }
    Ok(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::{Issue, TimelineEvent};
    use crate::triage::commands::{OrderState, Permission};
    use crate::triage::samples::{World, agent, bug, dispatch, issue, now};
    use crate::triage::{Action, Answers, Facts, evaluate};

    fn account(login: &str) -> Account {
        let id = login.bytes().map(i64::from).sum();
        Account { id, login: login.into() }
    }

    /// Alice may write, bob and carol may not; the repository is public.
    fn outsiders(authors: Authors, by: Issue) -> World {
        let author = Some(account("bob"));
        let world = World::of(Issue { author, ..by }).agents(vec![agent("claude", &[])]);
        let policy = Policy { authors, answers: Answers::Comment, ..Policy::default() };
        world.policy(policy).answered(|facts| {
            for (login, may_write) in [("alice", true), ("bob", false), ("carol", false)] {
                facts.writers.insert(login.into(), may_write);
            }
            facts.account = Some(account("triage-bot"));
        })
    }

    fn approval(of: &Issue) -> Approval {
        let (by, at, digest) = ("alice".to_owned(), now(), of.text().to_string());
        Approval { by, at, way: Way::Command, digest, edited_by: None }
    }

    /// Bob's bug, approved as it was before it says what it says now.
    fn changed(from: &str) -> World {
        let mut world = outsiders(Authors::Approved, bug());
        let former = Issue { body: from.into(), ..world.issue.clone() };
        world.record.approval = Some(approval(&former));
        world
    }

    fn edit(by: &str, from: &str, to: &str) -> ShownText {
        let text = TextDigest::of(&bug().title, to);
        let event = ShownEvent::Edited(TextEdit::new(text, None, Some(from)));
        ShownText { by: Some(account(by)), event, text }
    }

    fn showing(edits: Vec<ShownText>) -> impl FnOnce(&mut Facts) {
        move |facts| facts.shown_texts = Some(edits)
    }

    #[track_caller]
    fn decides(world: &World, expected: &str) -> Evaluation {
        let e = world.evaluate();
        let said = format!("{}: {}", e.decision.action(), e.decision.reason());
        assert!(said.starts_with(expected), "{said}");
        e
    }

    const APPROVED: &str = "dispatch: P0/bug issue (score 8, 3 days old): goes to `claude` first";
    const WAITS: &str = "skip: waits for approval: opened by `bob`, who may not write here; \
                         `/triage approve` lets an agent have it";

    #[test]
    fn an_outsiders_issue_waits_until_its_text_is_approved() {
        let mut world = outsiders(Authors::Approved, bug());
        let e = decides(&world, WAITS);
        assert_eq!(e.answer, Some(crate::triage::Answer::Approval));
        world.record.approval = Some(approval(&world.issue));
        decides(&world, APPROVED);
        decides(&outsiders(Authors::Anyone, bug()), APPROVED);
    }

    #[test]
    fn it_is_asked_last_and_only_where_it_matters() {
        let world = outsiders(Authors::Approved, issue("It is slow", ""));
        assert!(!world.asking().1.contains(&Question::Writer("bob".into())));
        decides(&world, "skip: score");
        for (authors, questions) in [(Authors::Anyone, 0), (Authors::Approved, 1)] {
            let world = World { facts: Facts::default(), ..outsiders(authors, bug()) };
            let asked = world.asking().1;
            let rights = asked.iter().filter(|one| matches!(one, Question::Writer(_)));
            assert_eq!(rights.count(), questions, "{asked:?}");
            assert!(!asked.contains(&Question::ShownTexts), "{asked:?}");
        }
        // Who it is by nobody asks once it is approved.
        let mut world = World { facts: Facts::default(), ..outsiders(Authors::Approved, bug()) };
        world.record.approval = Some(approval(&world.issue));
        assert_eq!(world.asking().1, [Question::Dependencies]);
    }

    #[test]
    fn an_issue_by_nobody_is_an_outsiders() {
        let mut world = outsiders(Authors::Approved, bug());
        world.issue.author = None;
        world.facts.writers.insert(String::new(), false);
        decides(&world, "skip: waits for approval: nobody knows who opened it");
    }

    #[test]
    fn a_private_repository_is_no_matter_where_only_public_ones_are() {
        let policy = || Policy {
            authors: Authors::Approved,
            authors_in: AuthorsIn::Public,
            ..Policy::default()
        };
        let world = |public| {
            let world = outsiders(Authors::Approved, bug()).policy(policy());
            world.answered(|facts| facts.is_public = Some(public))
        };
        decides(&world(false), APPROVED);
        decides(&world(true), WAITS);
    }

    #[test]
    fn members_choose_an_agent_for_an_outsiders_issue() {
        let mut world = outsiders(Authors::Members, bug());
        let expected = "skip: waits for approval: opened by `bob`, who may not write here; \
                        `/triage assign <agent>` gives it to one";
        decides(&world, expected);
        world.record.approval = Some(approval(&world.issue));
        decides(&world, expected);
        let choice = Choice { agent: crate::dispatch::AgentId::new("claude"), task: None };
        decides(&world.custody(Custody::Chosen(choice)), "dispatch: chosen for `claude`");
    }

    #[test]
    fn a_change_by_writers_is_taken_for_approved() {
        let now = bug().body;
        let world = changed("first").answered(showing(vec![
            edit("alice", "second", &now),
            edit("alice", "first", "second"),
        ]));
        let e = decides(&world, APPROVED);
        assert_eq!(e.approval.unwrap().digest, world.issue.text().to_string());
    }

    #[test]
    fn a_change_by_an_outsider_or_by_nobody_asks_again() {
        let now = bug().body;
        let bobs = "skip: waits for approval: `bob` changed the text since `alice` approved it";
        let unknown = "skip: waits for approval: the text is not known to be what `alice` approved";
        let nobodys = ShownText { by: None, ..edit("alice", "first", &now) };
        for (edits, expected) in [
            (vec![edit("bob", "first", &now)], bobs),
            (vec![edit("bob", "first", "second"), edit("alice", "second", &now)], bobs),
            (vec![edit("alice", "first", "second"), edit("bob", "second", &now)], bobs),
            (vec![], unknown),
            (vec![edit("alice", "second", &now)], unknown),
            (vec![edit("alice", "first", "second")], unknown),
            (vec![nobodys], unknown),
        ] {
            decides(&changed("first").answered(showing(edits)), expected);
        }
    }

    #[test]
    fn who_changed_it_is_remembered() {
        let mut world = changed("first").answered(showing(vec![edit("bob", "first", &bug().body)]));
        world.record.approval = world.evaluate().approval;
        world.facts.shown_texts = Some(Vec::new());
        decides(&world, "skip: waits for approval: `bob` changed the text");
    }

    #[test]
    fn a_dispatch_ends_when_an_outsider_changes_its_text_and_only_then() {
        let open = |state| {
            let world = changed("first").custody(Custody::Dispatched(dispatch("claude", state)));
            world.answered(|facts| facts.timeline = Some(Vec::new()))
        };
        for state in [DispatchState::Pending, DispatchState::Assigned, DispatchState::InProgress] {
            let e = open(state).answered(showing(vec![edit("bob", "first", &bug().body)]));
            let e = e.evaluate();
            let ended = e.transition.unwrap();
            assert_eq!(ended.cause, Cause::TextChanged { by: Some("bob".into()) });
            assert_eq!((ended.state, ended.counts), (DispatchState::Failed, false));
            assert_eq!((e.decision.action(), e.custody), (Action::Skip, Custody::Free));
        }
        let by_alice = open(DispatchState::Assigned)
            .answered(showing(vec![edit("alice", "first", &bug().body)]))
            .evaluate();
        assert_eq!((by_alice.transition, by_alice.decision.action()), (None, Action::Dispatch));
        let members = open(DispatchState::Assigned)
            .answered(|facts| facts.writers.extend([("bob".to_owned(), true)]));
        assert_eq!(members.evaluate().transition, None, "who may write is asked nothing");
        let mut given = open(DispatchState::Assigned);
        let by_person = crate::dispatch::Dispatch {
            by_person: true,
            ..dispatch("claude", DispatchState::Assigned)
        };
        given.record.custody = Custody::Dispatched(by_person);
        given.issue.labels = vec!["claude-ready".into()];
        let e = given.evaluate();
        let label = [Mark::Label("claude-ready".into())];
        assert_eq!(
            (e.transition.map(|to| to.state), e.custody),
            (Some(DispatchState::Failed), Custody::Free)
        );
        assert_eq!(e.revoked, label.into(), "also what a person gave to the agent");
    }

    #[test]
    fn a_chosen_agent_stays_chosen_until_the_text_is_approved() {
        let chosen = crate::dispatch::Dispatch {
            is_chosen: true,
            ..dispatch("claude", DispatchState::InProgress)
        };
        let mut world = changed("first").custody(Custody::Dispatched(chosen));
        let e = decides(&world, "skip: waits for approval");
        assert!(matches!(e.custody, Custody::Chosen(_)), "{:?}", e.custody);
        (world.record.custody, world.record.approval) = (e.custody, e.approval);
        let command = Command::Approve;
        world.requests = vec![CommandRequest {
            order: 1,
            state: OrderState::Received,
            why: None,
            source: Source::Entry(7),
            part: 0,
            is_said: false,
            is_author_told: false,
            by: "alice".into(),
            by_id: 0,
            permission: Permission::Writer,
            command,
            task_type: None,
        }];
        decides(&world, "dispatch: chosen for `claude` by a person");
    }

    fn labelled(by: &str, minutes: i64) -> TimelineEvent {
        let at = Some(now() + chrono::TimeDelta::minutes(minutes));
        let change = Change::Labelled { name: "approved".into(), on: true };
        TimelineEvent { by: Some(account(by)), at, change }
    }

    /// Bob's bug with the label, as the timeline has it.
    fn with_label(events: Vec<TimelineEvent>) -> World {
        let mut world = outsiders(Authors::Approved, bug());
        world.issue.labels = vec!["approved".into()];
        world.record.evaluated_at = Some(now());
        world.record.text_digest = Some(world.issue.text().to_string());
        world.answered(|facts| facts.timeline = Some(events))
    }

    #[test]
    fn a_label_counts_by_who_put_it_on_last() {
        for (events, expected) in [
            (vec![labelled("alice", 1)], APPROVED),
            (vec![labelled("bob", 1)], WAITS),
            (vec![labelled("alice", 1), labelled("bob", 2)], WAITS),
            (vec![labelled("triage-bot", 1)], WAITS),
            (vec![], WAITS),
        ] {
            decides(&with_label(events), expected);
        }
    }

    #[test]
    fn a_label_of_which_nobody_knows_the_text_approves_none() {
        let unknown = "skip: waits for approval: the text is not known to be what `alice` approved";
        // It was there when the text was last looked at, and approved nothing then.
        decides(&with_label(vec![labelled("alice", -1)]), unknown);
        // The text was another one at the last look, and no delivery says who changed it.
        let mut world = with_label(vec![labelled("alice", 1)]);
        world.record.text_digest = Some("another".into());
        decides(&world, unknown);
        // Nobody looked before: what happened since it was put on, nobody knows, unless nothing did.
        for (touched, expected) in [(2, unknown), (1, APPROVED)] {
            let mut world = with_label(vec![labelled("alice", 1)]);
            (world.record.text_digest, world.record.evaluated_at) = (None, None);
            world.issue.updated_at = Some(now() + chrono::TimeDelta::minutes(touched));
            decides(&world, expected);
        }
    }

    #[test]
    fn a_label_approves_the_text_that_its_delivery_shows() {
        let shown = |body: &str| ShownText {
            by: Some(account("alice")),
            event: ShownEvent::Labelled(vec!["approved".into()]),
            text: TextDigest::of(&bug().title, body),
        };
        let world = with_label(vec![labelled("alice", 1)]);
        decides(&world.answered(showing(vec![shown(&bug().body)])), APPROVED);
        let world = with_label(vec![labelled("alice", 1)]);
        let edits = vec![shown("first"), edit("bob", "first", &bug().body)];
        decides(&world.answered(showing(edits)), "skip: waits for approval: `bob` changed");
        let world = with_label(vec![labelled("alice", 1)]);
        let edits = vec![shown("first"), edit("alice", "first", &bug().body)];
        decides(&world.answered(showing(edits)), APPROVED);
    }

    #[test]
    fn a_text_that_is_asked_for_is_asked_for_once() {
        let world = World { facts: Facts::default(), ..changed("first") };
        assert_eq!(world.with(evaluate).unwrap_err(), Question::ShownTexts);
    }
}
