//! Lines of an output that may hold anything: each is read up to a limit, and what is longer is dropped to its end.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::issue::beginning;
use crate::runner::journal::{Journal, cut_front};

/// The last lines that are kept for a message, in bytes.
const LAST: usize = 2 * 1024;

/// One line without its end, or the beginning of one that is too long.
pub(super) struct Line {
    pub bytes: Vec<u8>,
    pub is_whole: bool,
}

/// Reads lines of at most so many bytes.
pub(super) struct Lines<R> {
    from: BufReader<R>,
    most: usize,
    line: Vec<u8>,
    is_cut: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub fn new(from: R, most: usize) -> Self {
        Self {
            from: BufReader::with_capacity(64 * 1024, from),
            most,
            line: Vec::new(),
            is_cut: false,
        }
    }

    /// The next line; `None` at the end. Nothing is lost when the wait for it is given up.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let found = self.from.fill_buf().await?;
            if found.is_empty() {
                let is_over = self.line.is_empty() && !self.is_cut;
                return Ok((!is_over).then(|| self.line()));
            }
            let end = found.iter().position(|byte| *byte == b'\n');
            let piece = &found[..end.unwrap_or(found.len())];
            let room = self.most - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            self.is_cut |= piece.len() > room;
            let used = piece.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                return Ok(Some(self.line()));
            }
        }
    }

    fn line(&mut self) -> Line {
        let is_whole = !std::mem::take(&mut self.is_cut);
        Line { bytes: std::mem::take(&mut self.line), is_whole }
    }
}

/// The last lines of an output, for a message about how it ended.
#[derive(Default)]
pub(super) struct Last(std::sync::Mutex<String>);

impl Last {
    pub fn add(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        text.push_str(beginning(line, LAST));
        text.push('\n');
        cut_front(&mut text, LAST);
    }

    /// Them, behind a colon; nothing when there are none.
    pub fn said(&self, journal: &Journal) -> String {
        let text = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match journal.clean(text.trim()) {
            text if text.is_empty() => String::new(),
            text => format!(": {text}"),
        }
    }
}

/// Reads what a program complains about into the log, to its end.
pub(super) async fn listen<R: AsyncRead + Unpin>(from: R, journal: &Journal, last: &Last) {
    let mut lines = Lines::new(from, 16 * 1024);
    while let Ok(Some(line)) = lines.next().await {
        let text = String::from_utf8_lossy(&line.bytes);
        journal.log(&format!("{text}\n"));
        last.add(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let mut lines = Lines::new(&b"short\nmuch too long\n\nend"[..], 6);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push((String::from_utf8(line.bytes).unwrap(), line.is_whole));
        }
        let expected = [("short", true), ("much t", false), ("", true), ("end", true)];
        assert_eq!(found, expected.map(|(text, whole)| (text.to_owned(), whole)));
    }
}
