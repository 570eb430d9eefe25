//! The dashboard in a real Chromium, with and without JavaScript: the way a person takes, and the ways that must lead
//! nowhere.
//!
//! Where there is no chromium with its driver the tests report themselves as ignored; libtest cannot decide that at
//! run time, hence a harness of our own. `GITEA_TRIAGE_TEST_PICTURES` names a folder into which every page is drawn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the failure message"
)]

#[path = "../database/mod.rs"]
mod database;
mod demo;
mod driver;
mod evil;
mod looks;
#[path = "../faults/program.rs"]
mod program;
mod stage;
#[path = "../demo/mod.rs"]
mod visit;
mod ways;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

use driver::{Browser, Scripts};
use stage::Front;

type Story = fn(&Front) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;

macro_rules! stories {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), |front| Box::pin($module::$name(front)))),*]
    };
}

/// What a person does, with and without scripts.
const BOTH: &[(&str, Story)] = stories![
    ways::a_person_signs_in_sees_a_delivery_arrive_reads_why_retries_and_holds,
    ways::a_read_only_visitor_sees_no_buttons_and_one_without_access_sees_nothing,
    ways::a_person_finds_things_by_the_keyboard_alone,
    evil::a_redirect_to_elsewhere_leads_home,
    evil::a_script_in_a_title_is_only_text,
];

/// What needs scripts to be tried at all, or has nothing to do with them.
const WITH_SCRIPTS: &[(&str, Story)] = stories![
    ways::what_is_written_while_the_page_is_brought_up_to_date_stays,
    ways::a_page_asks_for_news_again_after_it_was_refused_them,
    ways::what_is_chosen_while_the_page_is_brought_up_to_date_stays,
    evil::another_sites_page_can_send_no_form,
    evil::a_form_without_its_token_does_nothing,
    evil::a_path_leads_to_no_file,
    looks::every_page_fits_a_phone_and_can_be_read_in_light_and_dark,
];

type Tour = fn(&Browser) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;

/// What somebody does who tries the demo.
const DEMO: &[(&str, Tour)] = &[
    ("every_link_of_the_demo_leads_somewhere", |browser| {
        Box::pin(demo::every_link_leads_somewhere(browser))
    }),
    ("an_issue_opened_in_the_demo_is_answered", |browser| {
        Box::pin(demo::an_issue_is_answered(browser))
    }),
];

fn main() -> ExitCode {
    let of = |scripts: Scripts, kind: &'static str| {
        move |(name, story): &(&'static str, Story)| trial(scripts, name, *story).with_kind(kind)
    };
    let mut trials: Vec<_> = BOTH.iter().map(of(Scripts::On, "scripts")).collect();
    trials.extend(BOTH.iter().map(of(Scripts::Off, "no-scripts")));
    trials.extend(WITH_SCRIPTS.iter().map(of(Scripts::On, "scripts")));
    trials.extend(DEMO.iter().map(|(name, tour)| {
        let tour = *tour;
        let whole = move || async move {
            let browser = Browser::start(Scripts::On).await;
            tour(&browser).await;
            browser.close().await;
        };
        with_browser(name, whole).with_kind("demo")
    }));
    let mut arguments = Arguments::from_args();
    // Each starts a browser; more of them only take each other's time.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(scripts: Scripts, name: &str, story: Story) -> Trial {
    with_browser(name, move || async move {
        let front = Front::start(scripts).await;
        story(&front).await;
        front.browser.close().await;
    })
}

/// A test that is left out where there is no browser.
fn with_browser<F: Future<Output = ()>>(
    name: &str,
    whole: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || {
        if !driver::is_installed() {
            let how = "install chromium and its chromedriver to run this";
            return Ok(Completion::ignored_with(how.to_owned()));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(whole());
        Ok(Completion::Completed)
    })
}
