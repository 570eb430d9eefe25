//! People sign in to the dashboard with their accounts of a real Gitea: the way a browser goes, form by form. The tests
//! of the dashboard go it on the fake, which answers as this one does.

use std::time::Instant;

use reqwest::Response;
use serde_json::json;

use crate::browser::Browser;
use crate::forge::{ADMIN, Forge, Which};
use crate::person::client;
use crate::process::free_port;
use crate::triage::Triage;

pub async fn play(which: Which) {
    let gitea = Forge::start(which).await;
    let port = free_port();
    let service = format!("http://127.0.0.1:{port}");
    let application = json!({
        "name": "triage",
        "redirect_uris": [format!("{service}/sign-in/callback")],
        "confidential_client": true,
    });
    let made = gitea.person(ADMIN).post("/user/applications/oauth2", application).await;
    let dashboard = format!(
        "[dashboard]\nclient_id = {}\nclient_secret = {}\n",
        made["client_id"], made["client_secret"]
    );
    let triage = Triage::start_on(port, &gitea, &dashboard).await;

    let (mut owner, came_to) = sign_in("alice", &gitea, &service).await;
    assert_eq!(came_to, format!("{service}/issues"));
    let page = owner.page(&format!("{service}/issues")).await;
    assert!(page.contains("<bdi>alice</bdi>") && page.contains("title=\"admin\""), "{page}");

    let (mut writer, _) = sign_in("claude", &gitea, &service).await;
    let page = writer.page(&format!("{service}/deliveries")).await;
    assert!(page.contains("title=\"read-only\""), "{page}");

    let (mut reader, came_to) = sign_in("bob", &gitea, &service).await;
    assert_eq!(came_to, format!("{service}/sign-in"));
    let page = reader.page(&format!("{service}/sign-in")).await;
    assert!(page.contains("<code>bob</code> has no access"), "{page}");
    let refused = reader.get(&format!("{service}/deliveries")).await;
    assert_eq!(refused.status(), 303);

    let complaints = triage.complaints();
    assert!(complaints.iter().all(|line| line.contains("bob")), "{complaints:#?}");
    strangers(&triage, &service).await;
}

/// Cookies that were not made by the service, and sign-ins that nobody agreed to: few lines, and hardly a question.
async fn strangers(triage: &Triage, service: &str) {
    const MANY: usize = 200;
    let (before, began) = (triage.log().lines().count(), Instant::now());
    for n in 0..MANY {
        let request = client().get(format!("{service}/deliveries"));
        request.header("Cookie", format!("gitea_triage_session=forged-{n}")).send().await.unwrap();
    }
    let mut refused = 0;
    for n in 0..MANY {
        let mut stranger = Browser::nobody();
        let to = location(&stranger.get(&format!("{service}/sign-in/gitea")).await);
        let to = url::Url::parse(&to).unwrap();
        let state = to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let back = format!("{service}/sign-in/callback?code=forged-{n}&state={state}");
        assert_eq!(stranger.get(&back).await.status(), 303);
        let page = stranger.page(&format!("{service}/sign-in")).await;
        refused += usize::from(page.contains("Too many sign-ins from your address failed"));
    }
    assert!(refused >= MANY - 80, "{refused} of {MANY} were refused without a question");
    let lines = triage.log().lines().count() - before;
    let most = began.elapsed().as_secs() as usize + 2;
    assert!(lines <= most, "{lines} lines, {most} allowed:\n{}", triage.log());
}

/// Goes from the dashboard to Gitea, where somebody is signed in, agrees, and comes back: to which page it says, too.
pub async fn sign_in(login: &str, gitea: &Forge, service: &str) -> (Browser, String) {
    let mut browser = Browser::signed_in(login, &gitea.url()).await;
    let start = format!("{service}/sign-in/gitea?next=%2Fissues");
    let authorize = location(&browser.get(&start).await);
    assert!(authorize.starts_with(&gitea.url()), "{authorize}");
    let answer = browser.get(&authorize).await;
    // Who has agreed before is not asked again.
    let back = match answer.status().as_u16() {
        303 => location(&answer),
        _ => {
            let page = answer.text().await.unwrap();
            let mut form = hidden_fields(&page);
            assert!(form.iter().any(|(name, _)| name == "client_id"), "{page}");
            form.push(("granted".to_owned(), "true".to_owned()));
            let grant = format!("{}/login/oauth/grant", gitea.url());
            location(&browser.post(&grant, form).await)
        }
    };
    assert!(back.starts_with(&format!("{service}/sign-in/callback?")), "{back}");
    let came_to = location(&browser.get(&back).await);
    (browser, came_to)
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), 303, "{}", answer.url());
    let to = answer.headers()["location"].to_str().unwrap();
    answer.url().join(to).unwrap().to_string()
}

fn hidden_fields(page: &str) -> Vec<(String, String)> {
    let inputs = page.split("<input type=\"hidden\"").skip(1).map(|i| i.split('>').next().unwrap());
    let value = |input: &str, name: &str| {
        let value = input.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
        Some(value.replace("&amp;", "&"))
    };
    let pairs = inputs.map(|input| Some((value(input, "name")?, value(input, "value")?)));
    pairs.flatten().collect()
}
