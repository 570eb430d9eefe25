//! The stream that the HTTP library reads from and writes to: it lets through what the [`Place`] allows.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Connections;
use super::place::{Piece, Place};

/// What is read ahead at most.
const AHEAD: usize = 4 * 1024;
/// What the sender of a large head is told; the HTTP library has read nothing of a request yet.
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A connection in its place.
pub(super) struct Gate {
    stream: TcpStream,
    all: Arc<Connections>,
    place: Arc<Place>,
    /// What was read and not handed on.
    ahead: Vec<u8>,
    is_over: bool,
}

impl Gate {
    pub fn new(stream: TcpStream, all: &Arc<Connections>) -> Self {
        let from = stream.peer_addr().ok().map(|peer| peer.ip());
        let place = all.admit(from);
        Self { stream, all: Arc::clone(all), place, ahead: Vec::new(), is_over: false }
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
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.all.leave(&self.place);
    }
}
