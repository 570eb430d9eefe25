//! `man`: manual pages: one for each command, made of the same texts as the help, and one for the configuration.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::help::{self, ENVIRONMENT, EXIT_CODES};
use super::table::wrapped;
use super::{Failure, print};
use crate::config;

/// The name of the page about the configuration, and its section.
const FILE_PAGE: &str = "gitea-triage.toml";
/// Not the day on which a page is made, so that the same source gives the same page.
const DATE: &str = "2026-01-01";
const MANUAL: &str = "gitea-triage manual";

/// Write the manual pages
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage man /usr/local/share/man/man1\n\nOne page for each command, as `gitea-triage-hook-install.1`, and `gitea-triage.toml.5` about the configuration. If the folder is called `man1`, the latter goes into `man5` beside it."
)]
pub(super) struct Man {
    /// The folder to write to; created when missing
    #[arg(value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut command = help::plain().disable_help_subcommand(true);
        command.build();
        pages(&command, &mut |name, page| write(&self.folder, name, page))?;
        let is_section = self.folder.file_name().is_some_and(|name| name == "man1");
        let folder =
            if is_section { self.folder.with_file_name("man5") } else { self.folder.clone() };
        write(&folder, &format!("{FILE_PAGE}.5"), &configuration())?;
        print(&format!("the manual pages are in `{}`", self.folder.display()))
    }
}

fn write(folder: &Path, name: &str, page: &str) -> Result<(), Failure> {
    let cannot = || format!("`{}` cannot be written", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    Ok(std::fs::write(folder.join(name), page).with_context(cannot)?)
}

type Output<'a> = &'a mut dyn FnMut(&str, &str) -> Result<(), Failure>;

/// The page of the command and those of all below it.
fn pages(command: &Command, out: Output<'_>) -> Result<(), Failure> {
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        pages(below, out)?;
    }
    let page = Page::new(command.clone()).date(DATE).manual(MANUAL);
    let name = page.get_filename();
    let page = page.title(name.trim_end_matches(".1").to_uppercase());
    out(&name, &text(command, &page)?)
}

fn text(command: &Command, page: &Page) -> Result<String, Failure> {
    let mut written = Vec::new();
    page.render_title(&mut written)?;
    page.render_name_section(&mut written)?;
    page.render_synopsis_section(&mut written)?;
    page.render_description_section(&mut written)?;
    let mut roff = Roff::default();
    let own = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (examples, said) = parted(&own);
    said.iter().for_each(|paragraph| self::paragraph(&mut roff, paragraph));
    written.extend(roff.to_roff().into_bytes());
    page.render_options_section(&mut written)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut written)?;
    }
    let mut roff = Roff::default();
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        verbatim(&mut roff, &examples);
    }
    let files = help::files();
    listed(&mut roff, "FILES", files.iter().map(|(file, what)| (file.as_str(), *what)));
    listed(&mut roff, "ENVIRONMENT", ENVIRONMENT.into_iter());
    listed(&mut roff, "EXIT STATUS", EXIT_CODES.into_iter());
    see_also(&mut roff, command);
    written.extend(roff.to_roff().into_bytes());
    Ok(tidy(&String::from_utf8_lossy(&written)))
}

/// The lines of the examples, and the paragraphs that stand beside them.
fn parted(text: &str) -> (Vec<&str>, Vec<Vec<&str>>) {
    let (mut examples, mut said) = (Vec::new(), Vec::new());
    for part in text.split("\n\n").filter(|part| !part.trim().is_empty()) {
        let mut lines: Vec<_> = part.lines().collect();
        match lines.first() {
            Some(&"Examples:") => examples.extend(lines.split_off(1)),
            _ => said.push(lines),
        }
    }
    (examples, said)
}

/// Text flows; what is indented stays as it is.
fn paragraph(roff: &mut Roff, lines: &[&str]) {
    roff.control("PP", []);
    let (indented, flowing): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| line.starts_with(' '));
    for line in flowing {
        roff.text(marked(line));
    }
    if !indented.is_empty() {
        verbatim(roff, &indented);
    }
}

fn verbatim(roff: &mut Roff, lines: &[&str]) {
    roff.control("PP", []).control("nf", []);
    for line in lines {
        roff.text([roman(*line)]);
    }
    roff.control("fi", []);
}

