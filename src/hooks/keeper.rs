//! Creates, corrects, redirects and removes our webhooks. Each can be interrupted and repeated: it looks at what is there
//! first, and creates nothing twice.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::listed::Listed;
use super::report::{Report, Status, overlapping};
use super::wanted::{Wanted, differences, is_sent_to};
use crate::clock::Timestamp;
use crate::gitea::{self as forge, Hook, HookForm, HookPlace, Server};
use crate::store::Store;

/// Why a place's webhooks could not be looked after.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The forge could not be asked, or refused.
    #[error(transparent)]
    Forge(#[from] forge::Error),
    /// Webhooks may not be seen or made with this token.
    #[error(
        "`{place}`: its webhooks may not be managed with this token; {}, or give another one with \
         `--hook-token-file`", needs(.place)
    )]
    Forbidden {
        /// The place.
        place: HookPlace,
    },
    /// What was asked for cannot be done yet, or was not done as it was asked for.
    #[error("`{place}`: {why}")]
    Refused {
        /// The place.
        place: HookPlace,
        /// What is wrong, and what to do.
        why: String,
    },
}

fn needs(place: &HookPlace) -> &'static str {
    match place {
        HookPlace::Repo(_) => {
            "it takes an administrator of the repository and the scope `write:repository`"
        }
        HookPlace::Org(_) => {
            "it takes an owner of the organisation and the scope `write:organization`"
        }
    }
}

/// Looks after our webhooks, with a token that may.
pub struct Keeper {
    /// The forge, as somebody who may manage webhooks.
    pub forge: forge::Client,
    /// The server behind it.
    pub server: Server,
    /// What they have to be.
    pub wanted: Wanted,
    /// Whether to go on where something cannot be known: an `Authorization` header, a service that does not answer.
    pub is_forced: bool,
    /// Where it is kept which secret each webhook signs with; the forge never says.
    pub memory: Option<Store>,
}

impl Keeper {
    /// Creates the place's webhook, or corrects the one that exists.
    pub async fn install(&self, place: &HookPlace, now: Timestamp) -> Result<Report, Error> {
        let (ours, above) = (self.ours(place).await?, self.above(place).await?);
        let report = match (ours.first(), above.iter().find(|h| differences(h).is_empty())) {
            (Some(hook), _) => self.correct(place, hook).await?,
            (None, Some(hook)) => Report::new(place, Some(hook.id), Status::Covered),
            (None, None) => self.create(place, now).await?,
        };
        Ok(overlapping(report, &ours, &above))
    }

    /// Corrects the place's webhook; creates none. One that sends to `from` is redirected to our address.
    pub async fn sync(&self, place: &HookPlace, from: Option<&str>) -> Result<Report, Error> {
        let (ours, above) = (self.ours(place).await?, self.above(place).await?);
        let moved = match from {
            Some(url) => self.at(place, url).await?.into_iter().next(),
            None => None,
        };
        let report = match (ours.first(), moved) {
            (Some(hook), None) => self.correct(place, hook).await?,
            (None, Some(hook)) => {
                let notes = vec![format!("it sent to {}", hook.url())];
                self.edit(place, &hook, &self.wanted.url, notes).await?
            }
            (Some(_), Some(hook)) => Report::new(place, Some(hook.id), Status::Blocked)
                .with(vec!["one of our address is there already; remove one of the two".into()]),
            (None, None) => Report::new(place, None, Status::Absent),
        };
        Ok(overlapping(report, &ours, &above))
    }

    /// Which webhooks exist, and what of them has to be corrected.
    pub async fn inspect(&self, place: &HookPlace) -> Result<Report, Error> {
        let (ours, above) = (self.ours(place).await?, self.above(place).await?);
        let Some(hook) = ours.first().or(above.first()) else {
            return Ok(Report::new(place, None, Status::Absent));
        };
        let notes = differences(hook);
        let status = match (notes.is_empty(), ours.is_empty()) {
            (false, _) => Status::Differs,
            (true, false) => Status::Unchanged,
            (true, true) => Status::Covered,
        };
        let report = Report::new(place, Some(hook.id), status).with(notes);
        Ok(overlapping(report, &ours, &above))
    }

    /// Every webhook that hangs on the place itself, whoever's it is, oldest first.
    pub async fn listing(&self, place: &HookPlace) -> Result<Vec<Listed>, Error> {
        let mut hooks = self.all(place).await?;
        hooks.sort_by_key(|hook| hook.id);
        Ok(hooks.iter().map(|hook| Listed::new(hook, &self.wanted.url)).collect())
    }

    /// Removes every webhook of ours from the place.
    pub async fn remove(&self, place: &HookPlace) -> Result<Report, Error> {
        let ours = self.ours(place).await?;
        let mut report = Report::new(place, ours.first().map(|h| h.id), Status::Absent);
        for hook in &ours {
            report.status = Status::Removed;
            report.dry_run = sent(place, self.forge.delete_hook(place, hook.id).await)?.is_none();
            report.notes.push(format!("hook {}", hook.id));
        }
        Ok(report)
    }

    /// Our webhooks that hang on the place itself, oldest first.
    pub(super) async fn ours(&self, place: &HookPlace) -> Result<Vec<Hook>, Error> {
        self.at(place, &self.wanted.url).await
    }

    async fn at(&self, place: &HookPlace, url: &str) -> Result<Vec<Hook>, Error> {
        let mut hooks = self.all(place).await?;
        hooks.retain(|hook| is_sent_to(hook, url));
        hooks.sort_by_key(|hook| hook.id);
        Ok(hooks)
    }

