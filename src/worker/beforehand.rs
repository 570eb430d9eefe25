//! What can be said of a command before it is put into the inbox: one that cannot work is refused at once, in the words in
//! which it would be refused later.

use super::Worker;
use crate::issue::{IssueRef, IssueState};
use crate::triage::commands::{Assignee, Command, Refusal, read, refusal};

impl Worker {
    /// Why a command cannot work on an issue; `words` stand behind `/triage`. Where the forge does not say, it is found
    /// out when the command is carried out.
    pub async fn refuses(&self, at: &IssueRef, words: &str) -> Option<String> {
        let (command, agents) = (read(words), &self.rules().agents);
        let why = match &command {
            Command::Unknown(_) => Some(Refusal::NoSuchCommand),
            Command::Assign(Assignee::Agent(id))
                if !agents.iter().any(|agent| agent.is_called(id)) =>
            {
                Some(Refusal::NoSuchAgent(agents))
            }
            Command::Assign(_) | Command::Retry | Command::Resume => {
                self.forge_refuses(at, &command).await
            }
            _ => None,
        };
        why.map(|why| refusal(&command, &why))
    }

    async fn forge_refuses<'a>(&self, at: &IssueRef, command: &'a Command) -> Option<Refusal<'a>> {
        let issue = self.parts.forge.issue(at).await.ok()?;
        if issue.is_none_or(|issue| issue.state == IssueState::Closed) {
            return Some(Refusal::Closed);
        }
        let Command::Assign(Assignee::Login(login)) = command else { return None };
        let is_assignable = self.parts.executor.is_assignable(&at.repo, login).await.ok()?;
        (!is_assignable).then_some(Refusal::NotAssignable(login))
    }
}
