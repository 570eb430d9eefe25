//! The JSON the forge shows of accounts, repositories, labels and hooks, Gitea's key for key as in `fixtures/api`.

use chrono::SecondsFormat;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::flavour::Flavour;
pub(super) use super::flavour::merge;
use super::record::{Access, Hook, Label, ROOT_URL, Repo};
use super::team::CODE;
use super::world::State;
use crate::clock::{Timestamp, from_millis};

/// How much of an account its viewer may see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As in payloads and inside other objects: no real address, never active.
    Embedded,
    /// As in `/user`, `/users/{login}` and `/assignees`.
    Full,
}

/// RFC 3339 in whole seconds.
pub(super) fn time(at: Timestamp) -> Value {
    Value::String(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// The zero of Unix time, which Gitea shows for "not yet".
pub(super) fn epoch() -> Value {
    time(from_millis(0))
}

/// An account; one that was removed is the ghost.
pub(super) fn user(state: &State, id: i64, look: Look) -> Value {
    let found = state.users.get(&id);
    let login = state.login(id);
    let full = look == Look::Full && found.is_some();
    let email = match found {
        Some(u) if u.is_org => String::new(),
        Some(_) if full => format!("{login}@example.com"),
        _ => format!("{}@noreply.gitea.example.com", login.to_lowercase()),
    };
    let picture = hex::encode(&Sha256::digest(&login)[..16]);
    let mut shown = json!({
        "id": found.map_or(-1, |u| u.id), "login": login, "username": login, "email": email,
        "avatar_url": format!("{ROOT_URL}/avatars/{picture}"), "html_url": format!("{ROOT_URL}/{login}"),
        "last_login": if full { epoch() } else { json!("0001-01-01T00:00:00Z") },
        "created": found.map_or_else(epoch, |u| time(u.created)), "active": full,
        "login_name": "", "source_id": 0, "full_name": "", "language": "", "is_admin": false, "restricted": false,
        "prohibit_login": false, "location": "", "website": "", "description": "", "visibility": "public",
        "followers_count": 0, "following_count": 0, "starred_repos_count": 0,
    });
    state.flavour.complete_user(&mut shown);
    shown
}

/// A repository, with what `viewer` may do in it.
pub(super) fn repo(state: &State, repo: &Repo, viewer: i64) -> Value {
    let full = repo.name.to_string();
    let api = format!("{ROOT_URL}/api/v1/repos/{full}");
    let owner = state.user_id(repo.name.owner()).unwrap_or(-1);
    let mut shown = json!({
        "id": repo.id, "owner": user(state, owner, Look::Embedded), "name": repo.name.name(), "full_name": full,
        "private": repo.private, "languages_url": format!("{api}/languages"), "url": api,
        "html_url": format!("{ROOT_URL}/{full}"), "ssh_url": format!("git@gitea.example.com:{full}.git"),
        "clone_url": format!("{ROOT_URL}/{full}.git"),
    });
    let same_for_all = json!({
        "description": "", "empty": false, "fork": false,
        "template": false, "mirror": false, "size": 27, "language": "", "link": "", "original_url": "", "website": "",
        "has_wiki": true, "has_pull_requests": true, "has_projects": true,
        "has_releases": true, "has_packages": true, "has_actions": true, "ignore_whitespace_conflicts": false,
        "allow_merge_commits": true, "allow_rebase": true, "allow_rebase_explicit": true, "allow_squash_merge": true,
        "allow_fast_forward_only_merge": true, "allow_rebase_update": true,
        "default_delete_branch_after_merge": false, "default_merge_style": "merge",
        "default_allow_maintainer_edit": false, "avatar_url": "", "internal": false, "mirror_interval": "",
        "object_format_name": "sha1", "mirror_updated": "0001-01-01T00:00:00Z", "topics": [],
    });
    merge(&mut shown, same_for_all);
    merge(&mut shown, repo_standing(state, repo, viewer));
    state.flavour.complete_repo(&mut shown, repo);
    shown
}

fn repo_standing(state: &State, repo: &Repo, viewer: i64) -> Value {
    let access = state.access(repo, viewer);
    let code = state.unit(repo, viewer, CODE);
    let (admin, push, pull) =
        (access >= Access::Admin, code >= Access::Write, code >= Access::Read);
    json!({
        "open_issues_count": repo.open[0], "open_pr_counter": repo.open[1],
        "stars_count": 0, "forks_count": 0, "watchers_count": 1, "release_counter": 0, "default_branch": "main",
        "archived": repo.archived, "archived_at": if repo.archived { time(repo.created) } else { epoch() },
        "created_at": time(repo.created), "updated_at": time(repo.created),
        "permissions": {"admin": admin, "push": push, "pull": pull},
        "has_issues": true,
        "internal_tracker": {
            "enable_time_tracker": true, "allow_only_contributors_to_track_time": true,
            "enable_issue_dependencies": repo.dependencies,
        },
    })
}

pub(super) fn label(label: &Label) -> Value {
    json!({
        "id": label.id, "name": label.name, "exclusive": label.exclusive, "is_archived": label.is_archived,
        "color": label.color, "description": label.description,
        "url": format!("{ROOT_URL}/api/v1/{}/labels/{}", label.place, label.id),
    })
}

/// A hook; its secret is never shown.
pub(super) fn hook(flavour: Flavour, hook: &Hook) -> Value {
    let mut shown = json!({
        "id": hook.id, "type": hook.kind, "branch_filter": hook.branch_filter, "events": hook.events,
        "config": {"content_type": if hook.form { "form" } else { "json" }, "url": hook.url},
        "authorization_header": hook.authorization, "active": hook.active,
        "updated_at": time(hook.updated), "created_at": time(hook.created),
    });
    flavour.complete_hook(&mut shown);
    shown
}
