//! `GET /metrics`: what the rooms counted and how full the store is, for Prometheus. It counts nothing itself; each
//! answer is written from the meters as they stand, so there is no registry that two services could share.

mod page;

use std::time::Duration;

use actix_web::http::header::ACCEPT;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub use self::page::Meters;
use crate::clock::{Clock, Timestamp};
use crate::store::Store;

/// How long the store may take to say how full it is; the rest is shown without it.
const STORE_LIMIT: Duration = Duration::from_secs(1);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the figures of one service come from.
pub struct Metrics {
    /// How full it is.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// When the service started.
    pub started: Timestamp,
    /// What was counted.
    pub meters: Meters,
}

impl Metrics {
    /// All figures as OpenMetrics text.
    async fn render(&self) -> Result<String, std::fmt::Error> {
        let asked = async { tokio::try_join!(self.store.gauges(), self.store.agent_loads()) };
        let stored = tokio::time::timeout(STORE_LIMIT, asked).await;
        let stored = stored.ok().and_then(Result::ok);
        let (started, now, meters) = (self.started, self.clock.now(), self.meters.clone());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(page::Page { started, now, stored, meters }));
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// The handler of `GET /metrics`: OpenMetrics for whom asks for it, Prometheus' older format for all others.
pub async fn get(request: HttpRequest, metrics: Data<Metrics>) -> HttpResponse {
    let accept = request.headers().get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_open = accept.contains("application/openmetrics-text");
    match metrics.render().await {
        Ok(text) if is_open => HttpResponse::Ok().content_type(OPEN_METRICS).body(text),
        Ok(text) => HttpResponse::Ok().content_type(PLAIN).body(plain(&text)),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// The same figures in the older format, which names counters with their `_total` and knows no units and no end.
fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 1024);
    let mut lines = open.lines().filter(|l| !l.starts_with("# UNIT") && *l != "# EOF").peekable();
    while let Some(line) = lines.next() {
        let is_counter = |line: &str| line.starts_with("# TYPE") && line.ends_with(" counter");
        let next_is_counter = lines.peek().is_some_and(|next| is_counter(next));
        let heads_counter = line.starts_with("# HELP") && next_is_counter || is_counter(line);
        match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            [mark, what, name, rest] if heads_counter => {
                text.extend([mark, " ", what, " ", name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_in_full_and_has_no_units() {
        let open = "# HELP a A thing.\n# TYPE a counter\na_total 1\n# HELP b_seconds B.\n# TYPE b_seconds gauge\n\
                    # UNIT b_seconds seconds\nb_seconds 2\n# EOF\n";
        let expected = "# HELP a_total A thing.\n# TYPE a_total counter\na_total 1\n# HELP b_seconds B.\n\
                        # TYPE b_seconds gauge\nb_seconds 2\n";
        assert_eq!(plain(open), expected);
    }
}
