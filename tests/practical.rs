//! The preset `practical` on issues of our own writing: types, blocks, urgency, readiness, and time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod processor;
mod scored;

use std::sync::LazyLock;
use std::time::Duration;

use gitea_triage::dispatch::TaskType;
use gitea_triage::issue::Issue;
use gitea_triage::triage::{
    Action, Answer, IssueType, Policy, Preset, Reads, Score, Triage, Verdict,
};

use processor::processor_time;
use scored::{issue, now};

static TRIAGE: LazyLock<Triage> =
    LazyLock::new(|| Triage::new(Policy::of(Preset::Practical)).expect("a valid policy"));

fn verdict(title: &str, body: &str, labels: &[&str]) -> Verdict {
    TRIAGE.verdict(&issue(title, body, labels), now())
}

fn score(title: &str, body: &str, labels: &[&str]) -> Score {
    verdict(title, body, labels).score
}

#[track_caller]
fn is_type(title: &str, labels: &[&str], expected: IssueType) {
    assert_eq!(score(title, "", labels).issue_type, expected, "{title:?} {labels:?}");
}

/// What told the type, as people see it.
fn told(issue: &Issue) -> Option<String> {
    let signals = TRIAGE.signals(issue);
    let one = signals.iter().find(|signal| signal.part == "alignment")?;
    Some(format!("{}: {}", one.name, one.words.join(", ")))
}

#[test]
fn labels_are_compared_without_case_emoji_scope_and_separators() {
    let bugs = [
        "bug",
        "BUG",
        "Kind/Bug",
        "type: bug",
        "type:bug",
        "Type-Bug",
        "C-bug",
        "T-Defect",
        "bug 🐛",
        "🐛 Bug",
        "kind\\bug",
        "confirmed bug",
        "status/confirmed-bug",
        "类型：缺陷",
        "typ: Fehler",
        "bug (core)",
    ];
    for label in bugs {
        is_type("Something about the list", &[label], IssueType::Bug);
    }
    is_type("x", &["Kind/Documentation"], IssueType::Docs);
    is_type("x", &["dependencies"], IssueType::Chore);
    is_type("x", &["kind/feature-request"], IssueType::Feature);
    is_type("x", &["tech-debt"], IssueType::Refactor);
    is_type("x", &["Type: Question"], IssueType::Philosophy);
    is_type("x", &["spike"], IssueType::Research);
    // What the label is about, not what the issue is.
    for label in
        ["area: bug tracker", "component/docs", "module:crash", "not a bug", "bugbear", "debug"]
    {
        is_type("x", &[label], IssueType::Unknown);
    }
    is_type("x", &["question", "Kind/Bug"], IssueType::Bug);
}

#[test]
fn titles_say_the_type_by_convention() {
    let all = [
        ("fix: the list", IssueType::Bug),
        ("fix(list)!: the order", IssueType::Bug),
        ("Bug: the list", IssueType::Bug),
        ("[BUG] the list", IssueType::Bug),
        ("[UI] [Bug report] the list", IssueType::Bug),
        ("feat(list): the order", IssueType::Feature),
        ("[Feature Request] the list", IssueType::Feature),
        ("Feature request - the list", IssueType::Feature),
        ("【功能建议】列表", IssueType::Feature),
        ("docs: the list", IssueType::Docs),
        ("chore(deps): the list", IssueType::Chore),
        ("ci: the list", IssueType::Chore),
        ("refactor: the list", IssueType::Refactor),
        ("[Spike] the list", IssueType::Research),
        ("Question: the list", IssueType::Philosophy),
        ("RFC: the list", IssueType::Philosophy),
        ("prefix: the list", IssueType::Unknown),
        ("the fix: list", IssueType::Unknown),
    ];
    for (title, expected) in all {
        is_type(title, &[], expected);
    }
}

#[test]
fn text_says_the_type_in_each_language_or_nothing_does() {
    let all = [
        ("The editor crashes when a tab is closed", IssueType::Bug),
        ("Please add a way to sort the list", IssueType::Feature),
        ("Split the scheduler into smaller modules", IssueType::Refactor),
        ("Typo in the installation guide of the documentation", IssueType::Docs),
        ("Bump the parser library", IssueType::Chore),
        ("Compare message brokers", IssueType::Research),
        ("How do I change the port?", IssueType::Philosophy),
        ("Der Editor stürzt ab, wenn man speichert", IssueType::Bug),
        ("Es wäre schön, Listen sortieren zu können", IssueType::Feature),
        ("El editor no funciona al guardar", IssueType::Bug),
        ("Sería útil ordenar la lista", IssueType::Feature),
        ("L'éditeur ne fonctionne pas", IssueType::Bug),
        ("Comment puis-je changer le port ?", IssueType::Philosophy),
        ("编辑器保存时崩溃", IssueType::Bug),
        ("希望增加排序功能", IssueType::Feature),
        ("List", IssueType::Unknown),
        ("", IssueType::Unknown),
    ];
    for (title, expected) in all {
        is_type(title, &[], expected);
    }
}

