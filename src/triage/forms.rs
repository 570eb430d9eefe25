//! The keys of a policy that reads statements instead of searching the raw text: labels, the types of issues, the fields of
//! forms. They are empty by default: the built-in default reads the raw text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dispatch::TaskType;
use crate::issue::IssueType;

/// How a type of issue is told, where `reads = "statements"`: by a label, else by the title, else by the fields of a form,
/// else by words of the text. All is compared as whole words in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypeWords {
    /// The type.
    #[serde(rename = "type")]
    #[schemars(extend("x-required" = "type = \"bug\""))]
    pub issue_type: IssueType,
    /// The kind of task, unless words of `task_types` tell another.
    pub task: TaskType,
    /// Labels; of several, the type that comes first in the policy counts.
    pub labels: Vec<String>,
    /// What stands in brackets or before a colon in a title: `fix` for `fix(parser): …`.
    pub titles: Vec<String>,
    /// Headings of forms that are only used for it.
    pub fields: Vec<String>,
    /// Words that a title begins with.
    pub openers: Vec<String>,
    /// Characters that a title ends with.
    pub endings: Vec<String>,
    /// Phrases that say much; three points each, four in the title. A `*` at the end stands for any ending.
    pub strong: Vec<String>,
    /// Phrases that say something; one point each, two in the title.
    pub cues: Vec<String>,
}

impl Default for TypeWords {
    fn default() -> Self {
        Self {
            issue_type: IssueType::Unknown,
            task: TaskType::RoutineCoding,
            labels: Vec::new(),
            titles: Vec::new(),
            fields: Vec::new(),
            openers: Vec::new(),
            endings: Vec::new(),
            strong: Vec::new(),
            cues: Vec::new(),
        }
    }
}

/// How labels are compared, where `reads = "statements"`: without case, emoji, separators and these words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelRules {
    /// What may stand before the word that counts: `kind` in `Kind/Bug`.
    pub scopes: Vec<String>,
    /// Words that change nothing: `confirmed` in `confirmed bug`.
    pub modifiers: Vec<String>,
    /// Labels that say that an issue is blocked.
    pub blocked: Vec<String>,
}

/// Headings of the fields of issue forms, where `reads = "statements"`, and text that nobody filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FieldRules {
    /// What should happen.
    pub expected: Vec<String>,
    /// What happens.
    pub actual: Vec<String>,
    /// How to see it happen.
    pub steps: Vec<String>,
    /// When the issue is done.
    pub done: Vec<String>,
    /// What is to be changed.
    pub solution: Vec<String>,
    /// Versions, logs, pictures: no statements.
    pub details: Vec<String>,
    /// What a form asks to be confirmed: no statements.
    pub checklist: Vec<String>,
    /// Lines that say nothing.
    pub placeholders: Vec<String>,
    /// How lines begin that say nothing.
    pub prompts: Vec<String>,
}
