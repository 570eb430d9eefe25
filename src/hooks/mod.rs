//! Our webhooks on the forge: found by their URL, created, corrected, replaced, removed, and tested. Only the
//! commands `hook` and `check` come here. It touches no webhook of another URL, and of its own only what has to be.

mod advice;
mod keeper;
mod listed;
mod proof;
mod receiver;
mod report;
mod rotate;
mod target;
mod wanted;

pub use advice::{advice, argument};
pub use keeper::{Error, Keeper};
pub use listed::Listed;
pub use proof::{Error as ProofError, Proof, Proven};
pub use receiver::{Receiver, local_address};
pub use report::{Overlap, Report, Status};
pub use target::{Reach, Target};
pub use wanted::Wanted;

use std::collections::BTreeSet;

use crate::gitea as forge;
use crate::issue::{RepoName, RepoPatterns};

/// The repositories that `patterns` mean now. Those with `*` are asked of the forge; archived ones and ones without
/// issues are no part of them.
///
/// # Errors
/// When the forge cannot be asked, or cannot be asked for an owner with `*`.
pub async fn repositories(
    forge: &forge::Client,
    patterns: &RepoPatterns,
) -> Result<Vec<RepoName>, Unresolved> {
    let mut found: Vec<RepoName> = patterns.names().cloned().collect();
    let owners: BTreeSet<&str> = patterns.wildcards().map(|(owner, _)| owner).collect();
    for owner in owners {
        if owner.contains('*') {
            return Err(Unresolved::AnyOwner(owner.to_owned()));
        }
        let listed = forge.repositories(owner).await?;
        found.extend(listed.into_iter().filter(|repo| patterns.allows(repo)));
    }
    let mut seen = BTreeSet::new();
    found.retain(|repo| seen.insert(repo.to_string().to_lowercase()));
    Ok(found)
}

/// Why patterns could not be made into repositories.
#[derive(Debug, thiserror::Error)]
pub enum Unresolved {
    /// No list of the forge answers this.
    #[error(
        "`gitea.repos` has the owner `{0}`, which no list of the forge answers; name a repository or `--org`"
    )]
    AnyOwner(String),
    /// The forge could not be asked.
    #[error(transparent)]
    Forge(#[from] forge::Error),
}