#[test]
fn the_explanation_says_what_told_the_type() {
    let expected = |title: &str, body: &str, labels: &[&str], expected: &str| {
        assert_eq!(told(&issue(title, body, labels)).as_deref(), Some(expected), "{title}");
    };
    expected("[Feature] x", "", &["Kind/Bug"], "is a bug, by its label: Kind/Bug");
    expected("[Feature] crash", "", &[], "is a feature, by its title: Feature");
    let form = "### Steps to reproduce\n\nopen it\n\n### Actual behavior\n\nnothing";
    let by_form = "is a bug, by the fields of its form: Steps to reproduce, Actual behavior";
    expected("The list", form, &[], by_form);
    expected("The list crashes", "", &[], "is a bug, by its words: crashes");
}

#[test]
fn a_form_that_asks_for_the_type_is_answered() {
    let body = "**Is this a bug or a feature?**\n\nfeature\n\n**What is the current behavior?**\n\nNothing is sorted.";
    assert_eq!(score("Order of the list", body, &[]).issue_type, IssueType::Feature);
}

#[track_caller]
fn is_blocked(title: &str, body: &str, labels: &[&str], expected: bool) {
    let verdict = verdict(title, body, labels);
    assert_eq!(verdict.score.blocked, expected, "{title:?} {body:?} {labels:?}");
    // One that is ready enough is flagged then, and dispatched otherwise.
    let ready = format!("{body}\n\n`src/list.rs` should sort by name, with `cargo test` green.\n");
    let action = self::verdict(title, &ready, labels).decision.action();
    let wanted = if expected { Action::Flag } else { Action::Dispatch };
    assert_eq!(action, wanted, "{title:?} {body:?} {labels:?}");
}

#[test]
fn none_of_these_is_blocked() {
    let texts = [
        "The ad blocker hides the list.",
        "The firewall blocks the request.",
        "The UI thread blocks for seconds.",
        "It is a blocking call.",
        "Use non-blocking I/O here.",
        "Code blocks lose their indentation.",
        "These are building blocks of the page.",
        "This blocks #7.",
        "This is blocking #7 and #8.",
        "It is no longer blocked.",
        "No longer blocked by #3.",
        "It is not blocked by anything.",
        "This is not blocked by #3.",
        "It isn't blocked by #3 any more.",
        "It was blocked by #3.",
        "2026-03-01 10:00:00 Starting a blocking GC Alloc",
        "~~Blocked by #3~~",
        "```\nblocked by #1\n```",
        "    blocked by #1\n",
        "The docs say `blocked by #1`.",
        "> blocked by #1",
        "> somebody said it is\nblocked by #1",
        "<!-- blocked by #1 -->",
        "A blocked user can still read it.",
        "See #12, which depends on nothing.",
        "It depends on the weather.",
        "Unblocked by #14.",
        "Blocked by the admin.",
        "Nicht mehr blockiert durch #3.",
        "Ya no depende de #3.",
    ];
    for text in texts {
        is_blocked("[Bug] The list is wrong", text, &[], false);
    }
    for title in [
        "[Bug] Ad blocker shows nothing",
        "[Bug] Blocked users are listed",
        "[Bug] unblock the queue",
    ] {
        is_blocked(title, "", &[], false);
    }
    for label in ["ad-blocker", "area/blocking", "unblocked", "blocking"] {
        is_blocked("[Bug] The list is wrong", "", &[label], false);
    }
}

#[test]
fn these_are_blocked() {
    let texts = [
        "Blocked by #12.",
        "**Blocked by:** #12, #13",
        "Blocked by #**12**.",
        "Blocked by\n\n- #12\n- #13",
        "## Blocked by\n\n- acme/gears#9",
        "Depends on acme/gears#9.",
        "It depends on #3 and #4.",
        "Blocked on issue #12",
        "Requires #53.",
        "This is waiting for PR #8.",
        "Blockiert durch #12.",
        "Hängt ab von #12.",
        "Depende de #12.",
        "Bloqué par #12.",
        "依赖于 #12",
    ];
    for text in texts {
        is_blocked("[Bug] The list is wrong", text, &[], true);
    }
    for label in [
        "blocked",
        "Status/Blocked",
        "status: blocked",
        "🚧 blocked",
        "on-hold",
        "waiting-for-upstream",
    ] {
        is_blocked("[Bug] The list is wrong", "", &[label], true);
    }
}

