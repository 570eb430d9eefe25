//! What a hostile agent tries, without a sandbox: what holds all the same.

use gitea_triage::dispatch::run::RunOutcome;

use super::world::{TOKEN, World, sleepers};

const BRANCH: &str = "triage/1-it-crashes";

#[tokio::test]
async fn files_outside_of_the_workspace_are_neither_written_nor_read_through_the_client() {
    let world = World::start("outside").await;
    assert_eq!(world.ended().await.outcome, RunOutcome::Done);
    assert_eq!(world.git(&["show", &format!("{BRANCH}:answers.txt")]), "refused\nrefused\nrefused");
    assert_eq!(world.signs(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_that_the_agent_put_into_its_repository_runs() {
    let world = World::start("hostile").await;
    let ended = world.ended().await;
    assert_eq!(ended.outcome, RunOutcome::Done, "{ended:?}");
    assert_eq!(world.git(&["show", &format!("{BRANCH}:file.txt")]), "x");
    assert_eq!(world.signs(), Vec::<String>::new());
}

#[tokio::test]
async fn a_repository_that_was_replaced_by_a_link_is_not_followed() {
    let world = World::start("replaced").await;
    let message = world.ended_as(RunOutcome::Failed).await;
    assert!(message.contains("replaced the repository"), "{message}");
    assert_eq!(world.written(), (String::new(), 0));
}

#[tokio::test]
async fn a_secret_is_not_pushed_even_where_a_later_commit_takes_it_away() {
    let world = World::start("secret").await;
    let message = world.ended_as(RunOutcome::NeedsPerson).await;
    assert!(message.contains("`config.toml` holds what looks like a token of GitHub"), "{message}");
    assert_eq!(world.written(), (String::new(), 0));
    assert!(world.service.calls("push").is_empty());
}

#[tokio::test]
async fn the_agents_environment_holds_what_is_listed_and_no_token() {
    let keys = "env = { GREETING = \"hello\" }\npass_env = [\"PATH\"]";
    let world = World::prepare_with("environment", keys).await;
    world.assign(world.assignment());
    world.run();
    assert_eq!(world.ended().await.outcome, RunOutcome::Done);
    let names = world.git(&["show", &format!("{BRANCH}:names.txt")]);
    let shells_own = ["PWD", "OLDPWD", "SHLVL", "_"];
    let names: Vec<_> = names.lines().filter(|name| !shells_own.contains(name)).collect();
    assert_eq!(
        names,
        [
            "GREETING",
            "HOME",
            "PATH",
            "TERM",
            "TMPDIR",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME"
        ]
    );
    let values = world.git(&["show", &format!("{BRANCH}:values.txt")]);
    for secret in [TOKEN, world.gitea.token()] {
        assert!(!values.contains(secret));
    }
    let home = values.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap();
    assert!(home.contains("/work/runs/"), "{home}");
}

#[tokio::test]
async fn a_secret_of_the_agents_own_is_neither_logged_nor_pushed() {
    let mut world = World::prepare("environment").await;
    let key = world.folder.path().join("key");
    std::fs::write(&key, "the-agents-own-key-4711\n").unwrap();
    world.config += &format!("env_files = {{ API_KEY = \"{}\" }}\n", key.display());
    world.assign(world.assignment());
    world.run();
    let message = world.ended_as(RunOutcome::NeedsPerson).await;
    assert!(
        message.contains("`values.txt` holds what looks like a secret of the runner"),
        "{message}"
    );
    assert!(!world.log().contains("the-agents-own-key"));
    assert_eq!(world.written(), (String::new(), 0));
}

#[tokio::test]
async fn an_agent_that_asks_for_every_permission_gets_those_of_the_rules() {
    let keys = "permissions = { deny = [\"execute\", \"fetch\", \"other\"] }";
    let world = World::prepare_with("begs", keys).await;
    world.assign(world.assignment());
    world.run();
    assert_eq!(world.ended().await.outcome, RunOutcome::Done);
    let answers = world.git(&["show", &format!("{BRANCH}:answers.txt")]);
    let refused: Vec<_> =
        answers.lines().filter_map(|line| line.strip_suffix(" refused")).collect();
    assert_eq!(refused, ["execute", "fetch", "other", "nonsense"]);
    assert_eq!(answers.lines().count(), 11, "{answers}");
}

#[tokio::test]
async fn an_agent_that_would_open_ten_pull_requests_finds_no_token_and_opens_none() {
    let world = World::prepare("pulls").await;
    let mut assignment = world.assignment();
    assignment.prompt = format!("Work on {} please.", world.gitea.url());
    world.assign(assignment);
    world.run();
    let ended = world.ended().await;
    assert_eq!(
        (ended.outcome, ended.pull_request.is_some()),
        (RunOutcome::Done, true),
        "{ended:?}"
    );
    let show = |file: &str| world.git(&["show", &format!("{BRANCH}:{file}")]);
    let candidates = show("candidates.txt");
    for secret in [TOKEN, world.gitea.token()] {
        assert!(!candidates.contains(secret));
    }
    let tried = candidates.lines().count();
    assert!(tried > 1, "it tried what it found: {candidates}");
    assert_eq!(show("answers.txt"), format!("{} 401", 10 * tried));
    // Its own tries, and that of the runner.
    assert_eq!(world.written(), (BRANCH.to_owned(), 10 * tried + 1));
}

#[tokio::test]
async fn a_fork_bomb_is_ended_with_its_run() {
    a_bomb_is_ended(World::prepare("bomb").await).await;
}

/// An agent has made 128 programs, each by two others, when its run is called off: none of them is left.
pub async fn a_bomb_is_ended(world: World) {
    const SECONDS: &str = "76543";
    world.assign(world.assignment());
    world.run();
    world.until("bomb", || sleepers(SECONDS) == 128).await;
    world.service.script.lock().unwrap().cancel = Some("the issue was closed".to_owned());
    assert_eq!(world.ended().await.outcome, RunOutcome::Cancelled);
    // In the sandbox the kernel ends them all, a moment later.
    world.until("end of the bomb", || sleepers(SECONDS) == 0).await;
}
