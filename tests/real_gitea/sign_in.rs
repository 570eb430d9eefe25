//! People sign in to the dashboard with their accounts of a real Gitea: the way a browser goes, form by form. The tests
//! of the dashboard go it on the fake, which answers as this one does.

use reqwest::Response;
use serde_json::json;

use crate::browser::Browser;
use crate::forge::{ADMIN, Forge, Which};
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
    assert!(page.contains("`bob` has no access"), "{page}");
    let refused = reader.get(&format!("{service}/deliveries")).await;
    assert_eq!(refused.status(), 303);

    let complaints = triage.complaints();
    assert!(complaints.iter().all(|line| line.contains("bob")), "{complaints:#?}");
}

/// Goes from the dashboard to Gitea, where somebody is signed in, agrees, and comes back: to which page it says, too.
async fn sign_in(login: &str, gitea: &Forge, service: &str) -> (Browser, String) {
    let mut browser = Browser::signed_in(login, &gitea.url()).await;
    let start = format!("{service}/sign-in/gitea?next=%2Fissues");
    let authorize = location(&browser.get(&start).await);
    assert!(authorize.starts_with(&gitea.url()), "{authorize}");
    let page = browser.page(&authorize).await;
    let mut form = hidden_fields(&page);
    assert!(form.iter().any(|(name, _)| name == "client_id"), "{page}");
    form.push(("granted".to_owned(), "true".to_owned()));
    let grant = format!("{}/login/oauth/grant", gitea.url());
    let back = location(&browser.post(&grant, form).await);
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