#[track_caller]
fn is_urgent(title: &str, labels: &[&str], expected: bool) {
    assert_eq!(score(title, "", labels).p0, expected, "{title:?} {labels:?}");
}

#[test]
fn urgent_is_what_says_so_and_no_bug_by_itself() {
    is_urgent("[Bug] The list is wrong", &["bug"], false);
    is_urgent("HELP!!! please fix", &[], false);
    for label in [
        "p0",
        "Priority/Critical",
        "priority: urgent",
        "severity::critical",
        "S-critical",
        "security",
    ] {
        is_urgent("[Bug] The list is wrong", &[label], true);
    }
    for label in ["priority/high", "critical mass", "P1", "area/security"] {
        is_urgent("[Bug] The list is wrong", &[label], false);
    }
    is_urgent("[Bug] Data loss after a restart", &[], true);
    is_urgent("[Bug] SQL injection in the search", &[], true);
    is_urgent("[Bug] Restart works without data loss, but is slow", &[], false);
    is_urgent("[Feature] Scan for vulnerabilities", &[], false);
    is_urgent("Fehler: Datenverlust beim Speichern", &[], true);
    is_urgent("保存后数据丢失，报错", &[], true);
}

#[test]
fn what_is_urgent_and_not_ready_is_flagged() {
    let verdict = verdict("[Bug] Data loss", "It is gone.", &[]);
    assert_eq!(verdict.decision.action(), Action::Flag);
    assert_eq!(verdict.decision.reason().code(), "urgent_not_ready");
}

#[test]
fn where_and_done_are_seen_in_the_usual_languages() {
    let places = [
        "`src/parser.rs`",
        "internal/list/list.go",
        "`web/List.tsx`",
        "app/models/list.rb",
        "List.java",
        "src/list.cpp",
        "List.cs",
        "src/List.php",
        "scripts/list.sh",
        "list.py",
        "`list::sort`",
        "sort_list()",
    ];
    for place in places {
        let body = format!("The order in {place} should be by name.");
        let verdict = verdict("[Bug] The list is in the wrong order", &body, &[]);
        assert_eq!(
            verdict.decision.action(),
            Action::Dispatch,
            "{place}: {}",
            verdict.decision.reason()
        );
    }
    for tests in [
        "cargo test",
        "go test",
        "npm test",
        "pytest",
        "mvn test",
        "ctest",
        "dotnet test",
        "rspec",
        "phpunit",
        "bats",
    ] {
        let with = score("x", &format!("Run {tests} on it."), &[]).acceptance;
        assert_eq!(with, score("x", "Run that on it.", &[]).acceptance + 1, "{tests}");
    }
}

#[test]
fn an_empty_form_counts_for_nothing() {
    let form = "### Prerequisites\n\n- [x] I have searched the existing issues\n- [x] I have read the guide\n\n\
        ### Describe the bug\n\nA clear and concise description of what the bug is.\n\n\
        ### Expected behavior\n\n_No response_\n\n### Steps to reproduce\n\n1. Go to '...'\n2. Click on '....'\n3. See error\n\n\
        ### Logs\n\n```shell\n\n```\n\n### Environment\n\n- OS: Linux\n- Version: 3.2 of src/main.rs";
    let score = score("[Bug]: It does not work", form, &["bug"]);
    assert_eq!((score.scope, score.acceptance, score.total), (0, 0, 1));
    assert!(TRIAGE.criteria(&issue("[Bug]: It does not work", form, &[])).is_empty());
}

#[test]
fn criteria_are_what_is_listed_or_expected_or_demanded() {
    let of = |body: &str| TRIAGE.criteria(&issue("[Bug] x", body, &[]));
    assert_eq!(
        of("It fails.\n\n## Done when\n\n- it is sorted\n- `a` passes"),
        ["it is sorted", "`a` passes"]
    );
    assert_eq!(
        of("### Expected behavior\n\nIt is sorted.\n\n### Actual behavior\n\nIt is not."),
        ["It is sorted."]
    );
    assert_eq!(
        of("It runs. It should stop at `n`, always. Why?"),
        ["It should stop at `n`, always."]
    );
    assert!(
        of("### Expected behavior\n\nit crashes\n\n### Actual behavior\n\nit crashes").is_empty()
    );
    assert!(
        of("- [x] I searched\n\n### Checklist\n\n- [ ] I agree to the code of conduct").is_empty()
    );
    assert!(of("Should it stop?").is_empty());
}

