//! The story on the fake forge, with a bare repository on disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gitea_triage::fake_gitea::{FakeGitea, NewCheck, NewIssue};
use gitea_triage::issue::{IssueRef, IssueState, RepoName};

use crate::actors::coder::Coder;
use crate::actors::model::STYLE;
use crate::actors::program::{Program, output};
use crate::actors::record::{Record, Timeline};
use crate::git::{git, make_bare};

const SECRET: &str = "end-to-end-secret";
/// From the delivery to the agent's prompt with a warm cache, in a release and with an agent that starts at once.
const GOAL: Duration = Duration::from_millis(1500);
const RECEIVED: &str = "service: the delivery";
const STARTED: &str = "runner: the agent's process";
const PROMPTED: &str = "runner: prompted";

pub async fn tell(coder: Coder) {
    let mut stage = Stage::set(coder).await;
    stage.checked();
    let cold = stage.one_issue("one", "with an empty cache", false).await;
    let warm = stage.one_issue("two", "with a warm cache, and a check that fails", true).await;
    let to_prompt = warm.between(RECEIVED, PROMPTED);
    let own = warm.between(STARTED, PROMPTED);
    eprintln!("{cold}\n{warm}");
    eprintln!(
        "{}, warm cache: {} ms from the delivery to the agent's first prompt, {} ms of them for the agent's own start",
        stage.coder.name(),
        to_prompt.as_millis(),
        own.as_millis(),
    );
    // What the agent itself takes is not ours to shorten, and a build without optimisation is no measure.
    if !cfg!(debug_assertions) {
        assert!(to_prompt - own <= GOAL, "{warm}");
    }
    assert!(stage.runner.stop().await.success(), "{:#?}", stage.runner.log());
    assert!(stage.service.stop().await.success(), "{:#?}", stage.service.log());
    for line in [stage.runner.log(), stage.service.log()].concat() {
        assert!(line.fields["level"] != "WARN" && line.fields["level"] != "ERROR", "{line:?}");
    }
}

/// All that takes part.
struct Stage {
    // Dropped in this order: who asks before who is asked.
    runner: Program,
    service: Program,
    coder: Coder,
    gitea: FakeGitea,
    folder: tempfile::TempDir,
    record: Record,
}

impl Stage {
    async fn set(coder: Coder) -> Self {
        let folder = tempfile::Builder::new().prefix("end-to-end-").tempdir().unwrap();
        let path = folder.path();
        let files = [("src/one.txt", "helo\n"), ("src/two.txt", "helo\n")];
        make_bare(&path.join("acme/widgets.git"), &files);
        let gitea = FakeGitea::start().await.unwrap();
        gitea.add_repo(&repo());
        gitea.add_collaborator(&repo(), "alice", "write");
        let (said, text) = output(path, &["runner", "token", "builder", "--agent", "opencode"]);
        assert_eq!(said, Some(0), "{text}");
        let (token, entry) = token_and_entry(&text);
        std::fs::write(path.join("runner-token"), token).unwrap();
        std::fs::write(path.join("forge-token"), gitea.token()).unwrap();
        std::fs::write(path.join("gitea-triage.toml"), service_settings(&gitea, &entry)).unwrap();
        let mut service = Program::start(path, &["serve"]);
        let line = service.says("taking deliveries").await;
        let address = format!("http://{}", line.fields["address"].as_str().unwrap());
        gitea.set_hook(&format!("{address}/webhook"), SECRET);
        let settings = runner_settings(&address, &gitea.url(), path) + &coder.entry(path);
        std::fs::write(path.join("gitea-triage-runner.toml"), settings).unwrap();
        let mut runner = Program::start(path, &["runner"]);
        runner.says("the runner is registered").await;
        let record = Record { database: path.join("triage.db"), work: path.join("work") };
        Self { runner, service, coder, gitea, folder, record }
    }

    /// `runner check` has nothing to complain about.
    fn checked(&self) {
        let (code, text) = output(self.folder.path(), &["runner", "check"]);
        assert_eq!(code, Some(0), "{text}");
        eprintln!("gitea-triage runner check\n{text}");
    }

    fn bare(&self) -> PathBuf {
        self.folder.path().join("acme/widgets.git")
    }

    /// An issue about a file comes to its end.
    async fn one_issue(&mut self, file: &str, how: &str, is_followed: bool) -> Timeline {
        let title = format!("{}, {how}:", self.coder.name());
        let mut timeline = Timeline::begin(&title);
        let issue = self.gitea.open_issue(&repo(), issue(file));
        let run = self.record.done(issue.number, 1).await;
        assert_eq!(run.message.as_deref(), Some("I corrected the greeting."));
        assert!(run.tokens.is_some_and(|tokens| tokens > 0), "{run:?}");
        let pull = self.pull_request(run.pull_request.unwrap(), &issue, &mut timeline);
        self.assert_pushed(&run.branch, file, &["hello"]);
        assert_eq!(self.state(&issue), "in_progress", "the merge ends it");
        if is_followed {
            self.follow_up(&issue, &pull, &mut timeline).await;
            self.assert_pushed(&run.branch, file, &["hello", "hello!"]);
        }
        // As the forge does it when a person presses the button; only forwards.
        let forwards = format!("{}:main", run.branch);
        git(&self.bare(), &["fetch", "--quiet", ".", &forwards]);
        timeline.now("alice merges the pull request");
        self.gitea.merge(&pull, "alice");
        self.record.reaches(issue.number, "completed").await;
        self.record.workspaces_are_gone().await;
        timeline.now("no workspace is left");
        assert_eq!(self.gitea.issue(&issue).unwrap().state, IssueState::Closed);
        let opened = self.gitea.writes().into_iter().filter(|r| r.path.ends_with("/pulls")).count();
        assert_eq!(opened as u64, issue.number.div_ceil(2), "one pull request for an issue");
        timeline.add_the_work(&self.runner, &self.coder);
        self.record.tell(issue.number, &mut timeline);
        timeline
    }

