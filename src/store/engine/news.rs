//! What services on the same server tell each other of what they have written.

use std::collections::BTreeSet;

/// The channel of a store: its schema is one of many in a database.
pub(super) const CHANNEL: &str = "'gitea_triage_' || hashtext(current_schema())";
named_enum! {
    /// What a service tells the others on the same store of what it has written.
    News {
        /// A delivery waits to be sorted.
        Arrived = "arrived",
        /// An issue waits for a worker.
        Due = "due",
        /// A run waits for a runner.
        Offered = "offered",
        /// A service is gone, and what it had waits for another.
        Orphaned = "orphaned",
    }
}

/// What is said of a transaction, by whom.
pub(super) fn said(by: uuid::Uuid, news: &BTreeSet<News>) -> String {
    let mut said = by.simple().to_string();
    for one in news {
        said.push(' ');
        said.push_str(one.as_str());
    }
    said
}

/// What another one said.
pub(super) fn heard<'a>(said: &'a str, own: &str) -> impl Iterator<Item = News> + 'a {
    let (by, said) = said.split_once(' ').unwrap_or((said, ""));
    let said = if by == own { "" } else { said };
    said.split(' ').filter_map(|one| one.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_by_others_alone() {
        let sender = uuid::Uuid::new_v4();
        let all = BTreeSet::from([News::Due, News::Arrived]);
        let said = said(sender, &all);
        assert_eq!(heard(&said, "another").collect::<BTreeSet<_>>(), all);
        assert_eq!(heard(&said, &sender.simple().to_string()).count(), 0);
        // A later version may say what this one does not know.
        assert_eq!(heard("another due later", "own").collect::<Vec<_>>(), [News::Due]);
    }
}
