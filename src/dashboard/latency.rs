//! The response times of the receiver, for people.

use super::chart::{Chart, Column};
use crate::meters::{BOUNDS_S, Latency};

/// Response times as a chart and figures.
#[derive(Debug)]
pub(super) struct Answers {
    pub chart: Chart,
    pub count: u64,
    /// The bounds of the buckets that hold the median and the 99th percentile.
    pub median: String,
    pub p99: String,
}

/// The figures of `latency`.
pub(super) fn answers(latency: &Latency) -> Answers {
    let buckets = latency.buckets();
    let name = |at: usize| match BOUNDS_S.get(at) {
        Some(bound) => seconds(*bound),
        None => format!("over {}", seconds(BOUNDS_S[BOUNDS_S.len() - 1])),
    };
    let columns = buckets.iter().enumerate();
    Answers {
        chart: Chart {
            title: "Deliveries by response time, at most".into(),
            series: vec!["answers"],
            columns: columns.map(|(at, n)| Column { name: name(at), parts: vec![*n] }).collect(),
            every: 3,
        },
        count: buckets.iter().sum(),
        median: name(reached(&buckets, 0.5)),
        p99: name(reached(&buckets, 0.99)),
    }
}

/// The first bucket at which this part of all is reached.
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
    fn a_percentile_is_the_bound_of_its_bucket() {
        let latency = Latency::default();
        (0..99).for_each(|_| latency.add(Duration::from_micros(800)));
        latency.add(Duration::from_secs(60));
        let answers = answers(&latency);
        assert_eq!((answers.count, answers.median.as_str()), (100, "1 ms"));
        assert_eq!(answers.p99, "1 ms");
        latency.add(Duration::from_secs(60));
        assert_eq!(super::answers(&latency).p99, "over 5 s");
    }
}
