//! The recorded deliveries of a real Gitea and of a real Forgejo, built into the program, so that the demo needs no
//! files.

use crate::fake_gitea::Flavour;

macro_rules! recorded {
    ($folder:literal; $($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../fixtures/", $folder, $name, ".http")))),+]
    };
}

/// What one forge sent.
pub struct Recorded {
    /// Which it was.
    pub flavour: Flavour,
    /// The repository that all of it is about.
    pub repo: &'static str,
    /// Each delivery by its name, in the order in which they were made.
    pub deliveries: &'static [(&'static str, &'static [u8])],
}

/// What Gitea 1.25.4 sent.
pub const GITEA: Recorded = Recorded {
    flavour: Flavour::Gitea,
    repo: "acme/widgets",
    deliveries: recorded![
        "";
        "01-test-delivery",
        "02-issues-opened-bug",
        "03-issues-opened-feature",
        "04-issues-opened-research",
        "05-issues-opened-philosophy",
        "06-issues-opened-blocked",
        "07-issues-opened-vague",
        "08-issues-opened-unicode",
        "09-issues-opened-long",
        "10-issues-opened-mention",
        "11-issues-opened-labels-assignees-milestone-a",
        "12-issues-opened-labels-assignees-milestone-b",
        "13-issues-opened-labels-assignees-milestone-c",
        "14-issues-opened-labels-assignees-milestone-d",
        "15-issues-opened-labels-assignees-milestone-e",
        "16-issues-opened-one-label-a",
        "17-issues-opened-one-label-b",
        "18-issues-label-added",
        "19-issues-two-labels-added",
        "20-issues-labels-replaced",
        "21-issues-label-removed",
        "22-issues-label-added-again",
        "23-issues-labels-cleared",
        "24-issues-title-edited",
        "25-issues-body-edited",
        "26-issues-assigned",
        "27-issues-reassigned-a",
        "28-issues-reassigned-b",
        "29-issues-reassigned-c",
        "30-issues-unassigned-a",
        "31-issues-unassigned-b",
        "32-issues-milestoned",
        "33-issues-demilestoned",
        "34-issue-comment-created",
        "35-issue-comment-edited",
        "36-issue-comment-deleted",
        "37-issue-comment-command-by-reporter",
        "38-issue-comment-by-bot",
        "39-issues-closed",
        "40-issues-reopened",
        "41-issues-closed-by-agent",
        "42-push-branch-a",
        "43-push-branch-b",
        "44-pull-request-opened",
        "45-pull-request-comment",
        "46-pull-request-label",
        "47-merge-closes-issue-a",
        "48-merge-closes-issue-b",
        "49-merge-closes-issue-c",
        "50-commit-closes-issue-a",
        "51-commit-closes-issue-b",
        "52-issues-deleted",
        "53-release-a",
        "54-release-b",
        "55-release-c",
        "56-form-issues-opened",
        "57-form-issues-label-added",
        "58-unsigned-issues-opened",
        "59-authorization-issues-opened",
        "60-org-hook-issues-opened",
        "61-org-hook-issues-closed",
        "62-issues-opened-research-ready",
    ],
};

/// What Forgejo 15.0.3 sent.
pub const FORGEJO: Recorded = Recorded {
    flavour: Flavour::Forgejo,
    repo: "harbor/lantern",
    deliveries: recorded![
        "forgejo-15.0.3/";
        "01-test-delivery",
        "02-issues-opened-bug",
        "04-issues-opened-research",
        "05-issues-opened-philosophy",
        "07-issues-opened-vague",
        "08-issues-opened-unicode",
        "10-issues-opened-mention",
        "11-issues-opened-labels-assignees-milestone-a",
        "13-issues-opened-labels-assignees-milestone-c",
        "14-issues-opened-labels-assignees-milestone-d",
        "16-issues-opened-one-label-a",
        "17-issues-opened-one-label-b",
        "19-issues-two-labels-added",
        "20-issues-labels-replaced",
        "22-issues-label-added-again",
        "23-issues-no-label-added",
        "25-issues-title-edited",
        "26-issues-body-edited",
        "28-issues-title-and-body-edited-b",
        "29-issues-assigned",
        "31-issues-reassigned-b",
        "32-issues-reassigned-c",
        "34-issues-unassigned-b",
        "35-issues-milestoned",
        "37-issue-comment-created",
        "38-issue-comment-edited",
        "40-issue-comment-deleted",
        "41-issue-comment-command-by-reporter",
        "43-issues-closed",
        "44-issues-reopened",
        "46-push-branch-a",
        "47-push-branch-b",
        "49-pull-request-comment",
        "50-pull-request-label",
        "52-merge-closes-issue-a",
        "53-merge-closes-issue-b",
        "55-commit-closes-issue-a",
        "56-commit-closes-issue-b",
        "58-release-b",
        "59-release-c",
        "61-form-issues-label-added",
        "62-unsigned-issues-opened",
        "64-gitea-type-issues-opened",
        "65-gitea-type-push-branch-a",
        "67-gitea-type-delete-branch",
        "68-org-hook-issues-opened",
        "70-issues-opened-research-ready",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_is_shipped() {
        for (recorded, folder) in [(GITEA, ""), (FORGEJO, "forgejo-15.0.3")] {
            let folder = format!("{}/fixtures/{folder}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name());
            let files = files.map(|name| name.into_string().unwrap());
            let mut names: Vec<_> =
                files.filter_map(|name| name.strip_suffix(".http").map(str::to_owned)).collect();
            names.sort();
            let shipped: Vec<_> = recorded.deliveries.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, shipped);
        }
    }
}
