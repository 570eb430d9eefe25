//! What we open ourselves: the daily summary, which is about issues and is none to be worked on.

/// How the title of every daily summary begins; the day follows.
pub const SUMMARY_TITLE: &str = "[Triage] Daily backlog summary — ";

/// Whether an issue is called like a daily summary. Anybody can call one so; ours are by our own account.
pub fn is_summary_title(title: &str) -> bool {
    title.starts_with(SUMMARY_TITLE)
}
