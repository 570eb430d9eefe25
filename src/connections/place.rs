//! One connection: whose turn it is, how much of what was sent may be handed on, and since when we wait for its sender.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// The largest head of a request. Gitea's are below 2 KiB; proxies pass 8 KiB of a browser's.
const MAX_HEAD: usize = 16 * 1024;
/// How long a head may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long a body may take; the handlers of deliveries and reports say so themselves before.
const BODY: Duration = Duration::from_secs(22);
/// How long a sender may read nothing of an answer, and how long reading it may take.
const UNREAD: Duration = Duration::from_secs(30);
const READING: Duration = Duration::from_secs(600);
/// How long a connection may be idle; the HTTP library closes it before.
const IDLE: Duration = Duration::from_secs(100);

/// Where a connection stands; it is read and changed by the thread that serves it, and ended by any.
#[derive(Debug)]
pub(super) struct Place {
    pub id: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    step: Step,
    /// Since when this step is taken.
    since: Instant,
    /// What is written waits for the sender.
    unread: Option<Unread>,
    /// A piece was just handed on: the next one comes after it was looked at.
    rests: bool,
    blank: Blank,
    waker: Option<Waker>,
    from: Option<IpAddr>,
    is_proven: bool,
    is_ended: bool,
}

/// Since when a sender has not read all, and since when it has read nothing.
#[derive(Clone, Copy, Debug)]
struct Unread {
    all: Instant,
    any: Instant,
}

/// What comes next.
#[derive(Debug)]
enum Step {
    /// A request.
    Idle,
    /// The rest of a head of which so much is there.
    Head(usize),
    /// The rest of a body.
    Body { length: Length, is_wanted: bool },
    /// Our answer.
    Answer,
    /// The rest of a body that nobody wants any more; the connection is closed behind our answer.
    Unwanted { length: Length, is_answered: bool },
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// So many bytes are missing.
    Known(u64),
    /// It ends with an empty line, or later.
    Chunked,
    /// With the connection.
    Open,
}

/// What may be handed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many of the bytes that are there.
    Bytes(usize),
    /// Nothing now.
    Later,
    /// The head is too large.
    TooLarge,
}

/// Finds the end of an empty line, whether lines end with LF or CR LF: nothing that HTTP calls a head, and no chunked
/// body, goes on behind one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Blank {
    #[default]
    Text,
    Lf,
    LfCr,
}

/// What counts when places are short.
pub(super) struct Standing {
    pub from: Option<IpAddr>,
    pub is_proven: bool,
    /// Since when we wait for the sender; `None` while an answer is made.
    pub waits_since: Option<Instant>,
}

impl Place {
    pub fn new(id: u64, from: Option<IpAddr>) -> Self {
        let state = State {
            step: Step::Idle,
            since: Instant::now(),
            unread: None,
            rests: false,
            blank: Blank::default(),
            waker: None,
            from,
            is_proven: false,
            is_ended: false,
        };
        Self { id, state: Mutex::new(state) }
    }

    /// How much of `bytes` may be handed on; when nothing, `waker` is woken when that changes.
    pub fn piece(&self, bytes: &[u8], waker: &Waker) -> Piece {
        self.state().piece(bytes, waker)
    }

    /// Wakes `waker` when the connection is ended.
    pub fn wait(&self, waker: &Waker) {
        self.state().keep(waker);
    }

    /// A request begins, from this address; its body is still to come when it has a length.
    pub fn begin(&self, from: Option<IpAddr>, body: Option<Length>) {
        let mut state = self.state();
        state.from = from;
        state.enter(match body {
            None | Some(Length::Known(0)) => Step::Answer,
            Some(length) => Step::Body { length, is_wanted: false },
        });
    }

    /// The handler wants more of the body.
    pub fn want(&self) {
        let mut state = self.state();
        if let Step::Body { is_wanted, .. } = &mut state.step
            && !std::mem::replace(is_wanted, true)
        {
            state.wake();
        }
    }

    /// The handler has the whole body.
    pub fn body_read(&self) {
        let mut state = self.state();
        if matches!(state.step, Step::Body { .. }) {
            state.enter(Step::Answer);
        }
    }

    /// The handler wants nothing more of the body.
    pub fn body_dropped(&self) {
        let mut state = self.state();
        if let Step::Body { length, .. } = state.step {
            state.enter(Step::Unwanted { length, is_answered: false });
        }
    }

