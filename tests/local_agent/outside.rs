//! A world in memory, with what was done to it written down.

use std::sync::Mutex;

use gitea_triage::agents::local::{
    AgentAction, Answer, AvailableAgent, Environment, Note, Task, Unavailable,
};
use gitea_triage::dispatch::AgentId;
use gitea_triage::gitea::Comment;
use gitea_triage::issue::{Account, Issue, IssueRef, IssueState, RepoName};

pub struct World {
    pub issue: Issue,
    pub remarks: Vec<Comment>,
    pub file: Option<String>,
    pub notes: Mutex<Vec<Note>>,
    pub actions: Mutex<Vec<AgentAction>>,
    pub dry_run: bool,
}

pub fn at() -> IssueRef {
    "acme/widgets#5".parse().unwrap()
}

pub fn comment(by: &str, body: &str) -> Comment {
    let author = Some(Account { id: 9, login: by.into() });
    Comment { id: 1, author, body: body.into(), created_at: None, updated_at: None }
}

pub fn task() -> Task {
    Task::new(at())
}

impl World {
    pub fn new() -> Self {
        Self::with("Login crashes", "An empty password makes it crash.")
    }

    pub fn with(title: &str, body: &str) -> Self {
        let issue = Issue {
            ids: None,
            number: 5,
            title: title.into(),
            body: body.into(),
            labels: vec!["bug".into()],
            assignees: Vec::new(),
            author: Some(Account { id: 7, login: "bob".into() }),
            state: IssueState::Open,
            is_pull_request: false,
            created_at: None,
            updated_at: None,
            closed_at: None,
            comments: 1,
            url: String::new(),
        };
        let remarks = vec![comment("alice", "Happens to me too")];
        Self {
            issue,
            remarks,
            file: None,
            notes: Mutex::default(),
            actions: Mutex::default(),
            dry_run: false,
        }
    }

    pub fn actions(&self) -> Vec<AgentAction> {
        self.actions.lock().unwrap().clone()
    }
}

fn ready<'a, T: Send + 'a>(value: Result<T, Unavailable>) -> Answer<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Environment for World {
    fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn issue<'a>(&'a self, at: &'a IssueRef) -> Answer<'a, Option<Issue>> {
        ready(Ok((at.number == 5).then(|| self.issue.clone())))
    }

    fn comments<'a>(&'a self, _: &'a IssueRef) -> Answer<'a, Vec<Comment>> {
        ready(Ok(self.remarks.clone()))
    }

    fn search<'a>(&'a self, _: &'a RepoName, words: &'a str) -> Answer<'a, Vec<Issue>> {
        ready(Ok(Some(self.issue.clone())
            .filter(|i| i.title.contains(words))
            .into_iter()
            .collect()))
    }

    fn file<'a>(
        &'a self,
        _: &'a RepoName,
        _: &'a str,
        _: Option<&'a str>,
    ) -> Answer<'a, Option<String>> {
        ready(Ok(self.file.clone()))
    }

    fn available_agents(&self) -> Answer<'_, Vec<AvailableAgent>> {
        let strengths = vec!["planning".to_owned()];
        ready(Ok(vec![AvailableAgent { id: AgentId::new("kimi"), strengths, free: 1 }]))
    }

    fn notes<'a>(&'a self, _: &'a RepoName) -> Answer<'a, Vec<Note>> {
        ready(Ok(self.notes.lock().unwrap().clone()))
    }

    fn act<'a>(&'a self, at: &'a IssueRef, action: AgentAction) -> Answer<'a, String> {
        assert_eq!(*at, self::at(), "only the issue that is worked on may be changed");
        if let AgentAction::SaveNote(note) = &action {
            self.notes.lock().unwrap().push(note.clone());
        }
        self.actions.lock().unwrap().push(action);
        ready(Ok("done".to_owned()))
    }
}
