//! `POST /webhook`: verify, store, answer. It parses no payload, so a mistake in a parser loses no delivery, and it
//! waits for nothing but the disk: Gitea gives up after five seconds and never sends a delivery twice. Beside it, what
//! agents report.

mod body;
pub mod callback;
mod refusals;
pub mod runners;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::Notify;
use tracing::Span;
use tracing::field::{Empty, display};

use self::body::Unread;
use crate::clock::Clock;
use crate::connections::{Room, Share};
use crate::delivery::DeliveryId;
use crate::gitea::{Rejected, Secret, Verifier};
use crate::meters::{Latency, LatestUses, Receiving, Table};
use crate::store::{self, Accepted, Store};

pub use callback::Callbacks;
pub use refusals::Refusals;
pub use runners::{KnownRunner, RunRules, Runners};

/// How long a sender is asked to wait when the store cannot take more, in seconds.
const RETRY_AFTER_S: &str = "2";

/// What the receiver needs.
pub struct Receiver {
    /// Where deliveries go.
    pub store: Store,
    /// Who may send them; swapped when the configuration is read again.
    pub verifier: ArcSwap<Verifier>,
    /// The time.
    pub clock: Clock,
    /// The largest body taken, in bytes.
    pub max_body: usize,
    /// Room for bodies, shared by all that arrive at one time.
    pub room: Arc<Room>,
    /// The addresses that answers name; swapped when the configuration is read again.
    pub links: ArcSwap<Links>,
    /// Notified when something was stored.
    pub arrived: Arc<Notify>,
    /// Keeps a flood of refused deliveries from flooding the log.
    pub refusals: Arc<Refusals>,
    /// What is counted.
    pub meters: Arc<Receiving>,
}

/// The addresses that answers name.
#[derive(Clone, Debug)]
pub struct Links {
    /// Where webhooks send to.
    pub webhook: String,
    /// Where a person finds a delivery's page; the id is appended. `None` where no page shows it.
    pub deliveries: Option<String>,
}

/// The receiver's meters, with a zero for every answer there is.
pub fn meters() -> Receiving {
    let answers = [
        "accepted",
        "duplicate",
        "unavailable",
        "too_large",
        "too_slow",
        "broken_off",
        "wrong_address",
    ]
    .into_iter();
    let answers = answers.chain(Rejected::ALL.map(Rejected::class)).map(|name| [name]);
    Receiving {
        answers: Table::with(answers),
        accept: Latency::default(),
        signed: LatestUses::default(),
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    status: &'a str,
    delivery: &'a DeliveryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the body is larger than {limit} bytes; raise `webhook.max_body` to take it")]
    TooLarge { limit: usize },
    #[error("deliveries are not taken here; let the webhook send to `{webhook}`")]
    Elsewhere { webhook: String },
    #[error("the body took too long to arrive")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error("too much arrives at once; send it again in a moment")]
    Crowded,
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("the delivery was not stored; send it again in a moment")]
    NotStored(#[from] store::Error),
}

impl Refused {
    /// The status to answer with, and the name it is counted by.
    fn answer(&self) -> (u16, &'static str) {
        match self {
            Self::TooLarge { .. } => (413, "too_large"),
            Self::Elsewhere { .. } => (404, "wrong_address"),
            Self::TooSlow => (408, "too_slow"),
            Self::Broken => (400, "broken_off"),
            Self::Crowded | Self::NotStored(_) => (503, "unavailable"),
            Self::Rejected(rejected) => (rejected.status(), rejected.class()),
        }
    }
}

/// The handler of `POST /webhook`.
#[tracing::instrument(level = "debug", name = "take_delivery", skip_all, fields(otel.kind = "server", delivery = Empty, http.response.status_code = Empty))]
pub async fn webhook(
    request: HttpRequest,
    payload: Payload,
    receiver: Data<Receiver>,
) -> HttpResponse {
    let taken = receiver.take(&request, payload).await;
    let answer = taken.unwrap_or_else(|refused| receiver.refuse(&request, &refused));
    Span::current().record("http.response.status_code", answer.status().as_u16());
    answer
}

/// The answer to what was meant for the webhook and came to another path. Never a success: Gitea would show one, and
/// nothing is stored.
pub async fn elsewhere(request: HttpRequest, receiver: Data<Receiver>) -> HttpResponse {
    let webhook = receiver.links.load().webhook.clone();
    receiver.refuse(&request, &Refused::Elsewhere { webhook })
}

/// The answer to every other method. Not a redirect: Gitea would follow it with an empty GET and take a 2xx to that
/// for a success (gitea-facts 1.1).
pub async fn method_not_allowed() -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((ALLOW, "POST")).json(
        serde_json::json!({ "error": "this is sent by POST; set the webhook's method to POST" }),
    )
}

