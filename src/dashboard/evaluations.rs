//! The page of one decision, which the comment on the issue links to: the words that gave points, the result, and the
//! changes.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::access::Reader;
use super::elements::{Html, marked};
use super::frame::{Frame, NavItem, render};
use super::refusal::Refusal;
use crate::gitea as forge;
use crate::store::{EvaluationStory, EvaluationView};

/// How much of an issue's text is shown, in characters.
const LONGEST_TEXT: usize = 20_000;

#[derive(Template)]
#[template(path = "decision.html")]
struct Page {
    frame: Frame,
    story: EvaluationStory,
    explained: Explained,
    /// The issue on the forge.
    issue_url: Option<String>,
}

/// A decision with the words that led to it.
pub(super) struct Explained {
    /// The issue's title, with the words that gave points marked.
    pub title: Option<Html>,
    /// The issue's text from the delivery, with the same words marked.
    pub text: Option<Html>,
    /// The parts of the score.
    pub parts: Vec<Part>,
}

/// One part of the score.
pub(super) struct Part {
    pub name: &'static str,
    pub points: u8,
    /// Points, signal, and the words.
    pub signals: Vec<(String, String, Vec<String>)>,
}

impl Explained {
    /// Explains an evaluation with the issue's text, as far as it is known.
    pub fn of(evaluation: &EvaluationView, sent: Option<(String, String)>) -> Self {
        let words: Vec<String> = evaluation.signals().into_iter().flat_map(|s| s.words).collect();
        let decided = evaluation.verdict().map(|verdict| verdict.score.title);
        let (title, text) = match sent {
            Some((title, text)) => (Some(title), Some(text).filter(|text| !text.is_empty())),
            None => (decided, None),
        };
        let text = text.map(|text| text.chars().take(LONGEST_TEXT).collect::<String>());
        let marked = |text: String| marked(&text, &words);
        Self { title: title.map(marked), text: text.map(marked), parts: parts(evaluation) }
    }
}

fn parts(evaluation: &EvaluationView) -> Vec<Part> {
    let Some(verdict) = evaluation.verdict() else { return Vec::new() };
    let (score, signals) = (verdict.score, evaluation.signals());
    let signals = |name: &str| {
        let of_part = signals.iter().filter(|signal| signal.part == name);
        of_part.map(|s| (format!("{:+}", s.points), s.name.clone(), s.words.clone())).collect()
    };
    [("scope", score.scope), ("acceptance", score.acceptance), ("alignment", score.alignment)]
        .map(|(name, points)| Part { name, points, signals: signals(name) })
        .into()
}

/// The handler of `GET /decisions/{id}`.
pub(super) async fn page(reader: Reader, id: Path<String>) -> Result<HttpResponse, Refusal> {
    let unknown = || reader.not_found("there is no such decision");
    let store = &reader.dashboard.parts.store;
    let id: i64 = id.parse().map_err(|_| unknown())?;
    let story = store.evaluation_story(id).await?.ok_or_else(unknown)?;
    if !reader.sees_repo(&story.repo) {
        return Err(unknown());
    }
    let mut sent = None;
    for delivery in &story.evaluation.deliveries {
        let body = store.body(delivery.seq).await?;
        let body = body.filter(|body| reader.sees_body(delivery, Some(body)));
        sent = body.as_deref().and_then(forge::issue_text).or(sent);
    }
    let explained = Explained::of(&story.evaluation, sent);
    let issue_url = issue_url(&reader, &story.repo, story.number);
    let frame = reader.frame(NavItem::Issues, format!("Decision {id}"));
    Ok(render(&Page { frame, story, explained, issue_url }))
}

/// The address of the issue on the forge.
pub(super) fn issue_url(reader: &Reader, repo: &str, number: u64) -> Option<String> {
    let at = format!("{repo}#{number}").parse().ok()?;
    Some(match &reader.settings.sign_in {
        Some(sign_in) => sign_in.issue_url(&at),
        None => reader.dashboard.parts.forge.issue_url(&at),
    })
}
