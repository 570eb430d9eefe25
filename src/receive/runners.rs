//! `/runner/v1/`: what runners ask and tell. Every call is known by the digest of its token, and judged by the store; what
//! a run means for its issue is decided where the issue is looked at. A runner that waits for work holds neither room nor
//! a reader of the store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER};
use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use arc_swap::ArcSwap;
use chrono::TimeDelta;
use hmac::digest::{CtOutput, Output};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::body::{self, Unread};
use super::{RETRY_AFTER_S, Refusals, method_not_allowed};
use crate::agents::runner;
use crate::clock::{Clock, Timestamp};
use crate::connections::Room;
use crate::dispatch::AgentId;
use crate::dispatch::budget::Budgets;
use crate::dispatch::run::{
    Asked, Assignment, Dispatches, Finish, Heartbeat, Lease, LogChunk, MAX_CALL, MAX_DISPATCHES,
    MAX_LOG_CHUNK, PROTOCOL, Push, Refusal, Refused, Register, Registered, RunOutcome, Take, Terms,
};
use crate::store::{self, RunAnswer, RunCall, RunnerSeen, Store, Taking};

/// The longest that a question for a run waits, in seconds: proxies give up after 60.
const LONGEST_WAIT_S: u64 = 50;
/// How often it is kept that a runner called.
const SEEN_EVERY: TimeDelta = TimeDelta::seconds(60);
/// The longest name of a question, and the longest head, in bytes.
const LONGEST_NAME: usize = 100;
/// The longest detail of an event that is kept, in characters.
const LONGEST_DETAIL: usize = 200;
/// The longest words of an agent that are kept, in characters.
const LONGEST_MESSAGE: usize = 4_000;

/// Why all runs are to be stopped.
const DRY_RUN: &str = "the service is in a dry run: nothing is to be written";

/// What it takes to serve runners.
pub struct Runners {
    /// Where runs are.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Room for bodies, shared by all that arrive at one time.
    pub room: Arc<Room>,
    /// Keeps a flood of refused calls from flooding the log.
    pub refusals: Arc<Refusals>,
    /// Called when something was put into the inbox.
    pub arrived: Box<dyn Fn() + Send + Sync>,
    /// Notified when there is a run to take.
    pub offered: Arc<Notify>,
    /// Places for questions that wait: each keeps a connection.
    pub waiting: Semaphore,
    /// Who may call, and what they are told; swapped when the configuration is read again.
    pub rules: ArcSwap<RunRules>,
    /// When each runner's last call was kept.
    pub seen: Mutex<HashMap<String, Timestamp>>,
    /// Nobody waits any more.
    pub is_closed: AtomicBool,
}

/// Who may call, and what they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunRules {
    /// The runners.
    pub runners: Vec<KnownRunner>,
    /// How long a lease holds.
    pub lease: Duration,
    /// What a runner is told of it, and of other limits.
    pub terms: Terms,
    /// What runs may use.
    pub budgets: Arc<Budgets>,
    /// How much of a log is kept, in bytes.
    pub log_limit: usize,
    /// Nothing is to be written anywhere: no run is given out, and those that are out are to be stopped.
    pub is_dry_run: bool,
}

/// A runner in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRunner {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its token.
    pub digest: Vec<u8>,
    /// The agents it is listed for.
    pub agents: Vec<AgentId>,
}

/// The routes.
pub fn routes(app: &mut ServiceConfig) {
    let post =
        |path: &str| web::resource(path.to_owned()).default_service(web::to(method_not_allowed));
    app.service(
        web::scope("/runner/v1")
            .service(post("/register").route(web::post().to(register)))
            .service(post("/take").route(web::post().to(take)))
            .service(post("/over").route(web::post().to(over)))
            .service(post("/runs/{id}/heartbeat").route(web::post().to(heartbeat)))
            .service(post("/runs/{id}/log").route(web::post().to(log)))
            .service(post("/runs/{id}/push").route(web::post().to(push)))
            .service(post("/runs/{id}/finish").route(web::post().to(finish)))
            .default_service(web::to(no_such_call)),
    );
}

