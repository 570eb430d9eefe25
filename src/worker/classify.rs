//! Reads what has been accepted and gives each delivery its lane or its early end. What is read here is only which
//! issue to look at, how soon, and whether the change was our own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::delivery::{CommentEvent, Event, IssueEvent, PullEvent};
use crate::gitea as forge;
use crate::issue::{Account, RepoName, RepoPatterns};
use crate::store::{self, Classified, Destination, Rank, Signed, Unclassified};
use crate::triage::{commands, named_issues};

use super::{PACE, Rules, Worker};

/// How many deliveries are classified in one go.
const BATCH: u32 = 64;
/// How long a batch waits at most to learn who may command: that only says whose turn comes first.
const ASK_FOR: Duration = Duration::from_millis(500);

/// A delivery with its place, and who gives a command by it.
struct Placed {
    classified: Classified,
    commanded_by: Option<String>,
}

impl Worker {
    /// Classifies one batch; how many there were.
    ///
    /// # Errors
    /// When the store cannot be used; nothing is classified then.
    pub(super) async fn classify(&self) -> Result<usize, store::Error> {
        let unclassified = self.parts.store.unclassified(BATCH).await?;
        if unclassified.is_empty() {
            return Ok(0);
        }
        let (rules, account) = (self.rules(), self.account());
        let mut read: Vec<_> =
            unclassified.iter().map(|one| classify(one, &rules, account.as_deref())).collect();
        // Until it is known who may command, nobody comes first for it.
        let _ = tokio::time::timeout(ASK_FOR, self.rank(&mut read)).await;
        let classified: Vec<_> = read.into_iter().map(|one| one.classified).collect();
        let count = classified.len();
        boundary!("classify::read");
        self.parts.store.classify(classified, PACE, self.parts.clock.now()).await?;
        boundary!("classify::done");
        Ok(count)
    }

    /// Lets the issues come first on which somebody commands who may: many comments of others must not delay them.
    async fn rank(&self, read: &mut [Placed]) {
        for Placed { classified, commanded_by } in read {
            let Destination::Lane { at, rank, .. } = &mut classified.to else { continue };
            let Some(login) = commanded_by.as_ref().filter(|_| self.state.breaker.is_steady())
            else {
                continue;
            };
            match self.parts.executor.seems_writer(&at.repo, login).await {
                Ok(true) => *rank = Rank::Commanded,
                Ok(false) => {}
                // It is asked again, and the error handled, when the command is carried out.
                Err(_) => return,
            }
        }
    }
}

fn classify(unclassified: &Unclassified, rules: &Rules, account: Option<&Account>) -> Placed {
    let seq = unclassified.seq;
    let Signed { body, scope } = match &unclassified.signed {
        Ok(signed) => signed,
        Err(reason) => {
            let to = Destination::Dead(reason.clone());
            let classified = Classified { seq, action: String::new(), to };
            return Placed { classified, commanded_by: None };
        }
    };
    let mut commanded_by = None;
    let mut read = || match forge::parse(body) {
        Err(error) => (String::new(), Destination::Dead(format!("{error}; nothing was done"))),
        Ok(Event::Ignored { action, reason, .. }) => {
            (action, Destination::Ignored { of: None, reason })
        }
        Ok(Event::Renamed { action, id, name }) => {
            let to = match not_covered(&name, scope.as_deref()) {
                Some(reason) => Destination::Ignored { of: None, reason },
                None => Destination::Renamed { id, name },
            };
            (action, to)
        }
        Ok(Event::Pull(event)) => {
            let to = concerned(&event, scope.as_deref(), rules, account);
            (event.action, to)
        }
        Ok(Event::Status { action, repo, sha }) => {
            let to = match outside(&repo, scope.as_deref(), rules) {
                Some(reason) => Destination::Ignored { of: None, reason },
                None => Destination::Commit { repo, sha },
            };
            (action, to)
        }
        Ok(Event::Issue(event)) => {
            let to = place(&event, scope.as_deref(), rules, account);
            commanded_by = event.comment.and_then(|comment| commander(*comment));
            (event.action, to)
        }
    };
    // A parser that panics must not keep the deliveries behind this one from being classified.
    let (action, to) = catch_unwind(AssertUnwindSafe(&mut read)).unwrap_or_else(|_| {
        let reason = "it could not be read because of an internal error; please report it";
        (String::new(), Destination::Dead(reason.to_owned()))
    });
    Placed { classified: Classified { seq, action, to }, commanded_by }
}

/// Who commands in this comment, if anybody does.
fn commander(comment: CommentEvent) -> Option<String> {
    let author = comment.author.filter(|_| !commands::parse(&comment.body).is_empty())?;
    Some(author.login)
}

fn place(
    event: &IssueEvent,
    scope: Option<&[String]>,
    rules: &Rules,
    account: Option<&Account>,
) -> Destination {
    if let Some(reason) = outside(&event.at.repo, scope, rules) {
        return Destination::Ignored { of: None, reason };
    }
    let is_ours = event.sender.as_ref().zip(account).is_some_and(|(by, us)| by.is_same_as(us));
    if is_ours && event.echoes {
        let reason = "our own change".to_owned();
        return Destination::Ignored { of: Some((event.at.clone(), event.ids)), reason };
    }
    let is_urgent = rules.triage.is_urgent(&event.shown.title, &event.shown.labels);
    let rank = if is_urgent { Rank::Urgent } else { Rank::Ordinary };
    Destination::Lane { at: event.at.clone(), ids: event.ids, more_coming: event.more_coming, rank }
}

/// A pull request concerns the issues that it names, as far as the delivery may speak for them.
fn concerned(
    event: &PullEvent,
    scope: Option<&[String]>,
    rules: &Rules,
    account: Option<&Account>,
) -> Destination {
    let PullEvent { at, title, body, url, is_over, commented_by, .. } = event;
    if let Some(reason) = outside(&at.repo, scope, rules) {
        return Destination::Ignored { of: None, reason };
    }
    if commented_by.as_ref().zip(account).is_some_and(|(by, us)| by.is_same_as(us)) {
        return Destination::Ignored { of: None, reason: "our own change".to_owned() };
    }
    let mut named = named_issues(at, url, title, body);
    named.retain(|one| outside(&one.repo, scope, rules).is_none());
    Destination::Concerned { pull: at.clone(), named, is_over: *is_over }
}

/// Why nothing is to be looked at in the repository, if nothing is.
fn outside(repo: &RepoName, scope: Option<&[String]>, rules: &Rules) -> Option<String> {
    let is_outside = || format!("`{repo}` is not among `gitea.repos`");
    not_covered(repo, scope).or_else(|| (!rules.repos.allows(repo)).then(is_outside))
}

/// A secret that was given for some repositories does not speak for others.
fn not_covered(repo: &RepoName, scope: Option<&[String]>) -> Option<String> {
    let scope = scope?;
    let covered = RepoPatterns::new(scope.iter().map(String::as_str)).is_ok_and(|p| p.allows(repo));
    (!covered)
        .then(|| format!("the secret that signed it covers {}, not `{repo}`", scope.join(", ")))
}
