//! What is done with the source beside building and testing it: `cargo xtask dist` makes the files of a release,
//! `cargo xtask version` keeps its version in one place.

mod archive;
mod compile;
mod contents;
mod deb;
mod digests;
mod dist;
mod image;
mod notices;
mod parts;
mod project;
mod rpm;
mod sbom;
mod tools;
mod tree;
mod versions;

use clap::Parser;

/// What is done with the source beside building and testing it
#[derive(Debug, Parser)]
enum Task {
    /// Make the files of a release
    Dist(dist::Dist),
    /// Say where another version or address stands than in `Cargo.toml`
    Version(versions::Version),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Dist(task) => task.run(),
        Task::Version(task) => task.run(),
    }
}
