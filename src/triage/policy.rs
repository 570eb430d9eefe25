//! What an owner tunes: points, word lists, tags, threshold and routing, as plain data.
//! The built-in default scores every issue as the loop did that this service replaces.

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::forms::{FieldRules, LabelRules, TypeWords};
use super::points::{AcceptanceRules, AlignmentRules, ScopeRules, TagSets};
use super::term::TermProblem;
use super::text;
use crate::clock::Timestamp;
use crate::dispatch::{AgentId, TaskType};
use crate::issue::IssueType;

/// Everything the verdict depends on besides the issue itself. Every key has a default.
///
/// A *term* (in the lists called `…terms`) is plain text, found anywhere and in any case. These marks in it
/// stand for more than themselves:
///
/// | mark | stands for |
/// |---|---|
/// | `{word}` | one or more letters, digits or `_` |
/// | `{space}` | one white-space character, a line break included |
/// | `{spaces}` | any amount of white space, also none |
/// | `{any}` | one character that is no line feed |
/// | `{edge}` | the beginning or end of a word |
/// | `{{` | a `{` |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The built-in policy whose keys these change.
    pub preset: Preset,
    /// What terms and words are found in.
    pub reads: Reads,
    /// The score from which an issue is handed to an agent.
    pub ready_at: u8,
    /// Whether an urgent issue below that score is flagged; urgent is what has a tag of `tags.p0`. It is named in the
    /// summary and on the dashboard in either case.
    pub flag_urgent: bool,
    /// What people are told where an issue is given to nobody, for want of information or because it is a question.
    pub answers: Answers,
    /// Whether an issue that says the same as an older one is held back from agents until a person says otherwise.
    pub duplicates: bool,
    /// How much of the two has to be the same for that, in percent.
    #[schemars(range(min = 1, max = 100))]
    pub duplicate_at: u8,
    /// For how many days after it was closed an issue is still compared with new ones.
    #[schemars(range(max = 36_500))]
    pub duplicate_days: u32,
    /// Whose issues an agent gets without a person who may write saying so: in repositories of `authors_in`.
    pub authors: Authors,
    /// The repositories in which `authors` holds.
    pub authors_in: AuthorsIn,
    /// What the agent is chosen by.
    pub route: Route,
    /// Who gets a ready issue.
    pub default_agent: AgentId,
    /// Who gets a ready issue that calls for research.
    pub research_agent: AgentId,
    /// The label that always calls for research, spelled exactly so.
    pub research_label: String,
    /// Issues with one of these labels are left alone.
    pub ignore_labels: Vec<String>,
    /// Where any are named, only an issue with one of these labels can be claimed, and no agent gets one by itself.
    pub ready_labels: Vec<String>,
    /// Issues by one of these accounts are left alone.
    pub ignore_authors: Vec<String>,
    /// Terms that say the issue is blocked; not used where `reads = "statements"`.
    pub blocked_terms: Vec<String>,
    /// Phrases that say that an issue is blocked where the name of another issue follows, as in `blocked by #12`, where
    /// `reads = "statements"`.
    pub blocked_by: Vec<String>,
    /// Words that turn what follows into its opposite, where `reads = "statements"`.
    pub negations: Vec<String>,
    /// Phrases that say that an issue is urgent, where `reads = "statements"`; they do not count for features, documents
    /// and the like.
    pub urgent_phrases: Vec<String>,
    /// How many points a type needs, and how many more than the next one has, to be told by words of the text.
    pub type_margin: u8,
    /// How labels are compared.
    pub labels: LabelRules,
    /// The fields of forms.
    pub fields: FieldRules,
    /// The classes of tags.
    pub tags: TagSets,
    /// Points for how well it is scoped.
    pub scope: ScopeRules,
    /// Points for how clear it is when it is done.
    pub acceptance: AcceptanceRules,
    /// Points for how much it is wanted.
    pub alignment: AlignmentRules,
    /// Words for the task types; the first entry with a word in the issue wins.
    pub task_types: Vec<TaskWords>,
    /// How the types of issues are told.
    pub types: Vec<TypeWords>,
}