/// The answer to a request that was not taken. What was not read of its body must not be taken for the next request.
fn refusal(status: u16, why: &dyn Display, is_read: bool) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.insert_header((RETRY_AFTER, RETRY_AFTER_S));
    }
    if !is_read {
        answer.force_close();
    }
    answer.json(serde_json::json!({ "error": why.to_string() }))
}

impl Receiver {
    /// Swaps who may send.
    pub fn set_secrets(&self, secrets: Vec<Secret>) {
        let old = self.verifier.load();
        let before: Vec<_> = secrets.iter().map(|secret| old.place_of(secret)).collect();
        self.verifier.store(Arc::new(Verifier::new(secrets)));
        self.meters.signed.move_to(&before);
    }

    /// Swaps the addresses that answers name.
    pub fn set_links(&self, links: Links) {
        self.links.store(Arc::new(links));
    }

    async fn take(&self, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, Refused> {
        let started = Instant::now();
        // The room is kept until the delivery is stored, for so long its body is in memory.
        let (body, _share) = self.read(request, payload).await?;
        let now = self.clock.now();
        let (secret, delivery) = self.verifier.load().verify_by(request.headers(), body, now)?;
        self.meters.signed.note(secret, now);
        let id = delivery.id.clone();
        Span::current().record("delivery", display(&id));
        let accepted = self.store.accept(delivery).await;
        self.meters.accept.add(started.elapsed());
        let (mut answer, status) = match accepted? {
            Accepted::New => {
                self.arrived.notify_one();
                boundary!("accept::stored");
                (HttpResponse::Accepted(), "accepted")
            }
            Accepted::Duplicate => (HttpResponse::Ok(), "duplicate"),
        };
        self.meters.answers.add([status]);
        let details = self.links.load().deliveries.as_ref().map(|pages| format!("{pages}{id}"));
        Ok(answer.json(Answer { status, delivery: &id, details }))
    }

    async fn read(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<(Bytes, Share), Refused> {
        let limit = self.max_body;
        body::read(request, payload, &self.room, limit).await.map_err(|unread| match unread {
            Unread::TooLarge => Refused::TooLarge { limit },
            Unread::TooSlow => Refused::TooSlow,
            Unread::Broken => Refused::Broken,
            Unread::Crowded => Refused::Crowded,
        })
    }

    fn refuse(&self, request: &HttpRequest, refused: &Refused) -> HttpResponse {
        let (status, name) = refused.answer();
        self.meters.answers.add([name]);
        match refused {
            Refused::Rejected(Rejected::Probe) => {
                tracing::debug!("somebody with a secret asked whether it is known");
            }
            Refused::NotStored(error) => self.refusals.log("delivery not stored", error, request),
            refused => self.refusals.log("delivery refused", refused, request),
        }
        let is_read = matches!(refused, Refused::Rejected(_) | Refused::NotStored(_));
        refusal(status, refused, is_read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_counted_under_its_own_name() {
        let name = |refused: Refused| {
            let meters = meters();
            let all = meters.answers.rows().len();
            meters.answers.add([refused.answer().1]);
            let rows = meters.answers.rows();
            assert_eq!(rows.len(), all, "it was shown as zero before");
            rows.into_iter().find(|(_, count)| *count == 1).unwrap().0[0]
        };
        assert_eq!(name(Refused::TooLarge { limit: 1 }), "too_large");
        assert_eq!(name(Refused::TooSlow), "too_slow");
        assert_eq!(name(Refused::Broken), "broken_off");
        assert_eq!(name(Refused::Elsewhere { webhook: String::new() }), "wrong_address");
        for rejected in Rejected::ALL {
            assert_eq!(name(Refused::Rejected(rejected)), rejected.class());
        }
    }
}
