//! The way of a delivery, from the forge to the store: the service, its public address, the webhook, and a delivery.

use super::line::{Line, Subject};
use super::{Checkup, Output};
use crate::gitea::{HookPlace, Knock, knock};
use crate::hooks::{
    Error, Keeper, Proof, Proven, Reach, Receiver, Report, Status, Target, advice, argument,
};
use crate::issue::RepoName;

/// Whether the service of this configuration runs on this machine.
pub(super) async fn service(receiver: &Receiver, out: Output<'_>) -> bool {
    let at = Subject::new("service", &receiver.address);
    let (line, is_ours) = match receiver.get("readyz").await {
        Ok((200, _)) => (at.green("is ready"), true),
        Ok((503, text)) => {
            let line = at.yellow(format!("takes deliveries, but is not ready: {}", text.trim()));
            (line.cure("see the lines about store and forge"), true)
        }
        Ok((status, _)) => {
            let line = at.red(format!("something else answers there ({status})"));
            (line.cure("change `server.listen`, or end the other program"), false)
        }
        Err(_) => (at.red("does not answer").cure("start `gitea-triage serve`"), false),
    };
    out(line);
    is_ours
}

/// Whether the public address leads to a service that knows the secrets.
pub(super) async fn address(checkup: &Checkup<'_>, out: Output<'_>) {
    let Some(wanted) = &checkup.wanted else {
        return out(Subject::new("address", "server.public_url")
            .red("is not set, so that no webhook can be made")
            .cure("set it to the address under which the forge reaches this service"));
    };
    let at = Subject::new("address", &wanted.url);
    let target = Target::of(&wanted.url).await;
    let forge = Target::of(&checkup.config.gitea.url).await;
    if target.reach == Some(Reach::Loopback) && forge.reach.is_some_and(|r| r != Reach::Loopback) {
        let said = "leads back to the forge's own machine when the forge asks it";
        return out(at
            .red(said)
            .cure("set `server.public_url` to an address of this machine that the forge reaches"));
    }
    let now = checkup.clock.now();
    for secret in wanted.secrets.iter().filter(|s| s.is_valid(now)) {
        match knock(&wanted.url, &secret.key).await {
            Ok(Knock::Known) => {}
            answer => return out(stranger(&at, &answer.map_err(|e| e.is_connect()))),
        }
    }
    out(at.green("is reached from here, and knows every valid secret"));
}

fn stranger(at: &Subject, answer: &Result<Knock, bool>) -> Line {
    match answer {
        Ok(Knock::Unknown) => {
            at.red("the service there does not know a secret of this configuration")
                .cure("let it read the configuration again: `systemctl reload gitea-triage` or `kill -HUP`")
        }
        Ok(Knock::Stranger(status @ 300..400)) => {
            at.red(format!("answers with a redirect ({status}), which loses deliveries"))
                .cure("set `server.public_url` to the address it leads to")
        }
        Ok(Knock::Stranger(413)) => {
            at.red("a proxy there refuses the size of a delivery")
                .cure("let the proxy pass at least `webhook.max_body`")
        }
        Ok(_) => at.red("something else answers there").cure(
            "see `server.public_url`, and that the proxy leads `/webhook` to the service without a sign-in",
        ),
        Err(true) => at.yellow("cannot be reached from here").cure(
            "see that name, port and proxy are right; when it can only be reached from outside, nothing is wrong",
        ),
        Err(false) => at.yellow("did not answer").cure("see the proxy's certificate and log"),
    }
}

/// What is needed to follow deliveries.
pub(super) struct Arrivals {
    pub keeper: Keeper,
    /// `None` when no delivery can be waited for.
    pub proof: Option<Proof>,
    pub target: Target,
}

impl Arrivals {
    /// The webhook and a delivery of one repository; what came of the delivery.
    pub async fn of(&self, repo: &RepoName, out: Output<'_>) -> Option<Proven> {
        let place = HookPlace::Repo(repo.clone());
        let looked = self.keeper.inspect(&place).await;
        let proven = self.delivery(repo, &place, out).await;
        let arrived = matches!(proven, Some(Proven::Arrived { .. }));
        out(hook(&place, looked, arrived));
        proven
    }