named_enum! {
    /// The built-in policies.
    #[derive(Default)]
    Preset {
        /// Scores every issue as the loop did that this service replaces; never changes.
        #[default]
        Seed = "seed",
        /// For issues as people write them.
        Practical = "practical",
    }
}

named_enum! {
    /// What people are told where an issue is given to nobody.
    #[derive(Default)]
    Answers {
        /// A comment that names what is missing, and a label.
        Comment = "comment",
        /// A label.
        Label = "label",
        /// Nothing.
        #[default]
        None = "none",
    }
}

named_enum! {
    /// Whose issues an agent gets.
    #[derive(Default)]
    Authors {
        /// Everybody's.
        #[default]
        Anyone = "anyone",
        /// Those of people who may write to the repository's issues; of others only what a person gives to an agent by name.
        Members = "members",
        /// Those of people who may write to the repository's issues; of others what one of them approved.
        Approved = "approved",
    }
}

named_enum! {
    /// The repositories in which it matters who opened an issue.
    #[derive(Default)]
    AuthorsIn {
        /// All.
        #[default]
        All = "all",
        /// Public ones: in a private one only those open issues who were let in.
        Public = "public",
    }
}

named_enum! {
    /// What terms and words are found in.
    #[derive(Default)]
    Reads {
        /// Anywhere in the raw title and body.
        #[default]
        Text = "text",
        /// In what the writer says: no code, quotation, log, comment, form or checklist.
        Statements = "statements",
    }
}

named_enum! {
    /// What the agent is chosen by.
    #[derive(Default)]
    Route {
        /// The research agent for research, the default agent for the rest.
        #[default]
        Triage = "triage",
        /// The first agent whose strengths hold the task type, free ones first.
        TaskType = "task-type",
    }
}

/// The words that tell a kind of task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaskWords {
    /// The kind of task.
    #[schemars(extend("x-required" = "task = \"research\""))]
    pub task: TaskType,
    /// Plain text without marks, found anywhere in title or body, in any case; whole words where `reads = "statements"`.
    pub words: Vec<String>,
    /// The types of issues for which it counts; all when left out.
    pub types: Vec<IssueType>,
}

impl Default for TaskWords {
    fn default() -> Self {
        Self { task: TaskType::RoutineCoding, words: Vec::new(), types: Vec::new() }
    }
}

/// Why a policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A term is not in the notation.
    #[error("`{key}`: the term `{term}` {problem}")]
    Term {
        /// The list it stands in.
        key: &'static str,
        /// The term as written.
        term: String,
        /// What is wrong with it.
        problem: TermProblem,
    },
    /// A task type has an empty word, which every issue would contain.
    #[error("`task_types`: a word of `{task}` is empty; remove it")]
    EmptyWord {
        /// The task type it stands under.
        task: TaskType,
    },
    /// A part could give more than a score can hold.
    #[error("`{key}` is {cap}; a part gives at most {most} points")]
    Cap {
        /// The key.
        key: &'static str,
        /// Its value.
        cap: u8,
        /// The highest allowed.
        most: u8,
    },
    /// A share of a hundred is none, or more than all.
    #[error("`{key}` is {value}; it is a percentage from 1 to 100")]
    Percentage {
        /// The key.
        key: &'static str,
        /// Its value.
        value: u8,
    },
    /// No issue could ever be ready.
    #[error("`ready_at` is {ready_at}, but no issue can score more than {most}; lower it")]
    NeverReady {
        /// The threshold.
        ready_at: u8,
        /// The sum of the caps.
        most: u8,
    },
    /// There are more words than can be searched for at once.
    #[error("the terms and words together are too many to search for: {0}")]
    TooLarge(String),
}

impl PolicyError {
    /// The key it is about, as a policy file calls it; `None` when it is about all of them.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Term { key, .. } | Self::Cap { key, .. } | Self::Percentage { key, .. } => {
                Some(key)
            }
            Self::EmptyWord { .. } => Some("task_types"),
            Self::NeverReady { .. } => Some("ready_at"),
            Self::TooLarge(_) => None,
        }
    }
}

/// The highest cap of a part: three of them still fit a score.
const MOST_PER_PART: u8 = 80;

