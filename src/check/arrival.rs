//! The way of a delivery, from the forge to the store: the service, its public address, the webhook, and a delivery.

use super::line::Line;
use super::{Checkup, Tell};
use crate::gitea::{HookPlace, Knock, Server, knock};
use crate::hooks::{
    Error, Keeper, Proof, Proven, Reach, Receiver, Report, Status, Target, advice, argument,
};
use crate::issue::RepoName;

/// Whether the service of this configuration runs on this machine.
pub(super) async fn service(receiver: &Receiver, tell: Tell<'_>) -> bool {
    let about = receiver.address();
    match receiver.get("readyz").await {
        Ok((200, _)) => tell(Line::green("service", about, "is ready")),
        Ok((503, text)) => {
            let why = text.trim();
            tell(
                Line::yellow(
                    "service",
                    about,
                    format!("takes deliveries, but is not ready: {why}"),
                )
                .cure("see the lines about store and forge"),
            );
        }
        Ok((status, _)) => {
            tell(
                Line::red("service", about, format!("something else answers there ({status})"))
                    .cure("change `server.listen`, or end the other program"),
            );
            return false;
        }
        Err(_) => {
            tell(Line::red("service", about, "does not answer").cure("start `gitea-triage serve`"));
            return false;
        }
    }
    true
}

/// Whether the public address leads to a service that knows the secrets.
pub(super) async fn address(checkup: &Checkup<'_>, tell: Tell<'_>) {
    let Some(wanted) = &checkup.wanted else {
        return tell(
            Line::red("address", "server.public_url", "is not set, so that no webhook can be made")
                .cure("set it to the address under which the forge reaches this service"),
        );
    };
    let target = Target::of(&wanted.url).await;
    let forge = Target::of(&checkup.config.gitea.url).await;
    if target.reach == Some(Reach::Loopback) && forge.reach.is_some_and(|r| r != Reach::Loopback) {
        let said = "leads back to the forge's own machine when the forge asks it";
        return tell(
            Line::red("address", &wanted.url, said).cure(
                "set `server.public_url` to an address of this machine that the forge reaches",
            ),
        );
    }
    let now = checkup.clock.now();
    let valid = wanted.secrets.iter().filter(|s| s.expires.is_none_or(|end| now < end));
    for secret in valid {
        match knock(&wanted.url, &secret.key).await {
            Ok(Some(Knock::Known)) => {}
            answer => return tell(stranger(&wanted.url, &answer.map_err(|e| e.is_connect()))),
        }
    }
    tell(Line::green("address", &wanted.url, "is reached from here, and knows every valid secret"));
}

fn stranger(url: &str, answer: &Result<Option<Knock>, bool>) -> Line {
    match answer {
        Ok(Some(Knock::Unknown) | None) => {
            Line::red("address", url, "the service there does not know a secret of this configuration")
                .cure("let it read the configuration again: `systemctl reload gitea-triage` or `kill -HUP`")
        }
        Ok(Some(Knock::Stranger(status @ 300..400))) => {
            Line::red("address", url, format!("answers with a redirect ({status}), which loses deliveries"))
                .cure("set `server.public_url` to the address it leads to")
        }
        Ok(Some(Knock::Stranger(413))) => {
            Line::red("address", url, "a proxy there refuses the size of a delivery")
                .cure("let the proxy pass at least `webhook.max_body`")
        }
        Ok(Some(_)) => Line::red("address", url, "something else answers there").cure(
            "see `server.public_url`, and that the proxy leads `/webhook` to the service without a sign-in",
        ),
        Err(true) => Line::yellow("address", url, "cannot be reached from here").cure(
            "see that name, port and proxy are right; when it can only be reached from outside, nothing is wrong",
        ),
        Err(false) => Line::yellow("address", url, "did not answer").cure("see the proxy's certificate and log"),
    }
}

/// What is needed to follow deliveries.
pub(super) struct Arrivals {
    pub keeper: Keeper,
    /// `None` when no delivery can be waited for.
    pub proof: Option<Proof>,
    pub target: Target,
    pub server: Server,
}

impl Arrivals {
    /// The webhook and a delivery of one repository; what came of the delivery.
    pub async fn of(&self, repo: &RepoName, tell: Tell<'_>) -> Option<Proven> {
        let place = HookPlace::Repo(repo.clone());
        let looked = self.keeper.look(&place).await;
        let proven = self.delivery(repo, &place, tell).await;
        let arrived = matches!(proven, Some(Proven::Arrived { .. }));
        tell(hook(&place, looked, arrived));
        proven
    }

