//! The sections of the file, one struct each. Names, types, defaults and doc comments stand here and nowhere else:
//! reading, `config show`, the JSON Schema and the reference are made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use ipnet::IpNet;
use secrecy::SecretString;

use crate::clock::Timestamp;
use crate::dispatch::budget::BudgetScope;
use crate::dispatch::{Agent, AgentId, Interface, TaskType};
use crate::issue::RepoPatterns;
use crate::runner::Settings as RunnerSettings;
use crate::setting::{
    As, ClockTime, Colour, Day, Endpoint, File, Hosts, Label, LabelNames, Listen, Login, Logins,
    Maybe, Moment, Money, Name, Names, Networks, Paths, Repos, Secret, Sha256, Size, Span,
    StoreUrl, Text, Url, Zone, settings,
};
use crate::triage::{Answers, Authors, Check, Reopen, Route};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

settings! {
    /// The Gitea or Forgejo server.
    Gitea {
        /// Address of the server, with its sub-path if it has one.
        #[schemars(extend("x-required" = "url = \"https://gitea.example.com\""))]
        url: String as "As::<Url>" = String::new(),
        /// Access token of the service's own account; or `token_file`.
        #[schemars(extend("x-required" = "token_file = \"/run/secrets/gitea-token\""))]
        token: SecretString as "As::<Secret>" = SecretString::default(),
        /// Repositories to look after.
        #[schemars(extend("x-required" = "repos = [\"acme/widgets\"]"))]
        repos: RepoPatterns as "As::<Repos>" = RepoPatterns::default(),
        /// Login of the service's own account; asked from the server when left out.
        account: Option<String> as "As::<Maybe<Login>>" = None,
        /// How long one request may take.
        timeout: Duration as "As::<Span>" = 30 * SECOND,
        /// How long connecting may take.
        connect_timeout: Duration as "As::<Span>" = 3 * SECOND,
    }

    /// The address this service listens on.
    Server {
        /// Address and port to listen on.
        listen: String as "As::<Listen>" = "127.0.0.1:8484".to_owned(),
        /// Address under which the server reaches this service; used for the webhook, links and callbacks.
        public_url: Option<String> as "As::<Maybe<Url>>" = None,
        /// Proxies whose `X-Forwarded-For` says where a request came from, for the log and for sharing places.
        trusted_proxies: Vec<IpNet> as "As::<Networks>" =
            ["127.0.0.0/8", "::1/128"].iter().filter_map(|net| net.parse().ok()).collect(),
        /// Threads that answer HTTP requests.
        #[schemars(range(min = 1, max = 1024))]
        workers: usize = 2,
    }

    /// What the webhook accepts.
    Webhook {
        /// Secrets that sign deliveries, all valid at once; each of at least 8 characters.
        #[schemars(extend("x-short" = "secret", "x-required" = "secrets = [\"a long random text\"]"))]
        secrets: Vec<WebhookSecret> = Vec::new(),
        /// Largest delivery that is accepted.
        max_body: usize as "As::<Size>" = 10 << 20,
        /// Deliveries that may wait to be written before new ones are answered 503.
        #[schemars(range(min = 1, max = u32::MAX))]
        queue: usize = 1024,
    }

    /// An entry of `webhook.secrets` written as a table.
    WebhookSecret {
        /// The secret, at least 8 characters; or `secret_file`.
        #[schemars(extend("x-required" = "secret_file = \"/run/secrets/webhook\""))]
        secret: SecretString as "As::<Secret>" = SecretString::default(),
        /// When the secret stops being valid.
        expires: Option<Timestamp> as "As::<Maybe<Moment>>" = None,
        /// Repositories it may sign for; all when left out.
        repos: Option<RepoPatterns> as "As::<Maybe<Repos>>" = None,
    }

    /// Where deliveries and the ledger are kept.
    Store {
        /// The database: a file, whose relative path starts in the working directory, or one of a PostgreSQL server.
        url: String as "As::<StoreUrl>" = "sqlite:gitea-triage.db".to_owned(),
        /// The password of the user in `url`; or `password_file`.
        password: Option<SecretString> as "As::<Maybe<Secret>>" = None,
        /// How long finished deliveries are kept.
        keep: Duration as "As::<Span>" = 30 * 24 * HOUR,
    }

    /// How issues are judged and what is left alone.
    Triage {
        /// Login that is flagged; the repository's owner when left out, of an organisation the team of its owners.
        owner: Option<String> as "As::<Maybe<Login>>" = None,
        /// Logins that may command where the server does not show us whether they may write; see "Who may command".
        commanders: Vec<String> as "As::<Logins>" = Vec::new(),
        /// Score from which an issue is dispatched.
        #[schemars(range(min = 0, max = 9))]
        ready_at: u8 = 5,
        /// Decide and record, but write nothing to the server.
        dry_run: bool = false,
        /// Label put on a flagged issue.
        flag_label: Option<String> as "As::<Maybe<Label>>" = None,
        /// What people are told where an issue is given to nobody, for want of information or because it is a question: a
        /// comment and a label, a label, or nothing.
        answers: Answers = Answers::None,
        /// Label put on an issue that lacks what somebody needs to work on it.
        needs_info_label: Option<String> as "As::<Maybe<Label>>" = Some("needs-info".to_owned()),
        /// Label put on a question.
        question_label: Option<String> as "As::<Maybe<Label>>" = Some("question".to_owned()),
        /// Whether an issue that says the same as an older one is held back from agents until a person says otherwise.
        duplicates: bool = false,
        /// Whose issues an agent gets: everybody's, or those of people who may write to the repository's issues, and of
        /// others what a person gives to an agent by name (`members`) or approves (`approved`); see "Who may cause work".
        authors: Authors = Authors::Anyone,
        /// Label by which a person who may write approves an issue.
        approve_label: Option<String> as "As::<Maybe<Label>>" = Some("approved".to_owned()),
        /// Issues with one of these labels are left alone.
        ignore_labels: Vec<String> as "As::<LabelNames>" = Vec::new(),
        /// Where any are named, only issues with one of these labels can be claimed, and agents get none of them unless a
        /// person says so.
        ready_labels: Vec<String> as "As::<LabelNames>" = Vec::new(),
        /// Issues of these logins are left alone.
        ignore_authors: Vec<String> as "As::<Logins>" = Vec::new(),
    }

    /// What people may take with `/triage claim`.
    Claim {
        /// Issues one person may have claimed at once, in all repositories; 0 switches claims off.
        #[schemars(range(min = 0, max = 10_000))]
        limit: u32 = 3,
        /// How long a claim lasts after the last sign of work; its holder is reminded after three quarters.
        expires: Duration as "As::<Span>" = 7 * 24 * HOUR,
    }

    /// People who are asked in turn where an issue needs a person, instead of the owner; of several entries, the first that
    /// serves an issue counts.
    RotationEntry {
        /// Name of the rotation.
        #[schemars(extend("x-required" = "name = \"backend\""))]
        name: String as "As::<Name>" = String::new(),
        /// Who is asked, in this order where they are equal: logins, or tables.
        #[schemars(extend("x-short" = "login", "x-required" = "members = [\"alice\", \"bob\"]"))]
        members: Vec<MemberEntry> = Vec::new(),
        /// It serves issues with one of these labels.
        labels: Vec<String> as "As::<LabelNames>" = Vec::new(),
        /// It serves issues that name a file which fits, such as `src/db/**` or `*.sql`. With neither labels nor paths it
        /// serves all.
        paths: Vec<String> as "As::<Paths>" = Vec::new(),
        /// Repositories it serves; all when left out.
        repos: Option<RepoPatterns> as "As::<Maybe<Repos>>" = None,
        /// Assign whoever is asked; otherwise they are mentioned only.
        assign: bool = true,
        /// Time zone in which days of absence begin and end; `summary.timezone` when left out.
        timezone: Option<chrono_tz::Tz> as "As::<Maybe<Zone>>" = None,
    }

    /// A member of a rotation, where a login says too little.
    MemberEntry {
        /// Their login.
        #[schemars(extend("x-required" = "login = \"alice\""))]
        login: String as "As::<Login>" = String::new(),
        /// How often they are asked beside the others.
        #[schemars(range(min = 1, max = 1000))]
        weight: u32 = 1,
        /// Days on which they are not asked.
        absent: Vec<AbsenceEntry> = Vec::new(),
    }

    /// Days on which somebody is away.
    AbsenceEntry {
        /// First day.
        #[schemars(extend("x-required" = "from = \"2026-12-20\""))]
        from: NaiveDate as "As::<Day>" = NaiveDate::default(),
        /// Last day.
        #[schemars(extend("x-required" = "until = \"2027-01-06\""))]
        until: NaiveDate as "As::<Day>" = NaiveDate::default(),
    }

    /// Labels the service puts on.
    Labels {
        /// Create a label that is missing.
        create: bool = true,
        /// Colour of a created label.
        color: String as "As::<Colour>" = "#006b75".to_owned(),
    }

    /// How issues are given to agents.
    Dispatch {
        /// Who gets an issue: the agent of the decision, or the one whose strengths hold the task type.
        route: Route = Route::Triage,
        /// Failed hand-offs and reviews before a person is asked.
        #[schemars(range(min = 1, max = 100))]
        max_attempts: u32 = 2,
    }

    /// What a closed issue has to show.
    Review {
        /// Checks on close: no open task-list items, a merged pull request linked, its commit status green.
        require: Vec<Check> = Vec::new(),
        /// Whose closing is undone when it does not pass: that of the agent or a merged pull request, or everybody's.
        reopen: Reopen = Reopen::Work,
    }

    /// What holds for all agents.
    Agents {
        /// Private addresses, networks and host names that agents may be called on.
        allow_private: Vec<String> as "As::<Hosts>" = Vec::new(),
        /// Built-in agents first, in the documented order, then added ones; only those that are enabled.
        #[serde(skip)]
        list: Vec<Agent> = Vec::new(),
        /// The secret of each agent that has one.
        #[serde(skip)]
        secrets: BTreeMap<AgentId, SecretString> = BTreeMap::new(),
    }

    /// One agent; a built-in `id` changes only the keys named here.
    AgentEntry {
        /// Name of the agent; built in are `claude`, `kimi`, `api` and `local`.
        #[schemars(extend("x-required" = "id = \"claude\""))]
        id: String as "As::<Name>" = String::new(),
        /// How it is told about its work; required for a new agent.
        #[schemars(with = "Interface")]
        interface: Option<Interface> = None,
        /// Label that calls it; empty takes a built-in one away.
        label: Option<String> as "As::<Maybe<Label>>" = None,
        /// Account that is assigned to the issue.
        login: Option<String> as "As::<Maybe<Login>>" = None,
        /// Task types it is good at.
        strengths: Vec<TaskType> = Vec::new(),
        /// Dispatches it may have open at once.
        #[schemars(range(min = 1, max = 10_000))]
        max_concurrent: u32 = 1,
        /// How long a dispatch may stay open.
        timeout: Duration as "As::<Span>" = 2 * HOUR,
        /// What a million tokens of it cost, where it runs on a runner, counts tokens and names no money.
        price_per_million_tokens: Option<u64> as "As::<Maybe<Money>>" = None,
        /// Where an `http` agent is told.
        endpoint: Option<String> as "As::<Maybe<Endpoint>>" = None,
        /// Signs what is sent to the agent and what it calls back with, at least 8 characters; or `secret_file`.
        secret: Option<SecretString> as "As::<Maybe<Secret>>" = None,
        /// `false` takes the agent away.
        enabled: bool = true,
    }

    /// A runner: a `gitea-triage runner` on any machine that works for agents with `interface = "runner"`.
    RunnerEntry {
        /// Name of the runner.
        #[schemars(extend("x-required" = "name = \"builder\""))]
        name: String as "As::<Name>" = String::new(),
        /// SHA-256 of its token; `gitea-triage runner token NAME` makes a token and prints this.
        #[schemars(extend("x-required" = "token_sha256 = \"…\""))]
        token_sha256: String as "As::<Sha256>" = String::new(),
        /// Agents that it may run.
        #[schemars(extend("x-required" = "agents = [\"coder\"]"))]
        agents: Vec<String> as "As::<Names>" = Vec::new(),
    }

    /// What runners are told about the work of agents with `interface = "runner"`.
    Runs {
        /// How long a runner may be silent before another one may take its run.
        lease: Duration as "As::<Span>" = 60 * SECOND,
        /// How long an agent may say nothing before its run fails.
        stall_timeout: Duration as "As::<Span>" = 600 * SECOND,
        /// Tokens that a run may use, where the agent counts them.
        #[schemars(range(min = 1))]
        max_tokens: Option<u64> = None,
        /// What runs may use, in tokens and in money.
        #[serde(rename = "budget")]
        budgets: Vec<RunBudget> = Vec::new(),
        /// Runs of one repository at once.
        #[schemars(range(min = 1))]
        per_repository: Option<u32> = None,
        /// Open pull requests as drafts.
        draft: bool = false,
        /// Let the agent work again when its pull request gets a review, a comment or a failed check; in all at most
        /// `dispatch.max_attempts` turns.
        follow_up: bool = true,
        /// Template of what an agent is told, instead of the built-in one; a relative path starts in the folder of the
        /// configuration.
        prompt_file: Option<String> as "As::<Maybe<File>>" = None,
        /// How much of a run's log is kept; of a longer one the middle goes.
        log_limit: usize as "As::<Size>" = 4 << 20,
        /// Configuration of a runner that works in this process, for one machine that does all; a relative path starts in
        /// the folder of the configuration. Its `server` may be left out.
        embedded: Option<String> as "As::<Maybe<File>>" = None,
        /// The template in `prompt_file`.
        #[serde(skip)]
        prompt: Option<String> = None,
        /// What `embedded` says.
        #[serde(skip)]
        runner: Option<RunnerSettings> = None,
    }

    /// What runs may use. At 80 % people are warned; at 100 % runs are stopped and a person is asked, and no other begins.
    RunBudget {
        /// What it is for: each dispatch, each issue, each repository within a day, or all of them together within a day.
        /// Days are those of `summary.timezone`.
        #[schemars(extend("x-required" = "per = \"day\""))]
        per: BudgetScope = BudgetScope::Day,
        /// Tokens, as agents count them.
        #[schemars(range(min = 1))]
        tokens: Option<u64> = None,
        /// Money, in the currency of the agents and of their prices.
        money: Option<u64> as "As::<Maybe<Money>>" = None,
    }

    /// Looking for what no webhook told.
    Sweep {
        /// Time between two sweeps. A sweep searches all repositories for what has changed, in few requests; a forge
        /// without such a search is asked once for each repository.
        every: Duration as "As::<Span>" = HOUR / 4,
        /// Sweep when the service starts.
        at_start: bool = true,
        /// Time in which every issue of each repository is read once.
        full_every: Duration as "As::<Span>" = 24 * HOUR,
    }

    /// The daily summary issue.
    Summary {
        /// Post a summary each day.
        enabled: bool = true,
        /// Local time of the summary.
        at: NaiveTime as "As::<ClockTime>" = NaiveTime::from_hms_opt(6, 0, 0).unwrap_or_default(),
        /// Time zone of `at`.
        timezone: chrono_tz::Tz as "As::<Zone>" = chrono_tz::UTC,
        /// Close the newest older summary that is still open.
        close_previous: bool = true,
    }

    /// How the inbox is worked off.
    Worker {
        /// Issues worked on at once; 0 accepts and stores only.
        #[schemars(range(min = 0, max = 1024))]
        concurrency: usize = 4,
        /// Tries before a delivery ends dead.
        #[schemars(range(min = 1, max = 1000))]
        max_attempts: u32 = 10,
        /// Writes to one issue within an hour; more wait, unless a person asked for them. Answers to people do not count.
        #[schemars(range(min = 1))]
        fuse: u32 = 20,
    }

    /// The pages for people; they show nothing until a way to sign in is set.
    Dashboard {
        /// Whoever has it may sign in, see everything and act; at least 16 characters. Or `token_file`.
        token: Option<SecretString> as "As::<Maybe<Secret>>" = None,
        /// Client id of an OAuth2 application on the server, for "Sign in with Gitea"; its redirect URI is `public_url` + `/sign-in/callback`.
        client_id: Option<String> as "As::<Maybe<Text>>" = None,
        /// Client secret of that application, at least 8 characters; or `client_secret_file`.
        client_secret: Option<SecretString> as "As::<Maybe<Secret>>" = None,
        /// Address of the server for people's browsers, when it is not `gitea.url`.
        gitea_url: Option<String> as "As::<Maybe<Url>>" = None,
        /// Logins that may act in the repositories that they may write to, and pause agents; `triage.owner` when empty.
        admins: Vec<String> as "As::<Logins>" = Vec::new(),
        /// Show people also the repositories that they may only see on the server, not write to.
        open_to_readers: bool = false,
    }
}

impl Dashboard {
    /// Whether there is a way to sign in.
    pub fn is_on(&self) -> bool {
        self.token.is_some() || self.client_id.is_some()
    }
}
