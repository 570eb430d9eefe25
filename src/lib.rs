//! gitea-triage: issue triage and dispatch for Gitea and Forgejo, driven by webhooks.
//!
//! **One idea.** A delivery only says *which issue to look at*. The decision is made from the issue as it is now, and
//! the plan is what is still missing. Webhook, sweep, replay, retry and restart are all the same path run again.
//!
//! # The rooms, in the order of the data flow
//!
//! | room | does | uses |
//! |---|---|---|
//! | [`issue`], [`delivery`], [`dispatch`], [`clock`], [`memory`], [`meters`], [`reason`], [`setting`] | the nouns | nothing |
//! | [`connections`] | 0: the HTTP server: places, one request at a time, room for bodies | nouns |
//! | [`receive`] | 1: `POST /webhook`: verify, store, answer; reports of agents, calls of runners | `connections`, `gitea`, `store`, `agents` |
//! | [`store`] | 2: inbox, lanes, ledger; the only SQL | types of `plan` and `triage` |
//! | [`worker`] | 3: assigns deliveries to lanes, processes one issue at a time | `store`, `gitea`, `triage`, `plan`, `apply` |
//! | [`triage`] | 4: snapshot + rules → evaluation, or a question to the forge; pure | nouns |
//! | [`plan`] | 5: snapshot + evaluation → effects still missing, or a question; pure | `triage` |
//! | [`apply`] | 6: carries out the effects in order; calls an agent by the client of its interface | `plan`, `gitea` |
//! | [`summary`] | posts one issue a day with the backlog of a repository | `gitea`, `store`, quoting of `plan` |
//! | [`gitea`] | 7: headers, JSON and URLs of Gitea | nouns |
//! | [`agents`] | calls agents, one client for each interface, and reads their reports | `apply` |
//! | [`agents::local`] | the built-in agent: a language model, its rounds of tool calls, and the tools | `apply`, `gitea`, `plan`, `store` |
//! | [`agents::runner`] | agents on runners: a hand-off becomes a run that waits, with what the agent is told | `apply`, `gitea`, `store` |
//! | [`runner`] | a process elsewhere: takes runs, lets agents work in workspaces, opens pull requests | `gitea` |
//! | [`sweep`] | fills the inbox with changes that no webhook delivered; decides nothing | `gitea`, `store` |
//! | [`hooks`] | the webhooks on the forge: created, repaired, replaced, tested; only for `hook` and `check` | `gitea`, `store` |
//! | [`check`] | checks everything the setup needs, and says what to fix | `config`, `hooks`, `gitea`, `store`, `triage` |
//! | [`health`], [`metrics`] | the state of the service: `/healthz`, `/readyz`, `/metrics` | `gitea`, `store` |
//! | [`dashboard`] | the pages for people: reads the store, puts commands and retries into the inbox | `gitea`, `store`, `health` |
//! | [`fake_gitea`] | a stateful Gitea in memory, over real HTTP, for `replay` and the tests | nouns |
//! | [`demo`] | the service, an in-memory Gitea with pages, one issue in each state, and the recorded deliveries, on loopback | `service`, `fake_gitea`, `config`, `dashboard`, `runner` |
//! | [`config`], [`service`], [`cli`] | wiring: one configuration, `serve`, one file a command | all |
//!
//! # One issue, function by function
//!
//! [`receive::webhook`] → [`gitea::Verifier::verify`] → [`store::Store::accept`] (answered after the flush) →
//! `worker::classify` ([`gitea::parse`]: which issue?) → [`store::Store::claim`] (all that is pending for one issue) →
//! `worker::reconcile`: [`gitea::Client::issue`], [`triage::Triage::assess`] and [`store::Store::record`] make the
//! [`triage::Snapshot`] → [`triage::evaluate`] and [`plan::plan`], pure; each [`triage::Question`] is answered by
//! `worker::ask`, and both run again → [`store::Store::intend`] (the plan is on disk before any write is sent) →
//! [`apply::Executor::apply`] → [`store::Store::settle`].
//!
//! # Invariants
//!
//! - What was answered with 2xx is on disk, and ends visibly exactly once.
//! - No SQL outside `store`; no word of Gitea's API outside `gitea` and `fake_gitea`.
//! - Only `apply`, `summary`, `runner` and the commands behind `hooks` write to the forge; one summary for each repository
//!   and local day.
//! - A runner pushes only what the service allowed for its lease, and only branches `triage/…`; an agent sees no token of it.
//! - `sweep` only fills the inbox; what it finds is processed like a delivery.
//! - One worker at a time processes an issue; a worker that lost its lease cannot write any more.
//! - The model of the local agent sees no token, and text of others only inside a fence that they cannot forge; what it
//!   writes goes through `apply`, within the repository of the issue it works on.
//! - A run has one lease at a time; a runner whose lease is another's changes nothing, and is told so.
//! - The dashboard writes nothing but commands and retries into the inbox; only signed-in visitors see a page.
//! - Nothing logs a payload, a token or a header value.

#[macro_use]
mod failpoint;
#[macro_use]
mod named;

pub mod agents;
pub mod apply;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connections;
pub mod dashboard;
pub mod delivery;
pub mod demo;
pub mod dispatch;
pub mod fake_gitea;
pub mod gitea;
pub mod health;
pub mod hooks;
pub mod issue;
pub mod memory;
pub mod meters;
pub mod metrics;
pub mod plan;
pub mod reason;
pub mod receive;
pub mod runner;
pub mod service;
pub mod setting;
pub mod store;
pub mod summary;
pub mod sweep;
pub mod triage;
pub mod worker;