    async fn delivery(
        &self,
        repo: &RepoName,
        place: &HookPlace,
        out: Output<'_>,
    ) -> Option<Proven> {
        let at = Subject::new("delivery", repo);
        let proven = match self.proof.as_ref()?.of(repo).await {
            Ok(proven) => proven,
            Err(error) => {
                out(at.yellow(format!("could not be tried: {error}")));
                return None;
            }
        };
        let patience = self.proof.as_ref().map_or(0, |proof| proof.patience.as_secs());
        let cure = match (&proven, self.target.to_allow()) {
            (Proven::Nothing, Some(_)) => Some(
                "see the lines about the webhook and the allowed hosts, and *Recent Deliveries* on its page".to_owned(),
            ),
            _ => advice(&proven, place, &self.target, &self.keeper.server),
        };
        let line = match &proven {
            Proven::Arrived { ms, .. } => at.green(format!("one arrived after {ms} ms")),
            Proven::NoIssue => at.yellow("there is no issue yet to try one with"),
            Proven::DryRun => at.yellow("was not tried"),
            Proven::Refused { why } => at.red(format!("was refused: {why}")),
            Proven::Nothing => at.red(format!("none came within {patience} s")),
        };
        out(Line { cure, ..line });
        Some(proven)
    }

    /// Whether the forge may deliver to this address; only a delivery can show it for one that is not public.
    pub fn allowed_hosts(&self, seen: &[Option<Proven>], out: Output<'_>) {
        let (at, server) = (Subject::new("allowed hosts", &self.target.host), &self.keeper.server);
        let any = |wanted: fn(&Proven) -> bool| seen.iter().flatten().any(wanted);
        let arrived = any(|p| matches!(p, Proven::Arrived { .. } | Proven::Refused { .. }));
        let line = match (self.target.to_allow(), self.target.reach) {
            (Some(_), _) if arrived => at.green("the forge delivers there"),
            (Some(allow), _) => {
                let said = format!("{} does not deliver there unless told to", server.name());
                let lines = server.allowed_hosts(allow);
                let cure =
                    format!("in its `app.ini`, beside what is there, and restart it:\n{lines}");
                match any(|p| *p == Proven::Nothing) {
                    true => at.red(said).cure(cure),
                    false => at.yellow(said).cure(cure),
                }
            }
            (None, Some(_)) => at.green("is public, which needs no setting"),
            (None, None) => at
                .yellow("has no address that is known here")
                .cure("see that the forge's machine knows the name"),
        };
        out(line);
    }
}

fn hook(place: &HookPlace, looked: Result<Report, Error>, arrived: bool) -> Line {
    let at = Subject::new("webhook", place);
    let install = format!("`gitea-triage hook install {}`", argument(place));
    let report = match looked {
        Ok(report) => report,
        Err(Error::Forbidden { .. }) if arrived => {
            return at.green("may not be seen by our account; a delivery proves it");
        }
        Err(error @ Error::Forbidden { .. }) => {
            return at.yellow("may not be seen by our account").cure(error);
        }
        Err(error) => return at.red(error).cure("then run this again"),
    };
    let id = report.hook.map(|id| format!("hook {id}")).unwrap_or_default();
    match report.status {
        Status::Absent if arrived => at
            .yellow("is none of ours, yet deliveries come")
            .cure(format!("is there one for the whole server? Otherwise {install}")),
        Status::Absent => at.red("is missing").cure(install),
        Status::Differs => at
            .red(format!("{id}: {}", report.notes.join("; ")))
            .cure(format!("{install} corrects it")),
        _ => overlaps(&at, place, &report),
    }
}

fn overlaps(at: &Subject, place: &HookPlace, report: &Report) -> Line {
    let id = report.hook.map(|id| format!("hook {id}")).unwrap_or_default();
    let Some(other) = report.overlaps.first() else {
        return at.green(format!("{id} is as it has to be"));
    };
    let said = format!("{id} and hook {} of {} send the same events", other.hook, other.place);
    let cure = match other.place == *place {
        true => format!("`gitea-triage hook rotate {}` leaves one", argument(place)),
        false => {
            format!("`gitea-triage hook remove {}` leaves the organisation's", argument(place))
        }
    };
    at.yellow(said).cure(cure)
}
