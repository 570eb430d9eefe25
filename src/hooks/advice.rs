//! What to do when a delivery did not arrive. Pure.

use super::proof::Proven;
use super::target::Target;
use crate::gitea::{HookPlace, Server};

/// What to do about what was seen; `None` when all is well.
pub fn advice(
    proven: &Proven,
    place: &HookPlace,
    target: &Target,
    server: &Server,
) -> Option<String> {
    match proven {
        Proven::Arrived { .. } => None,
        Proven::NoIssue => Some("open an issue, then ask again".to_owned()),
        Proven::DryRun => Some(
            "`triage.dry_run` is on, and nothing but GET is sent; change an issue by hand, or turn it off"
                .to_owned(),
        ),
        Proven::Refused { why } => Some(refused(why, place)),
        Proven::Nothing => Some(nothing(target, server)),
    }
}

fn refused(why: &str, place: &HookPlace) -> String {
    let place = argument(place);
    match why {
        "signature_missing" | "signature_empty" => {
            format!(
                "the webhook has no secret; `gitea-triage hook rotate {place}` makes it anew with one"
            )
        }
        "signature_mismatch" | "secret_expired" => format!(
            "the webhook signs with a secret that is not, or no longer, one of `webhook.secrets`; \
             `gitea-triage hook rotate {place}` makes it anew with the first of them"
        ),
        "signature_malformed" | "no_delivery_id" => {
            "a proxy on the way changes or drops the headers; let it pass them on".to_owned()
        }
        "unsupported_content_type" | "bad_form" => {
            format!("`gitea-triage hook sync {place}` sets the content type to JSON")
        }
        "too_large" => "raise `webhook.max_body`".to_owned(),
        "unavailable" => "the service could not store it; see its log and its disk".to_owned(),
        _ => "see the service's log".to_owned(),
    }
}

/// The place as the command line takes it.
pub fn argument(place: &HookPlace) -> String {
    match place {
        HookPlace::Repo(repo) => repo.to_string(),
        HookPlace::Org(org) => format!("--org {org}"),
    }
}

fn nothing(target: &Target, server: &Server) -> String {
    let recent = "*Recent Deliveries* on the webhook's page shows what the forge met";
    match target.to_allow() {
        Some(host) => format!(
            "{} delivers to `{}` only when its `app.ini` says so (add to what is there, then restart it):\n{}\n{recent}",
            server.name(),
            target.host,
            server.allowed_hosts(host)
        ),
        None => format!(
            "see that there is a webhook, that it is active, and that the forge's machine reaches `{}`; {recent}",
            target.host
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::Reach;
    use super::*;

    fn told(proven: &Proven, version: &str) -> String {
        let target = Target { host: "127.0.0.1".into(), reach: Some(Reach::Loopback) };
        let server = Server { version: version.into(), at: None };
        let place = HookPlace::Repo("acme/widgets".parse().unwrap());
        advice(proven, &place, &target, &server).unwrap_or_default()
    }

    #[test]
    fn the_lines_for_the_running_version_are_given() {
        let old = told(&Proven::Nothing, "1.25.4");
        assert!(old.contains("\n[webhook]\nALLOWED_HOST_LIST = external,loopback\n"), "{old}");
        let new = told(&Proven::Nothing, "1.27.1");
        assert!(new.contains("\n[security]\nALLOWED_HOST_LIST = external,loopback\n"), "{new}");
        let forgejo = told(&Proven::Nothing, "11.0.1+gitea-1.22.0");
        assert!(forgejo.starts_with("Forgejo ") && forgejo.contains("\n[webhook]\n"), "{forgejo}");
    }

    #[test]
    fn a_refusal_names_the_command_that_mends_it() {
        let why = |why: &str| told(&Proven::Refused { why: why.into() }, "1.25.4");
        for wrong_secret in ["signature_mismatch", "signature_empty", "secret_expired"] {
            assert!(why(wrong_secret).contains("hook rotate acme/widgets"), "{wrong_secret}");
        }
        assert!(why("bad_form").contains("hook sync acme/widgets"));
    }
}
