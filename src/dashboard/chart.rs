//! Column charts as SVG. Colours come from the style sheet; a table beside each chart has the figures for people who
//! cannot see it.

use super::elements::{Html, escaped};

const WIDTH: usize = 420;
const HEIGHT: usize = 170;
/// Room for the scale on the left and the names below.
const LEFT: usize = 40;
const BELOW: usize = 22;
const ABOVE: usize = 10;
/// The width of two characters of a name, in the size that the style sheet gives it.
const TWO_CHARACTERS: usize = 13;

/// One column: what stands below it, and how high each of its parts is.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    pub parts: Vec<u64>,
}

impl Column {
    /// Every how many of these a name fits.
    pub fn named(columns: &[Self]) -> usize {
        let longest = columns.iter().map(|column| column.name.chars().count() + 1).max();
        let wanted = columns.len() * longest.unwrap_or(0) * TWO_CHARACTERS;
        wanted.div_ceil(2 * (WIDTH - LEFT)).max(1)
    }
}

/// A chart.
#[derive(Debug)]
pub(super) struct Chart {
    /// What it shows, in a few words.
    pub title: String,
    /// What each part of a column stands for; also the name of its colour.
    pub series: Vec<&'static str>,
    pub columns: Vec<Column>,
    /// Every how many columns a name is written.
    pub every: usize,
}

impl Chart {
    /// Whether there is anything to see.
    pub fn is_empty(&self) -> bool {
        self.highest() == 0
    }

    /// The whole of each series, for the legend.
    pub fn totals(&self) -> Vec<(&'static str, u64)> {
        let total = |at: usize| self.columns.iter().filter_map(|c| c.parts.get(at)).sum();
        self.series.iter().enumerate().map(|(at, name)| (*name, total(at))).collect()
    }

    /// The columns in which something is, for the table.
    pub fn filled(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.parts.iter().any(|part| *part > 0))
    }

    fn highest(&self) -> u64 {
        self.columns.iter().map(|c| c.parts.iter().sum()).max().unwrap_or(0)
    }

    /// The top of the scale: a round number that nothing exceeds.
    fn top(&self) -> u64 {
        let highest = self.highest().max(4);
        let step = 10_u64.saturating_pow(highest.ilog10());
        let round = [1, 2, 4, 6, 8, 10].map(|times| step.saturating_mul(times));
        round.into_iter().find(|round| *round >= highest).unwrap_or(highest)
    }

    /// The chart as SVG.
    pub fn svg(&self) -> Html {
        let (top, title) = (self.top(), escaped(&self.title));
        let columns: String = (0..self.columns.len()).map(|at| self.column(at, top)).collect();
        Html::of(format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">{}{columns}</svg>",
            scale(top)
        ))
    }

    fn column(&self, at: usize, top: u64) -> String {
        let column = &self.columns[at];
        let plot = (HEIGHT - BELOW - ABOVE) as f64;
        let slot = (WIDTH - LEFT) as f64 / self.columns.len().max(1) as f64;
        let x = LEFT as f64 + slot * at as f64;
        let (left, width) = (x + slot * 0.14, slot * 0.72);
        let mut y = (HEIGHT - BELOW) as f64;
        let (mut bars, mut title) = (String::new(), escaped(&column.name));
        let parts = column.parts.iter().zip(&self.series).filter(|(part, _)| **part > 0);
        for (part, name) in parts {
            // A single event must still be visible beside a thousand.
            let height = (*part as f64 * plot / top as f64).max(1.0);
            y -= height;
            bars += &format!(
                "<rect class=\"series-{name}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
            );
            title += &format!(", {part} {name}");
        }
        let mut svg = format!("<g>{bars}<title>{title}</title></g>");
        if at.is_multiple_of(self.every) {
            let (middle, y, name) = (x + slot / 2.0, HEIGHT - 6, escaped(&column.name));
            svg += &format!("<text class=\"below\" x=\"{middle:.1}\" y=\"{y}\">{name}</text>");
        }
        svg
    }
}

/// The grid lines with their values.
fn scale(top: u64) -> String {
    let line = |quarter: usize| {
        let y = HEIGHT - BELOW - (HEIGHT - BELOW - ABOVE) * quarter / 4;
        let value = short(top.saturating_mul(quarter as u64) / 4);
        let (x, right, base) = (LEFT - 6, WIDTH - 2, y + 4);
        format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text class=\"scale\" x=\"{x}\" y=\"{base}\">{value}</text>"
        )
    };
    [0, 2, 4].map(line).concat()
}

/// A number in few characters, such as `12 k`.
fn short(value: u64) -> String {
    match value {
        0..10_000 => value.to_string(),
        10_000..10_000_000 => format!("{} k", value / 1_000),
        _ => format!("{} M", value / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(parts: &[&[u64]]) -> Chart {
        let column = |(at, parts): (usize, &&[u64])| Column {
            name: format!("<{at}>"),
            parts: parts.to_vec(),
        };
        Chart {
            title: "a \"title\"".into(),
            series: vec!["done", "dead"],
            columns: parts.iter().enumerate().map(column).collect(),
            every: 1,
        }
    }

    #[test]
    fn the_scale_ends_at_a_round_number_above_everything() {
        for (highest, top) in [(0, 4), (3, 4), (7, 8), (11, 20), (650, 800), (999, 1_000)] {
            assert_eq!(chart(&[&[highest, 0]]).top(), top, "{highest}");
        }
        assert!(chart(&[&[u64::MAX / 2, 0]]).svg().to_string().contains("<svg"));
    }

    #[test]
    fn parts_stand_on_each_other_and_names_are_escaped() {
        let svg = chart(&[&[1, 1], &[0, 0]]).svg().to_string();
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(
            svg.contains("aria-label=\"a &quot;title&quot;\"") && !svg.contains("<0>"),
            "{svg}"
        );
        assert!(svg.contains("y=\"113.5\"") && svg.contains("y=\"79.0\""), "{svg}");
        assert!(!svg.contains("style="), "the policy forbids styles in the page");
    }
}