    /// The answer is made; what is left of it waits to be sent.
    pub fn answered(&self) {
        let mut state = self.state();
        match &mut state.step {
            Step::Unwanted { is_answered, .. } => *is_answered = true,
            _ => state.enter(Step::Idle),
        }
        state.wake();
    }

    /// The sender has brought a genuine delivery.
    pub fn prove(&self) {
        self.state().is_proven = true;
    }

    /// The sender does not take what is written to it.
    pub fn is_unread(&self) {
        let now = Instant::now();
        self.state().unread.get_or_insert(Unread { all: now, any: now });
    }

    /// The sender has taken a part of it.
    pub fn is_reading(&self) {
        if let Some(unread) = &mut self.state().unread {
            unread.any = Instant::now();
        }
    }

    /// The sender has taken all.
    pub fn is_read(&self) {
        let mut state = self.state();
        if state.unread.take().is_some() {
            state.wake();
        }
    }

    /// Closes the connection.
    pub fn end(&self) {
        let mut state = self.state();
        state.is_ended = true;
        state.wake();
    }

    pub fn is_ended(&self) -> bool {
        self.state().is_ended
    }

    pub fn standing(&self) -> Standing {
        let state = self.state();
        let is_ours = matches!(state.step, Step::Answer);
        let unread = state.unread.map(|unread| unread.all);
        let waits_since = unread.or((!is_ours).then_some(state.since));
        Standing { from: state.from, is_proven: state.is_proven, waits_since }
    }

    /// Since when a body is on its way.
    pub fn body_since(&self) -> Option<Instant> {
        let state = self.state();
        matches!(state.step, Step::Body { .. }).then_some(state.since)
    }

