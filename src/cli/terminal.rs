//! The one way to standard output and standard error. What others wrote (issues, models, agents, servers) may hold
//! characters that a terminal obeys or that hide what stands there; they come out as JSON's escapes, `\u001b`, whether
//! somebody looks on or the output goes to a file that is looked at later.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

/// Lines and indents, which are ours, stay; all else that is not seen as what it is does not.
fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // Direction marks, embeddings, overrides and isolates; line and paragraph separators.
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => true,
        // Invisible ones that no script needs to be read: zero-width space, word joiner and operators, tags, fillers.
        '\u{00ad}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' => true,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

/// A text as a terminal shows it and does not obey it. JSON stays JSON, and means the same: these characters stand only
/// within its texts.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.replace("\r\n", "\n").chars() {
        match is_hidden(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(shown, "\\u{unit:04x}");
            }),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Writes a line to standard output.
pub(super) fn out(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", visible(text))
}

/// The terminal's numbers of what is used here.
pub(super) const BOLD: u8 = 1;
pub(super) const RED: u8 = 31;
pub(super) const GREEN: u8 = 32;
pub(super) const YELLOW: u8 = 33;

/// A part of a line, and its colour where somebody looks on.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// What stands there.
    pub text: String,
    /// The terminal's number of its colour.
    pub colour: Option<u8>,
}

impl Piece {
    /// One without a colour.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), colour: None }
    }

    /// One with a colour.
    pub fn coloured(text: impl Into<String>, colour: u8) -> Self {
        Self { text: text.into(), colour: Some(colour) }
    }
}

/// Writes the parts of a line to standard output.
pub(super) fn out_pieces(pieces: &[Piece]) -> io::Result<()> {
    let is_plain = !is_coloured();
    let mut line = String::new();
    for Piece { text, colour } in pieces {
        let text = visible(text);
        let _ = match colour.filter(|_| !is_plain) {
            Some(colour) => write!(line, "\x1b[{colour}m{text}\x1b[0m"),
            None => write!(line, "{text}"),
        };
    }
    writeln!(io::stdout().lock(), "{line}")
}

/// Whether colours are wanted: somebody looks on, on a terminal that has them, and has not set `NO_COLOR`.
fn is_coloured() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !is_set("NO_COLOR") && !is_dumb && io::stdout().is_terminal()
}

/// How many columns the terminal has; `None` where nobody looks on.
pub(super) fn width() -> Option<usize> {
    let stdout = io::stdout();
    let size = rustix::termios::tcgetwinsize(&stdout).ok().filter(|_| stdout.is_terminal())?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Writes the beginning of a line, behind which somebody types.
pub(super) fn prompt(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{}", visible(text))?;
    out.flush()
}

/// Writes a line to standard error. Nothing is left to do when even that is closed.
pub(super) fn err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(text));
}

/// Shows how far something is on the line that is being written, where somebody looks on.
pub(super) fn progress(text: &str) {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\r{}\x1b[K", visible(text));
    }
}

/// Takes that line away again.
pub(super) fn clear_progress() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
}

/// Standard output in larger pieces, each text still made visible.
pub(super) struct Buffered(io::BufWriter<io::StdoutLock<'static>>);

impl Buffered {
    /// An empty one.
    pub fn new() -> Self {
        Self(io::BufWriter::new(io::stdout().lock()))
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.0, "{}", visible(text))
    }

    /// Writes out what is left.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Standard error for the log: its colours are kept, and nothing else that a terminal obeys. Each write is a whole line.
pub(super) struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        io::stderr().lock().write_all(visible_but_colours(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Escapes that choose a colour are the log's own: it has made those in its messages visible already.
fn visible_but_colours(line: &str) -> Cow<'_, str> {
    let mut pieces = line.split("\x1b[");
    let first = pieces.next().unwrap_or_default();
    let mut shown = visible(first);
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(piece.len());
        let is_colour = piece[end..].starts_with('m');
        let shown = shown.to_mut();
        shown.push_str(if is_colour { "\x1b[" } else { "\\u001b[" });
        shown.push_str(&visible(piece));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (hostile, shown) in [
            ("\x1b]0;owned\x07", "\\u001b]0;owned\\u0007"),
            ("\x1b[2J\x1b[1;1H", "\\u001b[2J\\u001b[1;1H"),
            ("\u{9b}31m\u{9d}8;;http://x\u{9c}", "\\u009b31m\\u009d8;;http://x\\u009c"),
            ("over\rwritten\u{8}\u{7f}", "over\\u000dwritten\\u0008\\u007f"),
            ("ad\u{202e}nimda\u{2066}x\u{200f}", "ad\\u202enimda\\u2066x\\u200f"),
            ("a\u{200b}b\u{feff}c\u{e0041}d\u{ad}e", "a\\u200bb\\ufeffc\\udb40\\udc41d\\u00ade"),
            ("two\r\nlines\tand\u{2028}one", "two\nlines\tand\\u2028one"),
        ] {
            assert_eq!(visible(hostile), shown);
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["é ß 漢字 שלום مرحبا नमस्ते", "👩‍👩‍👧 ✅ \\u001b", "a\n\tb"]
        {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({"title": "a\u{202e}b\u{9b}\u{e0041}\x1b\r\n"});
        let shown = visible(&value.to_string()).into_owned();
        assert!(shown.is_ascii());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_line_of_the_log_keeps_its_colours_and_nothing_else() {
        let line = "\x1b[2mnow\x1b[0m \x1b[33m WARN\x1b[0m a\u{202e}b\x1b]0;x\x07\x1b[2J\n";
        let shown =
            "\x1b[2mnow\x1b[0m \x1b[33m WARN\x1b[0m a\\u202eb\\u001b]0;x\\u0007\\u001b[2J\n";
        assert_eq!(visible_but_colours(line), shown);
        assert_eq!(visible_but_colours("plain\n"), "plain\n");
    }
}
