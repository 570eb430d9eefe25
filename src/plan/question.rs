//! What people are told where an issue is given to nobody: one comment that names what is missing, or that somebody has to
//! approve it, in the language of the issue, and a label. Pure.

use sha2::{Digest as _, Sha256};

use super::approval::APPROVAL;
use super::{Effect, OVER, PlanInput, duplicate};
use crate::dispatch::Mark;
use crate::issue::{Account, Change};
use crate::reason::{Missing, Reason};
use crate::triage::{Answer, Answers, Decision, Language, MarkedComment, Marker, Question};

/// What the marker of the comment says.
pub(super) const NEEDS_INFO: &str = "needs-info";
/// The same of one that names an older issue.
pub(super) const DUPLICATE: &str = "duplicate";

/// Whether a label was put on last rather than taken off, and by whom.
type LastChange<'a> = (bool, Option<&'a Account>);

impl PlanInput<'_> {
    /// The comment that asks for what is missing or for an approval, or names the older issue, once: what is said otherwise
    /// by now is an edit, which notifies nobody.
    pub(super) fn question(&self, said: &[MarkedComment]) -> Option<Effect> {
        let answer = self.e.answer.filter(|_| self.answers() == Answers::Comment)?;
        let asks = marker_of(answer)?;
        let Decision::Skip { reason } = &self.e.decision else { return None };
        let issue = self.s.issue;
        let language = Language::of(&format!("{} {}", issue.title, issue.body));
        let (text, digest) = match reason {
            Reason::NotReady { missing, .. } => (text(language, missing), digest(&names(missing))),
            Reason::Duplicate { .. } => {
                duplicate::text(language, reason, &issue.url).zip(duplicate::digest(reason))?
            }
            _ => {
                let text = self.request_for_approval(language)?;
                let digest = digest(&text);
                (text, digest)
            }
        };
        let marker = Marker { decision: asks.to_owned(), digest };
        let before = self.asked_before(asks, said);
        if before.is_some_and(|asked| asked.marker == marker) {
            return None;
        }
        let body = format!("{text}\n\n{marker}");
        // Whoever approved it waits for what comes of that, and an edit notifies nobody.
        let is_anew =
            |asked: &&MarkedComment| answer == Answer::Approval && asked.marker.digest == OVER;
        let edit = before.filter(|asked| !is_anew(asked)).map(|asked| asked.id);
        Some(Effect::Comment { edit, marker, body })
    }

    fn answers(&self) -> Answers {
        self.rules.triage.policy().answers
    }

    /// Our question, if it was asked.
    fn asked_before<'a>(
        &'a self,
        asks: &str,
        said: &'a [MarkedComment],
    ) -> Option<&'a MarkedComment> {
        let latest = self.audit_comment.into_iter();
        latest.chain(said).find(|comment| comment.marker.decision == asks)
    }

    /// The labels that go with an answer: put on once, and taken off again when nothing is missing any more. A label that
    /// a person put on stays, and one that a person took off is not put back.
    pub(super) fn answer_labels(&self) -> Result<Vec<Effect>, Question> {
        let labels = [
            (Answer::NeedsInfo, &self.rules.needs_info_label),
            (Answer::Question, &self.rules.question_label),
        ];
        let mut effects = Vec::new();
        for (answer, label) in labels.into_iter().filter(|_| self.answers() != Answers::None) {
            let Some(label) = label else { continue };
            let mark = Mark::Label(label.clone());
            let (is_on, is_wanted) = (mark.is_on(self.s.issue), self.e.answer == Some(answer));
            let is_settled = answer == Answer::NeedsInfo && !is_wanted && self.is_settled();
            if is_wanted && !is_on && self.may_put(label)? {
                effects.push(Effect::Put(mark));
            } else if is_on && is_settled && self.is_ours(label)? {
                effects.push(Effect::TakeOff(mark));
            }
        }
        Ok(effects)
    }

    /// Whether the issue has all that somebody needs to work on it.
    fn is_settled(&self) -> bool {
        match &self.e.decision {
            Decision::Dispatch { .. } | Decision::Wait { .. } => true,
            Decision::Skip { reason: Reason::AwaitsApproval { .. } | Reason::Duplicate { .. } } => {
                true
            }
            Decision::Flag { reason } => !matches!(reason, Reason::NotReady { .. }),
            Decision::Skip { .. } | Decision::Finish { .. } => false,
        }
    }

    /// Whether no person took the label off.
    fn may_put(&self, label: &str) -> Result<bool, Question> {
        let Some((false, by)) = self.last_change(label)? else { return Ok(true) };
        let us = self.s.account()?;
        Ok(by.is_some_and(|by| by.is_same_as(us)))
    }

    /// Whether the label was last put on by our own account.
    fn is_ours(&self, label: &str) -> Result<bool, Question> {
        let Some((is_on, by)) = self.last_change(label)? else { return Ok(false) };
        let us = self.s.account()?;
        Ok(is_on && by.is_some_and(|by| by.is_same_as(us)))
    }

    /// Whether the label was put on or taken off last, and by whom.
    fn last_change(&self, label: &str) -> Result<Option<LastChange<'_>>, Question> {
        let timeline = self.s.timeline(self.s.issue.created_at.unwrap_or_default())?;
        Ok(timeline.iter().rev().find_map(|one| match &one.change {
            Change::Labelled { name, on } if name == label => Some((*on, one.by.as_ref())),
            _ => None,
        }))
    }
}

