//! A question that costs money: the invoice first, and without one nothing is sent.

use std::time::Duration;

use gitea_triage::agents::local::{ConsultSettings, InvoiceKind, LocalAgent, Run, Settings};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::model::{Model, call, text};
use crate::outside::{World, task};

struct Place {
    model: Model,
    paid: MockServer,
    invoices: MockServer,
}

impl Place {
    async fn new(invoice_path: &str, key_header: &'static str, invoice: ResponseTemplate) -> Self {
        let question = json!({"question": "Is a queue per lane right?"});
        let model = Model::says(vec![call("consult_big", question), text("Asked.")]).await;
        let paid = MockServer::start().await;
        let answer = json!({"choices": [{"message": {"content": "Yes, it is."}}]});
        Mock::given(method("POST"))
            .and(path("/v1/chat/completions"))
            .and(header("authorization", "Bearer sk-paid"))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(&paid)
            .await;
        let invoices = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path(invoice_path))
            .and(header(key_header, "00ff-key"))
            .respond_with(invoice)
            .mount(&invoices)
            .await;
        Self { model, paid, invoices }
    }

    fn settings(&self, kind: InvoiceKind) -> Settings {
        let mut settings = self.model.settings(&[]);
        settings.consult = vec![ConsultSettings {
            name: "big".into(),
            url: self.paid.uri(),
            model: "big-model".into(),
            api_key: Some("sk-paid".into()),
            timeout: Duration::from_secs(5),
            invoice: kind,
            invoice_url: Some(self.invoices.uri()),
            invoice_key: Some("00ff-key".into()),
            sats: 100,
        }];
        settings
    }

    async fn run(&self, kind: InvoiceKind) -> Run {
        let agent = LocalAgent::start(self.settings(kind)).await.unwrap();
        agent.run(&task(), &World::new()).await
    }

    async fn paid_requests(&self) -> usize {
        self.paid.received_requests().await.unwrap().len()
    }
}

fn made(status: u16, body: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

const REQUEST: &str =
    "lnbc1u1p3xnhl2pp5jptserfk3zk4qy42tlucycrfwxhydvlemu9pqr93tuzlv9cc7g3sdqqcqzpg";

#[tokio::test]
async fn the_invoice_comes_first_and_then_the_question() {
    let lnbits = made(201, json!({"payment_hash": "h", "payment_request": REQUEST}));
    let place = Place::new("/api/v1/payments", "x-api-key", lnbits).await;
    let run = place.run(InvoiceKind::Lnbits).await;
    let told = &run.tool_calls[0].result;
    assert!(
        told.starts_with(&format!(
            "[Lightning invoice: 100 sats — {}…]\n[[untrusted ",
            &REQUEST[..40]
        )),
        "{told}"
    );
    assert!(told.contains("Yes, it is."), "{told}");
    assert_eq!(place.paid_requests().await, 1);
    let asked = place.invoices.received_requests().await.unwrap();
    let body: Value = serde_json::from_slice(&asked[0].body).unwrap();
    assert_eq!(
        body,
        json!({"out": false, "amount": 100, "unit": "sat", "memo": "Query: Is a queue per lane right?"})
    );
}

#[tokio::test]
async fn lnd_is_asked_in_its_own_terms() {
    let lnd =
        made(200, json!({"r_hash": "aGFzaA==", "payment_request": REQUEST, "add_index": "1"}));
    let place = Place::new("/v1/invoices", "grpc-metadata-macaroon", lnd).await;
    let run = place.run(InvoiceKind::Lnd).await;
    assert!(run.tool_calls[0].result.contains("Yes, it is."), "{:?}", run.tool_calls);
    let asked = place.invoices.received_requests().await.unwrap();
    let body: Value = serde_json::from_slice(&asked[0].body).unwrap();
    assert_eq!(body, json!({"value": "100", "memo": "Query: Is a queue per lane right?"}));
}

#[tokio::test]
async fn without_an_invoice_nothing_reaches_the_paid_endpoint() {
    let failures = [
        made(500, json!({"detail": "node offline"})),
        made(401, json!({})),
        made(200, json!({"payment_hash": "h"})),
        made(200, json!({"payment_request": ""})),
        made(200, json!({"payment_request": "not an invoice"})),
        ResponseTemplate::new(200).set_body_string("<html>"),
    ];
    for failure in failures {
        let place = Place::new("/api/v1/payments", "x-api-key", failure).await;
        let run = place.run(InvoiceKind::Lnbits).await;
        assert_eq!(
            run.tool_calls[0].result,
            "Error executing consult_big: Failed to create Lightning invoice; the question was not sent. See the log."
        );
        assert_eq!(run.content, "Asked.", "the run goes on");
        assert_eq!(place.paid_requests().await, 0);
    }
}

#[tokio::test]
async fn an_invoice_service_that_is_down_sends_nothing_either() {
    let place = Place::new("/", "x-api-key", ResponseTemplate::new(200)).await;
    let mut settings = place.settings(InvoiceKind::Lnbits);
    settings.consult[0].invoice_url = Some("http://127.0.0.1:1".into());
    let run = LocalAgent::start(settings).await.unwrap().run(&task(), &World::new()).await;
    assert!(run.tool_calls[0].result.contains("was not sent"), "{:?}", run.tool_calls);
    assert_eq!(place.paid_requests().await, 0);
    assert!(!format!("{:?}", run.messages).contains("00ff-key"));
}

#[tokio::test]
async fn a_dry_run_neither_bills_nor_asks() {
    let lnbits = made(201, json!({"payment_request": REQUEST}));
    let place = Place::new("/api/v1/payments", "x-api-key", lnbits).await;
    let settings = place.settings(InvoiceKind::Lnbits);
    let world = World { dry_run: true, ..World::new() };
    let run = LocalAgent::start(settings).await.unwrap().run(&task(), &world).await;
    assert_eq!(run.tool_calls[0].result, "not asked: this is a dry run");
    assert_eq!(place.paid_requests().await, 0);
    assert!(place.invoices.received_requests().await.unwrap().is_empty());
}
