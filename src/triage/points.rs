//! The keys of a policy that give points: tags and terms, with the built-in values. The lists are the original's, in the
//! original's order, which decides between acceptance terms that begin at one place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tags, bracketed in the title or label names, and what they make of an issue; compared in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TagSets {
    /// Something is broken.
    pub bug: Vec<String>,
    /// Something new is wanted.
    pub feature: Vec<String>,
    /// Something is to be restructured.
    pub refactor: Vec<String>,
    /// Something is to be talked about.
    pub meta: Vec<String>,
    /// It goes first in line.
    pub p0: Vec<String>,
    /// Something is to be found out.
    pub research: Vec<String>,
    /// It was written by the loop itself.
    pub from_loop: Vec<String>,
}

/// Points for how well an issue is scoped. Terms are found in title and body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScopeRules {
    /// Terms that name a file.
    pub file_terms: Vec<String>,
    /// Points for one of them.
    pub file_points: u8,
    /// Terms that name a function or class.
    pub function_terms: Vec<String>,
    /// Points for one of them.
    pub function_points: u8,
    /// Points for code, a log or a trace; where `reads = "statements"`.
    pub example_points: u8,
    /// Points for steps to see it happen; where `reads = "statements"`.
    pub steps_points: u8,
    /// A title is short when it has fewer characters, tags not counted.
    pub title_limit: usize,
    /// Points for a short title.
    pub title_points: u8,
    /// Points taken from an issue with a meta tag.
    pub meta_penalty: u8,
    /// The most this part can give.
    pub cap: u8,
}

/// Points for how clear it is when an issue is done. Terms are found in title and body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptanceRules {
    /// Terms that say what must hold; of two that begin at the same place, the first in the list counts.
    pub terms: Vec<String>,
    /// Points for at least one of them.
    pub some_points: u8,
    /// How many of them are many.
    pub many: usize,
    /// Points for many of them.
    pub many_points: u8,
    /// Terms that speak of tests.
    pub test_terms: Vec<String>,
    /// Points for one of them.
    pub test_points: u8,
    /// Terms for headings; found in the body only.
    pub section_terms: Vec<String>,
    /// Points for one of them.
    pub section_points: u8,
    /// Points for a list of what has to hold; where `reads = "statements"`.
    pub criteria_points: u8,
    /// Points for saying what should happen; where `reads = "statements"`.
    pub expected_points: u8,
    /// How many words make a description; where `reads = "statements"`.
    pub detail_words: usize,
    /// Points for a description.
    pub detail_points: u8,
    /// How many words make a long one; where `reads = "statements"`.
    pub story_words: usize,
    /// Points for a long one, besides.
    pub story_points: u8,
    /// Points taken from an issue with a meta tag.
    pub meta_penalty: u8,
    /// The most this part can give.
    pub cap: u8,
}

/// Points for how much an issue is wanted, by its tags. A meta tag takes all but a bug's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlignmentRules {
    /// Points for a bug; nothing else counts then.
    pub bug_points: u8,
    /// Points for a refactoring.
    pub refactor_points: u8,
    /// Points for a feature.
    pub feature_points: u8,
    /// Points for what the loop itself wrote.
    pub from_loop_points: u8,
    /// Points for documentation.
    pub docs_points: u8,
    /// Points for upkeep.
    pub chore_points: u8,
    /// Points for research.
    pub research_points: u8,
    /// The most this part can give.
    pub cap: u8,
}

impl Default for TagSets {
    fn default() -> Self {
        Self {
            bug: words("bug broken crash error fix regression hotfix"),
            feature: words("feature feat enhancement capability timmy-capability"),
            refactor: words("refactor cleanup tech-debt optimization perf"),
            meta: words("philosophy soul-gap discussion question rfc"),
            p0: words("security data-loss blocking p0 critical"),
            research: words("research kimi-ready investigation spike"),
            from_loop: words("loop-generated"),
        }
    }
}

impl Default for ScopeRules {
    fn default() -> Self {
        Self {
            file_terms: words("src/ tests/ scripts/ .py .html .js .yaml .toml .sh"),
            file_points: 1,
            function_terms: list(&["def ", "class ", "function ", "method ", "`{word}()`"]),
            function_points: 1,
            example_points: 0,
            steps_points: 0,
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
            terms: words(
                "should must expect verify assert test{any}case testcase acceptance criteria passes passing fails \
                 failing returns return raises raise",
            ),
            some_points: 1,
            many: 3,
            many_points: 2,
            test_terms: words("tox pytest test_{word} .test. assert{space}"),
            test_points: 1,
            section_terms: words(
                "##{spaces}problem ##{spaces}solution ##{spaces}expected ##{spaces}actual ##{spaces}steps",
            ),
            section_points: 1,
            criteria_points: 0,
            expected_points: 0,
            detail_words: 0,
            detail_points: 0,
            story_words: 0,
            story_points: 0,
            meta_penalty: 1,
            cap: 3,
        }
    }
}

impl Default for AlignmentRules {
    fn default() -> Self {
        Self {
            bug_points: 3,
            refactor_points: 2,
            feature_points: 2,
            from_loop_points: 1,
            docs_points: 0,
            chore_points: 0,
            research_points: 0,
            cap: 3,
        }
    }
}

/// Words and terms without a space.
pub(super) fn words(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}

/// The words as an owner writes them.
pub(super) fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
