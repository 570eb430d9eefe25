//! `POST /dispatches/{id}`: what an agent reports about a dispatch. Verify, store, answer; what the report means is
//! decided where its issue is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use arc_swap::ArcSwap;
use secrecy::SecretString;
use serde_json::json;

use super::body::{self, Unread};
use super::{Refusals, refusal};
use crate::agents::{CallbackError, MAX_REPORT, SIGNATURE_HEADER, parse_report, verify_callback};
use crate::clock::Clock;
use crate::connections::Room;
use crate::dispatch::{AgentId, Dispatch};
use crate::store::{self, Store};

/// What it takes to hear agents.
pub struct Callbacks {
    /// Where reports go.
    pub store: Store,
    /// The secret of each agent that has one; swapped when the configuration is read again.
    pub secrets: ArcSwap<BTreeMap<AgentId, SecretString>>,
    /// The time.
    pub clock: Clock,
    /// Room for bodies, shared by all that arrive at one time.
    pub room: Arc<Room>,
    /// Called when something was stored.
    pub arrived: Box<dyn Fn() + Send + Sync>,
    /// Keeps a flood of refused reports from flooding the log.
    pub refusals: Arc<Refusals>,
}

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("there is no such dispatch; send the report to the `callback_url` of the hand-off")]
    Unknown,
    #[error(
        "`{SIGNATURE_HEADER}` is not the agent's signature of this body; send `sha256=` and the HMAC-SHA256 of the body with the agent's `secret`"
    )]
    Unsigned,
    #[error(transparent)]
    Unreadable(#[from] CallbackError),
    #[error("the body took too long to arrive, or broke off")]
    Slow,
    #[error("too much arrives at once; send the report again in a moment")]
    Crowded,
    #[error("the report was not stored; send it again in a moment")]
    NotStored(#[from] store::Error),
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => CallbackError::TooLarge.into(),
            Unread::TooSlow | Unread::Broken => Self::Slow,
            Unread::Crowded => Self::Crowded,
        }
    }
}

impl Refused {
    fn status(&self) -> u16 {
        match self {
            Self::Unknown => 404,
            Self::Unsigned => 401,
            Self::Unreadable(CallbackError::TooLarge) => 413,
            Self::Unreadable(_) => 400,
            Self::Slow => 408,
            Self::Crowded | Self::NotStored(_) => 503,
        }
    }
}

/// The handler of `POST /dispatches/{id}`.
pub async fn report(
    request: HttpRequest,
    key: Path<String>,
    payload: Payload,
    callbacks: Data<Callbacks>,
) -> HttpResponse {
    match callbacks.take(&request, key.into_inner(), payload).await {
        Ok(dispatch) if dispatch.state.is_open() => {
            HttpResponse::Accepted().json(json!({ "status": "accepted", "dispatch": dispatch.key }))
        }
        // A repeated report is no mistake of the agent's.
        Ok(dispatch) => HttpResponse::Ok().json(json!({
            "status": "ended", "dispatch": dispatch.key, "state": dispatch.state,
        })),
        Err(refused) => {
            callbacks.refusals.log("report refused", &refused, &request);
            let status = refused.status();
            let is_read = !matches!(refused, Refused::Crowded) && !matches!(status, 408 | 413);
            refusal(status, &refused, is_read)
        }
    }
}

impl Callbacks {
    /// Swaps what reports are signed with.
    pub fn set_secrets(&self, secrets: BTreeMap<AgentId, SecretString>) {
        self.secrets.store(Arc::new(secrets));
    }

    async fn take(
        &self,
        request: &HttpRequest,
        key: String,
        payload: Payload,
    ) -> Result<Dispatch, Refused> {
        let (body, _share) = body::read(request, payload, &self.room, MAX_REPORT).await?;
        let dispatch = self.store.dispatch_by_key(key).await?.ok_or(Refused::Unknown)?;
        let claim = request.headers().get(SIGNATURE_HEADER).map(|value| value.as_bytes());
        // An agent without a secret is known by the key alone, which only it was sent.
        let is_forged = |secret| !verify_callback(secret, claim, &body);
        if self.secrets.load().get(&dispatch.agent).is_some_and(is_forged) {
            return Err(Refused::Unsigned);
        }
        let report = parse_report(&body)?;
        if dispatch.state.is_open() {
            self.store.report(&dispatch, report, self.clock.now()).await?;
            (self.arrived)();
        }
        Ok(dispatch)
    }
}
