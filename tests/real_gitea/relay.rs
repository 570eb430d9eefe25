//! A server whose clock is off: passes everything on, and sets the `Date` of the answers.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const DATE: &[u8] = b"\r\nDate: ";
/// A day that is long gone, as long as every other date.
const LONG_AGO: &[u8] = b"Mon, 05 Jan 2015 10:00:00 GMT";

/// Stands in front of a server as long as it lives.
pub struct Relay {
    address: String,
    task: JoinHandle<()>,
}

impl Relay {
    /// Stands in front of the server at `url`.
    pub async fn start(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone()));
            }
        });
        Self { address, task }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, server: String) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut asks, mut hears) = client.into_split();
    let (mut answers, mut listens) = server.into_split();
    let there = async { drop(copy(&mut asks, &mut listens).await) };
    let back = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = answers.read(&mut buffer).await {
            set_date(&mut buffer[..read]);
            if hears.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! { () = there => {}, () = back => {} }
}

/// Go writes the head of a small answer at once, so a date is never cut in two.
fn set_date(bytes: &mut [u8]) {
    let lower = bytes.to_ascii_lowercase();
    let mark = DATE.to_ascii_lowercase();
    let Some(at) = lower.windows(mark.len()).position(|window| window == mark) else { return };
    let at = at + DATE.len();
    if let Some(date) = bytes.get_mut(at..at + LONG_AGO.len()) {
        date.copy_from_slice(LONG_AGO);
    }
}
