//! What the pages for people read. Each question touches a bounded number of rows, so that a page over a million
//! deliveries comes as quickly as one over ten; nothing is written here.

mod activity;
mod between;
mod deliveries;
mod filling;
mod issues;
mod overview;
mod runs;
mod sight;
mod stories;

pub use activity::{Activity, DISPATCHES, DispatchDay, Hour};
pub use between::Between;
pub use deliveries::DeliveryQuery;
pub use filling::Page;
pub use issues::{IssueQuery, IssueRow, Show, Standings};
pub use overview::{AgentLoad, Needs, Overview, Pulse};
pub use runs::RunView;
pub use sight::Sight;
pub use stories::{DeliveryStory, EvaluationStory, IssueStory, Lane, LaneState};

/// Whether `text` holds `wanted`, which is in lower case already.
fn holds(text: &str, wanted: &str) -> bool {
    let is_plain = text.is_ascii() && wanted.is_ascii();
    if is_plain {
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        return wanted.is_empty()
            || text.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted));
    }
    text.to_lowercase().contains(wanted)
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn a_text_is_found_whatever_its_case() {
        for (text, wanted) in [("Login crashes", "CRASH"), ("Größe falsch", "GRÖSSE".trim_end())]
        {
            let wanted = wanted.to_lowercase();
            assert_eq!(holds(text, &wanted), text.to_lowercase().contains(&wanted), "{text}");
        }
        assert!(holds("Login crashes", "crash") && holds("ÄRGER", "ärger") && holds("x", ""));
        assert!(!holds("Login", "logins") && !holds("", "x"));
    }
}
