//! Tables for people: a head, and columns as wide as what stands in them. Where somebody looks on, a table is no wider
//! than the terminal, and what does not fit ends with `…`; in a file or a pipe nothing is cut.

use std::io;

use super::terminal::{self, Piece};

/// Between two columns.
const GAP: usize = 2;
/// To this a column may shrink whose head is shorter.
const LEAST: usize = 6;

/// How wide each column is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout(Vec<usize>);

impl Layout {
    /// Columns of these widths, or narrower ones that fit into `room`: the widest gives first. Columns at `whole` are
    /// never cut.
    pub fn fit(widths: &[usize], whole: &[usize], room: Option<usize>) -> Self {
        let mut widths = widths.to_vec();
        let Some(room) = room else { return Self(widths) };
        loop {
            let all = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            let can_give = |at: &usize| !whole.contains(at) && widths[*at] > LEAST;
            let widest = (0..widths.len()).filter(can_give).max_by_key(|at| widths[*at]);
            match widest {
                Some(at) if all > room => widths[at] -= 1,
                _ => return Self(widths),
            }
        }
    }

    /// One line: each cell as wide as its column, the last one as wide as it is unless it has to be cut.
    fn line(&self, cells: &[Piece], is_cut: bool) -> Vec<Piece> {
        let last = cells.len().saturating_sub(1);
        let mut line = Vec::new();
        for (at, (cell, width)) in cells.iter().zip(&self.0).enumerate() {
            let text = terminal::visible(&cell.text);
            let text = if is_cut { cut(&text, *width) } else { text.into_owned() };
            let gap = (width + GAP).saturating_sub(length(&text)).max(GAP);
            line.push(Piece { text, colour: cell.colour });
            if at < last {
                line.push(Piece::plain(" ".repeat(gap)));
            }
        }
        while line.last().is_some_and(|piece| piece.text.trim().is_empty()) {
            line.pop();
        }
        line
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The text, or its beginning and `…`.
fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Rows that are shown as they come, in columns whose widths are guessed.
pub(super) struct Rows {
    layout: Layout,
    is_cut: bool,
}

impl Rows {
    /// Columns of about these widths.
    pub fn new(widths: &[usize]) -> Self {
        let room = terminal::width();
        Self { layout: Layout::fit(widths, &[], room), is_cut: room.is_some() }
    }

    /// One line of text, without colours.
    pub fn text(&self, cells: &[&str]) -> String {
        let cells: Vec<_> = cells.iter().map(|cell| Piece::plain(*cell)).collect();
        self.layout.line(&cells, self.is_cut).into_iter().map(|piece| piece.text).collect()
    }
}

/// A table that is shown when all its rows are known.
pub(super) struct Table {
    head: Vec<&'static str>,
    whole: Vec<usize>,
    rows: Vec<Row>,
}

struct Row {
    cells: Vec<Piece>,
    /// What there is to say about it: below it where somebody looks on, else behind it.
    note: String,
}

impl Table {
    /// An empty table; the columns named in `whole` are never cut.
    pub fn new(head: &[&'static str], whole: &[&str]) -> Self {
        let at = |name: &&str| head.iter().position(|one| one == name);
        let whole = whole.iter().filter_map(at).collect();
        Self { head: head.to_vec(), whole, rows: Vec::new() }
    }

    /// One more row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Piece>, note: &str) {
        let row = Row { cells: cells.into_iter().collect(), note: note.to_owned() };
        self.rows.push(row);
    }

    /// Shows it; a table without rows shows nothing.
    pub fn print(self) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let room = terminal::width();
        let layout = Layout::fit(&self.widths(), &self.whole, room);
        let head = self.head.iter().map(|name| Piece::coloured(*name, terminal::BOLD));
        let head: Vec<_> = head.collect();
        terminal::out_pieces(&layout.line(&head, room.is_some()))?;
        for Row { cells, note } in &self.rows {
            let mut line = layout.line(cells, room.is_some());
            if room.is_none() && !note.is_empty() {
                line.push(Piece::plain(format!("  {note}")));
            }
            terminal::out_pieces(&line)?;
            if let (Some(room), false) = (room, note.is_empty()) {
                terminal::out(&wrapped(note, 4, room))?;
            }
        }
        Ok(())
    }

    fn widths(&self) -> Vec<usize> {
        let width = |at: usize, head: &str| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(at));
            let cells = cells.map(|cell| length(&terminal::visible(&cell.text)));
            cells.max().unwrap_or(0).max(length(head))
        };
        self.head.iter().enumerate().map(|(at, head)| width(at, head)).collect()
    }
}

/// The text in lines of at most `room`, each behind `indent` spaces. A word that is longer stays whole.
pub(super) fn wrapped(text: &str, indent: usize, room: usize) -> String {
    let space = " ".repeat(indent);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && indent + length(&line) + 1 + length(word) > room {
                lines.push(format!("{space}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(format!("{space}{line}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_column_gives_first_and_some_give_nothing() {
        assert_eq!(Layout::fit(&[10, 40, 20], &[], None), Layout(vec![10, 40, 20]));
        assert_eq!(Layout::fit(&[10, 40, 20], &[], Some(60)), Layout(vec![10, 26, 20]));
        assert_eq!(Layout::fit(&[10, 40, 20], &[1], Some(60)), Layout(vec![8, 40, 8]));
        // What cannot be made to fit is as narrow as it gets.
        assert_eq!(Layout::fit(&[10, 40, 3], &[1], Some(20)), Layout(vec![6, 40, 3]));
    }

    #[track_caller]
    fn line(cells: &[&str], is_cut: bool) -> String {
        let cells: Vec<_> = cells.iter().map(|cell| Piece::plain(*cell)).collect();
        let line = Layout(vec![6, 4]).line(&cells, is_cut);
        line.into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn a_cell_is_cut_only_where_it_has_to_be() {
        assert_eq!(line(&["abc", "d"], true), "abc     d");
        assert_eq!(line(&["abcdefgh", "defgh"], true), "abcde…  def…");
        assert_eq!(line(&["abcdefgh", "defgh"], false), "abcdefgh  defgh");
        assert_eq!(line(&["abc", ""], true), "abc");
        // What a terminal would obey is as wide as it is shown.
        assert_eq!(line(&["\u{1b}x", "d"], false), "\\u001bx  d");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrapped("one two three", 2, 9), "  one two\n  three");
        assert_eq!(wrapped("a-word-that-is-long b", 0, 5), "a-word-that-is-long\nb");
        assert_eq!(wrapped("one\ntwo", 1, 80), " one\n two");
    }
}
