//! Asks the running service, on the address it listens on, whether it is alive and whom it has turned away.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Shorter than the patience of those who ask: Docker's default is 30 s, ours in the image 3 s.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The counter of answers, as `/metrics` shows it.
const ANSWERS: &str = "gitea_triage_deliveries_total{answer=\"";
/// Answers that are no refusal.
const TAKEN: [&str; 3] = ["accepted", "duplicate", "probe"];

/// The service of this configuration, as seen from the same machine.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where it is asked.
    pub address: String,
    http: reqwest::Client,
}

/// Where a service that listens on `listen` is reached from the same machine: an address that means all of them is
/// none to connect to.
pub fn local_address(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(all)) if all.ip().is_unspecified() => format!("127.0.0.1:{}", all.port()),
        Ok(SocketAddr::V6(all)) if all.ip().is_unspecified() => format!("[::1]:{}", all.port()),
        _ => listen.to_owned(),
    }
}

impl Receiver {
    /// The service that listens on `listen`; nothing is sent yet.
    pub fn new(listen: &str) -> Result<Self, reqwest::Error> {
        // Fails only when the program has chosen a provider already, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).tls_certs_only([]);
        Ok(Self { address: format!("http://{}", local_address(listen)), http: http.build()? })
    }

    /// Status and text of one of its pages.
    pub async fn get(&self, page: &str) -> Result<(u16, String), reqwest::Error> {
        let answer = self.http.get(format!("{}/{page}", self.address)).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await?))
    }

    /// How often it has turned requests away, by why; nothing when it does not say.
    pub async fn refused(&self) -> BTreeMap<String, u64> {
        match self.get("metrics").await {
            Ok((200, text)) => refused(&text),
            _ => BTreeMap::new(),
        }
    }
}

fn refused(metrics: &str) -> BTreeMap<String, u64> {
    let row = |line: &str| {
        let (answer, count) = line.strip_prefix(ANSWERS)?.split_once("\"} ")?;
        Some((answer.to_owned(), count.trim().parse().ok()?))
    };
    let rows = metrics.lines().filter_map(row);
    rows.filter(|(answer, _)| !TAKEN.contains(&answer.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_asked_on_loopback() {
        assert_eq!(local_address("0.0.0.0:8484"), "127.0.0.1:8484");
        assert_eq!(local_address("[::]:8484"), "[::1]:8484");
        assert_eq!(local_address("10.0.0.7:80"), "10.0.0.7:80");
        assert_eq!(local_address("localhost:80"), "localhost:80");
    }

    #[test]
    fn refusals_are_read_from_the_metrics() {
        let text = "# TYPE gitea_triage_deliveries_total counter\n\
                    gitea_triage_deliveries_total{answer=\"accepted\"} 7\n\
                    gitea_triage_deliveries_total{answer=\"signature_mismatch\"} 3\n\
                    gitea_triage_other_total{answer=\"signature_empty\"} 9\n";
        let expected = BTreeMap::from([("signature_mismatch".to_owned(), 3)]);
        assert_eq!(refused(text), expected);
    }
}
