//! What commands print where somebody looks on.

use std::path::Path;
use std::process::Command;

use crate::screen::Screen;

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    command.env_clear().env("TERM", "xterm").current_dir(folder);
    command
}

/// Colours where somebody looks on, and none where they are not wanted; a table is no wider than the terminal.
pub fn colours_and_widths() {
    let folder = tempfile::tempdir().unwrap();
    let seen = |columns: u16, set: Option<(&str, &str)>| {
        let mut command = program(folder.path());
        command.args(["agent", "list"]).envs(set);
        let mut screen = Screen::start(&command, columns);
        assert!(screen.ended().success());
        (screen.raw(), screen.seen())
    };
    assert!(seen(80, None).0.contains("\u{1b}[1mAGENT\u{1b}[0m"));
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!seen(80, Some(plain)).0.contains('\u{1b}'), "{plain:?}");
    }
    let (_, narrow) = seen(40, None);
    assert!(
        narrow.contains('…') && narrow.lines().all(|line| line.chars().count() <= 40),
        "{narrow}"
    );
    let mut replay = program(Path::new(env!("CARGO_MANIFEST_DIR")));
    replay.args(["replay", "fixtures/02-issues-opened-bug.http"]);
    let mut screen = Screen::start(&replay, 80);
    assert!(screen.ended().success());
    let text = screen.seen();
    assert!(text.contains("dispatch"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