/// Whether a path is one of a runner's.
pub fn is_call(path: &str) -> bool {
    path.starts_with("/runner/v1/")
}

type Given = Result<HttpResponse, Refused>;

/// What a look for a run came to.
enum Looked {
    Given(Box<Assignment>),
    /// In so long a lease of somebody else ends, unless it is renewed.
    Nothing {
        next: Option<Duration>,
    },
}

async fn register(request: HttpRequest, payload: Payload, runners: Data<Runners>) -> HttpResponse {
    runners.answer(&request, runners.register(&request, payload).await)
}

async fn take(request: HttpRequest, payload: Payload, runners: Data<Runners>) -> HttpResponse {
    runners.answer(&request, runners.take(&request, payload).await)
}

async fn over(request: HttpRequest, payload: Payload, runners: Data<Runners>) -> HttpResponse {
    runners.answer(&request, runners.over(&request, payload).await)
}

async fn heartbeat(
    request: HttpRequest,
    run: Path<String>,
    payload: Payload,
    runners: Data<Runners>,
) -> HttpResponse {
    runners.answer(&request, runners.heartbeat(&request, &run, payload).await)
}

async fn log(
    request: HttpRequest,
    run: Path<String>,
    payload: Payload,
    runners: Data<Runners>,
) -> HttpResponse {
    runners.answer(&request, runners.log(&request, &run, payload).await)
}

async fn push(
    request: HttpRequest,
    run: Path<String>,
    payload: Payload,
    runners: Data<Runners>,
) -> HttpResponse {
    runners.answer(&request, runners.push(&request, &run, payload).await)
}

async fn finish(
    request: HttpRequest,
    run: Path<String>,
    payload: Payload,
    runners: Data<Runners>,
) -> HttpResponse {
    runners.answer(&request, runners.finish(&request, &run, payload).await)
}

async fn no_such_call(request: HttpRequest, runners: Data<Runners>) -> HttpResponse {
    let why = "there is no such call; the runner may be newer than this service";
    runners.answer(&request, Err(refused(Refusal::Unknown, why)))
}

fn refused(refusal: Refusal, error: impl Into<String>) -> Refused {
    Refused { refusal, error: error.into() }
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => {
                refused(Refusal::Unreadable, format!("the body is larger than {MAX_CALL} bytes"))
            }
            Unread::TooSlow | Unread::Broken => {
                refused(Refusal::Later, "the body took too long to arrive, or broke off")
            }
            Unread::Crowded => {
                refused(Refusal::Later, "too much arrives at once; call again in a moment")
            }
        }
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        tracing::error!(%error, "the store failed under a call of a runner");
        refused(Refusal::Later, "the store could not be used; call again in a moment")
    }
}

fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Token => StatusCode::UNAUTHORIZED,
        Refusal::Protocol | Refusal::Unreadable => StatusCode::BAD_REQUEST,
        Refusal::Fenced => StatusCode::CONFLICT,
        Refusal::Unknown => StatusCode::NOT_FOUND,
        Refusal::Later => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl RunRules {
    /// The runner whose token this is. Every digest is compared, each in constant time.
    fn known(&self, token: &[u8]) -> Option<KnownRunner> {
        let digest = Sha256::digest(token);
        let mut found = None;
        for runner in &self.runners {
            if is_same(&digest, &runner.digest) {
                found = Some(runner.clone());
            }
        }
        found
    }

    /// A runner that was known before, as it is listed now.
    fn still(&self, runner: &KnownRunner) -> Result<KnownRunner, Refused> {
        let is_it = |one: &&KnownRunner| (&one.name, &one.digest) == (&runner.name, &runner.digest);
        self.runners.iter().find(is_it).cloned().ok_or_else(nobody)
    }

    fn until(&self, now: Timestamp) -> Timestamp {
        now + self.lease
    }
}

/// Compares two digests in constant time; what is none is nobody's.
fn is_same(one: &Output<Sha256>, other: &[u8]) -> bool {
    let digest = |bytes: Output<Sha256>| CtOutput::<Sha256>::new(bytes);
    Output::<Sha256>::try_from(other).is_ok_and(|other| digest(*one) == digest(other))
}

