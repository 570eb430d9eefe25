//! The built-in policy. Its lists are the original's, in the original's order, which decides between
//! acceptance terms that begin at one place and between task types.

use super::policy::{
    AcceptanceRules, AlignmentRules, Policy, Route, ScopeRules, TagSets, TaskWords,
};
use crate::dispatch::{AgentId, TaskType};

impl Default for Policy {
    fn default() -> Self {
        Self {
            ready_at: 5,
            route: Route::Triage,
            default_agent: AgentId::new("claude"),
            research_agent: AgentId::new("kimi"),
            research_label: "kimi-ready".to_owned(),
            ignore_labels: Vec::new(),
            ignore_authors: Vec::new(),
            blocked_terms: list(&[
                "{edge}blocked{edge}",
                "{edge}blocks{edge}",
                "{edge}blocking{edge}",
            ]),
            tags: TagSets::default(),
            scope: ScopeRules::default(),
            acceptance: AcceptanceRules::default(),
            alignment: AlignmentRules::default(),
            task_types: TASK_WORDS.iter().map(|(task, words)| task_words(*task, words)).collect(),
        }
    }
}

impl Default for TagSets {
    fn default() -> Self {
        Self {
            bug: list(&["bug", "broken", "crash", "error", "fix", "regression", "hotfix"]),
            feature: list(&["feature", "feat", "enhancement", "capability", "timmy-capability"]),
            refactor: list(&["refactor", "cleanup", "tech-debt", "optimization", "perf"]),
            meta: list(&["philosophy", "soul-gap", "discussion", "question", "rfc"]),
            p0: list(&["security", "data-loss", "blocking", "p0", "critical"]),
            research: list(&["research", "kimi-ready", "investigation", "spike"]),
            from_loop: list(&["loop-generated"]),
        }
    }
}

impl Default for ScopeRules {
    fn default() -> Self {
        Self {
            file_terms: list(&[
                "src/", "tests/", "scripts/", ".py", ".html", ".js", ".yaml", ".toml", ".sh",
            ]),
            file_points: 1,
            function_terms: list(&["def ", "class ", "function ", "method ", "`{word}()`"]),
            function_points: 1,
            title_limit: 80,
            title_points: 1,
            meta_penalty: 2,
            cap: 3,
        }
    }
}

impl Default for AcceptanceRules {
    fn default() -> Self {
        Self {
            terms: list(ACCEPTANCE_TERMS),
            some_points: 1,
            many: 3,
            many_points: 2,
            test_terms: list(&["tox", "pytest", "test_{word}", ".test.", "assert{space}"]),
            test_points: 1,
            section_terms: list(&[
                "##{spaces}problem",
                "##{spaces}solution",
                "##{spaces}expected",
                "##{spaces}actual",
                "##{spaces}steps",
            ]),
            section_points: 1,
            meta_penalty: 1,
            cap: 3,
        }
    }
}

impl Default for AlignmentRules {
    fn default() -> Self {
        Self { bug_points: 3, refactor_points: 2, feature_points: 2, from_loop_points: 1, cap: 3 }
    }
}

const ACCEPTANCE_TERMS: &[&str] = &[
    "should",
    "must",
    "expect",
    "verify",
    "assert",
    "test{any}case",
    "testcase",
    "acceptance",
    "criteria",
    "passes",
    "passing",
    "fails",
    "failing",
    "returns",
    "return",
    "raises",
    "raise",
];

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

fn task_words(task: TaskType, words: &[&str]) -> TaskWords {
    TaskWords { task, words: list(words) }
}

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
