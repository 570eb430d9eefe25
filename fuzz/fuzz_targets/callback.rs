//! Any report of an agent: it is read or refused, and what is kept of it is short, printable and safe to link.
#![no_main]

use gitea_triage::agents::parse_report;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    match parse_report(body) {
        Ok(report) => {
            if let Some(message) = report.message {
                assert!(!message.is_empty() && message.chars().count() <= 2000);
                assert!(message.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()));
            }
            if let Some(url) = report.url {
                assert!(url.starts_with("http://") || url.starts_with("https://"));
                assert!(url.len() <= 2000 && !url.contains(['<', '>', '"', ' ']));
            }
        }
        Err(error) => assert!(error.to_string().len() < 300),
    }
});
