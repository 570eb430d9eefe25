//! Any signed body: it is read as an event or refused, and an event names an issue that could exist.
#![no_main]

use gitea_triage::delivery::Event;
use gitea_triage::gitea;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    match gitea::parse(body) {
        Ok(Event::Issue(event)) => {
            assert!(event.at.number > 0 && i64::try_from(event.at.number).is_ok());
            let again = event.at.to_string().parse();
            assert_eq!(again, Ok(event.at));
            assert!(event.action.len() <= 64);
        }
        Ok(Event::Pull(event)) => assert!(event.at.number > 0 && event.action.len() <= 64),
        Ok(Event::Ignored { action, reason, .. }) => {
            assert!(action.len() <= 64 && !reason.is_empty());
        }
        Err(error) => assert!(error.to_string().len() < 200),
    }
});