    async fn all(&self, place: &HookPlace) -> Result<Vec<Hook>, Error> {
        self.forge.hooks(place).await.map_err(|error| match error.status() {
            Some(403) => Error::Forbidden { place: place.clone() },
            _ => error.into(),
        })
    }

    /// Our webhooks of the organisation that a repository belongs to, as far as they may be seen.
    async fn above(&self, place: &HookPlace) -> Result<Vec<Hook>, Error> {
        let HookPlace::Repo(repo) = place else { return Ok(Vec::new()) };
        match self.ours(&HookPlace::Org(repo.owner().to_owned())).await {
            // The owner is a person, or the token may not look at the organisation.
            Err(Error::Forbidden { .. }) => Ok(Vec::new()),
            Err(Error::Forge(error)) if error.status() == Some(404) => Ok(Vec::new()),
            hooks => Ok(hooks?.into_iter().filter(|hook| hook.is_active).collect()),
        }
    }

    pub(super) fn secret(&self, place: &HookPlace, now: Timestamp) -> Result<&SecretString, Error> {
        let secret = self.wanted.secret_for(place, now);
        secret.ok_or_else(|| Error::Refused {
            place: place.clone(),
            why: "no entry of `webhook.secrets` is valid for it; add one, or take its `repos` or `expires` away".into(),
        })
    }

    /// Keeps what a webhook signs with. Without that it is replaced once more than needed.
    pub(super) async fn remember(&self, hook: i64, secret: &SecretString) {
        let Some(store) = &self.memory else { return };
        if let Err(error) = store.remember(fact(hook), mark(secret)).await {
            tracing::warn!(%error, "which secret hook {hook} signs with could not be kept");
        }
    }

    /// Whether a webhook is known to sign with this secret.
    pub(super) async fn signs_with(&self, hook: i64, secret: &SecretString) -> bool {
        let Some(store) = &self.memory else { return false };
        store.fact(fact(hook)).await.is_ok_and(|kept| kept == Some(mark(secret)))
    }

    async fn create(&self, place: &HookPlace, now: Timestamp) -> Result<Report, Error> {
        let form = HookForm::new(&self.wanted.url);
        let made = self.forge.create_hook(place, &form, self.secret(place, now)?).await;
        let report = Report::new(place, None, Status::Installed);
        match sent(place, made)? {
            Some(hook) => {
                kept(place, &hook)?;
                self.remember(hook.id, self.secret(place, now)?).await;
                Ok(Report { hook: Some(hook.id), ..report })
            }
            None => Ok(Report { dry_run: true, ..report }),
        }
    }

    /// Corrects one webhook; sends nothing when it is correct.
    async fn correct(&self, place: &HookPlace, hook: &Hook) -> Result<Report, Error> {
        let notes = differences(hook);
        if notes.is_empty() {
            return Ok(Report::new(place, Some(hook.id), Status::Unchanged));
        }
        self.edit(place, hook, hook.url(), notes).await
    }

    /// Changes a webhook to one that is as it has to be and sends to `url`.
    async fn edit(
        &self,
        place: &HookPlace,
        hook: &Hook,
        url: &str,
        notes: Vec<String>,
    ) -> Result<Report, Error> {
        let report = |status| Report::new(place, Some(hook.id), status);
        let form = match self.form_for_edit(hook, url) {
            Ok(form) => form,
            Err(why) => return Ok(report(Status::Blocked).with(vec![why]).with(notes)),
        };
        match sent(place, self.forge.edit_hook(place, hook.id, &form).await)? {
            Some(now) => kept(place, &now).map(|()| report(Status::Updated).with(notes)),
            None => Ok(Report { dry_run: true, ..report(Status::Updated).with(notes) }),
        }
    }

    /// The form, unless an edit with it would lose what is not ours.
    pub(super) fn form_for_edit(&self, hook: &Hook, url: &str) -> Result<HookForm, String> {
        let form = hook.form(url, self.server.is_forgejo()).map_err(|event| {
            format!("it hears `{event}`, which no request can ask for and a change would lose; change it on its page")
        })?;
        if self.server.hides_authorization() && !self.is_forced {
            return Err(format!(
                "{} does not show whether hook {} has an `Authorization` header, and a change would erase it; \
                 change it on its page, or say `--force` when it has none",
                self.server.name(),
                hook.id
            ));
        }
        Ok(form)
    }
}

/// The name under which the store keeps what a webhook signs with.
fn fact(hook: i64) -> String {
    format!("hook {hook} signs with")
}

/// Tells secrets apart, and says nothing of them: a part of what signing with one gives.
fn mark(secret: &SecretString) -> String {
    let digest = Sha256::digest(format!("gitea-triage hook\n{}", secret.expose_secret()));
    hex::encode(&digest[..8])
}

/// What was answered; `None` when a dry run held the request back.
pub(super) fn sent<T>(
    place: &HookPlace,
    answer: Result<T, forge::Error>,
) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(forge::Error::DryRun { .. }) => Ok(None),
        Err(error) if error.status() == Some(403) => Err(Error::Forbidden { place: place.clone() }),
        Err(error) => Err(error.into()),
    }
}

/// The forge answers 2xx and drops what it does not know, so its answer is compared.
pub(super) fn kept(place: &HookPlace, hook: &Hook) -> Result<(), Error> {
    let what = differences(hook);
    if what.is_empty() {
        return Ok(());
    }
    let what = what.join("; ");
    let why = format!("the forge did not keep hook {} as it was asked to: {what}", hook.id);
    Err(Error::Refused { place: place.clone(), why })
}