impl Runners {
    /// Swaps who may call, and what they are told.
    pub fn set_rules(&self, rules: RunRules) {
        self.rules.store(Arc::new(rules));
        // Whoever may not call any more waits for nothing.
        self.offered.notify_waiters();
    }

    /// Answers everybody who waits, and lets nobody wait any more: the server is about to stop.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.offered.notify_waiters();
    }

    fn answer(&self, request: &HttpRequest, given: Given) -> HttpResponse {
        let refused = match given {
            Ok(answer) => return answer,
            Err(refused) => refused,
        };
        // What is usual after a cut or a restart is not worth a line.
        if matches!(refused.refusal, Refusal::Token | Refusal::Protocol | Refusal::Unreadable) {
            self.refusals.log("call of a runner refused", &refused.error, request);
        }
        let mut answer = HttpResponse::build(status(refused.refusal));
        if refused.refusal == Refusal::Later {
            answer.insert_header((RETRY_AFTER, RETRY_AFTER_S));
        }
        // What was not read of a body must not be taken for the next request.
        answer.force_close().json(refused)
    }

    /// Who calls.
    fn caller(&self, request: &HttpRequest) -> Result<KnownRunner, Refused> {
        let header = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
        let token = header.and_then(|value| value.strip_prefix(b"Bearer "));
        let known = token.and_then(|token| self.rules.load().known(token.trim_ascii()));
        known.ok_or_else(nobody)
    }

    /// What a call says. Its room is given back at once: nothing that follows needs the bytes.
    async fn read<T: DeserializeOwned>(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<T, Refused> {
        let (body, _share) = body::read(request, payload, &self.room, MAX_CALL).await?;
        // The error's own text may quote the body, so only its place is kept.
        serde_json::from_slice(&body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let why = format!("the body cannot be read (line {line}, column {column}); the runner may be of another version");
            refused(Refusal::Unreadable, why)
        })
    }

    /// Keeps that a runner called, now and then.
    async fn note(&self, name: &str) -> Result<(), Refused> {
        let now = self.clock.now();
        let is_known = |seen: &Timestamp| (now - *seen).abs() < SEEN_EVERY;
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.get(name).is_some_and(is_known) {
                return Ok(());
            }
            seen.insert(name.to_owned(), now);
        }
        Ok(self.store.runner_seen(name.to_owned(), now).await?)
    }

    async fn register(&self, request: &HttpRequest, payload: Payload) -> Given {
        let caller = self.caller(request)?;
        let said: Register = self.read(request, payload).await?;
        if said.protocol != PROTOCOL {
            let why = format!(
                "this service speaks version {PROTOCOL} and the runner version {}; update the older one of the two",
                said.protocol
            );
            return Err(refused(Refusal::Protocol, why));
        }
        let agents = common(&caller.agents, &said.agents);
        let seen = RunnerSeen {
            name: caller.name.clone(),
            version: plain(&said.version, LONGEST_NAME),
            agents: agents.clone(),
            places: said.places,
            seen_at: self.clock.now(),
        };
        self.store.runner_registered(seen).await?;
        let lease_s = self.rules.load().terms.lease_s;
        let answer = Registered { runner: caller.name, agents, lease_s, wait_s: LONGEST_WAIT_S };
        Ok(HttpResponse::Ok().json(answer))
    }

    /// Waits for a run. Nothing is read while nothing happens: a hand-off wakes everybody who waits, and so does the end of
    /// a lease that nobody renewed.
    async fn take(&self, request: &HttpRequest, payload: Payload) -> Given {
        let caller = self.caller(request)?;
        let said: Take = self.read(request, payload).await?;
        if said.request.is_empty() || said.request.len() > LONGEST_NAME {
            let why = format!("`request` is empty or longer than {LONGEST_NAME} bytes");
            return Err(refused(Refusal::Unreadable, why));
        }
        self.note(&caller.name).await?;
        let deadline = Instant::now() + Duration::from_secs(said.wait_s.min(LONGEST_WAIT_S));
        let asked = self.clock.now();
        let mut place = None;
        loop {
            let offered = self.offered.notified();
            tokio::pin!(offered);
            // From here on no hand-off is missed.
            offered.as_mut().enable();
            let next = match self.look(&caller, &said, asked).await? {
                Looked::Given(given) => return Ok(HttpResponse::Ok().json(given)),
                Looked::Nothing { next } => next,
            };
            if self.is_closed.load(Ordering::SeqCst) {
                return Err(refused(Refusal::Later, "the service stops; call again in a moment"));
            }
            if Instant::now() >= deadline {
                return Ok(HttpResponse::NoContent().finish());
            }
            if place.is_none() {
                place = Some(self.waiting.try_acquire().map_err(|_| {
                    refused(Refusal::Later, "too many runners wait; call again in a moment")
                })?);
            }
            let until = next.map_or(deadline, |next| deadline.min(Instant::now() + next));
            // That nothing was offered is the usual case.
            let _ = tokio::time::timeout_at(until, offered).await;
        }
    }

    /// Whether there is a run for a runner that asked then, and the run.
    async fn look(
        &self,
        caller: &KnownRunner,
        said: &Take,
        asked: Timestamp,
    ) -> Result<Looked, Refused> {
        let rules = self.rules.load_full();
        let (KnownRunner { name: runner, agents, .. }, now) =
            (rules.still(caller)?, self.clock.now());
        if rules.is_dry_run {
            return Ok(Looked::Nothing { next: None });
        }
        let (agents, request) = (common(&agents, &said.agents), said.request.clone());
        let (until, heard_until) = (rules.until(now), rules.until(asked));
        let (terms, budgets) = (rules.terms, Arc::clone(&rules.budgets));
        let taking = Taking { runner, agents, request, now, until, heard_until, terms, budgets };
        let mut offer = self.store.offer(taking.clone()).await?;
        while offer.is_there {
            if let Some(given) = self.store.take_run(taking.clone()).await? {
                return Ok(Looked::Given(given.into()));
            }
            // Somebody else was quicker, and has a lease now that may end.
            offer = self.store.offer(taking.clone()).await?;
        }
        // A lease that is given out while nobody looks ends after that, and not before.
        let next = offer.next_at.and_then(|at| (at - now).to_std().ok()).unwrap_or(rules.lease);
        Ok(Looked::Nothing { next: Some(next.min(rules.lease)) })
    }

    /// Which dispatches have ended; whoever does not know a key learns nothing by it.
    async fn over(&self, request: &HttpRequest, payload: Payload) -> Given {
        self.caller(request)?;
        let said: Dispatches = self.read(request, payload).await?;
        if said.dispatches.len() > MAX_DISPATCHES {
            let why = format!("`dispatches` are more than {MAX_DISPATCHES}");
            return Err(refused(Refusal::Unreadable, why));
        }
        let dispatches = self.store.over_among(said.dispatches).await?;
        Ok(HttpResponse::Ok().json(Dispatches { dispatches }))
    }

    async fn heartbeat(&self, request: &HttpRequest, run: &str, payload: Payload) -> Given {
        let caller = self.caller(request)?;
        let said: Heartbeat = self.read(request, payload).await?;
        let said = Heartbeat {
            detail: said.detail.as_deref().map(|detail| plain(detail, LONGEST_DETAIL)),
            ..said
        };
        let call = self.call(caller, run, said.epoch).await?;
        self.lease(self.store.heartbeat_run(call, said).await?)
    }

    async fn log(&self, request: &HttpRequest, run: &str, payload: Payload) -> Given {
        let caller = self.caller(request)?;
        let said: LogChunk = self.read(request, payload).await?;
        if said.text.len() > MAX_LOG_CHUNK {
            let why = format!("`text` is longer than {MAX_LOG_CHUNK} bytes");
            return Err(refused(Refusal::Unreadable, why));
        }
        let call = self.call(caller, run, said.epoch).await?;
        let limit = self.rules.load().log_limit;
        self.lease(self.store.log_run(call, said, limit).await?)
    }

    async fn push(&self, request: &HttpRequest, run: &str, payload: Payload) -> Given {
        let caller = self.caller(request)?;
        let said: Push = self.read(request, payload).await?;
        must_be_commit(&said.head)?;
        let call = self.call(caller, run, said.epoch).await?;
        self.lease(self.store.push_run(call, said.head).await?)
    }

    async fn finish(&self, request: &HttpRequest, run: &str, payload: Payload) -> Given {
        let caller = self.caller(request)?;
        let said: Finish = self.read(request, payload).await?;
        said.head.as_deref().map_or(Ok(()), must_be_commit)?;
        if said.outcome == RunOutcome::Done && said.pull_request.is_none() {
            let why = "`pull_request` is missing, and only with one a run is `done`";
            return Err(refused(Refusal::Unreadable, why));
        }
        let asks =
            said.asks.map(|asked| Asked { title: plain(&asked.title, LONGEST_DETAIL), ..asked });
        let said = Finish { asks, ..said };
        let message = said.message.as_deref().map(|text| lines(text, LONGEST_MESSAGE));
        // What is no address is left out.
        let url = runner::report(&said, 1).and_then(|report| report.url);
        let said = Finish { message, url, ..said };
        let call = self.call(caller, run, said.epoch).await?;
        // It may be given to another, or leaves its repository's place to the next.
        let is_place_free = self.rules.load().budgets.per_repository.is_some();
        let is_offer = said.outcome == RunOutcome::Cancelled || is_place_free;
        let answer = self.store.finish_run(call, said, runner::report).await?;
        if is_offer && matches!(answer, RunAnswer::Held { .. }) {
            self.offered.notify_waiters();
        }
        self.lease(answer)
    }

    async fn call(&self, caller: KnownRunner, run: &str, epoch: u64) -> Result<RunCall, Refused> {
        self.note(&caller.name).await?;
        let run = run.parse().map_err(|_| unknown())?;
        let (KnownRunner { name: runner, agents, .. }, now) = (caller, self.clock.now());
        let rules = self.rules.load();
        let (until, budgets) = (rules.until(now), Arc::clone(&rules.budgets));
        Ok(RunCall { run, epoch, runner, agents, now, until, budgets })
    }

    fn lease(&self, answer: RunAnswer) -> Given {
        match answer {
            RunAnswer::Held { cancel, is_news } => {
                if is_news {
                    (self.arrived)();
                }
                let rules = self.rules.load();
                let cancel = cancel.or(rules.is_dry_run.then(|| DRY_RUN.to_owned()));
                Ok(HttpResponse::Ok().json(Lease { lease_s: rules.terms.lease_s, cancel }))
            }
            RunAnswer::Fenced(why) => Err(refused(Refusal::Fenced, why)),
            RunAnswer::Unknown => Err(unknown()),
        }
    }
}