    async fn delivery(&self, repo: &RepoName, place: &HookPlace, tell: Tell<'_>) -> Option<Proven> {
        let proven = match self.proof.as_ref()?.of(repo).await {
            Ok(proven) => proven,
            Err(error) => {
                tell(Line::yellow("delivery", repo, format!("could not be tried: {error}")));
                return None;
            }
        };
        let patience = self.proof.as_ref().map_or(0, |proof| proof.patience.as_secs());
        let cure = match (&proven, self.target.to_allow()) {
            (Proven::Nothing, Some(_)) => Some(
                "see the lines about the webhook and the allowed hosts, and *Recent Deliveries* on its page".to_owned(),
            ),
            _ => advice(&proven, place, &self.target, &self.server),
        };
        let line = match &proven {
            Proven::Arrived { ms, .. } => {
                Line::green("delivery", repo, format!("one arrived after {ms} ms"))
            }
            Proven::NoIssue => {
                Line::yellow("delivery", repo, "there is no issue yet to try one with")
            }
            Proven::DryRun => Line::yellow("delivery", repo, "was not tried"),
            Proven::Refused { why } => Line::red("delivery", repo, format!("was refused: {why}")),
            Proven::Nothing => {
                Line::red("delivery", repo, format!("none came within {patience} s"))
            }
        };
        tell(Line { cure, ..line });
        Some(proven)
    }

    /// Whether the forge may deliver to this address; only a delivery can tell for one that is not public.
    pub fn allowed_hosts(&self, seen: &[Option<Proven>], tell: Tell<'_>) {
        let host = &self.target.host;
        let any = |wanted: fn(&Proven) -> bool| seen.iter().flatten().any(wanted);
        let arrived = any(|p| matches!(p, Proven::Arrived { .. } | Proven::Refused { .. }));
        let line = match (self.target.to_allow(), self.target.reach) {
            (Some(_), _) if arrived => {
                Line::green("allowed hosts", host, "the forge delivers there")
            }
            (Some(allow), _) => {
                let said = format!("{} does not deliver there unless told to", self.server.name());
                let lines = self.server.allowed_hosts(allow);
                let cure =
                    format!("in its `app.ini`, beside what is there, and restart it:\n{lines}");
                match any(|p| *p == Proven::Nothing) {
                    true => Line::red("allowed hosts", host, said).cure(cure),
                    false => Line::yellow("allowed hosts", host, said).cure(cure),
                }
            }
            (None, Some(_)) => {
                Line::green("allowed hosts", host, "is public, which needs no setting")
            }
            (None, None) => {
                Line::yellow("allowed hosts", host, "has no address that is known here")
                    .cure("see that the forge's machine knows the name")
            }
        };
        tell(line);
    }
}

fn hook(place: &HookPlace, looked: Result<Report, Error>, arrived: bool) -> Line {
    let install = format!("`gitea-triage hook install {}`", argument(place));
    let report = match looked {
        Ok(report) => report,
        Err(Error::Forbidden { .. }) if arrived => {
            return Line::green(
                "webhook",
                place,
                "may not be seen by our account; a delivery proves it",
            );
        }
        Err(error @ Error::Forbidden { .. }) => {
            return Line::yellow("webhook", place, "may not be seen by our account").cure(error);
        }
        Err(error) => return Line::red("webhook", place, error).cure("then run this again"),
    };
    let id = report.hook.map(|id| format!("hook {id}")).unwrap_or_default();
    match report.status {
        Status::Absent if arrived => {
            Line::yellow("webhook", place, "is none of ours, yet deliveries come")
                .cure(format!("is there one for the whole server? Otherwise {install}"))
        }
        Status::Absent => Line::red("webhook", place, "is missing").cure(install),
        Status::Differs => {
            Line::red("webhook", place, format!("{id}: {}", report.notes.join("; ")))
                .cure(format!("{install} brings it in order"))
        }
        _ => overlaps(place, &report, &id),
    }
}

fn overlaps(place: &HookPlace, report: &Report, id: &str) -> Line {
    let Some(other) = report.overlaps.first() else {
        return Line::green("webhook", place, format!("{id} is as it has to be"));
    };
    let said = format!("{id} and hook {} of {} tell of the same events", other.hook, other.place);
    let cure = match other.place == *place {
        true => format!("`gitea-triage hook rotate {}` leaves one", argument(place)),
        false => {
            format!("`gitea-triage hook remove {}` leaves the organisation's", argument(place))
        }
    };
    Line::yellow("webhook", place, said).cure(cure)
}
