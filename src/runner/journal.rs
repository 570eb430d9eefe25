//! What is known of a run while it goes on: its last event, what was used, and its log, bounded and without secrets.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use regex::Regex;

use super::secrets::Secrets;
use crate::dispatch::run::{Heartbeat, LogChunk, MAX_LOG_CHUNK, RunEvent, Usage};
use crate::issue::{beginning, ending, is_invisible};

/// The longest line of the log, in bytes; a longer one is broken.
const LINE: usize = 4 * 1024;
/// How much of the log may wait to be sent, in bytes.
const WAITING: usize = 1024 * 1024;
/// How much of the log is sent of one lease, in bytes.
const WHOLE: usize = 32 * 1024 * 1024;
/// How much of the agent's last words is kept, in bytes.
const WORDS: usize = 8 * 1024;
/// The longest word about an event, in characters.
const DETAIL: usize = 120;

/// Sequences that a terminal obeys: colours and movements, titles and links, single ones.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static SEQUENCES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        "(?:\x1b\\[|\u{9b})[0-?]*[ -/]*[@-~]|(?:\x1b[\\]PX^_]|[\u{9d}\u{90}])[^\x07\x1b\u{9c}]*(?:\x07|\x1b\\\\|\u{9c}|$)|\x1b[ -/]*[0-~]",
    )
    .expect("a valid pattern")
});

/// Text as it may be shown: without what a terminal obeys, and without what nobody sees.
pub(super) fn plain(text: &str) -> String {
    let text = SEQUENCES.replace_all(text, "");
    text.chars()
        .filter(|c| matches!(c, '\n' | '\t') || !(c.is_control() || is_invisible(*c)))
        .collect()
}

#[derive(Default)]
struct State {
    event: Option<RunEvent>,
    detail: Option<String>,
    usage: Usage,
    /// The agent's own words since it last did something else.
    words: String,
    /// A line that is not whole yet.
    partial: String,
    waiting: String,
    sent: u64,
    noted: usize,
    dropped: usize,
}

/// The record of a run.
pub(super) struct Journal {
    secrets: Arc<Secrets>,
    state: Mutex<State>,
}

