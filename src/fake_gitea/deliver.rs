//! Sends the deliveries: one after the other, once each, as Gitea does; a failed one is never tried again.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};

use super::flavour::Flavour;
use super::record::Task;
use super::shared::Shared;
use super::sign::{hmac_sha1, hmac_sha256};
use super::world::State;

/// Gitea's `[webhook] DELIVER_TIMEOUT`, for the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends what is in the queue until the fake stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let Some(client) = client() else { return };
    loop {
        let next = shared.lock().next_delivery();
        match next {
            Some((index, task)) => {
                let (reaches, flavour) = {
                    let state = shared.lock();
                    (state.reaches_loopback, state.flavour)
                };
                let may = reaches || !is_loopback(&task.hook.url);
                let status = if may { send(&client, &task, flavour).await } else { None };
                shared.lock().settle_delivery(index, status);
            }
            None => {
                shared.idle.notify_waiters();
                shared.work.notified().await;
            }
        }
    }
}

/// Asks the process for a TLS provider first: reqwest is built without one and would give up.
fn client() -> Option<Client> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder().timeout(TIMEOUT).user_agent("Go-http-client/1.1");
    builder.no_proxy().build().ok()
}

/// A dial that `ALLOWED_HOST_LIST` refuses is a failed delivery like any other.
fn is_loopback(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    })
}

async fn send(client: &Client, task: &Task, flavour: Flavour) -> Option<u16> {
    let request = with_headers(client.post(&task.hook.url), task, flavour);
    let answer = request.body(wire_body(task)).send().await.ok()?;
    let status = answer.status().as_u16();
    // Gitea reads the answer to its end and counts the delivery as failed if that breaks off.
    answer.bytes().await.ok().map(|_| status)
}

fn wire_body(task: &Task) -> bytes::Bytes {
    if !task.hook.form {
        return task.body.clone();
    }
    let text = String::from_utf8_lossy(&task.body);
    form_urlencoded::Serializer::new(String::new()).append_pair("payload", &text).finish().into()
}

fn with_headers(request: RequestBuilder, task: &Task, flavour: Flavour) -> RequestBuilder {
    let content =
        if task.hook.form { "application/x-www-form-urlencoded" } else { "application/json" };
    let mut request = request.header("Content-Type", content);
    for brand in flavour.brands() {
        request = request
            .header(format!("X-{brand}-Delivery"), &task.uuid)
            .header(format!("X-{brand}-Event"), task.event())
            .header(format!("X-{brand}-Event-Type"), task.kind);
    }
    for brand in flavour.target_brands() {
        request = request.header(format!("X-{brand}-Hook-Installation-Target-Type"), task.target);
    }
    if !task.hook.authorization.is_empty() {
        request = request.header("Authorization", &task.hook.authorization);
    }
    with_signatures(request, task, flavour)
}

/// Without a secret the headers are still sent, with nothing in them.
fn with_signatures(request: RequestBuilder, task: &Task, flavour: Flavour) -> RequestBuilder {
    let secret = task.hook.secret.as_str();
    let (long, short) = match secret {
        "" => (String::new(), String::new()),
        _ => (hmac_sha256(secret, &task.body), hmac_sha1(secret, &task.body)),
    };
    // GitHub's signatures have names of their own.
    let brands = flavour.brands().iter().filter(|brand| **brand != "GitHub");
    brands
        .fold(request, |request, brand| request.header(format!("X-{brand}-Signature"), &long))
        .header("X-Hub-Signature-256", format!("sha256={long}"))
        .header("X-Hub-Signature", format!("sha1={short}"))
}

impl State {
    /// Takes the next delivery to send; the ones to be dropped are passed over.
    fn next_delivery(&mut self) -> Option<(usize, Task)> {
        while !self.paused {
            let index = self.queue.pop_front()?;
            if self.drop_next > 0 {
                self.drop_next -= 1;
                continue;
            }
            self.in_flight = true;
            return self.deliveries.get(index).map(|task| (index, task.clone()));
        }
        None
    }

    fn settle_delivery(&mut self, index: usize, status: Option<u16>) {
        self.in_flight = false;
        if let Some(task) = self.deliveries.get_mut(index) {
            task.status = status;
        }
    }

    /// Whether nothing waits or is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.queue.is_empty() && !self.in_flight
    }
}
