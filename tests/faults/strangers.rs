//! Requests of people who have no business here: what they cost in lines of the log and in requests to the forge, of
//! which there may be as many as anybody likes to send.

use std::time::Instant;

use reqwest::redirect::Policy;
use url::Url;

use crate::program::{Program, Stage};

/// Requests of each kind.
const MANY: usize = 300;

async fn stage() -> (Stage, Program) {
    let stage = Stage::with("").await;
    let (id, secret) = stage.gitea.add_oauth_application("http://127.0.0.1:0/sign-in/callback");
    let more = format!(
        "[dashboard]\ntoken = \"a-token-of-the-dashboard\"\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\n"
    );
    let stage = Stage { more, ..stage };
    let program = stage.start();
    (stage, program)
}

/// Has `send` bring requests, and finds not more lines than the seconds that it took, and one.
async fn writes_few_lines(program: &Program, send: impl AsyncFn()) {
    let (before, began) = (program.log().len(), Instant::now());
    send().await;
    let most = began.elapsed().as_secs() as usize + 2;
    let lines = program.log().split_off(before);
    assert!(lines.len() <= most, "{} lines, {most} allowed: {lines:#?}", lines.len());
}

#[tokio::test]
async fn cookies_that_were_not_made_here_write_a_line_a_second_at_most() {
    let (_stage, program) = stage().await;
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let bogus =
        ["nonsense", "", "%00%ff", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="];
    writes_few_lines(&program, async || {
        for n in 0..MANY {
            let path = ["/", "/deliveries", "/sign-in", "/nothing"][n % 4];
            let before = if n % 2 == 0 { "a=é; " } else { "" };
            let cookie = format!("{before}gitea_triage_session={}{n}", bogus[n / 4 % 4]);
            http.get(program.url(path)).header("cookie", cookie.as_bytes()).send().await.unwrap();
        }
    })
    .await;
    let log = program.log();
    assert!(log.iter().any(|line| line.contains("session cookie ignored")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("actix_session")), "{log:#?}");
}

#[tokio::test]
async fn forged_sign_ins_write_a_line_a_second_at_most_and_hardly_ask_the_forge() {
    let (stage, program) = stage().await;
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let before = stage.gitea.requests().len();
    writes_few_lines(&program, async || {
        for n in 0..MANY {
            let answer = http.get(program.url("/sign-in/gitea")).send().await.unwrap();
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            let (to, cookie) = (Url::parse(&header("location")).unwrap(), header("set-cookie"));
            let state = to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
            let back = program.url(&format!("/sign-in/callback?code=forged-{n}&state={state}"));
            let cookie = cookie.split(';').next().unwrap();
            let answer = http.get(back).header("cookie", cookie).send().await.unwrap();
            assert_eq!(answer.status(), 303);
        }
    })
    .await;
    let asked = stage.gitea.requests().len() - before;
    assert!(asked <= 60, "{asked} requests to the forge for {MANY} forged sign-ins");
}

#[tokio::test]
async fn wrong_tokens_write_a_line_a_second_at_most() {
    let (_stage, program) = stage().await;
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let page = http.get(program.url("/sign-in")).send().await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let text = page.text().await.unwrap();
    let csrf = text.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    writes_few_lines(&program, async || {
        for _ in 0..MANY {
            let request = http.post(program.url("/sign-in/token")).header("cookie", &cookie);
            let request = request.header("origin", program.url(""));
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            request.body(format!("csrf={csrf}&token=wrong")).send().await.unwrap();
        }
    })
    .await;
}
