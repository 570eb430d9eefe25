//! How many events stand behind a find that no webhook reported. Only counted; what cannot be asked stays one.

use crate::clock::Timestamp;
use crate::gitea as forge;
use crate::issue::{Account, Change, TimelineEvent};
use crate::store::{Find, Why};

/// How many finds of a pass are looked into: after a long outage, how many events there were is of less use than an
/// end of the pass.
const MOST: usize = 50;

/// Counts the events of each issue that has changed since it was evaluated.
pub(super) async fn count(forge: &forge::Client, finds: &mut [Find]) {
    if !finds.iter().any(has_more) {
        return;
    }
    let Ok(us) = forge.whoami().await else { return };
    let mut asked = 0;
    for find in finds {
        let since = find.known.as_ref().and_then(|known| known.evaluated_at);
        let Some(since) = since.filter(|_| has_more(find) && asked < MOST) else { continue };
        asked += 1;
        if let Ok(timeline) = forge.timeline(&find.at, Some(since)).await {
            find.events = told(&timeline, since, &us);
        }
    }
}

/// Whether more than one event may stand behind it.
fn has_more(find: &Find) -> bool {
    find.is_missed && find.why == Why::Changed
}

/// The events of which a webhook is sent, and not because of us; at least the one that was found.
fn told(timeline: &[TimelineEvent], since: Timestamp, us: &Account) -> u32 {
    // The forge says whole seconds.
    let is_new =
        |event: &TimelineEvent| event.at.is_some_and(|at| at.timestamp() >= since.timestamp());
    let told = timeline.iter().filter(|event| is_new(event) && is_told(event, us)).count();
    u32::try_from(told).unwrap_or(u32::MAX).max(1)
}

/// Whether a webhook is sent of it, and not because of us.
fn is_told(event: &TimelineEvent, us: &Account) -> bool {
    let is_ours = event.by.as_ref().is_some_and(|by| by.is_same_as(us));
    !is_ours && !matches!(event.change, Change::Linked { .. } | Change::Other)
}
