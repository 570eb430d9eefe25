//! Puts a new webhook with a new secret in the place of the old one. A secret cannot be changed on the forge, so the
//! new webhook is made before the old one goes, and both secrets have to be valid meanwhile.

use super::keeper::{Error, Keeper, kept, sent};
use super::report::{Report, Status};
use crate::clock::Timestamp;
use crate::gitea::{Hook, HookPlace, Knock, knock};

impl Keeper {
    /// Replaces all of our webhooks at the place by a new one that signs with the first secret of now, unless the
    /// newest is known to do so. Interrupted in between, both old and new send; repeated, it ends with one.
    pub async fn rotate(&self, place: &HookPlace, now: Timestamp) -> Result<Report, Error> {
        let old = self.ours(place).await?;
        let Some(model) = old.last() else {
            return Ok(Report::new(place, None, Status::Absent));
        };
        let secret = self.secret(place, now)?;
        if !self.is_forced && self.signs_with(model.id, secret).await {
            return self.keep_only(place, &old).await;
        }
        let form = match self.form_for_edit(model, model.url()) {
            Ok(form) => form,
            Err(why) => {
                return Ok(Report::new(place, Some(model.id), Status::Blocked).with(vec![why]));
            }
        };
        self.is_known(place, now).await?;
        let gone = old.iter().map(|hook| format!("takes the place of hook {}", hook.id)).collect();
        let report = Report::new(place, None, Status::Rotated).with(gone);
        let Some(new) = sent(place, self.forge.create_hook(place, &form, secret).await)? else {
            return Ok(Report { dry_run: true, ..report });
        };
        kept(place, &new)?;
        self.remember(new.id, secret).await;
        for hook in &old {
            self.forge.delete_hook(place, hook.id).await?;
        }
        Ok(Report { hook: Some(new.id), ..report })
    }

    /// The newest webhook signs with the newest secret already: the others go, where an interruption left some.
    async fn keep_only(&self, place: &HookPlace, all: &[Hook]) -> Result<Report, Error> {
        let (model, others) = (all.last(), all.iter().rev().skip(1));
        let mut report =
            Report::new(place, model.map(|hook| hook.id), Status::Unchanged).with(vec![
                "it signs with the newest secret already; `--force` replaces it all the same"
                    .to_owned(),
            ]);
        for hook in others {
            report.status = Status::Rotated;
            report.dry_run = sent(place, self.forge.delete_hook(place, hook.id).await)?.is_none();
            report.notes = vec![format!("takes the place of hook {}", hook.id)];
        }
        Ok(report)
    }

    /// Asks the running service whether it takes what a new webhook would sign: otherwise its deliveries would be
    /// refused, and the forge sends none a second time.
    async fn is_known(&self, place: &HookPlace, now: Timestamp) -> Result<(), Error> {
        let url = &self.wanted.url;
        let why = match knock(url, self.secret(place, now)?).await {
            Ok(Knock::Known) => return Ok(()),
            Ok(Knock::Unknown) => {
                return Err(Error::Refused {
                    place: place.clone(),
                    why: format!(
                        "the service at `{url}` does not know the first entry of `webhook.secrets` yet; let it \
                         read its configuration again (`kill -HUP`, `systemctl reload gitea-triage`), then rotate"
                    ),
                });
            }
            _ if self.is_forced => return Ok(()),
            Ok(Knock::Stranger(status)) => format!("`{url}` answered {status}"),
            Err(_) => format!("`{url}` does not answer"),
        };
        let why = format!(
            "{why}, so nobody knows whether the service takes the new secret; start it, or say `--force` when it \
             cannot be reached from here"
        );
        Err(Error::Refused { place: place.clone(), why })
    }
}
