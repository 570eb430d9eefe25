//! Any comment: its commands are read, and what is answered to them calls nobody.
#![no_main]

use gitea_triage::triage::commands::{Refusal, parse, refusal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    let commands = parse(body);
    assert!(commands.len() <= 10);
    for command in commands {
        let answer = refusal(&command, &Refusal::NotHeld);
        assert!(!answer.is_empty());
    }
});
