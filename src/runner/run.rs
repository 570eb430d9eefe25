//! One run, from its assignment to its end. Each step can be repeated after a crash: what is on the forge is looked at
//! before anything is written, and the service allows the writing by the lease.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::agent::{Ended, Stop, Turn, TurnLimits, agent};
use super::client::{CallError, Pause};
use super::confinement::Confinement;
use super::hooks::run_hook;
use super::journal::{Journal, plain};
use super::kept::{Kept, SESSION};
use super::process::{CaptureError, Limits, capture};
use super::site::{Prepared, Site};
use super::workspace::{Pushed, Workspace, WorkspaceError};
use crate::dispatch::run::{
    Asked, Assignment, Finish, Lease, NEEDS_PERSON, Push, RunEvent, RunOutcome,
};
use crate::gitea::{self, NewPull};
use crate::reason::{code, fence};

/// How long the service, and the forge, may be away while something is to be written.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often the log is sent, where there is any.
const LOG_EVERY: Duration = Duration::from_secs(2);
/// Pieces of the log that are sent at the end.
const LAST_PIECES: usize = 64;
/// The longest text of commits that is looked through for secrets, in bytes.
const MOST_ADDED: usize = 64 * 1024 * 1024;
/// How often something is tried that the forge may have refused in passing.
const TRIES: usize = 3;
/// The longest message of an end, in characters.
const MESSAGE: usize = 4000;
/// The longest title of a pull request, in characters.
const TITLE: usize = 200;

/// What is said of a pull request that is not open any more when its next turn ends.
const CLOSED: &str = "its pull request was closed while the agent worked; the branch was pushed, and a person has to say what is to become of it";

/// How a run ended, as it is reported.
#[derive(Debug, Default)]
struct Report {
    outcome: Option<RunOutcome>,
    message: Option<String>,
    head: Option<String>,
    pull_request: Option<u64>,
    url: Option<String>,
    asks: Option<Box<Asked>>,
}

/// Why a run did not come to a pull request.
enum Break {
    /// It is reported so.
    Report(Report),
    /// It is not reported: it is somebody else's now, or will be.
    Leave,
}

impl Break {
    fn because(outcome: RunOutcome, message: impl Into<String>) -> Self {
        let message = Some(message.into());
        Self::Report(Report { outcome: Some(outcome), message, ..Report::default() })
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::because(RunOutcome::Failed, message)
    }
}

impl From<Stop> for Break {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled(reason) => Self::because(RunOutcome::Cancelled, reason),
            Stop::Exceeded(reason) => Self::failed(reason),
            Stop::Lost | Stop::Halted => Self::Leave,
        }
    }
}