    /// A check fails, the agent works again in the same workspace, and the check has nothing to complain about any more.
    async fn follow_up(&self, issue: &IssueRef, pull: &IssueRef, timeline: &mut Timeline) {
        let check = |state: &str| NewCheck {
            context: STYLE.into(),
            state: state.into(),
            description: "the greeting wants an exclamation mark".into(),
        };
        assert_eq!(self.record.workspaces().len(), 1, "it is kept as long as the dispatch");
        timeline.now("forge: the check `ci/style` fails");
        self.gitea.check(pull, check("failure"));
        let run = self.record.done(issue.number, 2).await;
        timeline.now("service: turn 2 is done");
        assert_eq!(run.pull_request, Some(pull.number));
        let head = git(&self.bare(), &["rev-parse", &run.branch]);
        self.gitea.push_commit(pull, "builder", &head);
        timeline.now("forge: the check `ci/style` is green");
        self.gitea.check(pull, check("success"));
        let told = self.gitea.issue(pull).unwrap().comments;
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].body.contains("(turn 2 of 2)"), "{told:#?}");
    }

    fn state(&self, issue: &IssueRef) -> String {
        self.record.states(issue.number).pop().unwrap().1
    }

    /// The pull request, which says what it closes and is shown on the issue.
    fn pull_request(&self, number: u64, issue: &IssueRef, timeline: &mut Timeline) -> IssueRef {
        let made = self.gitea.writes().into_iter().rfind(|r| r.path.ends_with("/pulls")).unwrap();
        timeline.add(made.at, "forge: the pull request is opened");
        let at = IssueRef { repo: repo(), number };
        let pull = self.gitea.issue(&at).unwrap();
        assert!(pull.body.starts_with(&format!("Closes #{}\n", issue.number)), "{}", pull.body);
        at
    }

    /// A commit for each of these texts, by the runner's author, of the agent's edit.
    fn assert_pushed(&self, branch: &str, file: &str, texts: &[&str]) {
        let text = git(&self.bare(), &["show", &format!("{branch}:src/{file}.txt")]);
        assert_eq!(Some(&text.as_str()), texts.last());
        let range = format!("main..{branch}");
        let commits = git(&self.bare(), &["log", "--format=%an", &range]);
        assert_eq!(commits, vec!["Triage Bot"; texts.len()].join("\n"));
        let changed = git(&self.bare(), &["diff", "--name-only", &range]);
        assert_eq!(changed, format!("src/{file}.txt"));
    }
}

fn repo() -> RepoName {
    "acme/widgets".parse().unwrap()
}

fn issue(file: &str) -> NewIssue {
    NewIssue {
        title: format!("[bug] The greeting {file} is misspelled"),
        body: format!(
            "## Problem\n`greet()` in src/{file}.txt should say hello, not helo.\n\n- [ ] pytest passes"
        ),
        author: "bob".into(),
        ..NewIssue::default()
    }
}

/// The token, and the lines for the service's configuration, of what `runner token` prints.
fn token_and_entry(text: &str) -> (String, String) {
    let token = text.split("\n\n").nth(1).unwrap().trim().to_owned();
    let entry = text.split_once("[[runner]]").unwrap().1;
    (token, format!("[[runner]]{entry}"))
}

fn service_settings(gitea: &FakeGitea, entry: &str) -> String {
    format!(
        "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/widgets\"]\n\
         [server]\nlisten = \"127.0.0.1:0\"\n[webhook]\nsecrets = [\"{SECRET}\"]\n\
         [store]\nurl = \"sqlite:triage.db\"\n[sweep]\nat_start = false\n[summary]\nenabled = false\n\
         [triage]\nowner = \"alice\"\n[review]\nrequire = [\"pull_request\"]\n\
         [[agent]]\nid = \"claude\"\nenabled = false\n[[agent]]\nid = \"kimi\"\nenabled = false\n\
         [[agent]]\nid = \"opencode\"\ninterface = \"runner\"\nstrengths = [\"routine_coding\", \"code_review\"]\n\
         {entry}",
        gitea.url(),
        gitea.token(),
    )
}

fn runner_settings(server: &str, forge: &str, folder: &Path) -> String {
    format!(
        "server = \"{server}\"\ntoken_file = \"runner-token\"\nwork = \"work\"\n\
         [forge]\nurl = \"{forge}\"\ntoken_file = \"forge-token\"\nclone = \"file://{}/{{owner}}/{{repo}}.git\"\n\
         [git]\nauthor = \"Triage Bot <bot@example.com>\"\n",
        folder.display(),
    )
}
