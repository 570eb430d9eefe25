//! Any head and body: without the secret nothing is accepted.
#![no_main]

use chrono::DateTime;
use gitea_triage::gitea::{Recording, Secret, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let Ok(recording) = Recording::read(file.to_vec()) else { return };
    let secrets = ["a secret the fuzzer is not told", "another that has expired"];
    let [valid, expired] =
        secrets.map(|key| Secret { key: key.into(), expires: None, repos: None });
    let expired = Secret { expires: Some(DateTime::UNIX_EPOCH), ..expired };
    let verifier = Verifier::new(vec![valid, expired]);
    let now = DateTime::from_timestamp_millis(1_774_267_200_000).unwrap();
    let answer = verifier.verify(&recording, recording.body.clone(), now);
    assert!(answer.is_err_and(|rejected| (400..500).contains(&rejected.status())));
});
