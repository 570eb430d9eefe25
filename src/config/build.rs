//! From checked values to the typed [`Config`]. Nothing can be wrong here any more but what the table of
//! keys itself forgot, and that is an error, not a guess.

use secrecy::SecretString;

use super::checks;
use super::error::{ConfigError, problem};
use super::kind::Value;
use super::resolve::Resolved;
use super::row::Row;
use super::tree::Origin;
use super::{
    Agents, Config, Consult, Dispatch, Gitea, Invoice, InvoiceApi, Labels, LocalAgent, McpReach,
    McpServer, ModelApi, Review, ReviewCheck, Route, Server, Store, Summary, Sweep, Triage,
    Webhook, WebhookSecret, Worker, agents, dashboard,
};
use crate::agents::local::{Budget, BudgetScope};
use crate::issue::RepoPatterns;

/// The configuration that `resolved` describes.
pub(super) fn config(file: Option<String>, resolved: Resolved) -> Result<Config, ConfigError> {
    let of = |name: &str| resolved.sections.get(name).cloned().unwrap_or_default();
    Ok(Config {
        gitea: gitea(&of("gitea"))?,
        server: server(&of("server")),
        webhook: webhook(&of("webhook"))?,
        store: store(&of("store")),
        triage: triage(&of("triage")),
        labels: labels(&of("labels")),
        dispatch: dispatch(&of("dispatch")),
        review: review(&of("review")),
        agents: Agents {
            list: resolved.agents.iter().map(agents::agent).collect(),
            secrets: agents::secrets(&resolved.agents),
            allow_private: of("agents").list("allow_private"),
        },
        local_agent: resolved.has_local_agent.then(|| local_agent(&of("local_agent"))),
        sweep: sweep(&of("sweep")),
        summary: summary(&of("summary"))?,
        worker: worker(&of("worker")),
        dashboard: dashboard::section(&of("dashboard")),
        policy: resolved.policy.clone(),
        file,
        resolved,
    })
}

fn given<T>(value: Option<T>, key: &str) -> Result<T, ConfigError> {
    let absent = || problem(None, &Origin::Default, key, format!("`{key}` has no value")).into();
    value.ok_or_else(absent)
}

fn secret(row: &Row, name: &str, key: &str) -> Result<SecretString, ConfigError> {
    given(row.secret(name), key)
}

fn gitea(row: &Row) -> Result<Gitea, ConfigError> {
    Ok(Gitea {
        url: row.text("url"),
        token: secret(row, "token", "gitea.token")?,
        repos: given::<RepoPatterns>(row.repos("repos"), "gitea.repos")?,
        account: row.some_text("account"),
        timeout: row.duration("timeout"),
        connect_timeout: row.duration("connect_timeout"),
    })
}

fn server(row: &Row) -> Server {
    Server {
        listen: row.text("listen"),
        public_url: row.some_text("public_url"),
        trusted_proxies: row
            .list("trusted_proxies")
            .iter()
            .filter_map(|n| checks::network(n))
            .collect(),
        workers: row.size("workers"),
    }
}

fn webhook(row: &Row) -> Result<Webhook, ConfigError> {
    let secrets = row.rows("secrets").iter().map(webhook_secret).collect::<Result<_, _>>()?;
    Ok(Webhook { secrets, max_body: row.size("max_body"), queue: row.size("queue") })
}

fn webhook_secret(row: &Row) -> Result<WebhookSecret, ConfigError> {
    let expires = match row.get("expires") {
        Some(Value::Moment(moment)) => Some(*moment),
        _ => None,
    };
    let secret = secret(row, "secret", "webhook.secrets")?;
    Ok(WebhookSecret { secret, expires, repos: row.repos("repos") })
}

fn store(row: &Row) -> Store {
    Store { url: row.text("url"), keep: row.duration("keep") }
}

fn triage(row: &Row) -> Triage {
    Triage {
        owner: row.some_text("owner"),
        ready_at: u8::try_from(row.count("ready_at")).unwrap_or(u8::MAX),
        dry_run: row.bool("dry_run"),
        flag_label: row.some_text("flag_label"),
        ignore_labels: row.list("ignore_labels"),
        ignore_authors: row.list("ignore_authors"),
    }
}

