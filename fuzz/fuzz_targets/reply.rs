//! Any answer of a model, in either API: it is read or refused, goes back into the talk, and what is shown of it is
//! harmless.
#![no_main]

use gitea_triage::agents::local::{Message, ModelApi, clean};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for api in [ModelApi::Ollama, ModelApi::OpenAi] {
        match Message::answer(api, body) {
            Ok(message) => {
                assert_eq!(message.role(), "assistant");
                let shown = clean(message.content());
                assert!(!["<!--", "<|", "|>", "[INST]"].iter().any(|mark| shown.contains(mark)));
                assert_eq!(clean(&shown), shown, "nothing is left to take out");
            }
            Err(why) => assert!(!why.is_empty() && why.len() < 300, "{why}"),
        }
    }
});
