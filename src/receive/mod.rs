//! `POST /webhook`: verify, store, answer. It parses no payload, so a mistake in a parser loses no delivery, and it
//! waits for nothing but the disk: Gitea gives up after five seconds and never sends a delivery twice. Beside it, what
//! agents report.

pub mod callback;
mod refusals;
mod sender;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::error::PayloadError;
use actix_web::http::header::{ALLOW, CONTENT_LENGTH, RETRY_AFTER};
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use arc_swap::ArcSwap;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::Span;
use tracing::field::{Empty, display};

use crate::clock::Clock;
use crate::delivery::DeliveryId;
use crate::gitea::{Rejected, Verifier};
use crate::meters::{Latency, Receiving, Tally};
use crate::store::{Accepted, Store};

pub use callback::Callbacks;
pub use refusals::Refusals;
pub use sender::Proxies;

/// How long a body may take to arrive. Gitea itself gives up after five seconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Bodies up to this size are read whatever else arrives; few of Gitea's are larger.
const SMALL_BODY: usize = 64 * 1024;
/// What larger bodies may hold together beyond that. Nobody's signature is known before the whole body is there, so
/// without a limit anybody could fill the memory.
const LARGE_BODIES: usize = 8 * 1024 * 1024;
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
    /// Room for those that are larger than usual.
    pub large: LargeBodies,
    /// Where a person finds a delivery's page; the id is appended.
    pub page: String,
    /// Notified when something was stored.
    pub arrived: Arc<Notify>,
    /// Keeps a flood of refused deliveries from flooding the log.
    pub refusals: Refusals,
    /// Who may say where a request comes from.
    pub proxies: Proxies,
    /// What is counted.
    pub meters: Arc<Receiving>,
}

/// How a delivery was answered, as it is counted; a rejected one is counted by its class, after these.
#[derive(Clone, Copy)]
enum Answered {
    Accepted,
    Duplicate,
    Unavailable,
    TooLarge,
    TooSlow,
    BrokenOff,
}

const ANSWERED: [&str; 6] =
    ["accepted", "duplicate", "unavailable", "too_large", "too_slow", "broken_off"];

/// The receiver's meters, all at zero.
pub fn meters() -> Receiving {
    let classes = Rejected::ALL.map(Rejected::class);
    Receiving {
        answers: Tally::new(ANSWERED.into_iter().chain(classes)),
        accept: Latency::default(),
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    status: &'a str,
    delivery: &'a DeliveryId,
    details: String,
}

/// Why a request was not taken.
enum Refused {
    TooLarge { limit: usize },
    TooSlow,
    Broken,
    Crowded,
    Rejected(Rejected),
}

impl Refused {
    /// Its place among the counted answers.
    fn place(&self) -> usize {
        match self {
            Self::TooLarge { .. } => Answered::TooLarge as usize,
            Self::TooSlow => Answered::TooSlow as usize,
            Self::Broken => Answered::BrokenOff as usize,
            Self::Crowded => Answered::Unavailable as usize,
            Self::Rejected(rejected) => ANSWERED.len() + *rejected as usize,
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
    let answer = take(&request, payload, &receiver).await;
    Span::current().record("http.response.status_code", answer.status().as_u16());
    answer
}

async fn take(request: &HttpRequest, payload: Payload, receiver: &Receiver) -> HttpResponse {
    let started = Instant::now();
    // The room is kept until the delivery is stored, for so long its body is in memory.
    let (body, _room) = match read(request, payload, receiver).await {
        Ok(read) => read,
        Err(refused) => return receiver.refuse(request, &refused),
    };
    let delivery =
        match receiver.verifier.load().verify(request.headers(), body, receiver.clock.now()) {
            Ok(delivery) => delivery,
            Err(rejected) => return receiver.refuse(request, &Refused::Rejected(rejected)),
        };
    let id = delivery.id.clone();
    Span::current().record("delivery", display(&id));
    let accepted = receiver.store.accept(delivery).await;
    receiver.meters.accept.add(started.elapsed());
    receiver.meters.answers.add(match &accepted {
        Ok(Accepted::New) => Answered::Accepted,
        Ok(Accepted::Duplicate) => Answered::Duplicate,
        Err(_) => Answered::Unavailable,
    } as usize);
    match accepted {
        Ok(Accepted::New) => {
            receiver.arrived.notify_one();
            boundary!("accept::stored");
            receiver.answer(HttpResponse::Accepted(), "accepted", &id)
        }
        Ok(Accepted::Duplicate) => receiver.answer(HttpResponse::Ok(), "duplicate", &id),
        Err(error) => {
            receiver.refusals.log("delivery not stored", &error, receiver.sender(request));
            let error = "the delivery was not stored; send it again in a moment";
            HttpResponse::ServiceUnavailable()
                .insert_header((RETRY_AFTER, RETRY_AFTER_S))
                .json(serde_json::json!({ "error": error }))
        }
    }
}

/// The answer to every other method. Not a redirect: Gitea would follow it with an empty GET and take a 2xx to that
/// for a success (gitea-facts 1.1).
pub async fn method_not_allowed() -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((ALLOW, "POST")).json(
        serde_json::json!({ "error": "this is sent by POST; set the webhook's method to POST" }),
    )
}

/// Room for bodies that are larger than usual, shared by all that arrive at one time.
pub struct LargeBodies(Arc<Semaphore>);

impl LargeBodies {
    /// Room for at least one body of the largest size taken.
    pub fn new(max_body: usize) -> Self {
        Self(Arc::new(Semaphore::new(LARGE_BODIES.max(max_body).min(Semaphore::MAX_PERMITS))))
    }

    /// Takes room for `chunk` more bytes behind the `so_far` that are there.
    fn take(&self, so_far: usize, chunk: usize) -> Result<Option<OwnedSemaphorePermit>, Refused> {
        let beyond = (so_far + chunk).saturating_sub(so_far.max(SMALL_BODY));
        if beyond == 0 {
            return Ok(None);
        }
        let beyond = u32::try_from(beyond).map_err(|_| Refused::Crowded)?;
        let taken = Arc::clone(&self.0).try_acquire_many_owned(beyond);
        taken.map(Some).map_err(|_| Refused::Crowded)
    }
}

/// Reads the body, but never more than the limit, and not into room that others need.
async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    receiver: &Receiver,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refused> {
    let limit = receiver.max_body;
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let announced: usize = announced.unwrap_or(0);
    if announced > limit {
        return Err(Refused::TooLarge { limit });
    }
    let all = async {
        let mut body = BytesMut::with_capacity(announced.min(SMALL_BODY));
        let mut room: Option<OwnedSemaphorePermit> = None;
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| refused(&error, limit))?;
            if body.len() + chunk.len() > limit {
                return Err(Refused::TooLarge { limit });
            }
            if let Some(more) = receiver.large.take(body.len(), chunk.len())? {
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body.freeze(), room))
    };
    tokio::time::timeout(BODY_TIMEOUT, all).await.unwrap_or(Err(Refused::TooSlow))
}