fn listed<'a>(roff: &mut Roff, heading: &str, rows: impl Iterator<Item = (&'a str, &'a str)>) {
    roff.control("SH", [heading]);
    for (key, what) in rows {
        roff.control("TP", []).text([bold(key)]).text(marked(what));
    }
}

fn see_also(roff: &mut Roff, command: &Command) {
    let name = command.get_display_name().unwrap_or("gitea-triage");
    let above = name.rsplit_once('-').map(|(above, _)| above).filter(|above| *above != "gitea");
    let below = command.get_subcommands().filter_map(Command::get_display_name);
    let pages = above.into_iter().chain(below).map(|page| (page, "1"));
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for (page, section) in pages.chain([(FILE_PAGE, "5")]) {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(page), roman(format!("({section})"))]);
    }
    roff.text(line);
}

/// Text in which what stands between backticks is printed bold.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    let parts = parts.filter(|(_, part)| !part.is_empty());
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// The page about the configuration, made of its reference.
fn configuration() -> String {
    let mut roff = Roff::default();
    let version = concat!("gitea-triage ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [FILE_PAGE.to_uppercase().as_str(), "5", DATE, version, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{FILE_PAGE} - configuration of gitea-triage"))]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text(marked(
        "One TOML file, and the environment over it: `GITEA_TRIAGE__SECTION__KEY` sets one key. `gitea-triage init` \
         writes a first one, `gitea-triage config check` reports every mistake with its line, and `gitea-triage config \
         show` prints every value in force.",
    ));
    roff.control("SH", ["KEYS"]);
    config::reference().split("\n\n").for_each(|block| reference(&mut roff, block.trim()));
    let files = help::files();
    let own = files.iter().map(|(file, what)| (file.as_str(), *what)).take(2);
    listed(&mut roff, "FILES", own);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("gitea-triage"), roman("(1), "), bold("gitea-triage-config"), roman("(1)")]);
    tidy(&roff.to_roff())
}

/// A block of the reference: a heading with the line below it, a table of keys, or text.
fn reference(roff: &mut Roff, block: &str) {
    if let Some(heading) = block.strip_prefix("### ") {
        roff.control("SS", [heading.replace('`', "").as_str()]);
    } else if block.starts_with('|') {
        block.lines().filter(|row| row.starts_with("| `")).for_each(|row| key(roff, row));
    } else {
        // Every section ends with its keys, whose indent ends here.
        roff.control("PP", []);
        for line in block.lines() {
            roff.text(marked(line));
        }
    }
}

/// A row of a table: the key, what it wants, its default and what it is.
fn key(roff: &mut Roff, row: &str) {
    let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    let [key, wants, default, about] = cells.as_slice() else { return };
    let default = match *default {
        "required" | "built in" => (*default).to_owned(),
        "–" => "none by default".to_owned(),
        default => format!("default {default}"),
    };
    roff.control("TP", []).text([bold(key.replace('`', ""))]).text(marked(about));
    roff.text(marked(&format!("Wants {wants}; {default}.")));
}

/// The page with lines that are not too long, and without what a formatter passes over.
fn tidy(page: &str) -> String {
    let (mut tidied, mut is_filled, mut is_after_heading) = (String::new(), true, false);
    // A break beside an empty line is none.
    let page = page.replace(".br\n\n.br\n", ".sp\n");
    for line in page.lines() {
        is_filled = match line {
            ".nf" => false,
            ".fi" => true,
            _ => is_filled,
        };
        if line == ".PP" && is_after_heading {
            continue;
        }
        is_after_heading = line.starts_with(".SH") || line.starts_with(".SS");
        let is_text = is_filled && !line.starts_with('.');
        let line = if is_text { filled(line) } else { line.to_owned() };
        tidied.push_str(&line);
        tidied.push('\n');
    }
    tidied
}

/// Text in lines of at most 80. What begins with a dot or an apostrophe would be a request to the formatter.
fn filled(text: &str) -> String {
    let lines = wrapped(text.trim_end(), 0, 76);
    let mut lines = lines.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| {
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        format!("{text}\n{guard}{line}")
    })
}
