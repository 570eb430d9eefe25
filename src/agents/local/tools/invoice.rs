//! An invoice from a Lightning service, made before anything is paid for. It only makes one; who pays it and when is
//! between the owner and the service.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::super::json_client::{Post, join, key_header};
use super::super::settings::{ConsultSettings, InvoiceKind};

const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// How much of a question the memo shows, in characters.
const MEMO: usize = 50;
/// How much of the payment request is shown: enough to tell one from another.
const SHOWN: usize = 40;

/// Asks the service for an invoice, if there is one, and gives how the payment request begins; why there is none is for
/// the log, not for the model.
pub(super) async fn create(
    http: &reqwest::Client,
    settings: &ConsultSettings,
    question: &str,
) -> Result<Option<String>, String> {
    let memo: String = question.chars().take(MEMO).collect();
    let memo = format!("Query: {memo}");
    let (segments, header, body): (&[&str], _, _) = match settings.invoice {
        InvoiceKind::None => return Ok(None),
        InvoiceKind::Lnbits => (
            &["api", "v1", "payments"],
            "x-api-key",
            json!({"out": false, "amount": settings.sats, "memo": memo, "unit": "sat"}),
        ),
        // Numbers of 64 bits are texts in the JSON of LND's proxy.
        InvoiceKind::Lnd => (
            &["v1", "invoices"],
            "grpc-metadata-macaroon",
            json!({"value": settings.sats.to_string(), "memo": memo}),
        ),
    };
    let key = settings.invoice_key.as_ref().ok_or("the key is missing")?;
    let url = settings.invoice_url.as_deref().ok_or("the address is missing")?;
    let key = key_header("", key).ok_or("the key holds bytes that no header can")?;
    let post = Post {
        url: join(url, segments)?,
        headers: HeaderMap::from_iter([(HeaderName::from_static(header), key)]),
        body: &body,
        timeout: TIMEOUT,
        limit: MAX_ANSWER,
    };
    let answer = post.send(http).await.map_err(|error| error.to_string())?;
    let request = payment_request(&answer).ok_or("the answer holds no payment request")?;
    Ok(Some(request.chars().take(SHOWN).collect()))
}

/// LNbits calls it `payment_request`, and `bolt11` since version 1; LND the first.
fn payment_request(answer: &Value) -> Option<&str> {
    let text = |name| answer.get(name).and_then(Value::as_str);
    let request = text("payment_request").or_else(|| text("bolt11"))?;
    let is_one = request.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("ln"))
        && request.chars().all(|c| c.is_ascii_alphanumeric());
    is_one.then_some(request)
}