fn refused(error: &PayloadError, limit: usize) -> Refused {
    match error {
        PayloadError::Overflow => Refused::TooLarge { limit },
        _ => Refused::Broken,
    }
}

impl Receiver {
    fn answer(
        &self,
        mut builder: HttpResponseBuilder,
        status: &str,
        id: &DeliveryId,
    ) -> HttpResponse {
        builder.json(Answer { status, delivery: id, details: format!("{}{id}", self.page) })
    }

    fn sender(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.proxies.sender(request.peer_addr(), request.headers())
    }

    fn refuse(&self, request: &HttpRequest, refused: &Refused) -> HttpResponse {
        let (mut answer, error) = match refused {
            Refused::TooLarge { limit } => (
                HttpResponse::PayloadTooLarge(),
                format!(
                    "the body is larger than {limit} bytes; raise `webhook.max_body` to take it"
                ),
            ),
            Refused::TooSlow => {
                (HttpResponse::RequestTimeout(), "the body took too long to arrive".to_owned())
            }
            Refused::Crowded => {
                let mut answer = HttpResponse::ServiceUnavailable();
                answer.insert_header((RETRY_AFTER, RETRY_AFTER_S));
                (answer, "too many large bodies at once; send it again in a moment".to_owned())
            }
            Refused::Broken => (HttpResponse::BadRequest(), "the body broke off".to_owned()),
            Refused::Rejected(rejected) => {
                let status = actix_web::http::StatusCode::from_u16(rejected.status());
                let status = status.unwrap_or(actix_web::http::StatusCode::BAD_REQUEST);
                (HttpResponseBuilder::new(status), rejected.to_string())
            }
        };
        self.meters.answers.add(refused.place());
        self.refusals.log("delivery refused", &error, self.sender(request));
        // What was not read of a body must not be taken for the next request.
        if !matches!(refused, Refused::Rejected(_)) {
            answer.force_close();
        }
        answer.json(serde_json::json!({ "error": error }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_counted_under_its_own_name() {
        let name = |refused: Refused| {
            let meters = meters();
            meters.answers.add(refused.place());
            meters.answers.rows().into_iter().find(|(_, count)| *count == 1).unwrap().0[0]
        };
        assert_eq!(name(Refused::TooLarge { limit: 1 }), "too_large");
        assert_eq!(name(Refused::TooSlow), "too_slow");
        assert_eq!(name(Refused::Broken), "broken_off");
        for rejected in Rejected::ALL {
            assert_eq!(name(Refused::Rejected(rejected)), rejected.class());
        }
    }
}
