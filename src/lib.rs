//! gitea-triage: issue triage and dispatch for Gitea and Forgejo, driven by webhooks.
//!
//! **One idea.** A delivery only says *which issue to look at*. The decision is made from the issue as it is now, and
//! the plan is what is still missing. Webhook, sweep, replay, retry and restart are all the same path run again.
//!
//! # The rooms, in the order the data walks
//!
//! | room | does | uses |
//! |---|---|---|
//! | [`issue`], [`delivery`], [`dispatch`], [`clock`], [`meters`] | the nouns | nothing |
//! | [`receive`] | 1: `POST /webhook`: verify, store, answer; and what agents report | `gitea`, `store`, `agents` |
//! | [`store`] | 2: inbox, lanes, ledger; the only SQL | types of `plan` and `triage` |
//! | [`worker`] | 3: sorts into lanes, takes one issue at a time through the flow | `store`, `gitea`, `triage`, `plan`, `apply` |
//! | [`triage`] | 4: issue + standing + policy + time → verdict; pure | nouns |
//! | [`plan`] | 5: verdict + issue → effects still missing; pure | `triage` |
//! | [`apply`] | 6: carries effects out, in order; an agent by the client of its interface | `plan`, `gitea` |
//! | [`summary`] | opens one issue a day that tells a repository's backlog | `gitea`, `store`, quoting of `plan` |
//! | [`gitea`] | 7: headers, JSON and URLs of Gitea | nouns |
//! | [`agents`] | tells agents, one client for each interface, and reads what they report back | `apply` |
//! | [`agents::local`] | the built-in agent: a model near the server, its rounds of tool calls, and the tools | `apply`, `gitea`, `plan`, `store` |
//! | [`sweep`] | fills the inbox with what no webhook told; decides nothing | `gitea`, `store` |
//! | [`hooks`] | our webhooks on the forge: made, mended, replaced, proven; only for `hook` and `check` | `gitea`, `store` |
//! | [`check`] | looks at everything a set-up needs, and says what to do | `config`, `hooks`, `gitea`, `store` |
//! | [`health`], [`metrics`] | say how the service is: `/healthz`, `/readyz`, `/metrics` | `gitea`, `store` |
//! | [`dashboard`] | the pages for people: reads the store, puts orders and retries into the inbox | `gitea`, `store`, `health` |
//! | [`fake_gitea`] | a stateful Gitea in memory, over real HTTP, for `replay` and the tests | nouns |
//! | [`demo`] | a service, a Gitea in memory and the recorded deliveries, on loopback | `service`, `fake_gitea`, `config` |
//! | [`config`], [`service`], [`cli`] | wiring: one configuration, `serve`, one file a command | all |
//!
//! # One delivery, function by function
//!
//! [`receive::webhook`] → [`gitea::Verifier::verify`] → [`store::Store::accept`] (answered after the flush) →
//! `worker::sort` ([`gitea::parse`]: which issue?) → [`store::Store::claim`] (all that is pending for one issue) →
//! [`gitea::Client::issue`] and [`store::Store::past`] → [`triage::Triage::verdict`] → [`plan::plan`] →
//! [`store::Store::intend`] (the intent is on disk before any request leaves) → [`apply::Executor::apply`] →
//! [`store::Store::settle`].
//!
//! # Invariants
//!
//! - What was answered with 2xx is on disk, and comes to exactly one visible end.
//! - No SQL outside `store`; no word of Gitea's API outside `gitea` and `fake_gitea`.
//! - Only `apply`, `summary` and the commands behind `hooks` write to the forge; one summary for each repository and local day.
//! - `sweep` only fills the inbox; what it finds is decided where every delivery is.
//! - One issue is in one worker's hands at a time; a late hand is fenced off.
//! - The model of the local agent sees no token, and text of others only inside a fence they cannot forge; what it
//!   writes goes through `apply`, within the repository of the issue it works on.
//! - The dashboard writes nothing but orders and retries into the inbox; nobody sees a page who did not sign in.
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
pub mod dashboard;
pub mod delivery;
pub mod demo;
pub mod dispatch;
pub mod fake_gitea;
pub mod gitea;
pub mod health;
pub mod hooks;
pub mod issue;
pub mod meters;
pub mod metrics;
pub mod plan;
pub mod reason;
pub mod receive;
pub mod service;
pub mod store;
pub mod summary;
pub mod sweep;
pub mod triage;
pub mod worker;