impl Journal {
    pub fn new(secrets: Arc<Secrets>) -> Self {
        Self { secrets, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Text of somebody else on one line, short enough for an event.
    fn short(&self, text: &str) -> String {
        let text = self.secrets.redact(&plain(text));
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(DETAIL).collect()
    }

    /// Something happened.
    pub fn event(&self, event: RunEvent, detail: &str) {
        let detail = self.short(detail);
        let mut state = self.state();
        if event != RunEvent::Message {
            self.flush(&mut state);
            tracing::debug!(%event, detail, "a run goes on");
            let line = format!("[{event}] {detail}");
            keep(&mut state, line.trim_end());
            state.words.clear();
        }
        state.event = Some(event);
        state.detail = Some(detail).filter(|detail| !detail.is_empty());
    }

    /// The agent said this; a text comes in pieces.
    pub fn said(&self, text: &str) {
        let mut state = self.state();
        state.words.push_str(text);
        cut_front(&mut state.words, WORDS);
        self.add(&mut state, text);
        drop(state);
        self.event(RunEvent::Message, text);
    }

    /// The agent, or a tool of it, printed this.
    pub fn log(&self, text: &str) {
        self.add(&mut self.state(), text);
    }

    /// The agent says what it used so far; what it does not say stays as it was.
    pub fn used(&self, usage: Usage) {
        let kept = &mut self.state().usage;
        kept.tokens = usage.tokens.or(kept.tokens);
        kept.cost = usage.cost.or(kept.cost);
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        self.state().usage
    }

    /// The agent's last words.
    pub fn words(&self) -> Option<String> {
        let words = self.secrets.redact(&plain(self.state().words.trim()));
        (!words.is_empty()).then_some(words)
    }

    /// A text of somebody else, without secrets and what a terminal obeys.
    pub fn clean(&self, text: &str) -> String {
        self.secrets.redact(&plain(text))
    }

    /// What the service is told in between.
    pub fn heartbeat(&self, epoch: u64) -> Heartbeat {
        let state = self.state();
        Heartbeat { epoch, event: state.event, detail: state.detail.clone(), usage: state.usage }
    }

    /// The next piece of the log; with `all`, the line that is not whole yet too.
    pub fn chunk(&self, epoch: u64, all: bool) -> Option<LogChunk> {
        let mut state = self.state();
        if all {
            self.flush(&mut state);
        }
        if state.waiting.is_empty() {
            return None;
        }
        let text = beginning(&state.waiting, MAX_LOG_CHUNK).to_owned();
        Some(LogChunk { epoch, offset: state.sent, text })
    }

    /// A piece has arrived.
    pub fn sent(&self, chunk: &LogChunk) {
        let mut state = self.state();
        if chunk.offset == state.sent {
            let length = chunk.text.len();
            state.waiting.drain(..length);
            state.sent += length as u64;
        }
    }

    fn add(&self, state: &mut State, text: &str) {
        for piece in text.split_inclusive('\n') {
            state.partial.push_str(piece);
            if piece.ends_with('\n') || state.partial.len() > LINE {
                self.flush(state);
            }
        }
    }

    fn flush(&self, state: &mut State) {
        let line = std::mem::take(&mut state.partial);
        let line = self.secrets.redact(&plain(beginning(&line, 4 * LINE)));
        if !line.trim().is_empty() {
            keep(state, line.trim_end());
        }
    }
}

/// Adds a line, unless there are too many.
fn keep(state: &mut State, line: &str) {
    let length = line.len() + 1;
    if state.waiting.len() + length > WAITING || state.noted + length > WHOLE {
        state.dropped += 1;
        return;
    }
    if state.dropped > 0 && state.noted + length <= WHOLE {
        let note = format!("[{} lines were left out]\n", std::mem::take(&mut state.dropped));
        state.waiting.push_str(&note);
    }
    state.noted += length;
    state.waiting.push_str(line);
    state.waiting.push('\n');
}

/// Leaves the last bytes of a text, at most so many, from the beginning of a character.
pub(super) fn cut_front(text: &mut String, most: usize) {
    text.drain(..text.len() - ending(text, most).len());
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn journal() -> Journal {
        Journal::new(Arc::new(Secrets::new([&SecretString::from("the-token-of-ours")])))
    }

    #[test]
    fn a_secret_in_pieces_and_what_a_terminal_obeys_are_not_in_the_log() {
        let journal = journal();
        for piece in ["\x1b[31mred\x1b[0m the-to", "ken-of-ours\x1b]0;own", "ed\x07\n", "end"] {
            journal.said(piece);
        }
        let chunk = journal.chunk(1, true).unwrap();
        assert_eq!(chunk.text, "red ***\nend\n");
        journal.sent(&chunk);
        assert_eq!(journal.chunk(1, true), None);
        assert_eq!(journal.words().unwrap(), "red ***\nend");
        assert_eq!(journal.heartbeat(3).event, Some(RunEvent::Message));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "éa".to_owned();
        cut_front(&mut text, 2);
        assert_eq!(text, "a");
    }

    #[test]
    fn a_flood_stays_within_its_bounds_and_says_what_is_missing() {
        let journal = journal();
        for _ in 0..WAITING / 64 {
            journal.log(&format!("{}\n", "x".repeat(127)));
        }
        let mut total = 0;
        while let Some(chunk) = journal.chunk(1, true) {
            assert!(chunk.text.len() <= MAX_LOG_CHUNK);
            assert_eq!(chunk.offset, total);
            total += chunk.text.len() as u64;
            journal.sent(&chunk);
        }
        assert!(total <= WAITING as u64);
        journal.log("after\n");
        let text = journal.chunk(1, true).unwrap().text;
        assert!(text.starts_with('[') && text.ends_with("lines were left out]\nafter\n"), "{text}");
    }
}
