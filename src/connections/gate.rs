//! The stream that the HTTP library reads from and writes to: it lets through what the [`Place`] allows.

use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::Connections;
use super::place::{Piece, Place};

/// What is read ahead at most.
const AHEAD: usize = 4 * 1024;
/// What the sender of a large head is told; the HTTP library has read nothing of a request yet.
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How long what still comes is thrown away behind our last answer: to close on it would reset the connection, and the
/// sender would lose the answer.
const LINGER: Duration = Duration::from_secs(2);
/// Pieces that are thrown away before others come to their turn.
const AT_ONCE: usize = 16;

/// A connection in its place.
pub(super) struct Gate {
    stream: TcpStream,
    all: Arc<Connections>,
    place: Arc<Place>,
    /// What was read and not handed on.
    ahead: Vec<u8>,
    is_over: bool,
    /// Set when everything is written.
    closing: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    pub fn new(stream: TcpStream, all: &Arc<Connections>) -> Self {
        let from = stream.peer_addr().ok().map(|peer| peer.ip());
        let place = all.admit(from);
        Self {
            stream,
            all: Arc::clone(all),
            place,
            ahead: Vec::new(),
            is_over: false,
            closing: None,
        }
    }

    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Reads ahead, also while nothing may be handed on: so the end of a connection is noticed.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = AHEAD - self.ahead.len().min(AHEAD);
        if self.is_over || room == 0 {
            return Poll::Pending;
        }
        let mut space = [MaybeUninit::<u8>::uninit(); AHEAD];
        let mut space = ReadBuf::uninit(&mut space[..room]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space))?;
        self.is_over = space.filled().is_empty();
        self.ahead.extend_from_slice(space.filled());
        Poll::Ready(Ok(()))
    }

    fn hand_on(&mut self, count: usize, into: &mut ReadBuf<'_>) {
        into.put_slice(&self.ahead[..count]);
        self.ahead.drain(..count);
        if self.ahead.is_empty() {
            self.ahead = Vec::new();
        }
    }

    fn refuse_head(&mut self) {
        // Who does not read it is not waited for.
        let _ = self.stream.try_write(TOO_LARGE);
        (self.ahead, self.is_over) = (Vec::new(), true);
    }

    /// Throws away what still comes, until the sender is done or its time is up.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.place.wait(cx.waker());
        let is_up =
            self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(cx).is_ready());
        if is_up || self.place.is_ended() {
            return Poll::Ready(());
        }
        for _ in 0..AT_ONCE {
            self.ahead.clear();
            if ready!(self.read_ahead(cx)).is_err() || self.is_over {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn check(&self) -> io::Result<()> {
        if self.place.is_ended() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        gate.check()?;
        if let Poll::Ready(Err(error)) = gate.read_ahead(cx) {
            return Poll::Ready(Err(error));
        }
        if gate.ahead.is_empty() {
            gate.place.wait(cx.waker());
            return if gate.is_over { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let there = gate.ahead.len().min(into.remaining());
        match gate.place.piece(&gate.ahead[..there], cx.waker()) {
            Piece::Bytes(count) => gate.hand_on(count, into),
            Piece::Later => return Poll::Pending,
            Piece::TooLarge => gate.refuse_head(),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        gate.check()?;
        let written = Pin::new(&mut gate.stream).poll_write(cx, bytes);
        if written.is_pending() {
            gate.place.wait(cx.waker());
            gate.place.is_unread();
        } else {
            gate.place.is_reading();
        }
        written
    }

    /// The library calls it when everything is written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        gate.check()?;
        gate.place.is_read();
        Pin::new(&mut gate.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.closing.is_none() {
            ready!(Pin::new(&mut gate.stream).poll_shutdown(cx))?;
            gate.closing = Some(Box::pin(sleep(LINGER)));
        }
        if !gate.is_over {
            ready!(gate.linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.all.leave(&self.place);
    }
}
