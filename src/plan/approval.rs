//! What people are told where an issue waits for somebody to approve it: one comment in the language of the issue that
//! mentions nobody. Pure.

use super::PlanInput;
use crate::reason::{Reason, TextChange, code};
use crate::triage::Language;

/// What the marker of the comment says.
pub(super) const APPROVAL: &str = "approval";

impl PlanInput<'_> {
    /// The text of the comment; `None` where the issue waits for something else.
    pub(super) fn request_for_approval(&self, language: Language) -> Option<String> {
        let Reason::AwaitsApproval { change, by_choice, .. } = self.e.decision.reason() else {
            return None;
        };
        let (words, by_choice) = (words(language), *by_choice);
        let changed = match change {
            Some(TextChange { by: Some(by), .. }) => words.changed_by.replace("{}", &code(by)),
            Some(TextChange { by: None, .. }) => words.changed.to_owned(),
            None => String::new(),
        };
        let changed = if changed.is_empty() { changed } else { format!("**{changed}**\n\n") };
        let label = self.rules.approve_label.as_ref().filter(|_| !by_choice);
        let is_on = label.is_some_and(|label| self.s.issue.has_label(label));
        let way = match label.map(|label| code(label)) {
            _ if by_choice => words.choose.to_owned(),
            None => words.command.to_owned(),
            Some(label) if is_on => words.label_again.replace("{}", &label),
            Some(label) => words.label.replace("{}", &label),
        };
        let head = if by_choice { words.choice_head } else { words.head };
        let head = if changed.is_empty() { format!("**{head}**") } else { head.to_owned() };
        Some(format!("{changed}{head}\n\n{way}"))
    }
}

/// The sentences of one language; `{}` stands for a login or a label.
struct Words {
    changed_by: &'static str,
    changed: &'static str,
    head: &'static str,
    label: &'static str,
    label_again: &'static str,
    command: &'static str,
    choice_head: &'static str,
    choose: &'static str,
}

fn words(language: Language) -> Words {
    match language {
        Language::English => Words {
            changed_by: "The text was changed by {} since it was approved.",
            changed: "This is not known to be the text that was approved.",
            head: "An agent can work on this once somebody who may write to this repository approves it.",
            label: "Put on the label {}, or comment `/triage approve`.",
            label_again: "Comment `/triage approve`, or take the label {} off and put it on again.",
            command: "Comment `/triage approve`.",
            choice_head: "An agent can work on this once somebody who may write to this repository chooses one.",
            choose: "Comment `/triage assign <agent>`.",
        },
        Language::German => Words {
            changed_by: "Der Text wurde von {} geändert, seit er freigegeben wurde.",
            changed: "Ob das der freigegebene Text ist, ist nicht bekannt.",
            head: "Ein Agent kann daran arbeiten, sobald jemand mit Schreibrecht in diesem Repository es freigibt.",
            label: "Setze das Label {}, oder kommentiere `/triage approve`.",
            label_again: "Kommentiere `/triage approve`, oder nimm das Label {} ab und setze es erneut.",
            command: "Kommentiere `/triage approve`.",
            choice_head: "Ein Agent kann daran arbeiten, sobald jemand mit Schreibrecht in diesem Repository einen auswählt.",
            choose: "Kommentiere `/triage assign <agent>`.",
        },
        Language::Spanish => Words {
            changed_by: "{} cambió el texto después de que fuera aprobado.",
            changed: "No se sabe si este es el texto que fue aprobado.",
            head: "Un agente puede trabajar en esto cuando alguien que pueda escribir en este repositorio lo apruebe.",
            label: "Pon la etiqueta {} o comenta `/triage approve`.",
            label_again: "Comenta `/triage approve`, o quita la etiqueta {} y vuelve a ponerla.",
            command: "Comenta `/triage approve`.",
            choice_head: "Un agente puede trabajar en esto cuando alguien que pueda escribir en este repositorio elija uno.",
            choose: "Comenta `/triage assign <agent>`.",
        },
        Language::French => Words {
            changed_by: "Le texte a été modifié par {} depuis son approbation.",
            changed: "On ne sait pas si c'est le texte qui a été approuvé.",
            head: "Un agent pourra y travailler quand quelqu'un qui peut écrire dans ce dépôt l'aura approuvé.",
            label: "Ajoutez l'étiquette {}, ou commentez `/triage approve`.",
            label_again: "Commentez `/triage approve`, ou retirez l'étiquette {} et ajoutez-la de nouveau.",
            command: "Commentez `/triage approve`.",
            choice_head: "Un agent pourra y travailler quand quelqu'un qui peut écrire dans ce dépôt en aura choisi un.",
            choose: "Commentez `/triage assign <agent>`.",
        },
        Language::Chinese => Words {
            changed_by: "批准之后，{} 修改了正文。",
            changed: "无法确定这是否为已批准的正文。",
            head: "对此仓库有写权限的人批准之后，代理才能处理这个问题。",
            label: "请添加标签 {}，或评论 `/triage approve`。",
            label_again: "请评论 `/triage approve`，或移除标签 {} 后重新添加。",
            command: "请评论 `/triage approve`。",
            choice_head: "对此仓库有写权限的人选定代理之后，代理才能处理这个问题。",
            choose: "请评论 `/triage assign <agent>`。",
        },
    }
}
