//! How the pages look: nothing sticks out on a phone, and everything can be read in both colour schemes. Where
//! `GITEA_TRIAGE_TEST_AXE` names the `axe.min.js` of the npm package `axe-core`, every page is asked what it finds, too.

use crate::driver::Browser;
use crate::stage::Front;

const PHONE: (u32, u32) = (390, 844);
const DESKTOP: (u32, u32) = (1280, 900);

/// Every text of the page whose contrast to what is behind it is below the 4.5 that WCAG wants (AA), as text and ratio.
const POOR_CONTRAST: &str = r#"
    const light = (c) => { const v = c / 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const parse = (text) => text.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
    const behind = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const colour = parse(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const poor = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.textContent.trim() || !element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        const svg = element.closest("svg");
        const ink = parse(svg ? style.fill : style.color);
        const pair = [luminance(ink), luminance(behind(element))].sort((a, b) => b - a);
        const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
        if (ratio < 4.5) poor.push(texts.currentNode.textContent.trim().slice(0, 40) + " " + ratio.toFixed(2));
    }
    return poor;
"#;

/// Fields and buttons that a screen reader could not name.
const NAMELESS: &str = r#"
    const fields = [...document.querySelectorAll("input:not([type=hidden], [hidden]), select, button, a")];
    const name = (e) => (e.labels && e.labels.length ? e.labels[0].textContent : e.textContent).trim();
    return fields.filter((e) => !name(e) && !e.getAttribute("aria-label")).map((e) => e.outerHTML);
"#;

pub async fn every_page_fits_a_phone_and_can_be_read_in_light_and_dark(front: &Front) {
    let browser = &front.browser;
    front.goto("/sign-in").await;
    look(browser, "sign-in").await;
    front.fill().await;
    front.sign_in_with_token("/").await;
    browser.sees("Newest decisions").await;
    let dead: String = front
        .stage
        .database()
        .query_row("SELECT lower(hex(id)) FROM delivery WHERE state = 'dead'", [], |r| r.get(0))
        .unwrap();
    let first = front.stage.gitea.deliveries()[0].uuid.clone();
    for (name, path) in [
        ("overview", "/".to_owned()),
        ("deliveries", "/deliveries".to_owned()),
        ("delivery", format!("/deliveries/{first}")),
        ("failed-delivery", format!("/deliveries/{dead}")),
        ("issues", "/issues".to_owned()),
        ("issue", "/issues/acme/widgets/1".to_owned()),
        ("held-issue", "/issues/acme/widgets/6".to_owned()),
        ("decision", "/decisions/1".to_owned()),
        ("agents", "/agents".to_owned()),
        ("day", "/days".to_owned()),
        ("acts", "/acts".to_owned()),
        ("runners", "/runners".to_owned()),
        ("sessions", "/sessions".to_owned()),
        ("search", "/search?q=login".to_owned()),
        ("not-found", "/nothing".to_owned()),
    ] {
        front.goto(&path).await;
        look(browser, name).await;
    }
    assert_eq!(errors(&browser.complaints(&front.root).await), Vec::<&String>::new());
}

/// The one complaint that is none: the browser notes a page that was not found.
fn errors(complaints: &[String]) -> Vec<&String> {
    complaints.iter().filter(|c| !c.contains("404 (Not Found)")).collect()
}

/// Fails where something of the page does not fit, or cannot be read or named.
pub async fn look(browser: &Browser, name: &str) {
    for (device, (width, height)) in [("desktop", DESKTOP), ("phone", PHONE)] {
        browser.size(width, height, device == "phone").await;
        for scheme in ["light", "dark"] {
            browser.colours(scheme).await;
            let wide = browser.run("return document.documentElement.scrollWidth").await;
            assert!(
                wide.as_u64().unwrap() <= u64::from(width),
                "{name} is {wide} wide on a {device}"
            );
            let poor = browser.run(POOR_CONTRAST).await;
            assert_eq!(poor, serde_json::json!([]), "{name} on a {device}, {scheme}");
            let found = violations(browser).await;
            assert_eq!(found, serde_json::json!([]), "{name} on a {device}, {scheme}");
            draw(browser, &format!("{name}-{device}-{scheme}")).await;
        }
    }
    assert_eq!(browser.run(NAMELESS).await, serde_json::json!([]), "{name}");
    browser.size(DESKTOP.0, DESKTOP.1, false).await;
}

/// What breaks a rule of accessibility on the page, as axe knows them; nothing where it is not at hand.
async fn violations(browser: &Browser) -> serde_json::Value {
    let Some(file) = std::env::var_os("GITEA_TRIAGE_TEST_AXE") else {
        return serde_json::json!([]);
    };
    let axe = std::fs::read_to_string(file).unwrap();
    let told = "(found) => found.id + ': ' + found.help + ' ' + found.nodes.map((node) => node.html).join(' ')";
    let asked = "axe.run(document, { resultTypes: ['violations'] })";
    let script = format!("{axe}; return {asked}.then((all) => all.violations.map({told}));");
    browser.run(&script).await
}

async fn draw(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("GITEA_TRIAGE_TEST_PICTURES") else { return };
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), browser.picture().await).unwrap();
}