impl From<WorkspaceError> for Break {
    fn from(error: WorkspaceError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<gitea::Error> for Break {
    fn from(error: gitea::Error) -> Self {
        // The keys are those of the runner's own configuration here.
        Self::failed(error.to_string().replace("`gitea.", "`forge."))
    }
}

/// A run on its way.
struct Run<'a> {
    site: &'a Site,
    assignment: &'a Assignment,
    prepared: &'a Prepared,
    journal: &'a Journal,
    stop: watch::Receiver<Option<Stop>>,
}

/// Carries out a run to its end, and reports it. `stop` tells it from outside that it must not go on.
pub(super) async fn carry_out(
    site: Arc<Site>,
    assignment: Assignment,
    stop: watch::Sender<Option<Stop>>,
) {
    let journal = Arc::new(Journal::new(Arc::clone(&site.secrets)));
    let stopped = stop.subscribe();
    let lease = Keeper {
        site: Arc::clone(&site),
        run: assignment.run,
        epoch: assignment.epoch,
        every: Duration::from_secs((assignment.lease_s / 3).max(1)),
        journal: Arc::clone(&journal),
        stop,
    };
    let keeping = tokio::spawn(lease.keep(site.workspaces.folder(&assignment)));
    let report = match site.agents.get(assignment.agent.as_str()) {
        Some(prepared) => {
            let run = Run {
                site: &site,
                assignment: &assignment,
                prepared,
                journal: &journal,
                stop: stopped,
            };
            run.whole().await
        }
        None => Err(Break::failed(format!(
            "the runner does not know the agent `{}`; add it to its configuration",
            assignment.agent
        ))),
    };
    match report {
        Ok(report) | Err(Break::Report(report)) => {
            send_log(&site, &assignment, &journal).await;
            finish(&site, &assignment, &journal, report).await;
        }
        Err(Break::Leave) => tracing::info!(run = assignment.run, "the run was left to others"),
    }
    keeping.abort();
}

/// The rest of the log; the end of a run does not wait for it when it cannot be sent.
async fn send_log(site: &Site, assignment: &Assignment, journal: &Journal) {
    for _ in 0..LAST_PIECES {
        let Some(chunk) = journal.chunk(assignment.epoch, true) else { return };
        if site.service.log(assignment.run, &chunk).await.is_err() {
            return;
        }
        journal.sent(&chunk);
    }
}

async fn finish(site: &Site, assignment: &Assignment, journal: &Journal, report: Report) {
    let outcome = report.outcome.unwrap_or(RunOutcome::Done);
    let message = report.message.map(|text| journal.clean(&text));
    let finish = Finish {
        epoch: assignment.epoch,
        outcome,
        message: message.map(|text| text.chars().take(MESSAGE).collect()),
        head: report.head,
        pull_request: report.pull_request,
        url: report.url,
        usage: journal.usage(),
        asks: report.asks.map(|asked| *asked),
    };
    let run = assignment.run;
    match site.service.finish(run, &finish, PATIENCE).await {
        Ok(_) => tracing::info!(run, at = %assignment.at, %outcome, "a run has ended"),
        Err(error) => {
            tracing::warn!(run, at = %assignment.at, %outcome, "the end of a run was not taken: {error}");
        }
    }
}

impl Run<'_> {
    async fn whole(mut self) -> Result<Report, Break> {
        self.journal.event(RunEvent::Preparing, "");
        let repository = self.site.forge.repository(&self.assignment.at.repo.plain()).await?;
        let workspace = match self.make(&repository.default_branch).await {
            Ok(workspace) => workspace,
            Err(reason) => {
                self.site.clear(self.site.workspaces.folder(self.assignment)).await;
                return Err(reason);
            }
        };
        let kept_in = Confinement::new(
            &self.prepared.settings,
            &self.prepared.environment,
            workspace.folders.clone(),
        );
        let report = self.in_workspace(&workspace, &kept_in).await;
        match &report {
            Ok(report) if self.is_awaited(report) => {
                let Assignment { dispatch, agent, .. } = self.assignment;
                let (dispatch, agent) = (dispatch.clone(), agent.to_string());
                let kept = Kept { dispatch, agent, folder: workspace.folders.root.clone() };
                self.site.workspaces.keep(&workspace, &kept).await;
            }
            _ => self.site.end(&workspace, &kept_in).await,
        }
        report
    }

    /// Whether another turn may follow this one: its pull request is there.
    fn is_awaited(&self, report: &Report) -> bool {
        let is_there = match report.outcome {
            Some(RunOutcome::Done) => true,
            Some(RunOutcome::NoChange) => self.assignment.turn > 1,
            _ => false,
        };
        is_there && self.assignment.may_follow
    }

    /// The workspace; the forge may be away for a moment.
    async fn make(&mut self, base: &str) -> Result<Workspace, Break> {
        let mut pause = Pause::default();
        for _ in 1..TRIES {
            self.check()?;
            match self.site.workspaces.make(self.assignment, base).await {
                Err(WorkspaceError::Git(error)) => tracing::info!("tried again: {error}"),
                made => return Ok(made?),
            }
            pause.wait().await;
        }
        Ok(self.site.workspaces.make(self.assignment, base).await?)
    }

    async fn in_workspace(
        &mut self,
        workspace: &Workspace,
        kept_in: &Confinement,
    ) -> Result<Report, Break> {
        let hooks = &self.site.settings.hooks;
        if workspace.is_new {
            self.hook("after_create", &hooks.after_create, kept_in).await?;
        }
        self.hook("before_run", &hooks.before_run, kept_in).await?;
        self.check()?;
        let words = self.turn(kept_in).await?;
        // It may have ended before anybody looked.
        let folder = self.site.workspaces.folder(self.assignment);
        if let Some(reason) = self.site.overweight(folder).await {
            return Err(Break::failed(reason));
        }
        if let Some(question) = words.as_deref().and_then(|words| words.strip_prefix(NEEDS_PERSON))
        {
            return Err(Break::because(RunOutcome::NeedsPerson, question.trim()));
        }
        if let Err(Break::Report(report)) = self.hook("after_run", &hooks.after_run, kept_in).await
        {
            self.journal.log(&format!("{}\n", report.message.unwrap_or_default()));
        }
        self.site.workspaces.disarm(&workspace.folders)?;
        self.commit(kept_in).await?;
        let mut head = self.site.workspaces.take(workspace).await?;
        if self.site.workspaces.is_same(workspace, &head).await? {
            if !self.is_pushed(workspace) {
                let outcome = Some(RunOutcome::NoChange);
                return Ok(Report { outcome, message: words, ..Report::default() });
            }
            head.clone_from(&workspace.start);
        }
        self.look_for_secrets(workspace, &head).await?;
        self.publish(workspace, &head, words).await
    }

