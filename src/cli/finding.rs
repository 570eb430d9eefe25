//! One line of `check`, `runner check` and `init`: how a thing is, which one, what was seen, and below it what to do.

use super::Failure;
use super::table::wrapped;
use super::terminal::{self, GREEN, Piece, RED, YELLOW};
use crate::check::{Level, Line};

/// Where what was seen begins.
const INDENT: usize = 22;

/// Shows a line of `check`.
pub(super) fn out_line(line: &Line) -> Result<(), Failure> {
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
