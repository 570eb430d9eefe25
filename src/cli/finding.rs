//! One line of `check`, `runner check` and `init`: how a thing is, which one, what was seen, and below it what to do.

use super::table::wrapped;
use super::terminal::{self, GREEN, Piece, RED, YELLOW};
use super::{Failure, print_json};
use crate::check::{Level, Line};

/// Shows lines as soon as they are known, and knows how bad the worst is.
pub(super) struct Findings {
    json: bool,
    worst: Level,
    printed: Result<(), Failure>,
}

impl Findings {
    /// Nothing was seen so far.
    pub fn new(json: bool) -> Self {
        Self { json, worst: Level::Green, printed: Ok(()) }
    }

    /// One more.
    pub fn take(&mut self, line: Line) {
        self.worst = self.worst.max(line.level);
        if self.printed.is_ok() {
            self.printed = if self.json { print_json(&line) } else { out_line(&line) };
        }
    }

    /// How bad the worst is.
    ///
    /// # Errors
    /// When a line could not be shown.
    pub fn end(self) -> Result<Level, Failure> {
        self.printed.map(|()| self.worst)
    }
}

/// Where what was seen begins.
const INDENT: usize = 22;

/// Shows a line of `check`.
fn out_line(line: &Line) -> Result<(), Failure> {
    let about = if line.about.is_empty() { String::new() } else { format!("{}: ", line.about) };
    out(line.level, line.check, &format!("{about}{}", line.said), line.cure.as_deref())
}

/// Shows a finding; `cure` says what to do.
pub(super) fn out(
    level: Level,
    about: &str,
    said: &str,
    cure: Option<&str>,
) -> Result<(), Failure> {
    let room = terminal::width().unwrap_or(usize::MAX);
    let colour = match level {
        Level::Green => GREEN,
        Level::Yellow => YELLOW,
        Level::Red => RED,
    };
    let said = wrapped(said, INDENT, room);
    let first = format!(" {about:<14} {}", said.trim_start());
    let word = Piece::coloured(format!("{:<6}", level.as_str()), colour);
    terminal::out_pieces(&[word, Piece::plain(first.trim_end())])?;
    match cure {
        Some(cure) => Ok(terminal::out(&wrapped(cure, INDENT, room))?),
        None => Ok(()),
    }
}
