//! Any configuration file: it is read, or every mistake is told with its line.
#![no_main]

use gitea_triage::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Files that are named in it are not to be opened.
    if text.contains("_file") {
        return;
    }
    match Config::from_toml("fuzz.toml", text, std::iter::empty()) {
        Ok(config) => assert!(!config.show().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