#[test]
fn the_task_follows_the_type_and_whole_words() {
    let task = |title: &str| verdict(title, "", &[]).task_type;
    // The seed would see a design, a plan and a trace.
    assert_eq!(task("[Bug] Designer crashes with a planet in it"), TaskType::RoutineCoding);
    assert_eq!(task("[Bug] Race condition in the cache"), TaskType::ComplexReasoning);
    assert_eq!(task("[Bug] The list is very slow"), TaskType::Analysis);
    assert_eq!(task("[Feature] A race calendar"), TaskType::RoutineCoding);
    assert_eq!(task("docs: explain the race calendar"), TaskType::Creative);
    assert_eq!(task("refactor: the cache"), TaskType::Refactoring);
    assert_eq!(task("[Spike] caches"), TaskType::Research);
}

#[test]
fn nobody_is_left_in_the_dark() {
    let answer = |title: &str| TRIAGE.answer(&verdict(title, "", &[]).decision);
    assert_eq!(answer("It is slow"), Some(Answer::NeedsInfo));
    assert_eq!(answer("How do I start it?"), Some(Answer::Question));
    let seed = Triage::new(Policy::default()).expect("a valid policy");
    assert_eq!(seed.answer(&seed.verdict(&issue("It is slow", "", &[]), now()).decision), None);
}

#[test]
fn every_verdict_names_its_policy() {
    let id = verdict("x", "", &[]).policy.expect("a policy");
    assert_eq!((id.preset, id.version), (Preset::Practical, 1));
    assert_eq!(&id, TRIAGE.id());
    let changed = Policy { ready_at: 3, ..Policy::of(Preset::Practical) };
    let changed = Triage::new(changed).expect("a valid policy");
    assert_ne!(changed.id().digest, id.digest);
    assert_eq!(Policy::of(Preset::Seed), Policy::default());
    assert_eq!(Policy::default().reads, Reads::Text);
}

#[test]
fn a_policy_file_stands_on_the_preset_it_names() {
    let text = "preset = 'practical'\nready_at = 2\n[scope]\nfile_points = 1\n";
    let mut expected = Policy { ready_at: 2, ..Policy::of(Preset::Practical) };
    expected.scope.file_points = 1;
    assert_eq!(Policy::read(text).expect("a policy"), expected);
    assert!(Policy::read("preset = 'practical'\nreadyat = 2").is_err());
    let written = toml::to_string(&Policy::of(Preset::Practical)).expect("can be written");
    assert_eq!(Policy::read(&written).expect("can be read"), Policy::of(Preset::Practical));
}

fn took(issue: &Issue) -> Duration {
    let once = || {
        let started = processor_time();
        TRIAGE.verdict(issue, now());
        TRIAGE.criteria(issue);
        processor_time().saturating_sub(started)
    };
    // The fastest of a few: a cold cache is no slower algorithm.
    (0..3).map(|_| once()).min().unwrap_or_default()
}

#[test]
fn no_input_takes_more_than_its_length() {
    // Both below what is read of a text, so that the longer one is read as a whole.
    const SHORT: usize = 10_000;
    const FACTOR: usize = 8;
    let parts = [
        "a",
        " ",
        "should ",
        "crash ",
        "blocked by #1, ",
        "blocked by ",
        "[",
        "【",
        "[bug] ",
        "bug: ",
        "`",
        "```\n",
        "~~~ ",
        "> ",
        ">",
        "- [ ] should a\n",
        "**a**: b\n",
        "### Steps\n",
        "a. ",
        "不",
        "报错，",
        "not ",
        "no ",
        "src/",
        "a::",
        "--",
        "1. ",
        "İ",
        "ſ",
        "2026-01-01 ",
        "https://",
        "#1 ",
        "|a|\n",
        "<!-- ",
    ];
    for part in parts {
        let of = |bytes: usize| part.repeat(bytes / part.len());
        for place in [|text: String| issue(&text, "", &[]), |text: String| issue("t", &text, &[])] {
            let (short, long) = (took(&place(of(SHORT))), took(&place(of(SHORT * FACTOR))));
            // Half of what a square would take, and what a busy machine does to a clock.
            let most = short * (FACTOR * FACTOR / 2) as u32 + Duration::from_millis(20);
            assert!(long < most, "{part:?}: {short:?} and {long:?}");
        }
    }
    let title = issue(&"crash ".repeat(1 << 17), "", &[]);
    assert!(took(&title) < Duration::from_secs(5), "a title of a megabyte");
    let label = "kind/".repeat(200_000);
    assert!(took(&issue("t", "", &[&label])) < Duration::from_secs(5), "a label of a megabyte");
}
