//! What people are told where an older issue says the same: which one, how much of it, and how to go on. Pure.

use sha2::{Digest as _, Sha256};

use super::code;
use crate::issue::IssueNumber;
use crate::reason::Reason;
use crate::triage::Language;

/// A digest of which issue it is, and of whether that one is closed. How much is the same and by which words changes
/// with every other issue, and is no news.
pub(super) fn digest(reason: &Reason) -> Option<String> {
    let Reason::Duplicate { of, closed_at, .. } = reason else { return None };
    let told = format!("{} {}", of.number, closed_at.is_some());
    Some(hex::encode(&Sha256::digest(told)[..6]))
}

/// The comment, where this is the reason; `page` is that of the issue itself.
pub(super) fn text(language: Language, reason: &Reason, page: &str) -> Option<String> {
    let Reason::Duplicate { of, percent, words, closed_at } = reason else { return None };
    let words: Vec<_> = words.iter().map(|word| code(word)).collect();
    let (other, words) = (link(of.number, page), words.join(", "));
    let [head, shared, then, closed] = sentences(language);
    let closed = closed_at.map(|at| format!(" {closed} {}.", at.format("%Y-%m-%d")));
    let closed = closed.unwrap_or_default();
    Some(format!("**{head} {other}**\n\n{shared} ({percent} %): {words}.{closed}\n\n{then}"))
}

/// The other issue, clickable, without a reference on it: two slashes before the repository's name, and one behind the
/// number, make none (`forge::Client::quiet_issue_url` says where from).
fn link(number: IssueNumber, page: &str) -> String {
    let name = code(&format!("#{number}"));
    match page.rsplitn(5, '/').collect::<Vec<_>>()[..] {
        [_, list, repo, owner, base] => {
            format!("[{name}]({base}//{owner}/{repo}/{list}/{number}/)")
        }
        _ => name,
    }
}

/// That it may be a duplicate, what is the same, what to do, and when the other one was closed.
fn sentences(language: Language) -> [&'static str; 4] {
    match language {
        Language::English => [
            "This may be the same as",
            "Words in common",
            "No agent gets it for now. If it is something else, or came back, comment `/triage go`, or edit it so that it says what is different. If it is the same, close it.",
            "The other one was closed on",
        ],
        Language::German => [
            "Das ist vielleicht dasselbe wie",
            "Gemeinsame Wörter",
            "Vorerst bekommt es kein Agent. Ist es etwas anderes oder wieder da, genügt der Kommentar `/triage go`, oder eine Änderung des Textes, die sagt, was anders ist. Ist es dasselbe, bitte schließen.",
            "Das andere wurde geschlossen am",
        ],
        Language::Spanish => [
            "Esto puede ser lo mismo que",
            "Palabras en común",
            "De momento no lo recibe ningún agente. Si es otra cosa, o ha vuelto, comenta `/triage go`, o edita el texto para que diga qué es distinto. Si es lo mismo, ciérralo.",
            "El otro se cerró el",
        ],
        Language::French => [
            "C'est peut-être la même chose que",
            "Mots en commun",
            "Aucun agent ne le reçoit pour l'instant. Si c'est autre chose, ou si c'est revenu, commentez `/triage go`, ou modifiez le texte pour dire ce qui est différent. Si c'est la même chose, fermez-le.",
            "L'autre a été fermé le",
        ],
        Language::Chinese => [
            "这可能与此相同：",
            "共同的词",
            "暂时不会分配给任何代理。如果是别的问题，或者又出现了，请评论 `/triage go`，或修改文字说明不同之处；如果相同，请关闭。",
            "另一个的关闭日期：",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(closed_at: Option<&str>) -> Reason {
        Reason::Duplicate {
            of: "acme/widgets#5".parse().unwrap(),
            percent: 82,
            words: vec!["`login`".into(), "@bob".into()],
            closed_at: closed_at.map(|at| at.parse().unwrap()),
        }
    }

    const PAGE: &str = "https://git.example.com/acme/widgets/issues/12";

    #[test]
    fn the_other_issue_is_linked_without_a_reference_and_words_call_nobody() {
        insta::assert_snapshot!(text(Language::English, &reason(None), PAGE).unwrap(), @r"
        **This may be the same as [`#5`](https://git.example.com//acme/widgets/issues/5/)**

        Words in common (82 %): `` `login` ``, `@bob`.

        No agent gets it for now. If it is something else, or came back, comment `/triage go`, or edit it so that it says what is different. If it is the same, close it.
        ");
        let closed = reason(Some("2026-03-01T10:00:00Z"));
        let german = text(Language::German, &closed, "").unwrap();
        assert!(german.starts_with("**Das ist vielleicht dasselbe wie `#5`**"), "{german}");
        assert!(german.contains(" Das andere wurde geschlossen am 2026-03-01."), "{german}");
    }

    #[test]
    fn only_another_issue_or_its_end_is_news() {
        let Reason::Duplicate { of, closed_at, .. } = reason(None) else { unreachable!() };
        let other = Reason::Duplicate { of, closed_at, percent: 61, words: Vec::new() };
        assert_eq!(digest(&reason(None)), digest(&other));
        assert_ne!(digest(&reason(None)), digest(&reason(Some("2026-03-01T10:00:00Z"))));
    }
}
