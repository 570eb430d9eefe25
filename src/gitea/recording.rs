//! A recorded delivery: a `.http` file of request line, headers, blank line and the exact bytes of the body.
//! It reads; what the bytes mean is for [`super::Verifier`] and [`super::parse`].

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// One recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The method of the request line.
    pub method: String,
    /// The path of the request line.
    pub path: String,
    /// Names as written and values without surrounding blanks, in the file's order.
    pub headers: Vec<(String, String)>,
    /// Everything after the blank line, to the end of the file, byte for byte.
    pub body: Bytes,
}

/// Why a file is no recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// The file holds nothing.
    #[error("the file is empty; expected a request line such as `POST /webhook HTTP/1.1`")]
    Empty,
    /// The first line is not `METHOD PATH VERSION`.
    #[error("line 1 is no request line; expected one such as `POST /webhook HTTP/1.1`")]
    RequestLine,
    /// A line of the head is no header.
    #[error("line {line} is no header; expected `Name: value`, or an empty line before the body")]
    Header {
        /// The line's number, from 1.
        line: usize,
    },
    /// A line of the head is not UTF-8.
    #[error("line {line} of the head is not UTF-8")]
    NotText {
        /// The line's number, from 1.
        line: usize,
    },
    /// The head never ends.
    #[error("there is no empty line between the headers and the body")]
    NoBlankLine,
}

impl Recording {
    /// A delivery as Gitea would send this body, signed with `secret`; `None` when nobody can sign with it.
    pub fn signed(id: &str, event: &str, body: Bytes, secret: &SecretString) -> Option<Self> {
        let key = secret.expose_secret().as_bytes();
        let mac = Hmac::<Sha256>::new_from_slice(key).ok().filter(|_| !key.is_empty())?;
        let signature = hex::encode(mac.chain_update(&body).finalize().into_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Gitea-Delivery", id),
            ("X-Gitea-Event", event),
            ("X-Gitea-Signature", &signature),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Some(Self { method: "POST".to_owned(), path: "/webhook".to_owned(), headers, body })
    }

    /// Whether a Forgejo sent it: only that puts its own name into the headers, beside Gitea's.
    pub fn is_of_forgejo(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.to_lowercase().starts_with("x-forgejo-"))
    }

    /// The file [`Recording::read`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\n"));
        }
        [head.as_bytes(), b"\n", &self.body].concat()
    }

    /// The recording in a file's bytes. The body is not copied.
    pub fn read(file: impl Into<Bytes>) -> Result<Self, RecordingError> {
        let file = file.into();
        if file.is_empty() {
            return Err(RecordingError::Empty);
        }
        let mut rest = file.clone();
        let (method, path) = request_line(&next_line(&mut rest, 1)?)?;
        let mut headers = Vec::new();
        for number in 2.. {
            let line = next_line(&mut rest, number)?;
            if line.is_empty() {
                break;
            }
            headers.push(header(&line, number)?);
        }
        Ok(Self { method, path, headers, body: rest })
    }
}

/// Cuts one line off, whether it ends in LF or CRLF: an editor may have changed the head, and only the body is signed.
fn next_line(rest: &mut Bytes, number: usize) -> Result<String, RecordingError> {
    let end = rest.iter().position(|b| *b == b'\n').ok_or(match number {
        1 => RecordingError::RequestLine,
        _ => RecordingError::NoBlankLine,
    })?;
    let line = rest.split_to(end + 1);
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8(line.to_vec()).map_err(|_| RecordingError::NotText { line: number })
}

fn request_line(line: &str) -> Result<(String, String), RecordingError> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(path), Some(version), None) if version.starts_with("HTTP/") => {
            Ok((method.to_owned(), path.to_owned()))
        }
        _ => Err(RecordingError::RequestLine),
    }
}

fn header(line: &str, number: usize) -> Result<(String, String), RecordingError> {
    let (name, value) = line.split_once(':').ok_or(RecordingError::Header { line: number })?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(RecordingError::Header { line: number });
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_kept_to_the_last_byte_whatever_ends_the_heads_lines() {
        for head in ["POST /webhook HTTP/1.1\nA: b\n\n", "POST /webhook HTTP/1.1\r\nA:b\r\n\r\n"] {
            let mut file = head.as_bytes().to_vec();
            file.extend(b"{\r\n\xff}\n\n");
            let recording = Recording::read(file).unwrap();
            assert_eq!(recording.headers, [("A".to_owned(), "b".to_owned())]);
            assert_eq!(&recording.body[..], b"{\r\n\xff}\n\n");
            assert_eq!((&*recording.method, &*recording.path), ("POST", "/webhook"));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let body = Bytes::from_static(b"{\r\n\xff}\n");
        let written = Recording::signed("1", "issues", body, &"s".into()).unwrap();
        assert_eq!(Recording::read(written.to_bytes()), Ok(written));
        assert_eq!(Recording::signed("1", "issues", Bytes::new(), &"".into()), None);
    }

    #[test]
    fn a_broken_file_is_told_what_is_wrong() {
        let broken = |file: &'static str| Recording::read(file).unwrap_err();
        assert_eq!(broken(""), RecordingError::Empty);
        assert_eq!(broken("{}"), RecordingError::RequestLine);
        assert_eq!(broken("\n\n{}"), RecordingError::RequestLine);
        assert_eq!(broken("POST / HTTP/1.1\nnonsense\n\n"), RecordingError::Header { line: 2 });
        assert_eq!(broken("POST / HTTP/1.1\nA: b\n{}"), RecordingError::NoBlankLine);
        assert_eq!(broken("POST / HTTP/1.1\nA: b\n"), RecordingError::NoBlankLine);
    }
}