/// What the marker of the comment says by which people get this answer; `None` where there is none.
pub(super) fn marker_of(answer: Answer) -> Option<&'static str> {
    match answer {
        Answer::NeedsInfo => Some(NEEDS_INFO),
        Answer::Approval => Some(APPROVAL),
        Answer::Duplicate => Some(DUPLICATE),
        Answer::Question => None,
    }
}

fn names(missing: &[Missing]) -> String {
    missing.iter().map(|one| one.as_str()).collect::<Vec<_>>().join("\n")
}

fn digest(of: &str) -> String {
    hex::encode(&Sha256::digest(of)[..6])
}

fn text(language: Language, missing: &[Missing]) -> String {
    let items: Vec<_> = missing.iter().map(|one| format!("- {}", item(language, *one))).collect();
    let (before, after) = frame(language);
    format!("**{before}**\n\n{}\n\n{after}", items.join("\n"))
}

/// What stands before and after the list.
fn frame(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::English => (
            "Thank you. For somebody to work on this, it still needs:",
            "Edit the text or answer in a comment; it is looked at again then.",
        ),
        Language::German => (
            "Danke. Damit jemand daran arbeiten kann, fehlt noch:",
            "Ergänze den Text oder antworte in einem Kommentar; dann wird es erneut angesehen.",
        ),
        Language::Spanish => (
            "Gracias. Para que alguien pueda trabajar en esto, todavía falta:",
            "Edita el texto o responde en un comentario; entonces se revisará de nuevo.",
        ),
        Language::French => (
            "Merci. Pour que quelqu'un puisse y travailler, il manque encore :",
            "Modifiez le texte ou répondez dans un commentaire ; il sera alors relu.",
        ),
        Language::Chinese => {
            ("谢谢。要处理这个问题，还需要：", "请修改正文或在评论中回复，之后会重新查看。")
        }
    }
}

/// What is asked for.
fn item(language: Language, missing: Missing) -> &'static str {
    let all = match missing {
        Missing::Type | Missing::Kind | Missing::Agreement => [
            "what it is about: something broken, something wanted, or a question",
            "worum es geht: ein Fehler, ein Wunsch oder eine Frage",
            "de qué se trata: un error, un deseo o una pregunta",
            "de quoi il s'agit : un défaut, un souhait ou une question",
            "说明类型：故障、需求还是提问",
        ],
        Missing::Steps => [
            "steps to see it happen, or the error message or log",
            "Schritte zum Nachstellen, oder die Fehlermeldung oder das Protokoll",
            "los pasos para reproducirlo, o el mensaje de error o el registro",
            "les étapes pour le reproduire, ou le message d'erreur ou le journal",
            "复现步骤，或错误信息、日志",
        ],
        Missing::Place | Missing::File | Missing::Function => [
            "where: the page, command, file or function",
            "wo: die Seite, der Befehl, die Datei oder die Funktion",
            "dónde: la página, el comando, el archivo o la función",
            "où : la page, la commande, le fichier ou la fonction",
            "位置：页面、命令、文件或函数",
        ],
        Missing::Expected | Missing::Acceptance | Missing::Test => [
            "what should happen, or when it is done",
            "was geschehen soll, oder wann es erledigt ist",
            "qué debería ocurrir, o cuándo está terminado",
            "ce qui devrait se passer, ou quand c'est terminé",
            "期望的结果，或完成的标准",
        ],
        Missing::Detail | Missing::Section | Missing::ShortTitle => [
            "a description in a few sentences",
            "eine Beschreibung in ein paar Sätzen",
            "una descripción en unas frases",
            "une description en quelques phrases",
            "几句话的描述",
        ],
    };
    all[language as usize]
}
