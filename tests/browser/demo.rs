//! What somebody does who tries the demo: follow every link, sign in without a token, open an issue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crate::driver::Browser;
use crate::looks::look;
use crate::program::{Limit, until};
use crate::visit::Visit;

/// More pages than the demo has; a crawl that does not end is stopped.
const MOST: usize = 1_500;
/// From sending the form to reading the comment; two browsers share the machine with a debug build.
const ANSWERED: Limit = Limit::millis(2_000, 30_000);

/// What a page of the dashboard may be, packed as it is sent, with its style and script.
const HEAVIEST: u64 = 40 * 1024;

/// The links of a page, what the browser was answered, and how many bytes that were.
const LINKS: &str = "
    const links = [...document.querySelectorAll('a[href]')].map((a) => [a.href, a.hasAttribute('download')]);
    const status = performance.getEntriesByType('navigation')[0].responseStatus;
    const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
    const sent = ['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind));
    const bytes = sent.reduce((sum, one) => sum + one.encodedBodySize, 0);
    return { links, status, ids, bytes };";

pub async fn every_link_leads_somewhere(browser: &Browser) {
    let mut visit = Visit::start(&[]);
    visit.wait();
    let mut queue = VecDeque::from([visit.entrance.clone(), visit.forge.clone()]);
    let mut known: BTreeSet<String> = queue.iter().cloned().collect();
    let mut anchors: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut pages, mut links, mut dead) = (0, 0, Vec::new());
    let mut heaviest = (0, String::new());
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while let Some(page) = queue.pop_front() {
        browser.goto(&page).await;
        pages += 1;
        assert!(pages < MOST, "the pages do not end: {page}");
        let found = browser.run(LINKS).await;
        if found["status"] != 200 {
            dead.push(format!("{page}: {}", found["status"]));
        }
        let there = found["ids"].as_array().unwrap().iter();
        let bytes = found["bytes"].as_u64().unwrap();
        if page.starts_with(&visit.dashboard) && bytes > heaviest.0 {
            heaviest = (bytes, page.clone());
        }
        ids.insert(page.clone(), there.map(|id| id.as_str().unwrap().to_owned()).collect());
        for link in found["links"].as_array().unwrap() {
            links += 1;
            let (to, is_download) = (link[0].as_str().unwrap(), link[1] == true);
            let (to, anchor) = to.split_once('#').unwrap_or((to, ""));
            if !to.starts_with(&visit.dashboard) && !to.starts_with(&visit.forge) {
                dead.push(format!("{page}: {to} is elsewhere"));
                continue;
            }
            if !anchor.is_empty() {
                anchors.entry(to.to_owned()).or_default().insert(anchor.to_owned());
            }
            if !known.insert(to.to_owned()) {
                continue;
            }
            if is_download {
                let fetch = format!("return fetch('{to}').then((answer) => answer.status)");
                let status = browser.run(&fetch).await;
                if status != 200 {
                    dead.push(format!("{to}: {status}"));
                }
            } else {
                queue.push_back(to.to_owned());
            }
        }
    }
    for (page, anchors) in anchors {
        let Some(there) = ids.get(&page) else { continue };
        let gone = anchors.difference(there);
        dead.extend(gone.map(|anchor| format!("{page}#{anchor} is not there")));
    }
    println!("{pages} pages, {links} links followed, {} dead", dead.len());
    println!("the heaviest of the dashboard: {} bytes, {}", heaviest.0, heaviest.1);
    assert!((1..=HEAVIEST).contains(&heaviest.0), "{heaviest:?}");
    assert!(pages > 100, "{pages} pages");
    assert!(dead.is_empty(), "{dead:#?}");
}

pub async fn an_issue_is_answered(browser: &Browser) {
    let mut visit = Visit::start(&[]);
    // Nothing is pasted, and the key does not stay in the address.
    browser.goto(&visit.entrance).await;
    browser.sees("Needs attention").await;
    assert_eq!(browser.url().await, format!("{}/", visit.dashboard));
    browser.goto(&visit.new_issue).await;
    browser.follow("//a[text()='a bug that is ready']").await;
    look(browser, "forge-new-issue").await;
    let began = Instant::now();
    browser.follow("//button[text()='Open the issue']").await;
    until("the comment", crate::program::PATIENCE, async || {
        browser.text().await.contains("Triage: dispatched to claude")
    })
    .await;
    let took = began.elapsed();
    println!("from the form to the comment: {took:?}");
    assert!(took < ANSWERED.here(), "{took:?}");
    look(browser, "forge-issue").await;
    // From the comment to its story on the dashboard, and back.
    let issue = browser.url().await;
    browser.follow("//a[text()='The whole story']").await;
    browser.sees("Decisions, newest first").await;
    browser.follow(&format!("//a[@href='{issue}']")).await;
    browser.sees("added the label").await;
    browser.write("#body", "/triage hold until the release").await;
    // The driver scrolls to nothing in a window whose size is made up.
    browser.size(1280, 2000, false).await;
    browser.follow("//button[text()='Comment']").await;
    browser.goto(&format!("{}/issues?show=held", visit.dashboard)).await;
    browser.sees("Login crashes on an empty password").await;
    visit.wait();
    for (name, path) in [("forge-repositories", "/"), ("forge-issues", "/acme/widgets/issues")] {
        browser.goto(&format!("{}{path}", visit.forge)).await;
        look(browser, name).await;
    }
    browser.goto(&format!("{}/agents", visit.dashboard)).await;
    look(browser, "busy-agents").await;
    browser.goto(&format!("{}/runners", visit.dashboard)).await;
    browser.follow("//a[starts-with(text(), 'run ')]").await;
    look(browser, "run").await;
    let complaints = browser.complaints(&visit.forge).await;
    assert_eq!(complaints, Vec::<String>::new());
}
