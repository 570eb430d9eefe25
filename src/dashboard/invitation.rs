//! A link that signs in without a token being pasted. Only the demo asks for one, on loopback; where nobody did, there is
//! nothing at its address.

use std::net::IpAddr;
use std::sync::OnceLock;

use actix_session::Session;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest as _, Sha256};

use super::Dashboard;
use super::refusal::Refusal;
use super::session::secret;
use super::sign_in::enter_with_token;

/// The link that was given out, by its digest; it holds for as long as the process.
#[derive(Debug, Default)]
pub(super) struct Invitation(OnceLock<[u8; 32]>);

impl Invitation {
    fn is_for(&self, given: &str) -> bool {
        self.0.get().is_some_and(|kept| *kept == <[u8; 32]>::from(Sha256::digest(given)))
    }
}

impl Dashboard {
    /// The path of a link that signs in as the dashboard's token does, from this machine alone. `None` where there is no
    /// token, or a link was given out before.
    pub fn invite(&self) -> Option<String> {
        self.settings().token.as_ref()?;
        let key = secret();
        self.invitation.0.set(Sha256::digest(&key).into()).ok()?;
        Some(format!("{}/sign-in/link/{key}", self.settings().base()))
    }
}

/// The handler of `GET /sign-in/link/{key}`.
pub(super) async fn accept(
    dashboard: Data<Dashboard>,
    session: Session,
    key: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let from = request.peer_addr().map(|address| address.ip());
    if !dashboard.invitation.is_for(&key) || !from.is_some_and(|ip: IpAddr| ip.is_loopback()) {
        return Err(Refusal::page(StatusCode::NOT_FOUND, "there is no such page"));
    }
    enter_with_token(&dashboard, &session, &request, "/").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_let_in_before_a_link_is_given_out_and_then_that_link_alone() {
        let invitation = Invitation::default();
        assert!(!invitation.is_for("") && !invitation.is_for("key"));
        invitation.0.set(Sha256::digest("key").into()).unwrap();
        assert!(invitation.is_for("key"));
        assert!(!invitation.is_for("") && !invitation.is_for("kez"));
    }
}