fn labels(row: &Row) -> Labels {
    Labels { create: row.bool("create"), color: row.text("color") }
}

fn dispatch(row: &Row) -> Dispatch {
    let route = match row.text("route").as_str() {
        "task-type" => Route::TaskType,
        _ => Route::Triage,
    };
    Dispatch { route, max_attempts: row.count_u32("max_attempts") }
}

fn review(row: &Row) -> Review {
    let check = |name: String| match name.as_str() {
        "tasks" => Some(ReviewCheck::Tasks),
        "pull_request" => Some(ReviewCheck::PullRequest),
        "status" => Some(ReviewCheck::Status),
        _ => None,
    };
    Review { require: row.list("require").into_iter().filter_map(check).collect() }
}

fn local_agent(row: &Row) -> LocalAgent {
    let api = match row.text("api").as_str() {
        "openai" => ModelApi::OpenAi,
        _ => ModelApi::Ollama,
    };
    LocalAgent {
        api,
        url: row.text("url"),
        model: row.text("model"),
        timeout: row.duration("timeout"),
        max_rounds: row.count_u32("max_rounds"),
        api_key: row.secret("api_key"),
        temperature: row.count_u32("temperature"),
        context: row.count_u32("context"),
        tools: row.list("tools"),
        permission: row.text("permission"),
        web_hosts: row.list("web_hosts"),
        ask_before_sub_issues: row.text("sub_issues") != "create",
        mcp: row.rows("mcp").iter().map(mcp_server).collect(),
        consult: row.rows("consult").iter().map(consult).collect(),
        budgets: row.rows("budget").iter().map(budget).collect(),
    }
}

fn consult(row: &Row) -> Consult {
    let kind = match row.text("invoice").as_str() {
        "lnbits" => Some(InvoiceApi::Lnbits),
        "lnd" => Some(InvoiceApi::Lnd),
        _ => None,
    };
    let invoice = kind.zip(row.secret("invoice_key")).map(|(api, key)| Invoice {
        api,
        url: row.text("invoice_url"),
        key,
        sats: row.count("sats"),
    });
    Consult {
        name: row.text("name"),
        url: row.text("url"),
        model: row.text("model"),
        api_key: row.secret("api_key"),
        timeout: row.duration("timeout"),
        invoice,
    }
}

fn budget(row: &Row) -> Budget {
    let per = match row.text("per").as_str() {
        "issue" => BudgetScope::Issue,
        "repository" => BudgetScope::Repository,
        _ => BudgetScope::Day,
    };
    Budget {
        per,
        rounds: row.some_count("rounds"),
        tokens: row.some_count("tokens"),
        time: row.some_duration("time"),
    }
}

fn mcp_server(row: &Row) -> McpServer {
    let reach = match row.some_text("url") {
        Some(url) => McpReach::Url(url),
        None => McpReach::Command(row.list("command")),
    };
    McpServer {
        name: row.text("name"),
        reach,
        tools: row.list("tools"),
        timeout: row.duration("timeout"),
        required: row.bool("required"),
    }
}

fn sweep(row: &Row) -> Sweep {
    Sweep {
        every: row.duration("every"),
        at_start: row.bool("at_start"),
        full_every: row.duration("full_every"),
    }
}

fn summary(row: &Row) -> Result<Summary, ConfigError> {
    let at = match row.get("at") {
        Some(Value::ClockTime(at)) => Some(*at),
        _ => None,
    };
    let zone = match row.get("timezone") {
        Some(Value::Zone(zone)) => Some(*zone),
        _ => None,
    };
    Ok(Summary {
        enabled: row.bool("enabled"),
        at: given(at, "summary.at")?,
        timezone: given(zone, "summary.timezone")?,
        close_previous: row.bool("close_previous"),
    })
}

fn worker(row: &Row) -> Worker {
    Worker {
        concurrency: row.size("concurrency"),
        max_attempts: row.count_u32("max_attempts"),
        fuse: row.count_u32("fuse"),
    }
}