impl Policy {
    /// Since when an issue may have been closed that is compared with new ones.
    pub fn closed_since(&self, now: Timestamp) -> Timestamp {
        let days = TimeDelta::days(i64::from(self.duplicate_days));
        now.checked_sub_signed(days).unwrap_or(Timestamp::MIN_UTC)
    }

    /// Brings the tags and the labels that are left alone into the form in which an issue's tags are compared.
    pub(super) fn normalise(&mut self) {
        let sets = &mut self.tags;
        let sets = [
            &mut sets.bug,
            &mut sets.feature,
            &mut sets.refactor,
            &mut sets.meta,
            &mut sets.p0,
            &mut sets.research,
            &mut sets.from_loop,
        ];
        for tag in sets.into_iter().chain([&mut self.ignore_labels]).flatten() {
            *tag = text::normal(tag);
        }
    }

    /// Refuses numbers that make no sense together.
    pub(super) fn check_numbers(&self) -> Result<(), PolicyError> {
        let caps = [
            ("scope.cap", self.scope.cap),
            ("acceptance.cap", self.acceptance.cap),
            ("alignment.cap", self.alignment.cap),
        ];
        if let Some((key, cap)) = caps.into_iter().find(|(_, cap)| *cap > MOST_PER_PART) {
            return Err(PolicyError::Cap { key, cap, most: MOST_PER_PART });
        }
        if !(1..=100).contains(&self.duplicate_at) {
            return Err(PolicyError::Percentage { key: "duplicate_at", value: self.duplicate_at });
        }
        let most = caps.iter().map(|(_, cap)| cap).sum();
        if self.ready_at > most {
            return Err(PolicyError::NeverReady { ready_at: self.ready_at, most });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::Triage;
    use crate::triage::samples::{issue, now};

    fn read(text: &str) -> Result<Policy, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_file_overrides_single_keys() {
        let policy =
            read("ready_at = 4\nroute = 'task-type'\n[scope]\nfile_points = 2").expect("valid");
        let mut expected = Policy { ready_at: 4, route: Route::TaskType, ..Policy::default() };
        expected.scope.file_points = 2;
        assert_eq!(policy, expected);
    }

    #[test]
    fn a_policy_survives_being_written_and_read() {
        let text = toml::to_string(&Policy::default()).expect("can be written");
        assert_eq!(read(&text).expect("can be read"), Policy::default());
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(read("[scope]\nfile_point = 2").is_err());
    }

    #[track_caller]
    fn refuses(change: impl FnOnce(&mut Policy), message: &str) {
        let mut policy = Policy::default();
        change(&mut policy);
        let error = Triage::new(policy).expect_err("a policy that cannot be used");
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_policy_that_cannot_work_is_refused_by_key_and_value() {
        refuses(
            |p| p.ready_at = 10,
            "`ready_at` is 10, but no issue can score more than 9; lower it",
        );
        refuses(
            |p| p.duplicate_at = 101,
            "`duplicate_at` is 101; it is a percentage from 1 to 100",
        );
        refuses(|p| p.scope.cap = 99, "`scope.cap` is 99; a part gives at most 80 points");
        refuses(
            |p| p.blocked_terms.push("on {holt}".into()),
            "`blocked_terms`: the term `on {holt}` has an unknown mark `{holt}`; write `{word}`, \
             `{space}`, `{spaces}`, `{any}` or `{edge}`, and `{{` for a brace",
        );
        refuses(
            |p| p.task_types[7].words.push(String::new()),
            "`task_types`: a word of `planning` is empty; remove it",
        );
    }

    #[test]
    fn words_of_other_languages_are_found_in_any_case() {
        let mut policy = Policy::default();
        policy.acceptance.terms = vec!["prüfung".into()];
        policy.task_types[0].words = vec!["Übersicht".into()];
        policy.tags.bug = vec![" Fehler ".into()];
        let triage = Triage::new(policy).expect("a valid policy");
        let score = triage.score(&issue("[FEHLER] x", "PRÜFUNG ÜBERSICHT"), now());
        assert_eq!((score.acceptance, score.alignment), (1, 3));
        let task = triage.task_type(&issue("", "eine ÜBERSICHT"));
        assert_eq!(task, TaskType::Architecture);
    }
}
