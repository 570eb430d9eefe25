//! What a person does on the pages.

use crate::driver::Scripts;
use crate::stage::Front;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

pub async fn a_person_signs_in_sees_a_delivery_arrive_reads_why_retries_and_holds(front: &Front) {
    let browser = &front.browser;
    front.sign_in_as("alice").await;
    browser.sees("No decisions yet").await;
    browser.follow("//nav//a[text()='Deliveries']").await;
    browser.sees("No deliveries yet").await;
    if front.scripts == Scripts::On {
        browser.sees("Up to date").await;
    }
    // A delivery arrives while the page is open.
    let first = front.stage.open(1);
    front.sees_in_time("issues/opened").await;
    front.stage.processed().await;
    front.sees_in_time("done").await;
    // Why?
    browser.follow("//tr[contains(., 'issues/opened')]//a[contains(@href, '/deliveries/')]").await;
    browser.sees("Decision").await;
    browser.sees("names a file").await;
    browser.sees("src/auth/login.py").await;
    browser.sees("claude-ready").await;
    browser.sees("\"action\": \"opened\"").await;
    browser.follow("//a[starts-with(text(), 'Decision ')]").await;
    browser.sees("How the score was computed").await;
    assert!(browser.has_element("//mark[text()='src/auth/login.py']").await);
    // A failed delivery is retried.
    let second = front.failed_delivery(2).await;
    front.goto("/").await;
    browser.sees("failed deliveries").await;
    browser.follow("//section[@id='dead']//button[text()='Retry']").await;
    browser.sees("The delivery will be retried").await;
    front.stage.processed().await;
    let has_comment = || front.stage.gitea.issue(&second).unwrap().comments.len() == 1;
    front.until("the comment", async || has_comment()).await;
    front.sees_in_time("done").await;
    // An issue is held.
    front.goto("/issues/acme/widgets/1").await;
    browser.write("input[name=reason]", "until the release").await;
    browser.follow("//button[text()='Hold']").await;
    browser.sees("/triage hold until the release").await;
    front.sees_in_time("held").await;
    browser.sees("until the release").await;
    assert!(browser.has_element("//button[text()='Resume']").await);
    assert!(front.stage.gitea.issue(&first).unwrap().assignees.len() <= 1);
    assert_eq!(browser.complaints(&front.root).await, Vec::<String>::new());
    browser.follow("//button[text()='Sign out']").await;
    browser.sees("You are signed out").await;
}

pub async fn a_read_only_visitor_sees_no_buttons_and_one_without_access_sees_nothing(
    front: &Front,
) {
    let browser = &front.browser;
    front.stage.open(1);
    front.failed_delivery(2).await;
    front.sign_in_as("bob").await;
    browser.sees("Failed deliveries").await;
    assert!(!browser.has_element("main form[method=post]").await);
    front.goto("/issues/acme/widgets/1").await;
    browser.sees("Decisions, newest first").await;
    assert!(!browser.has_element("main form[method=post]").await);
    browser.follow("//button[text()='Sign out']").await;
    front.sign_in_as("eve").await;
    browser.sees("has no access").await;
    front.goto("/deliveries").await;
    assert!(browser.url().await.contains("/sign-in?next=%2Fdeliveries"));
}

pub async fn a_person_finds_things_by_the_keyboard_alone(front: &Front) {
    let browser = &front.browser;
    front.stage.open(1);
    front.stage.processed().await;
    front.sign_in_with_token("/").await;
    browser.sees("With agents").await;
    browser.press(TAB).await;
    browser.press(ENTER).await;
    front
        .until("the first stop to lead past the navigation", async || {
            browser.url().await.ends_with("/#main")
        })
        .await;
    browser.write("#find", "acme/widgets#1").await;
    browser.press(ENTER).await;
    browser.sees("Decisions, newest first").await;
    assert!(browser.url().await.ends_with("/issues/acme/widgets/1"));
}

/// The first page that is fetched to bring this one up to date is held back at its last step, until `letGo()`.
const HOLD_BACK: &str = "
    const real = window.fetch;
    window.fetch = async (...what) => {
        window.fetch = real;
        const answer = await real(...what);
        const page = await answer.text();
        const text = () => new Promise((go) => (window.letGo = () => go(page)));
        return { status: answer.status, type: answer.type, text };
    };";

/// Goes to a page that has fetched itself again but was not shown the answer, with a mark on it that a swap takes away.
async fn go_to_held_back(front: &Front, path: &str) {
    let browser = &front.browser;
    front.stage.open(1);
    front.stage.processed().await;
    front.sign_in_with_token("/").await;
    browser.run_before_each_page(HOLD_BACK).await;
    front.goto(path).await;
    front.until("the fetch", async || browser.run("return 'letGo' in window").await == true).await;
    let mark = "const old = document.createElement('p'); old.id = 'old'; document.querySelector('main').append(old)";
    browser.run(mark).await;
}

/// What follows an answer is through before a timer is.
const LET_GO: &str = "letGo(); return new Promise((go) => setTimeout(go))";

pub async fn what_is_written_while_the_page_is_brought_up_to_date_stays(front: &Front) {
    let browser = &front.browser;
    go_to_held_back(front, "/issues/acme/widgets/1").await;
    browser.write("input[name=reason]", "until the release").await;
    browser.run(LET_GO).await;
    let written = browser.run("return document.querySelector('input[name=reason]').value").await;
    assert_eq!(written, "until the release");
    assert!(browser.has_element("#old").await);
    // The page comes when nobody writes any more.
    let leave = "const it = document.activeElement; it.value = it.defaultValue; it.blur()";
    browser.run(leave).await;
    front.until("the new page", async || !browser.has_element("#old").await).await;
}

pub async fn what_is_chosen_while_the_page_is_brought_up_to_date_stays(front: &Front) {
    let browser = &front.browser;
    go_to_held_back(front, "/issues").await;
    // Without the focus, as after going on to the button.
    browser.run("document.querySelector('select[name=show]').selectedIndex = 1").await;
    browser.run(LET_GO).await;
    let chosen = browser.run("return document.querySelector('select[name=show]').selectedIndex");
    assert_eq!(chosen.await, 1);
    assert!(browser.has_element("#old").await);
    browser.run("document.querySelector('select[name=show]').selectedIndex = 0").await;
    front.until("the new page", async || !browser.has_element("#old").await).await;
}

/// The first connection for news meets an answer after which a browser does not come back by itself, as of a proxy
/// while the service starts.
const NO_NEWS: &str = "
    const Real = window.EventSource;
    window.connections = 0;
    window.EventSource = function (address) {
        window.connections += 1;
        return new Real(window.connections === 1 ? '/not-here' : address);
    };
    window.EventSource.CLOSED = Real.CLOSED;";

pub async fn a_page_asks_for_news_again_after_it_was_refused_them(front: &Front) {
    let browser = &front.browser;
    front.sign_in_with_token("/issues").await;
    browser.run_before_each_page(NO_NEWS).await;
    browser.reload().await;
    let again = async || browser.run("return connections").await == 2;
    front.until("the second connection", again).await;
    front.stage.open(1);
    browser.sees("Login crashes, case 1").await;
}
