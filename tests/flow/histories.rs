//! Repositories and owners are renamed, transferred, spelled otherwise, deleted and made anew, in an order drawn at
//! random, mostly unheard: what was decided about an issue goes with it as if the name had never changed, and what is
//! new under an old name has nothing of what was there.
//!
//! 12 histories in a usual run; `GITEA_TRIAGE_TEST_SCALE=full` makes it 100. `GITEA_TRIAGE_TEST_SEED` repeats a run.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::sweep::How;

use crate::dice::{self, Dice};
use crate::world::{World, bug};

const OWNERS: [&str; 3] = ["acme", "nova", "Orbit"];
const NAMES: [&str; 4] = ["widgets", "gadgets", "tools", "Tools"];
const STEPS: usize = 25;

/// What was decided about an issue, and has to stay so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A person holds it.
    Held,
    /// A person took off what we had put on.
    TakenOff,
    /// An agent has it.
    AtWork,
}

/// An issue that is followed by what it says, which no name changes.
struct Followed {
    title: String,
    fate: Fate,
}

struct Story {
    world: World,
    dice: Dice,
    /// Where the repositories are that there are, by a mark that stays.
    places: BTreeMap<usize, RepoName>,
    followed: Vec<(usize, Followed)>,
    made: usize,
    opened: usize,
    told: Vec<String>,
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what happened:\n{}", self.told.join("\n"));
        }
    }
}

impl Story {
    async fn begin(seed: u64) -> Self {
        let agent = "[[agent]]\nid = \"claude\"\ntimeout = \"300d\"\nmax_concurrent = 1000\n";
        let mut world = World::with(agent).await;
        world.configure(|text| {
            let text = text.replace("[\"acme/*\"]", "[\"*/*\"]");
            text.replace("concurrency = 0", "concurrency = 0\n        fuse = 100000")
        });
        world.restart().await;
        let mut story = Self {
            world,
            dice: Dice(seed),
            places: BTreeMap::new(),
            followed: Vec::new(),
            made: 0,
            opened: 0,
            told: Vec::new(),
        };
        story.make_repo().await;
        story
    }

    fn name(&mut self) -> RepoName {
        let owner = OWNERS[self.dice.below(OWNERS.len())];
        let name = NAMES[self.dice.below(NAMES.len())];
        format!("{owner}/{name}").parse().unwrap()
    }

    fn is_taken(&self, name: &RepoName) -> bool {
        self.places.values().any(|taken| taken == name)
    }

    fn any_repo(&mut self) -> Option<usize> {
        let all: Vec<_> = self.places.keys().copied().collect();
        if all.is_empty() { None } else { Some(all[self.dice.below(all.len())]) }
    }

    async fn make_repo(&mut self) {
        let name = self.name();
        if self.is_taken(&name) {
            return;
        }
        self.told.push(format!("{name} is made as {}", self.made));
        for (login, may) in [("claude", "write"), ("alice", "write"), ("bob", "read")] {
            self.world.gitea.add_collaborator(&name, login, may);
        }
        self.places.insert(self.made, name);
        self.made += 1;
    }

    /// A new issue with a fate of its own.
    async fn open(&mut self) {
        let Some(repo) = self.any_repo() else { return };
        let name = self.places[&repo].clone();
        self.opened += 1;
        let title = format!("[bug] Login crashes for the {}th time", self.opened);
        let fate = [Fate::Held, Fate::TakenOff, Fate::AtWork][self.dice.below(3)];
        self.told.push(format!("{name}: `{title}` is opened: {fate:?}"));
        let gitea = self.world.gitea.clone();
        gitea.pause_deliveries();
        let at = gitea.open_issue(&name, NewIssue { title: title.clone(), ..bug() });
        if fate == Fate::Held {
            gitea.comment(&at, "alice", "/triage hold until the release");
        }
        gitea.resume();
        self.world.settle().await;
        if fate == Fate::TakenOff {
            gitea.remove_label(&at, "alice", "claude-ready");
            gitea.unassign(&at, "alice", "claude");
            self.world.settle().await;
        }
        self.followed.push((repo, Followed { title, fate }));
    }

    fn rename(&mut self, mark: usize, to: RepoName) {
        let from = self.places[&mark].clone();
        let is_respelled = from == to && from.to_string() != to.to_string();
        if self.is_taken(&to) && !is_respelled {
            return;
        }
        self.told.push(format!("{from} is called {to}"));
        self.world.gitea.rename_repo(&from, &to);
        self.places.insert(mark, to);
    }

    fn swap(&mut self, one: usize, other: usize) {
        let (a, b) = (self.places[&one].clone(), self.places[&other].clone());
        self.rename(one, "acme/aside".parse().unwrap());
        self.rename(other, a);
        self.rename(one, b);
    }

    fn rename_owner(&mut self) {
        let from = OWNERS[self.dice.below(OWNERS.len())];
        let there = |story: &Self, owner: &str| {
            story.places.values().any(|repo| repo.owner().eq_ignore_ascii_case(owner))
        };
        if !there(self, from) || there(self, "moved") {
            return;
        }
        self.told.push(format!("{from} is called moved"));
        self.world.gitea.rename_owner(from, "moved");
        for repo in self.places.values_mut().filter(|repo| repo.owner().eq_ignore_ascii_case(from))
        {
            *repo = format!("moved/{}", repo.name()).parse().unwrap();
        }
    }