    /// Whether the run may go on.
    fn check(&self) -> Result<(), Break> {
        self.stop.borrow().clone().map_or(Ok(()), |stop| Err(stop.into()))
    }

    /// Whether the agent started from what an earlier lease of the same turn pushed, and did not come to report. Where it
    /// finds nothing more to do, that is the result.
    fn is_pushed(&self, workspace: &Workspace) -> bool {
        workspace.on_forge.is_some() && self.assignment.pull_request.is_none()
    }

    /// The end of a run whose pull request an earlier lease opened and did not come to report, and that people have
    /// merged or closed since: whatever is pushed now would be a second one.
    async fn over(&self) -> Result<Option<Report>, Break> {
        let Assignment { at, branch, pushed, .. } = self.assignment;
        if pushed.is_empty() {
            return Ok(None);
        }
        let (forge, repo) = (&self.site.forge, &at.repo.plain());
        let closed = self.patiently(|| forge.closed_pull_of_branch(repo, branch)).await?;
        let Some(pull) = closed else { return Ok(None) };
        if !pull.is_merged {
            return Err(Break::because(
                RunOutcome::NeedsPerson,
                format!(
                    "its pull request {} was closed without being merged; a person has to say what is to become of it",
                    pull.url
                ),
            ));
        }
        let (number, url) = (Some(pull.number), Some(pull.url));
        let outcome = Some(RunOutcome::Done);
        Ok(Some(Report { outcome, pull_request: number, url, ..Report::default() }))
    }

    /// Lets the agent work; its last words.
    async fn turn(&self, kept_in: &Confinement) -> Result<Option<String>, Break> {
        let seconds = Duration::from_secs;
        let turn = Turn {
            prompt: &self.assignment.prompt,
            agent: &self.prepared.settings,
            confinement: kept_in,
            permits: &self.assignment.permits,
            journal: self.journal,
            limits: TurnLimits {
                time: seconds(self.assignment.timeout_s),
                stall: seconds(self.assignment.stall_s),
                tokens: self.assignment.max_tokens,
            },
            stop: self.stop.clone(),
            session: Some(kept_in.folders.root.join(SESSION)),
        };
        match agent(turn.agent).turn(&turn).await {
            Ended::Finished => Ok(self.journal.words()),
            Ended::Asks(asked) => Err(self.ask(asked)),
            Ended::Failed(reason) => Err(Break::failed(reason)),
            Ended::Stopped(stop) => Err(stop.into()),
        }
    }

    /// The end of a run whose agent asks for a permission that no rule decides.
    fn ask(&self, asked: Asked) -> Break {
        let (agent, Asked { kind, title }) = (&self.assignment.agent, &asked);
        let message = format!(
            "the agent `{agent}` asks whether it may use a tool of the kind `{kind}`: {title}\n`/triage allow` and `/triage deny` answer it for the issue, `permissions.allow` and `permissions.deny` in the runner's configuration for all."
        );
        Break::Report(Report {
            outcome: Some(RunOutcome::NeedsPerson),
            message: Some(message),
            asks: Some(Box::new(asked)),
            ..Report::default()
        })
    }

    /// Runs a command of the owner's in the workspace, kept in as the agent is.
    async fn hook(&self, name: &str, argv: &[String], kept_in: &Confinement) -> Result<(), Break> {
        let time = self.site.settings.hooks.timeout;
        match run_hook(argv, kept_in, time).await {
            None => Ok(()),
            Some(Ok(said)) => {
                self.journal.log(&format!("[hook {name}] {said}\n"));
                Ok(())
            }
            Some(Err(reason)) => Err(Break::failed(format!("the hook `{name}` failed: {reason}"))),
        }
    }

