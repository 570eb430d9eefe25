//! How quickly deliveries were answered, from what the receiver counted.

use super::chart::{Chart, Column};
use crate::meters::{BOUNDS_S, Latency};

/// The figures of a latency for people.
#[derive(Debug)]
pub(super) struct Answers {
    pub chart: Chart,
    /// How many there were.
    pub count: u64,
    /// Half of them came within this, and 99 of a hundred.
    pub median: String,
    pub p99: String,
}

/// What was counted, as a chart.
pub(super) fn answers(latency: &Latency) -> Answers {
    let buckets = latency.buckets();
    let name = |at: usize| match BOUNDS_S.get(at) {
        Some(bound) => seconds(*bound),
        None => "more".to_owned(),
    };
    let columns = buckets.iter().enumerate();
    Answers {
        chart: Chart {
            title: "Deliveries by how long their answer took at most".into(),
            series: vec!["answers"],
            columns: columns.map(|(at, n)| Column { name: name(at), parts: vec![*n] }).collect(),
            every: 3,
        },
        count: buckets.iter().sum(),
        median: name(reached(&buckets, 0.5)),
        p99: name(reached(&buckets, 0.99)),
    }
}

/// The bucket within which this part of all lies.
fn reached(buckets: &[u64], part: f64) -> usize {
    let wanted = (buckets.iter().sum::<u64>() as f64 * part).ceil() as u64;
    let mut sum = 0;
    let passed = buckets.iter().position(|count| {
        sum += count;
        sum >= wanted
    });
    passed.unwrap_or(0)
}

fn seconds(bound: f64) -> String {
    if bound < 1.0 { format!("{} ms", bound * 1_000.0) } else { format!("{bound} s") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_part_that_was_asked_for_lies_within_its_bound() {
        let latency = Latency::default();
        (0..99).for_each(|_| latency.add(Duration::from_micros(800)));
        latency.add(Duration::from_secs(60));
        let answers = answers(&latency);
        assert_eq!((answers.count, answers.median.as_str()), (100, "1 ms"));
        assert_eq!(answers.p99, "1 ms");
        latency.add(Duration::from_secs(60));
        assert_eq!(super::answers(&latency).p99, "more");
    }
}
