//! What the audit comment says.

use gitea_triage::fake_gitea::NewIssue;

use crate::world::{PATIENT, World, bug};

#[tokio::test]
async fn a_dispatch_is_explained_with_every_point() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    insta::assert_snapshot!(world.comment(&issue), @r#"
    **Triage: dispatched to `claude` (label `claude-ready`, assigned `claude`)**

    **Why:** P0/bug issue (score 9, opened today): goes to `claude` first.

    **State:** `assigned`, until 2026-03-23 14:00 UTC

    | type | score | scope | acceptance | alignment | age | task type |
    |---|---|---|---|---|---|---|
    | bug | **9** of 9 | 3 | 3 | 3 | 0 days | `routine_coding` |

    <details><summary>Where the points come from</summary>

    - scope +1: names a file (`src/auth/login.py`)
    - scope +1: names a function or class (`` `login()` ``)
    - scope +1: has a short title
    - acceptance +2: states acceptance criteria (`should`, `return`, `passes`)
    - acceptance +1: mentions tests (`pytest`)
    - acceptance +1: describes the problem in sections (`## Problem`)
    - acceptance -1: limit of this part
    - alignment +3: is a bug (`bug`)

    </details>

    **Acceptance criteria found in the issue:**

    ```text
    pytest passes
    ```

    <sub>To override: take the label `claude-ready` off, assign somebody else, or comment `/triage hold` (`/triage help` lists what else). What a person changes here is left as it is.</sub>

    <!-- gitea-triage decision=dispatch:claude digest=f94bd5b15173 -->
    "#);
}

#[tokio::test]
async fn a_flag_says_whom_it_calls_and_why() {
    let world = World::with("[triage]\nowner = \"alice\"").await;
    let mut blocked = bug();
    blocked.body.push_str("\nBlocked until the schema is settled.");
    let issue = world.open_issue(blocked);
    world.settle().await;
    insta::assert_snapshot!(world.comment(&issue), @r#"
    **Triage: @alice, this needs you**

    **Why:** blocked, by its own text: a person has to resolve that.

    | type | score | scope | acceptance | alignment | age | task type |
    |---|---|---|---|---|---|---|
    | bug | **9** of 9 | 3 | 3 | 3 | 0 days | `architecture` |

    <details><summary>Where the points come from</summary>

    - scope +1: names a file (`src/auth/login.py`)
    - scope +1: names a function or class (`` `login()` ``)
    - scope +1: has a short title
    - acceptance +2: states acceptance criteria (`should`, `return`, `passes`)
    - acceptance +1: mentions tests (`pytest`)
    - acceptance +1: describes the problem in sections (`## Problem`)
    - acceptance -1: limit of this part
    - alignment +3: is a bug (`bug`)

    </details>

    **Acceptance criteria found in the issue:**

    ```text
    pytest passes
    ```

    <sub>To override: assign somebody, edit the issue, or comment `/triage assign <agent>` (`/triage help` lists what else).</sub>

    <!-- gitea-triage decision=flag digest=bb867c9cd396 -->
    "#);
}

#[tokio::test]
async fn a_better_text_edits_the_comment_and_age_alone_does_not() {
    let world = World::with(PATIENT).await;
    let issue = world.open_issue(bug());
    world.settle().await;
    let first = world.comment(&issue);
    world.clock.advance(chrono::TimeDelta::days(3));
    world.gitea.add_label(&issue, "alice", "area/login");
    world.settle().await;
    assert_eq!(world.comment(&issue), first);
    world.gitea.edit_issue(&issue, "bob", None, Some("Fix src/auth.py"));
    world.settle().await;
    let edited = world.comment(&issue);
    assert_ne!(edited, first);
    assert!(edited.contains("names a file"), "{edited}");
}

#[tokio::test]
async fn hostile_text_pings_nobody_and_breaks_out_of_nothing() {
    let world = World::start().await;
    let issue = world.open_issue(NewIssue {
        title: "[bug] @everyone `code` <script>alert(1)</script>".into(),
        body: "## Problem\nsrc/x.py must return, should verify\n\n## Acceptance criteria\n- ping @alice and @bob ```\n- see #1 and acme/widgets#1\n- <!-- gitea-triage decision=skip digest=x -->\n- `````escape\u{202e}\n".into(),
        ..bug()
    });
    world.settle().await;
    let comment = world.comment(&issue);
    insta::assert_snapshot!(comment, @r#"
    **Triage: dispatched to `claude` (label `claude-ready`, assigned `claude`)**

    **Why:** P0/bug issue (score 8, opened today): goes to `claude` first.

    **State:** `assigned`, until 2026-03-23 14:00 UTC

    | type | score | scope | acceptance | alignment | age | task type |
    |---|---|---|---|---|---|---|
    | bug | **8** of 9 | 2 | 3 | 3 | 0 days | `triage` |

    <details><summary>Where the points come from</summary>

    - scope +1: names a file (`src/x.py`)
    - scope +1: has a short title
    - acceptance +2: states acceptance criteria (`must`, `return`, `should`, `verify`, `Acceptance`)
    - acceptance +1: describes the problem in sections (`## Problem`)
    - alignment +3: is a bug (`bug`)

    </details>

    **Acceptance criteria found in the issue:**

    ````text
    ping @alice and @bob ```
    see #1 and acme/widgets#1
    ````

    <sub>To override: take the label `claude-ready` off, assign somebody else, or comment `/triage hold` (`/triage help` lists what else). What a person changes here is left as it is.</sub>

    <!-- gitea-triage decision=dispatch:claude digest=a2729a83c37b -->
    "#);
}

#[tokio::test]
async fn a_comment_leads_to_the_whole_story_where_a_page_shows_it() {
    let world = World::with("[dashboard]\ntoken = \"sixteen-letters-or-more\"\n").await;
    let issue = world.open_issue(bug());
    world.settle().await;
    let link = "[The whole story](https://triage.example.com/issues/acme/widgets/1)";
    assert!(world.comment(&issue).contains(link));
}
