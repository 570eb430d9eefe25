//! One request and its answer: tells the [`Place`] what the handler wants, and when the next request may come.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::header::CONTENT_LENGTH;
use actix_http::{
    ConnectionType, HttpMessage as _, Method, Payload, Request, Response, StatusCode,
};
use bytes::Bytes;
use futures_util::Stream;

use super::Connections;
use super::place::{Length, Place};

/// A request that is answered; when it is dropped, the next one may come.
pub(super) struct Turn {
    place: Arc<Place>,
    is_delivery: bool,
    /// Whether something of the body was left unread.
    is_left: Rc<Cell<bool>>,
}

impl Turn {
    /// Begins with a request, whose body is now read as far as it is wanted.
    pub fn begin(request: &mut Request, place: &Arc<Place>, all: &Connections) -> Self {
        let is_left = Rc::new(Cell::new(false));
        let payload = request.take_payload();
        let body = matches!(payload, Payload::H1 { .. }).then(|| length(request));
        let head = request.head();
        let is_delivery =
            head.method == Method::POST && head.uri.path().trim_end_matches('/') == "/webhook";
        place.begin(all.proxies.sender(head.peer_addr, &head.headers), body);
        *request.payload() = if body.is_some() {
            is_left.set(true);
            let (place, is_left) = (Arc::clone(place), Rc::clone(&is_left));
            Payload::Stream { payload: Box::pin(Wanted { payload, place, is_left }) }
        } else {
            payload
        };
        Self { place: Arc::clone(place), is_delivery, is_left }
    }

    /// Ends with an answer. A connection is closed after a refusal and while places are short: with the answer, for
    /// whoever closes an idle one can lose a delivery that is on its way.
    pub fn end<B: MessageBody + 'static>(
        self,
        answer: Response<B>,
        all: &Connections,
    ) -> Response<Answer> {
        let status = answer.status();
        if self.is_delivery && status.is_success() {
            self.place.prove();
        }
        let closes = status.is_client_error() || self.is_left.get() || all.is_crowded();
        let mut answer = answer.map_body(|_, body| Answer { body: body.boxed(), _turn: self });
        if closes && status != StatusCode::SWITCHING_PROTOCOLS {
            answer.head_mut().set_connection_type(ConnectionType::Close);
        }
        answer
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.place.answered();
    }
}

fn length(request: &Request) -> Length {
    if request.chunked().unwrap_or(false) {
        return Length::Chunked;
    }
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    announced.map_or(Length::Open, Length::Known)
}

/// A body that is only read when somebody asks for it.
struct Wanted {
    payload: Payload,
    place: Arc<Place>,
    is_left: Rc<Cell<bool>>,
}

impl Stream for Wanted {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let wanted = self.get_mut();
        let next = Pin::new(&mut wanted.payload).poll_next(cx);
        match &next {
            Poll::Pending => wanted.place.want(),
            Poll::Ready(None) => {
                wanted.is_left.set(false);
                wanted.place.body_read();
            }
            Poll::Ready(Some(_)) => {}
        }
        next
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        if self.is_left.get() {
            self.place.body_dropped();
        }
    }
}

/// The body of an answer, and the turn it ends.
pub(super) struct Answer {
    body: BoxBody,
    _turn: Turn,
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.get_mut().body.as_pin_mut().poll_next(cx)
    }
}