fn nobody() -> Refused {
    let why = "the token is none of a runner's; `gitea-triage runner token NAME` makes one, and its `[[runner]]` belongs into the configuration of the service";
    refused(Refusal::Token, why)
}

fn unknown() -> Refused {
    refused(Refusal::Unknown, "there is no such run of this runner; drop the work and push nothing")
}

/// Those of the first that are among the others.
fn common(listed: &[AgentId], said: &[AgentId]) -> Vec<AgentId> {
    listed.iter().filter(|agent| said.contains(agent)).cloned().collect()
}

/// A commit is named by its SHA-1 or SHA-256 in hexadecimal.
fn must_be_commit(head: &str) -> Result<(), Refused> {
    let is_hex = head.chars().all(|c| c.is_ascii_hexdigit());
    if matches!(head.len(), 40 | 64) && is_hex {
        return Ok(());
    }
    Err(refused(Refusal::Unreadable, "`head` is no commit; send its 40 or 64 hexadecimal digits"))
}

/// As much of a text as is kept, on one line.
fn plain(text: &str, longest: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(longest).collect()
}

/// As much of a text as is kept, with its lines.
fn lines(text: &str, longest: usize) -> String {
    let is_kept = |c: &char| matches!(c, '\n' | '\t') || !c.is_control();
    text.chars().filter(is_kept).take(longest).collect()
}
