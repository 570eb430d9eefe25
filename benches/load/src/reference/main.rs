//! The server that the receiver is compared to: the plainest one that keeps the same promise. It verifies, parses the
//! fields a job needs, removes repeats, and answers after the raw body is flushed to the disk. Nothing works it off.

mod event;
mod postgres;
mod sqlite;
mod store;

use actix_web::web::{Bytes, Data, PayloadConfig, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use clap::Parser;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use self::event::Event;
use self::store::{Job, Kept, Store};

/// The largest body taken, in bytes.
const MAX_BODY: usize = 4 << 20;
/// Threads that answer, as many as the receiver has by default.
const WORKERS: usize = 2;

/// Durable reference receiver
#[derive(Debug, Parser)]
struct Options {
    /// The port on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// The database: a file, or where on a server it is, as `postgres://`
    #[arg(long)]
    database: String,
    /// Keep bodies packed, as the receiver does
    #[arg(long)]
    packed: bool,
    /// The secret that signs deliveries
    #[arg(long)]
    secret: String,
}

/// What the receiver packs bodies with.
const DICTIONARY: &[u8] = include_bytes!("../../../../src/store/dictionary-1.json");

struct Receiver {
    key: Hmac<Sha256>,
    is_packing: bool,
    store: Store,
}

impl Receiver {
    fn is_signed(&self, request: &HttpRequest, body: &[u8]) -> bool {
        let mut digest = [0; 32];
        let hex = request.headers().get("x-gitea-signature").map(|v| v.as_bytes());
        if hex::decode_to_slice(hex.unwrap_or_default(), &mut digest).is_err() {
            return false;
        }
        let mut mac = self.key.clone();
        mac.update(body);
        mac.verify_slice(&digest).is_ok()
    }
}

async fn hook(request: HttpRequest, body: Bytes, receiver: Data<Receiver>) -> HttpResponse {
    if !receiver.is_signed(&request, &body) {
        return HttpResponse::Unauthorized().finish();
    }
    let id = request
        .headers()
        .get("x-gitea-delivery")
        .and_then(|v| Uuid::try_parse_ascii(v.as_bytes()).ok());
    let (Some(id), Ok(event)) = (id, serde_json::from_slice::<Event<'_>>(&body)) else {
        return HttpResponse::BadRequest().finish();
    };
    let job = Job {
        id: id.into_bytes(),
        repo: event.repo(),
        number: event.number(),
        action: event.action(),
        body: if receiver.is_packing { packed(&body) } else { body.clone() },
    };
    match receiver.store.keep(job).await {
        Some(Kept::New) => HttpResponse::NoContent().finish(),
        Some(Kept::Repeated) => HttpResponse::Ok().finish(),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}

fn packed(body: &[u8]) -> Bytes {
    lz4_flex::block::compress_prepend_size_with_dict(body, DICTIONARY).into()
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let key = Hmac::new_from_slice(options.secret.as_bytes())?;
    let receiver = Data::new(Receiver {
        key,
        is_packing: options.packed,
        store: Store::open(&options.database)?,
    });
    let app = move || {
        App::new()
            .app_data(receiver.clone())
            .app_data(PayloadConfig::new(MAX_BODY))
            .route("/webhook", post().to(hook))
    };
    Ok(HttpServer::new(app).workers(WORKERS).bind(("127.0.0.1", options.port))?.run().await?)
}
