//! One kept connection: a request at a time out, its answer in. It knows as much of HTTP as the answers of the
//! receivers need, and no more.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// A connection, idle or with one request on its way.
pub struct Connection {
    stream: TcpStream,
    /// The request being sent.
    pub request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    /// When the request on its way was to be sent; `None` while idle.
    pub planned: Option<Instant>,
}

/// How an exchange stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The request does not fit into the socket yet.
    Writing,
    /// The answer is not complete yet.
    Reading,
    /// Answered with this status; `keeps` says whether the connection can be used again.
    Answered { status: u16, keeps: bool },
    /// The connection ended before the answer did.
    Broken,
}

impl Connection {
    pub fn open(to: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, request: Vec::new(), sent: 0, answer: Vec::new(), planned: None })
    }

    /// The socket, to be waited for.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Begins to send what stands in `request`.
    pub fn begin(&mut self, planned: Instant) -> Progress {
        self.planned = Some(planned);
        self.sent = 0;
        self.answer.clear();
        self.write()
    }

    /// Sends on.
    pub fn write(&mut self) -> Progress {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(0) => return Progress::Broken,
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Writing,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Broken,
            }
        }
        Progress::Reading
    }

    /// Reads what has come.
    pub fn read(&mut self) -> Progress {
        let mut chunk = [0; 8192];
        match self.stream.read(&mut chunk) {
            Ok(0) => Progress::Broken,
            Ok(n) => {
                self.answer.extend_from_slice(&chunk[..n]);
                complete(&self.answer).unwrap_or(Progress::Reading)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Progress::Reading,
            Err(error) if error.kind() == ErrorKind::Interrupted => Progress::Reading,
            Err(_) => Progress::Broken,
        }
    }
}

/// The answer, once all of it is there. Only one is ever awaited, so nothing follows its end.
fn complete(answer: &[u8]) -> Option<Progress> {
    let head_len = answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..head_len]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let body = &answer[head_len..];
    let is_whole = match header(head, "content-length").and_then(|v| v.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None if header(head, "transfer-encoding").is_some() => body.ends_with(b"0\r\n\r\n"),
        None => true,
    };
    let keeps = !header(head, "connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
    is_whole.then_some(Progress::Answered { status, keeps })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(answer: &str, expected: Option<(u16, bool)>) {
        let expected = expected.map(|(status, keeps)| Progress::Answered { status, keeps });
        assert_eq!(complete(answer.as_bytes()), expected);
    }

    #[test]
    fn an_answer_is_taken_when_all_of_it_is_there() {
        reads("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok", Some((202, true)));
        reads("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\no", None);
        reads("HTTP/1.1 204 No Content\r\n\r\n", Some((204, true)));
        reads(
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\ncontent-length: 0\r\n\r\n",
            Some((401, false)),
        );
        reads("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", None);
        reads(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            Some((200, true)),
        );
        reads("HTTP/1.1 20", None);
    }
}
