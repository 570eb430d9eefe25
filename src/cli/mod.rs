//! The command line: one file a command. It prints the results of other rooms and decides nothing itself.

mod agent;
mod check;
mod completions;
mod config;
mod demo;
mod dispatch;
mod explain;
mod finding;
mod healthcheck;
mod help;
mod hook;
mod hook_list;
mod hook_report;
mod inbox;
mod init;
mod man;
mod process;
mod replay;
mod runner;
mod runner_prompt;
mod runner_token;
mod score;
mod serve;
mod store;
mod summary;
mod sweep;
mod table;
#[cfg(feature = "otel")]
mod telemetry;
mod terminal;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

pub use self::process::keep_to_itself;

use anyhow::anyhow;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{FromArgMatches as _, Parser, Subcommand};
use secrecy::SecretString;
use tempfile::TempDir;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::agents::local::RegistrationError;
use crate::clock::Clock;
use crate::config::{self as config_room, Config, ConfigError, Origin, Problem};
use crate::issue::RepoName;
use crate::service::{self, Parts};
use crate::store::{self as store_room, OpenMode, Store};
use crate::triage::Policy;

/// How long a command waits for a retry before it leaves the rest to the next run or to `serve`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Issue triage and dispatch for Gitea and Forgejo, driven by webhooks.
#[derive(Debug, Parser)]
#[command(version, long_version = help::VERSION)]
#[command(about, propagate_version = true, arg_required_else_help = true)]
pub struct Arguments {
    /// The configuration file [default: ./gitea-triage.toml, then /etc/gitea-triage/gitea-triage.toml]
    #[arg(short, long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// The help of each command is the doc comment of its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    Runner(runner::RunnerCommand),
    Replay(replay::Replay),
    Demo(demo::Demo),
    Sweep(sweep::Sweep),
    Score(score::Score),
    Dispatch(dispatch::Dispatch),
    Explain(explain::Explain),
    Summary(summary::Summary),
    Check(check::Check),
    Hook(hook::Hook),
    Agent(agent::Agent),
    Inbox(inbox::Inbox),
    Store(store::StoreCommand),
    Healthcheck(healthcheck::Healthcheck),
    Config(config::ConfigCommand),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Arguments {
    /// What the program was called with. Wrong arguments and a request for help end the process here.
    pub fn read() -> Self {
        let matches = help::command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The arguments or the configuration are wrong; exit code 2.
    Usage(String),
    /// It failed; exit code 1.
    Failed(anyhow::Error),
    /// What went wrong is printed already; only the exit code is left.
    Reported(u8),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let config = error.downcast_ref().map(ConfigError::to_string);
        match config.or_else(|| error.downcast_ref().map(RegistrationError::to_string)) {
            Some(text) => Self::Usage(text),
            None => Self::Failed(error),
        }
    }
}

/// Runs the command; errors go to stderr.
pub fn run(arguments: Arguments) -> ExitCode {
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Reported(code)) => ExitCode::from(code),
        Err(Failure::Usage(text)) => {
            complain(&text);
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn execute(Arguments { config: path, command }: Arguments) -> Result<(), Failure> {
    let path = path.as_deref();
    match command {
        Command::Init(command) => block_on(command.run(path)),
        Command::Serve(command) => command.run(path),
        Command::Runner(command) => command.run(path),
        Command::Replay(command) => block_on(command.run()),
        Command::Demo(command) => block_on(command.run()),
        Command::Sweep(command) => block_on(command.run(&load(path)?)),
        Command::Score(command) => command.run(path),
        Command::Dispatch(command) => block_on(command.run(&load(path)?)),
        Command::Explain(command) => block_on(command.run(&open_store(&load(path)?)?)),
        Command::Summary(command) => block_on(command.run(&load(path)?)),
        Command::Check(command) => block_on(command.run(&load(path)?)),
        Command::Hook(command) => block_on(command.run(&load(path)?)),
        Command::Agent(command) => command.run(path),
        Command::Inbox(command) => block_on(command.run(&open_store(&load(path)?)?)),
        Command::Store(command) => block_on(command.run(path)),
        Command::Healthcheck(command) => block_on(command.run(&load(path)?)),
        Command::Config(command) => command.run(path),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    }
}

/// Prints an error.
fn complain(text: &str) {
    terminal::err(&format!("gitea-triage: {text}"));
}

/// Exit code 1 when `is_fine` is false; the output says why.
fn fail_unless(is_fine: bool) -> Result<(), Failure> {
    if is_fine { Ok(()) } else { Err(Failure::Reported(1)) }
}

/// The reader of the output has closed it, as `head` does; that is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>());
    io.into_iter().any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Logs to stderr: text on a terminal, JSON otherwise. `serve` logs at level `info`, other commands at `warn`;
/// `GITEA_TRIAGE_LOG` sets another filter, such as `debug` or `gitea_triage=debug,warn`.
pub fn start_logging(arguments: &Arguments) -> Logging {
    let usual = match arguments.command {
        Command::Serve(_) => "info,actix_server=warn",
        Command::Runner(_) => "info",
        // Some recorded deliveries are refused on purpose, and one fails.
        Command::Demo(_) => "error,gitea_triage::worker::process=off",
        _ => "warn",
    };
    let wanted = std::env::var("GITEA_TRIAGE_LOG").ok();
    let wanted = wanted.and_then(|wanted| wanted.parse::<EnvFilter>().ok());
    let filter = quiet(wanted.unwrap_or_else(|| EnvFilter::new(usual)));
    #[cfg(feature = "otel")]
    if matches!(arguments.command, Command::Serve(_)) && telemetry::are_wanted() {
        // The filter of the log must not apply to exported spans.
        return Logging { _spans: telemetry::start(log().with_filter(filter)) };
    }
    tracing_subscriber::registry().with(log()).with(filter).init();
    Logging::default()
}

/// Without the HTTP library's line about every request that cannot be read: anybody can send those.
fn quiet(filter: EnvFilter) -> EnvFilter {
    let names_it = filter.to_string().contains("actix_http");
    match "actix_http=off".parse() {
        Ok(off) if !names_it => filter.add_directive(off),
        _ => filter,
    }
}

/// Keeps the export of spans alive; when it is dropped, the remaining spans are sent.
#[derive(Default)]
#[must_use]
pub struct Logging {
    #[cfg(feature = "otel")]
    _spans: Option<telemetry::Spans>,
}

fn log() -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(|| terminal::Log);
    if std::io::stderr().is_terminal() {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    }
}

/// The configuration from the file, named or found, and the environment.
fn load(named: Option<&Path>) -> Result<Config, ConfigError> {
    let file = config_room::find(named)?;
    let loaded = Config::load(file.as_deref(), config_room::environment());
    match file {
        Some(_) => loaded,
        None => loaded.map_err(without_a_file),
    }
}

/// A container may have everything in its environment; otherwise what is missing is the file.
fn without_a_file(mut error: ConfigError) -> ConfigError {
    let message = format!(
        "there is none at `{}`; `gitea-triage init` writes one, `--config FILE` names another",
        config_room::PLACES.join("` or `")
    );
    if !config_room::environment().any(|(name, _)| name.starts_with("GITEA_TRIAGE__")) {
        error.problems.clear();
    }
    let missing = Problem { file: None, origin: Origin::Default, key: None, message };
    error.problems.insert(0, missing);
    error
}

/// One of a set of names, which a shell completes.
fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

/// The configured policy; without a configuration, the built-in one.
fn policy(named: Option<&Path>) -> Result<Policy, ConfigError> {
    let file = config_room::find(named)?;
    file.map_or_else(|| Ok(Policy::default()), |file| Ok(load(Some(&file))?.policy))
}

/// The configured store, beside a service that may be running.
fn open_store(config: &Config) -> Result<Store, Failure> {
    let place = service::database(config)?;
    if !place.may_be_there() {
        let error = anyhow!("there is no store at `{place}` yet; `gitea-triage serve` creates it");
        return Err(error.into());
    }
    share(config)
}

fn share(config: &Config) -> Result<Store, Failure> {
    let place = service::database(config)?;
    Ok(Store::open(place, config.webhook.queue, OpenMode::Shared)?)
}

/// The store beside a running service. A dry run creates none: it gets an empty one in a folder that lasts as long.
fn share_or_empty(config: &Config, dry_run: bool) -> Result<(Store, Option<TempDir>), Failure> {
    if !dry_run || service::database(config)?.may_be_there() {
        return Ok((share(config)?, None));
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("empty.db");
    Ok((Store::open(&path, config.webhook.queue, OpenMode::Shared)?, Some(folder)))
}

/// The store, and what processes it, unless a running service does that.
async fn open_parts(config: &Config) -> Result<(Store, Option<Parts>), Failure> {
    match Parts::build(config, Clock::System, OpenMode::Exclusive).await {
        Ok(parts) => Ok((parts.store.clone(), Some(parts))),
        Err(error) => match error.downcast_ref() {
            Some(store_room::Error::InUse(_)) => Ok((share(config)?, None)),
            _ => Err(error.into()),
        },
    }
}

fn check_repo(config: &Config, repo: &RepoName) -> Result<(), Failure> {
    if config.gitea.repos.allows(repo) {
        return Ok(());
    }
    Err(Failure::Usage(format!("`{repo}` is not among `gitea.repos`; add it there")))
}

/// Runs a future to its end on this thread.
fn block_on<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work)?)
}

/// What stands in a file that holds a secret.
fn secret(file: &Path, what: &str) -> Result<SecretString, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("`{}` cannot be read: {error}", file.display())))?;
    match text.trim() {
        "" => {
            Err(Failure::Usage(format!("`{}` is empty; write the {what} into it", file.display())))
        }
        secret => Ok(secret.to_owned().into()),
    }
}

/// Prints `value` as one line of JSON, or `text` for people.
fn show(json: bool, value: &impl serde::Serialize, text: &str) -> Result<(), Failure> {
    if json { print_json(value) } else { print(text) }
}

/// Prints `value` as one line of JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    Ok(terminal::out(&serde_json::to_string(value)?)?)
}

/// Prints `text` and a line end.
fn print(text: &str) -> Result<(), Failure> {
    Ok(terminal::out(text)?)
}