    /// Whether its sender takes longer than anybody may.
    pub fn is_late(&self, now: Instant) -> bool {
        let state = self.state();
        let limit = match state.step {
            Step::Idle => Some(IDLE),
            Step::Head(_) | Step::Unwanted { .. } => Some(HEAD),
            Step::Body { .. } => Some(BODY),
            Step::Answer => None,
        };
        let is_past = |since: Instant, limit| now.saturating_duration_since(since) > limit;
        limit.is_some_and(|limit| is_past(state.since, limit))
            || state.unread.is_some_and(|u| is_past(u.any, UNREAD) || is_past(u.all, READING))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn piece(&mut self, bytes: &[u8], waker: &Waker) -> Piece {
        self.keep(waker);
        if std::mem::take(&mut self.rests) {
            waker.wake_by_ref();
            return Piece::Later;
        }
        match self.step {
            // Nobody is served on who does not read what was answered.
            Step::Idle | Step::Head(_) if self.unread.is_some() => Piece::Later,
            Step::Idle => {
                self.enter(Step::Head(0));
                self.head(0, bytes)
            }
            Step::Head(so_far) => self.head(so_far, bytes),
            Step::Body { is_wanted: false, .. }
            | Step::Answer
            | Step::Unwanted { is_answered: false, .. } => Piece::Later,
            Step::Body { length, is_wanted: true } => self.body(length, bytes),
            Step::Unwanted { length, .. } => self.unwanted(length, bytes),
        }
    }

    fn head(&mut self, so_far: usize, bytes: &[u8]) -> Piece {
        let count = self.up_to_blank(bytes);
        self.step = Step::Head(so_far + count);
        self.rests = true;
        if so_far + count > MAX_HEAD { Piece::TooLarge } else { Piece::Bytes(count) }
    }

    /// Lets the rest of a body be thrown away, so that its sender comes to read the answer; nothing behind it.
    fn unwanted(&mut self, length: Length, bytes: &[u8]) -> Piece {
        let Length::Known(left) = length else {
            self.rests = true;
            return Piece::Bytes(self.up_to_blank(bytes));
        };
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let length = Length::Known(left - count as u64);
        self.step = Step::Unwanted { length, is_answered: true };
        if count == 0 { Piece::Later } else { Piece::Bytes(count) }
    }

    fn up_to_blank(&mut self, bytes: &[u8]) -> usize {
        let end = bytes.iter().position(|byte| self.blank.is_ended_by(*byte));
        end.map_or(bytes.len(), |end| end + 1)
    }

    fn body(&mut self, length: Length, bytes: &[u8]) -> Piece {
        let (count, length) = match length {
            Length::Known(left) => {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                (count, Length::Known(left - count as u64))
            }
            Length::Chunked => (self.up_to_blank(bytes), length),
            Length::Open => (bytes.len(), length),
        };
        if matches!(length, Length::Known(0)) {
            self.enter(Step::Answer);
        } else {
            self.step = Step::Body { length, is_wanted: false };
        }
        Piece::Bytes(count)
    }

    fn enter(&mut self, step: Step) {
        (self.step, self.since, self.blank) = (step, Instant::now(), Blank::default());
    }

    fn keep(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl Blank {
    /// Whether `byte` ends an empty line; a new search begins then.
    fn is_ended_by(&mut self, byte: u8) -> bool {
        let is_end = byte == b'\n' && *self != Self::Text;
        *self = match (byte, *self) {
            (b'\n', Self::Text) => Self::Lf,
            (b'\r', Self::Lf) => Self::LfCr,
            _ => Self::Text,
        };
        is_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(place: &Place, mut bytes: &[u8]) -> Vec<usize> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            match place.piece(bytes, Waker::noop()) {
                Piece::Bytes(count) => {
                    pieces.push(count);
                    bytes = &bytes[count..];
                    // The library looks at each before it asks for the next one.
                    assert!(bytes.is_empty() || place.piece(bytes, Waker::noop()) == Piece::Later);
                }
                _ => break,
            }
        }
        pieces
    }

    #[test]
    fn heads_are_handed_on_one_by_one_whatever_their_lines_end_with() {
        let place = Place::new(1, None);
        assert_eq!(pieces(&place, b"GET / A\r\nx: y\r\n\r\nGET"), [17, 3]);
        let place = Place::new(1, None);
        assert_eq!(pieces(&place, b"GET / A\nx: y\n\nGET / A\n\r\n"), [14, 10]);
    }

    #[test]
    fn nothing_is_handed_on_while_an_answer_is_made_or_left_unread() {
        let place = Place::new(1, None);
        place.begin(None, None);
        assert_eq!(pieces(&place, b"GET / A\r\n\r\n"), [0; 0]);
        place.is_unread();
        place.answered();
        assert_eq!(pieces(&place, b"GET / A\r\n\r\n"), [0; 0]);
        place.is_read();
        assert_eq!(pieces(&place, b"GET / A\r\n\r\n"), [11]);
    }

    #[test]
    fn a_body_is_handed_on_as_far_as_it_is_wanted_and_not_beyond_its_end() {
        let place = Place::new(1, None);
        place.begin(None, Some(Length::Known(4)));
        assert_eq!(pieces(&place, b"bodyGET"), [0; 0]);
        place.want();
        assert_eq!(pieces(&place, b"bodyGET"), [4]);
        let place = Place::new(1, None);
        place.begin(None, Some(Length::Chunked));
        place.want();
        assert_eq!(pieces(&place, b"0\r\n\r\nGET"), [5]);
    }

    #[test]
    fn an_unwanted_body_is_let_through_behind_the_answer_and_nothing_after_it() {
        let place = Place::new(1, None);
        place.begin(None, Some(Length::Known(4)));
        place.body_dropped();
        assert_eq!(place.piece(b"bodyGET", Waker::noop()), Piece::Later);
        place.answered();
        assert_eq!(place.piece(b"bodyGET", Waker::noop()), Piece::Bytes(4));
        assert_eq!(place.piece(b"GET", Waker::noop()), Piece::Later);
    }

    #[test]
    fn a_head_has_a_largest_size() {
        let place = Place::new(1, None);
        assert_eq!(place.piece(&[b'x'; MAX_HEAD], Waker::noop()), Piece::Bytes(MAX_HEAD));
        assert_eq!(place.piece(b"x", Waker::noop()), Piece::Later);
        assert_eq!(place.piece(b"x", Waker::noop()), Piece::TooLarge);
    }

    #[test]
    fn whoever_takes_too_long_is_late_and_an_answer_of_ours_never_is() {
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        let place = Place::new(1, None);
        place.piece(b"GET", Waker::noop());
        assert!(!place.is_late(later(9)) && place.is_late(later(11)));
        place.begin(None, Some(Length::Known(4)));
        assert!(!place.is_late(later(20)) && place.is_late(later(23)));
        place.body_read();
        assert!(!place.is_late(later(9_999)));
        place.is_unread();
        assert!(!place.is_late(later(29)) && place.is_late(later(31)));
    }
}
