//! Reads an answer item by item while it comes in. What is not asked for is dropped on the way, so that a list of large
//! issues costs the memory of one of them. It knows no endpoint.

use std::fmt;
use std::io::{self, BufReader, Cursor, Read};
use std::marker::PhantomData;

use bytes::Bytes;
use reqwest::Response;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use tokio::sync::mpsc;

use super::error::{Call, Error};

/// Up to this length an answer is read whole: most are shorter, and a thread of its own costs more.
const SMALL: usize = 256 * 1024;
/// An answer of which this much came before the time was up is a large one, rather than the sign of an outage.
const LARGE: usize = 1024 * 1024;
/// How many pieces may wait for the reader.
const AHEAD: usize = 4;

/// Reads the items of a list, or the one object, of an answer of at most `limit` bytes. `keep` makes each into what is
/// wanted of it, if anything.
pub(super) async fn items<T, N>(
    call: &Call,
    mut response: Response,
    limit: usize,
    keep: impl FnMut(T) -> Result<Option<N>, String> + Send + 'static,
) -> Result<Vec<N>, Error>
where
    T: DeserializeOwned + 'static,
    N: Send + 'static,
{
    let mut head = Vec::new();
    while let Some(chunk) = next(call, &mut response, limit, head.len()).await? {
        head.extend_from_slice(&chunk);
        if head.len() > SMALL {
            return long(call, Begun { head, rest: response }, limit, keep).await;
        }
    }
    let json = &mut serde_json::Deserializer::from_slice(&head);
    parse(json, keep).map_err(|reason| Error::Malformed { call: call.clone(), reason })
}

/// An answer of which the first part has come.
struct Begun {
    head: Vec<u8>,
    rest: Response,
}

/// The same of an answer that is longer: a thread of its own reads it while the rest comes in.
async fn long<T, N>(
    call: &Call,
    Begun { head, rest: mut response }: Begun,
    limit: usize,
    keep: impl FnMut(T) -> Result<Option<N>, String> + Send + 'static,
) -> Result<Vec<N>, Error>
where
    T: DeserializeOwned + 'static,
    N: Send + 'static,
{
    let mut received = head.len();
    let (pieces, waiting) = mpsc::channel(AHEAD);
    let rest = Incoming { waiting, piece: Bytes::new() };
    let reader = BufReader::new(Cursor::new(head).chain(rest));
    let reading = tokio::task::spawn_blocking(move || {
        parse(&mut serde_json::Deserializer::from_reader(reader), keep)
    });
    while let Some(piece) = next(call, &mut response, limit, received).await? {
        received += piece.len();
        // Nobody reads on after what is no JSON.
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    drop(pieces);
    let read = reading.await.unwrap_or_else(|_| Err("it could not be read".to_owned()));
    read.map_err(|reason| Error::Malformed { call: call.clone(), reason })
}

/// The next piece of an answer of which so much has come.
async fn next(
    call: &Call,
    response: &mut Response,
    limit: usize,
    received: usize,
) -> Result<Option<Bytes>, Error> {
    let too_large = |limit| Error::TooLarge { call: call.clone(), limit };
    if received == 0 && response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    match response.chunk().await {
        Ok(Some(chunk)) if received + chunk.len() > limit => Err(too_large(limit)),
        Err(error) if error.is_timeout() && received > LARGE => Err(too_large(received)),
        chunk => chunk.map_err(|error| Error::unreachable(call, &error)),
    }
}

/// What has come of an answer, for a reader that waits for more.
struct Incoming {
    waiting: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.waiting.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let taken = self.piece.split_to(buffer.len().min(self.piece.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// The items that are kept, or what does not fit, without quoting it.
fn parse<'de, R, T, N>(
    json: &mut serde_json::Deserializer<R>,
    keep: impl FnMut(T) -> Result<Option<N>, String>,
) -> Result<Vec<N>, String>
where
    R: serde_json::de::Read<'de>,
    T: DeserializeOwned,
{
    let mut items = Items { keep, kept: Vec::new(), refused: None, of: PhantomData::<T> };
    let read = items.deserialize(&mut *json).and_then(|()| json.end());
    match (read, items.refused) {
        (Ok(()), _) => Ok(items.kept),
        (Err(_), Some(why)) => Err(why),
        // The error's own text may quote the answer, so only its place is kept.
        (Err(e), None) => Err(format!("at line {}, column {}", e.line(), e.column())),
    }
}

/// Takes one item after the other.
struct Items<T, N, K> {
    keep: K,
    kept: Vec<N>,
    /// Why an item could not be made into what is wanted.
    refused: Option<String>,
    of: PhantomData<T>,
}

impl<T, N, K: FnMut(T) -> Result<Option<N>, String>> Items<T, N, K> {
    fn take<E: serde::de::Error>(&mut self, item: T) -> Result<(), E> {
        match (self.keep)(item) {
            Ok(kept) => self.kept.extend(kept),
            Err(why) => {
                self.refused = Some(why);
                return Err(E::custom("an item does not fit"));
            }
        }
        Ok(())
    }
}

impl<'de, T, N, K> DeserializeSeed<'de> for &mut Items<T, N, K>
where
    T: DeserializeOwned,
    K: FnMut(T) -> Result<Option<N>, String>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, T, N, K> Visitor<'de> for &mut Items<T, N, K>
where
    T: DeserializeOwned,
    K: FnMut(T) -> Result<Option<N>, String>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element()? {
            self.take(item)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        let item = T::deserialize(MapAccessDeserializer::new(object))?;
        self.take(item)
    }

    /// Gitea writes some empty lists as `null`.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Numbered {
        number: u64,
    }

    fn numbers(text: &str) -> Result<Vec<u64>, String> {
        let odd = |n: Numbered| match n.number {
            0 => Err("a zero".to_owned()),
            n => Ok((n % 2 == 1).then_some(n)),
        };
        let reader = BufReader::new(text.as_bytes());
        let streamed = parse(&mut serde_json::Deserializer::from_reader(reader), odd);
        let whole = parse(&mut serde_json::Deserializer::from_slice(text.as_bytes()), odd);
        assert_eq!(streamed.is_ok(), whole.is_ok());
        whole
    }

    #[test]
    fn only_what_is_wanted_of_a_list_is_kept() {
        let list =
            r#"[{"number": 1, "body": "long"}, {"number": 2}, {"number": 3, "a": {"b": []}}]"#;
        assert_eq!(numbers(list), Ok(vec![1, 3]));
        assert_eq!(numbers(r#"{"number": 5, "body": "long"}"#), Ok(vec![5]));
        assert_eq!(numbers("null"), Ok(vec![]));
        assert_eq!(numbers("[]"), Ok(vec![]));
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_no_list() {
        for text in [r#"[{"number": 1}"#, r#"[{"number": 1}] x"#, "", "<html>", "3", r#"["x"]"#] {
            let why = numbers(text).unwrap_err();
            assert!(why.starts_with("at line"), "{text}: {why}");
        }
        assert_eq!(numbers(r#"[{"number": 0}]"#), Err("a zero".to_owned()));
    }
}