    /// Commits what the agent left uncommitted, as the agent: whatever it lets git run there reaches no more than the
    /// agent does.
    async fn commit(&self, kept_in: &Confinement) -> Result<(), Break> {
        let limits = Limits { time: self.site.settings.git.timeout, output: 1024 * 1024 };
        let failed = |what: &str, reason: &str| {
            Break::failed(format!("what the agent left could not be {what}: {}", plain(reason)))
        };
        let run = async |arguments: &[&str]| capture(&mut kept_in.git(arguments), limits).await;
        let unusable = |error: CaptureError| failed("committed", &error.to_string());
        let added = run(&["add", "--all"]).await.map_err(unusable)?;
        if !added.status.success() {
            return Err(failed("added", &added.stderr));
        }
        let staged = run(&["diff", "--cached", "--quiet", "--ignore-submodules=all"]).await;
        if staged.map_err(unusable)?.status.success() {
            return Ok(());
        }
        let title = format!("Work on #{}", self.assignment.at.number);
        let co_author = format!("Co-authored-by: {}", self.prepared.co_author());
        let words = ["commit", "--quiet", "--no-verify", "-m", &title, "-m", &co_author];
        let done = run(&words).await.map_err(unusable)?;
        if done.status.success() { Ok(()) } else { Err(failed("committed", &done.stderr)) }
    }

    /// Refuses to push what looks like a secret, in whichever commit.
    async fn look_for_secrets(&self, workspace: &Workspace, head: &str) -> Result<(), Break> {
        let added = self.site.workspaces.added(workspace, head, MOST_ADDED).await?;
        let (mut file, mut found) = (String::new(), None);
        for line in added.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            if let Some(name) = line.strip_prefix("+++ ") {
                file = name.trim_start_matches("b/").to_owned();
            }
            // What a commit takes away is on the forge already.
            if !line.starts_with('-')
                && let Some(kind) = self.site.secrets.find(&line)
            {
                found = Some(kind);
                break;
            }
        }
        let Some(kind) = found else { return Ok(()) };
        let place = match file.is_empty() {
            true => "a commit's message".to_owned(),
            false => format!("`{}`", self.journal.clean(&file)),
        };
        Err(Break::because(
            RunOutcome::NeedsPerson,
            format!(
                "{place} holds what looks like {kind}, so nothing was pushed; a person has to look at what the agent does there"
            ),
        ))
    }

    /// Pushes the branch and opens the pull request, as far as the lease allows it.
    async fn publish(
        &mut self,
        workspace: &Workspace,
        head: &str,
        words: Option<String>,
    ) -> Result<Report, Break> {
        self.check()?;
        self.journal.event(RunEvent::Pushing, super::workspace::short(head));
        let Assignment { run, epoch, .. } = *self.assignment;
        let push = Push { epoch, head: head.to_owned() };
        match self.site.service.push(run, &push, PATIENCE).await {
            Ok(Lease { cancel: Some(reason), .. }) => return Err(Stop::Cancelled(reason).into()),
            Ok(_) => {}
            Err(error) if error.is_over() => return Err(Break::Leave),
            Err(error) => {
                return Err(Break::failed(format!("nothing was pushed: {error}")));
            }
        }
        if let Some(report) = self.over().await? {
            return Ok(report);
        }
        self.push(workspace, head).await?;
        let pull = self.pull_request(workspace, words.as_deref()).await?;
        Ok(Report {
            outcome: Some(RunOutcome::Done),
            message: words,
            head: Some(head.to_owned()),
            pull_request: Some(pull.number),
            url: Some(pull.url),
            asks: None,
        })
    }

    async fn push(&mut self, workspace: &Workspace, head: &str) -> Result<(), Break> {
        let (mut pause, mut tries) = (Pause::default(), 1);
        loop {
            self.check()?;
            let pushed = self.site.workspaces.push(workspace, head, &self.assignment.pushed).await;
            match pushed {
                Ok(Pushed::There) => return Ok(()),
                Ok(Pushed::Taken(other)) => {
                    return Err(Break::failed(format!(
                        "the branch `{}` is at {other} now, which somebody else pushed; it was left so",
                        self.assignment.branch
                    )));
                }
                Err(WorkspaceError::Git(error)) if tries < TRIES => {
                    tracing::info!("tried again: {error}");
                }
                Err(error) => return Err(error.into()),
            }
            tries += 1;
            pause.wait().await;
        }
    }

    /// The open pull request of the branch, or a new one. There is never a second: the forge refuses it, and what an
    /// earlier run opened is found.
    async fn pull_request(
        &self,
        workspace: &Workspace,
        words: Option<&str>,
    ) -> Result<gitea::BranchPull, Break> {
        let (repo, branch) = (self.assignment.at.repo.plain(), &self.assignment.branch);
        let new = NewPull {
            head: branch.clone(),
            base: workspace.base.clone(),
            title: self.title(),
            body: self.body(words),
        };
        let (forge, repo, new) = (&self.site.forge, &repo, &new);
        if self.assignment.pull_request.is_some() {
            let open = self.patiently(|| forge.open_pull_of_branch(repo, branch)).await?;
            return open.ok_or_else(|| Break::because(RunOutcome::NeedsPerson, CLOSED));
        }
        self.patiently(|| async move {
            match forge.open_pull_of_branch(repo, branch).await? {
                Some(pull) => Ok(pull),
                None => forge.create_pull(repo, new).await,
            }
        })
        .await
    }

    /// Repeats a call to the forge that may succeed later, as long as the run may go on.
    async fn patiently<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, Break>
    where
        F: Future<Output = Result<T, gitea::Error>>,
    {
        let (mut pause, until) = (Pause::default(), Instant::now() + PATIENCE);
        loop {
            // 409: it is there already; the next look finds it.
            let is_passing =
                |error: &gitea::Error| error.is_transient() || error.status() == Some(409);
            match call().await {
                Err(error) if is_passing(&error) && Instant::now() < until => {}
                answer => return Ok(answer?),
            }
            pause.wait().await;
            self.check()?;
        }
    }

    /// The title. In one that is somebody else's, a keyword before a number would close that issue when the pull
    /// request is merged.
    fn title(&self) -> String {
        let title = plain(&self.assignment.title).replace(['#', '!', '@'], " ");
        let words: Vec<_> = title.split_whitespace().collect();
        let title: String = words.join(" ").chars().take(TITLE).collect();
        let title =
            if title.is_empty() { format!("Issue {}", self.assignment.at.number) } else { title };
        // How both forges know a draft (`DEFAULT_WORK_IN_PROGRESS_PREFIXES`).
        let is_draft = self.assignment.is_draft;
        if is_draft { format!("WIP: {title}") } else { title }
    }

    fn body(&self, words: Option<&str>) -> String {
        let agent = code(self.assignment.agent.as_str());
        let mut body = format!(
            "Closes #{}\n\nWritten by the agent {agent}; a person has to review it.",
            self.assignment.at.number
        );
        if let Some(words) = words {
            let words: String = words.chars().take(MESSAGE).collect();
            body += &format!("\n\nIn its words:\n\n{}", fence(&words));
        }
        body
    }
}

