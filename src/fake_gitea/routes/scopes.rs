//! What a token may do: a scope of the category each path belongs to, for reading or for writing by the method alone
//! (routers/api/v1/api.go, `tokenRequiresScopes`). Asked before anything else, even before who may see the place.

use crate::fake_gitea::call::{Answer, Call};
use crate::fake_gitea::world::State;

/// The answer to a token that may not do this.
pub(super) fn refusal(state: &State, call: &Call, path: &[&str]) -> Option<Answer> {
    let token = call.authorization.split_whitespace().nth(1)?;
    let held = state.scopes.get(token)?;
    let level = if call.method == "GET" { "read" } else { "write" };
    let lacks = |category: &&str| {
        let wanted = [format!("{level}:{category}"), format!("write:{category}"), "all".to_owned()];
        !wanted.iter().any(|scope| held.contains(scope))
    };
    let lacking = categories(path).iter().find(|category| lacks(category))?;
    let message = format!(
        "token does not have at least one of required scope(s), required=[{level}:{lacking}]{}",
        state.flavour.scopes_shown(held)
    );
    Some(Answer::error(403, &message))
}

/// The categories of a path; a scope of each is needed.
fn categories(path: &[&str]) -> &'static [&'static str] {
    match path {
        ["users", _, "repos"] => &["user", "repository"],
        ["user" | "users", ..] => &["user"],
        ["orgs" | "teams", ..] => &["organization"],
        ["repos", "issues", "search"] => &["issue"],
        ["repos", _, _, "issues" | "labels" | "milestones", ..] => &["issue"],
        ["repos" | "repositories", ..] => &["repository"],
        _ => &[],
    }
}
