//! The built-in policy. Its lists are the original's, in the original's order, which decides between
//! acceptance terms that begin at one place and between task types.

use super::forms::{FieldRules, LabelRules};
use super::points::{AcceptanceRules, AlignmentRules, ScopeRules, TagSets, list, words};
use super::policy::{Answers, Authors, AuthorsIn, Policy, Preset, Reads, Route, TaskWords};
use crate::dispatch::{AgentId, TaskType};

impl Default for Policy {
    fn default() -> Self {
        Self {
            preset: Preset::Seed,
            reads: Reads::Text,
            ready_at: 5,
            flag_urgent: false,
            answers: Answers::None,
            duplicates: false,
            duplicate_at: 60,
            duplicate_days: 90,
            authors: Authors::Anyone,
            authors_in: AuthorsIn::All,
            route: Route::Triage,
            default_agent: AgentId::new("claude"),
            research_agent: AgentId::new("kimi"),
            research_label: "kimi-ready".to_owned(),
            ignore_labels: Vec::new(),
            ready_labels: Vec::new(),
            ignore_authors: Vec::new(),
            blocked_terms: words("{edge}blocked{edge} {edge}blocks{edge} {edge}blocking{edge}"),
            blocked_by: Vec::new(),
            negations: Vec::new(),
            urgent_phrases: Vec::new(),
            type_margin: 2,
            labels: LabelRules::default(),
            fields: FieldRules::default(),
            tags: TagSets::default(),
            scope: ScopeRules::default(),
            acceptance: AcceptanceRules::default(),
            alignment: AlignmentRules::default(),
            task_types: TASK_WORDS
                .iter()
                .map(|(task, words)| TaskWords {
                    task: *task,
                    words: list(words),
                    types: Vec::new(),
                })
                .collect(),
            types: Vec::new(),
        }
    }
}

const TASK_WORDS: &[(TaskType, &[&str])] = &[
    (TaskType::Architecture, &["architect", "design", "adr", "system design", "schema"]),
    (TaskType::Refactoring, &["refactor", "clean up", "cleanup", "reorganise", "reorganize"]),
    (TaskType::CodeReview, &["review", "pr review", "pull request review", "audit"]),
    (TaskType::ComplexReasoning, &["complex", "hard problem", "debug", "investigate", "diagnose"]),
    (TaskType::Research, &["research", "survey", "literature", "benchmark", "analyse", "analyze"]),
    (TaskType::Analysis, &["analysis", "profil", "trace", "metric", "performance"]),
    (TaskType::Triage, &["triage", "classify", "prioritise", "prioritize"]),
    (TaskType::Planning, &["plan", "roadmap", "milestone", "epic", "spike"]),
    (TaskType::Creative, &["creative", "persona", "story", "write", "draft"]),
    (TaskType::Orchestration, &["orchestrat", "coordinat", "swarm", "dispatch"]),
    (TaskType::ParallelImplementation, &["parallel", "concurrent", "batch"]),
    (TaskType::FastIteration, &["quick", "fast", "iterate", "prototype", "poc"]),
];
