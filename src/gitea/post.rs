//! Sends a recorded delivery to a receiver, as Gitea did: the same headers, the same bytes.

use super::Recording;

/// What belongs to the connection it was recorded on, and is made anew on ours.
const OF_THE_CONNECTION: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

/// Posts the recording to `url`; the status and the text of the answer. Redirects are not followed.
///
/// # Errors
/// When no answer comes.
pub async fn post(url: &str, recording: &Recording) -> Result<(u16, String), reqwest::Error> {
    // Fails only when the program has chosen a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let mut request = http.post(url).body(recording.body.clone());
    for (name, value) in &recording.headers {
        if !OF_THE_CONNECTION.contains(&name.to_ascii_lowercase().as_str()) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await?))
}