    fn delete(&mut self, mark: usize) {
        let name = self.places.remove(&mark).unwrap();
        self.told.push(format!("{name} is deleted"));
        self.world.gitea.delete_repo(&name);
        self.followed.retain(|(repo, _)| *repo != mark);
    }

    async fn step(&mut self) {
        let Some(mark) = self.any_repo() else { return self.make_repo().await };
        match self.dice.below(12) {
            0 | 1 => self.make_repo().await,
            2..=4 => self.open().await,
            5 | 6 => {
                let to = self.name();
                self.rename(mark, to);
            }
            7 => {
                let shouted = self.places[&mark].to_string().to_uppercase();
                self.rename(mark, shouted.parse().unwrap());
            }
            8 => {
                if let Some(other) = self.any_repo().filter(|other| *other != mark) {
                    self.swap(mark, other);
                }
            }
            9 => self.rename_owner(),
            10 => self.delete(mark),
            _ => self.sweep().await,
        }
        if self.dice.below(2) == 0 {
            self.somebody_says_something().await;
        }
    }

    async fn sweep(&mut self) {
        self.told.push("a sweep".into());
        self.world.clock.advance(TimeDelta::minutes(15));
        let how = How { full: self.dice.below(3) == 0, ..How::default() };
        self.world.service().parts().sweeper.round(how, &|_, _, _| {}).await.unwrap();
        self.world.settle().await;
    }

    /// Where the issues are, by what they say.
    fn issues(&self) -> BTreeMap<String, IssueRef> {
        let all = self.places.values().flat_map(|repo| self.world.gitea.issues(repo));
        all.map(|(at, issue)| (issue.title, at)).collect()
    }

    async fn somebody_says_something(&mut self) {
        let issues: Vec<_> = self.issues().into_values().collect();
        if issues.is_empty() {
            return;
        }
        let at = &issues[self.dice.below(issues.len())];
        self.told.push(format!("{at}: bob says something"));
        self.world.gitea.comment(at, "bob", "any news?");
        self.world.settle().await;
    }

    async fn look_at_everything(&mut self) {
        for at in self.issues().into_values() {
            self.world.gitea.comment(&at, "bob", "any news?");
        }
        self.world.settle().await;
    }

    /// What each issue has to look like, and how many places are taken.
    async fn is_as_if_no_name_had_changed(&self) {
        let (issues, mut at_work) = (self.issues(), 0);
        for (_, Followed { title, fate }) in &self.followed {
            let at = &issues[title];
            let issue = self.world.issue(at);
            let ours = self.world.comments(at);
            let history = self.world.history(at).await;
            let what = format!("{at} ({title}, {fate:?}) has {ours:#?}");
            let is_called = *fate == Fate::AtWork;
            at_work += u32::from(is_called);
            let labels: &[&str] = if is_called { &["claude-ready"] } else { &[] };
            assert_eq!(issue.labels, labels, "{what}");
            assert_eq!(issue.assignees.len(), usize::from(is_called), "{what}");
            let dispatches = usize::from(*fate != Fate::Held);
            assert_eq!((history.dispatches.len(), ours.len()), (dispatches, dispatches), "{what}");
            let is_open = history.dispatches.last().is_some_and(|last| last.state.is_open());
            assert_eq!(is_open, is_called, "{what}");
        }
        // The places of what is deleted come back at the deadline at the latest; here somebody looks before.
        let load = self.world.service().parts().store.load().await.unwrap();
        assert!(load.values().sum::<u32>() >= at_work);
    }
}

/// The dead letters are those of repositories that are gone, and nothing else.
async fn are_of_what_is_gone(story: &Story) {
    for dead in story.world.dead().await {
        let reason = dead.reason.unwrap_or_default();
        assert!(reason.contains("404"), "{:?}: {reason}", dead.issue);
    }
}

async fn one_history(seed: u64) {
    let mut story = Story::begin(seed).await;
    for _ in 0..STEPS {
        story.step().await;
    }
    story.look_at_everything().await;
    story.is_as_if_no_name_had_changed().await;
    let at_work = story.followed.iter().filter(|(_, one)| one.fate == Fate::AtWork).count();
    story.world.clock.advance(TimeDelta::days(300));
    story.world.settle().await;
    let load = story.world.service().parts().store.load().await.unwrap();
    assert_eq!(load.values().sum::<u32>(), 0, "{at_work} were at work, and their time is over");
    for at in story.issues().into_values() {
        story.world.comments(&at);
    }
    are_of_what_is_gone(&story).await;
}

#[tokio::test]
async fn what_was_decided_goes_with_the_issue_whatever_is_renamed() {
    let is_full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let mut dice = Dice(dice::seed());
    for number in 0..if is_full { 100 } else { 12 } {
        let seed = dice.below(usize::MAX) as u64;
        println!("history {number} with {seed}");
        one_history(seed).await;
    }
}
