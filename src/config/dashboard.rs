//! `[dashboard]`: which keys belong together, and its typed section.

use secrecy::ExposeSecret;

use super::error::Mistakes;
use super::row::Row;
use super::{Dashboard, OAuthApplication};

/// A shorter token could be guessed by somebody with patience.
const SHORTEST_TOKEN: usize = 16;

/// Reports a token that is too short, and half an application.
pub(super) fn check(row: &Row, mistakes: &mut Mistakes) {
    let short =
        |token: secrecy::SecretString| token.expose_secret().chars().count() < SHORTEST_TOKEN;
    if row.secret("token").is_some_and(short) {
        let message = format!(
            "`dashboard.token` is shorter than {SHORTEST_TOKEN} characters; make one with `openssl rand -hex 32`"
        );
        mistakes.add(row.origin("token"), "dashboard.token", message);
    }
    let has_id = row.some_text("client_id").is_some();
    let has_secret = row.secret("client_secret").is_some() || row.is_bad("client_secret");
    let (is_there, missing) = match (has_id, has_secret) {
        (true, false) => ("client_id", "client_secret"),
        (false, true) => ("client_secret", "client_id"),
        _ => return,
    };
    let message = format!(
        "`dashboard.{missing}` is missing beside `dashboard.{is_there}`; \"Sign in with Gitea\" needs both"
    );
    mistakes.add(row.origin(is_there), &format!("dashboard.{missing}"), message);
}

/// The section that `row` describes.
pub(super) fn section(row: &Row) -> Dashboard {
    let application = |(client_id, client_secret)| OAuthApplication {
        client_id,
        client_secret,
        url: row.some_text("gitea_url"),
    };
    let oauth = row.some_text("client_id").zip(row.secret("client_secret")).map(application);
    Dashboard { token: row.secret("token"), oauth, admins: row.list("admins") }
}