/// Keeps the lease of a run: says that the work goes on, sends the log, and hears when it has to stop.
struct Keeper {
    site: Arc<Site>,
    run: i64,
    epoch: u64,
    every: Duration,
    journal: Arc<Journal>,
    stop: watch::Sender<Option<Stop>>,
}

impl Keeper {
    async fn keep(self, folder: std::path::PathBuf) {
        let mut tick = interval(LOG_EVERY.min(self.every));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        let mut is_first = true;
        loop {
            tick.tick().await;
            if std::mem::take(&mut is_first) || last.elapsed() >= self.every {
                last = Instant::now();
                let beat = self.journal.heartbeat(self.epoch);
                let answer = self.site.service.heartbeat(self.run, &beat).await;
                if self.hear(answer) {
                    return;
                }
                self.weigh(&folder).await;
            }
            if let Some(chunk) = self.journal.chunk(self.epoch, false) {
                let answer = self.site.service.log(self.run, &chunk).await;
                if answer.is_ok() {
                    self.journal.sent(&chunk);
                }
                if self.hear(answer) {
                    return;
                }
            }
        }
    }

    /// Whether the lease is lost.
    fn hear(&self, answer: Result<Lease, CallError>) -> bool {
        match answer {
            Ok(Lease { cancel: Some(reason), .. }) => self.tell(Stop::Cancelled(reason)),
            Ok(_) => {}
            Err(error) if error.is_over() => {
                tracing::info!(run = self.run, "the lease of a run is lost: {error}");
                self.tell(Stop::Lost);
                return true;
            }
            // The service will say at the latest when something is to be pushed.
            Err(error) => tracing::debug!(run = self.run, "{error}"),
        }
        false
    }

    /// The first reason stays, but for the loss of the lease, after which nothing may be said any more.
    fn tell(&self, stop: Stop) {
        self.stop.send_if_modified(|told| {
            let is_new = told.is_none() || stop == Stop::Lost && *told != Some(Stop::Lost);
            if is_new {
                *told = Some(stop);
            }
            is_new
        });
    }

    /// Ends a run whose workspace holds too much.
    async fn weigh(&self, folder: &std::path::Path) {
        if let Some(reason) = self.site.overweight(folder.to_owned()).await {
            self.tell(Stop::Exceeded(reason));
        }
    }
}
