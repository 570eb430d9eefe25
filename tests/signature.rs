//! Which deliveries are let in: the matrix of signatures, secrets and content types, and what the recorded
//! deliveries turn out to be.

// A panic in a helper is the failure message, as it is in the test itself.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use chrono::{TimeDelta, TimeZone, Utc};
use gitea_triage::clock::Timestamp;
use gitea_triage::delivery::{Delivery, Event};
use gitea_triage::gitea::{self, ParseError, Recording, Rejected, Secret, Verifier};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use secrecy::SecretString;
use sha2::Sha256;

const KEY: &str = "fixture-secret";
const BODY: &str = "{\n  \"title\": \"na\u{ef}ve \u{1f980} and a newline\\n\"\n}\n";
const BARE: [&str; 3] = ["X-Forgejo-Signature", "X-Gitea-Signature", "X-Gogs-Signature"];
const HUB: &str = "X-Hub-Signature-256";

fn now() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
}

fn secret(key: &str) -> Secret {
    Secret { key: SecretString::from(key), expires: None, repos: None }
}

fn digest(key: &str, bytes: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.chain_update(bytes).finalize().into_bytes().into()
}

fn hex_of(key: &str, bytes: &[u8]) -> String {
    hex::encode(digest(key, bytes))
}

/// A request with a delivery id and the JSON content type, and these headers besides.
fn request(headers: &[(&str, &str)]) -> Recording {
    let mut request = bare_request(headers);
    request.headers.push(("Content-Type".into(), "application/json".into()));
    request.headers.push(("X-Gitea-Delivery".into(), "70bc9189".into()));
    request
}

fn bare_request(headers: &[(&str, &str)]) -> Recording {
    Recording {
        method: "POST".into(),
        path: "/webhook".into(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body: Bytes::from_static(BODY.as_bytes()),
    }
}

fn verify(request: &Recording) -> Result<Delivery, Rejected> {
    verify_with(vec![secret(KEY)], request)
}

fn verify_with(secrets: Vec<Secret>, request: &Recording) -> Result<Delivery, Rejected> {
    Verifier::new(secrets).verify(request, request.body.clone(), now())
}

#[track_caller]
fn refused(request: &Recording, why: Rejected) {
    assert_eq!(verify(request).map(|d| d.id), Err(why));
}

#[test]
fn each_header_alone_is_enough_in_either_case() {
    let hex = hex_of(KEY, BODY.as_bytes());
    for hex in [hex.clone(), hex.to_uppercase()] {
        for name in BARE {
            assert!(verify(&request(&[(name, &hex)])).is_ok(), "{name}");
            assert!(verify(&request(&[(&name.to_lowercase(), &hex)])).is_ok(), "{name}");
        }
        assert!(verify(&request(&[(HUB, &format!("sha256={hex}"))])).is_ok());
    }
}

#[test]
fn the_body_is_handed_on_as_it_came_without_a_copy() {
    let request = request(&[("X-Gitea-Signature", &hex_of(KEY, BODY.as_bytes()))]);
    let delivery = verify(&request).unwrap();
    assert_eq!(delivery.body.as_ptr(), request.body.as_ptr());
    assert_eq!((delivery.body, delivery.received_at), (request.body, now()));
    assert_eq!(delivery.scope, None);
}

#[test]
fn one_bit_off_is_refused_wherever_it_is() {
    let right = digest(KEY, BODY.as_bytes());
    for bit in 0..256 {
        let mut wrong = right;
        wrong[bit / 8] ^= 1 << (bit % 8);
        let wrong = hex::encode(wrong);
        refused(&request(&[("X-Gitea-Signature", &wrong)]), Rejected::SignatureMismatch);
        let hub = format!("sha256={wrong}");
        refused(&request(&[(HUB, &hub)]), Rejected::SignatureMismatch);
    }
}

#[test]
fn one_byte_of_the_body_off_is_refused() {
    let hex = hex_of(KEY, BODY.as_bytes());
    for body in [BODY.trim_end().to_owned(), format!("{BODY}\n"), BODY.replace('\n', "\r\n")] {
        let mut request = request(&[("X-Gitea-Signature", &hex)]);
        request.body = Bytes::from(body);
        refused(&request, Rejected::SignatureMismatch);
    }
}

#[test]
fn headers_that_disagree_are_refused_whichever_is_right() {
    let right = hex_of(KEY, BODY.as_bytes());
    let wrong = hex_of("another", BODY.as_bytes());
    for (gitea, gogs) in [(&right, &wrong), (&wrong, &right)] {
        let both = request(&[("X-Gitea-Signature", gitea), ("X-Gogs-Signature", gogs)]);
        refused(&both, Rejected::SignatureMismatch);
        let hub = format!("sha256={gogs}");
        refused(
            &request(&[("X-Gitea-Signature", gitea), (HUB, &hub)]),
            Rejected::SignatureMismatch,
        );
        // Each right for a secret of ours, but not for the same one.
        let secrets = vec![secret(KEY), secret("another")];
        assert_eq!(verify_with(secrets, &both).map(|d| d.id), Err(Rejected::SignatureMismatch));
    }
    let upper = right.to_uppercase();
    assert!(
        verify(&request(&[("X-Gitea-Signature", &right), ("X-Gogs-Signature", &upper)])).is_ok()
    );
}

#[test]
fn no_empty_or_unreadable_signature_counts() {
    let right = hex_of(KEY, BODY.as_bytes());
    let hub = format!("sha256={right}");
    refused(&request(&[]), Rejected::SignatureMissing);
    refused(&request(&[("X-Hub-Signature", "sha1=00")]), Rejected::SignatureMissing);
    refused(&request(&[("X-Gitea-Signature", "")]), Rejected::SignatureEmpty);
    refused(&request(&[(HUB, "sha256=")]), Rejected::SignatureEmpty);
    refused(&request(&[("X-Gitea-Signature", &right), (HUB, "sha256=")]), Rejected::SignatureEmpty);
    for odd in [&right[1..], &right[2..], &format!("{right}00"), &hub, "zz", "\u{1f980}"] {
        refused(&request(&[("X-Gitea-Signature", odd)]), Rejected::SignatureMalformed);
    }
    for odd in [right.as_str(), &format!("sha1={right}"), &format!("SHA256={right}")] {
        refused(&request(&[(HUB, odd)]), Rejected::SignatureMalformed);
    }
}

#[test]
fn a_right_signature_that_is_repeated_is_right() {
    let right = hex_of(KEY, BODY.as_bytes());
    let hub = format!("sha256={right}");
    for (name, value) in
        [("X-Gitea-Signature", &right), ("X-Forgejo-Signature", &right), (HUB, &hub)]
    {
        for times in 1..4 {
            let repeated = request(&vec![(name, value.as_str()); times]);
            assert!(verify(&repeated).is_ok(), "{name} {times}");
            let joined = vec![value.as_str(); times].join(", ");
            assert!(verify(&request(&[(name, &joined)])).is_ok(), "{joined}");
        }
    }
}

#[test]
fn every_signature_that_is_there_must_be_right_also_in_a_repeated_header() {
    let right = hex_of(KEY, BODY.as_bytes());
    let wrong = hex_of("another", BODY.as_bytes());
    for (first, second) in [(&right, &wrong), (&wrong, &right)] {
        let both = request(&[("X-Gitea-Signature", first), ("X-Gitea-Signature", second)]);
        refused(&both, Rejected::SignatureMismatch);
        let joined = format!("{first},{second}");
        refused(&request(&[("X-Gitea-Signature", &joined)]), Rejected::SignatureMismatch);
    }
    let half = request(&[("X-Gitea-Signature", &right), ("X-Gitea-Signature", "")]);
    refused(&half, Rejected::SignatureEmpty);
    refused(&request(&[("X-Gitea-Signature", &format!("{right},"))]), Rejected::SignatureEmpty);
}

#[test]
fn sha_1_neither_helps_nor_harms() {
    let right = hex_of(KEY, BODY.as_bytes());
    let with = request(&[("X-Gitea-Signature", &right), ("X-Hub-Signature", "sha1=nonsense")]);
    assert!(verify(&with).is_ok());
}

fn form(fields: &[(&str, &str)], signed: &[u8]) -> Recording {
    let mut request = bare_request(&[
        ("X-Gitea-Signature", &hex_of(KEY, signed)),
        ("X-Gitea-Delivery", "70bc9189"),
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
    ]);
    let mut form = form_urlencoded::Serializer::new(String::new());
    request.body = form.extend_pairs(fields).finish().into();
    request
}

#[test]
fn a_form_is_signed_over_its_decoded_field() {
    let delivery = verify(&form(&[("payload", BODY)], BODY.as_bytes())).unwrap();
    assert_eq!(&delivery.body[..], BODY.as_bytes());
    let more = verify(&form(&[("a", "b"), ("payload", BODY)], BODY.as_bytes())).unwrap();
    assert_eq!(&more.body[..], BODY.as_bytes());
    let raw = form(&[("payload", BODY)], b"").body;
    refused(&form(&[("payload", BODY)], &raw), Rejected::SignatureMismatch);
}

#[test]
fn a_form_without_one_payload_is_bad_only_for_someone_with_the_secret() {
    for fields in [&[("other", BODY)][..], &[("payload", BODY), ("payload", "{}")]] {
        refused(&form(fields, BODY.as_bytes()), Rejected::SignatureMismatch);
        let raw = form(fields, b"").body;
        refused(&form(fields, &raw), Rejected::BadForm);
    }
}

#[test]
fn what_is_not_signed_is_looked_at_last() {
    let right = hex_of(KEY, BODY.as_bytes());
    let wrong = hex_of("another", BODY.as_bytes());
    let with = |hex: &str, content: &str, id: &str| {
        bare_request(&[
            ("X-Gitea-Signature", hex),
            ("Content-Type", content),
            ("X-Gitea-Delivery", id),
        ])
    };
    refused(&with(&wrong, "text/plain", ""), Rejected::SignatureMismatch);
    refused(&with(&wrong, "application/json", ""), Rejected::SignatureMismatch);
    refused(&with(&right, "text/plain", "id"), Rejected::UnsupportedContentType);
    refused(&with(&right, "application/json", ""), Rejected::NoDeliveryId);
    refused(&with(&right, "application/json", "a b"), Rejected::NoDeliveryId);
    refused(&bare_request(&[("X-Gitea-Signature", &right)]), Rejected::UnsupportedContentType);
    assert!(verify(&with(&right, "Application/JSON ; charset=utf-8", "id")).is_ok());
}

#[test]
fn the_first_delivery_id_and_the_finest_event_name_are_taken() {
    let right = hex_of(KEY, BODY.as_bytes());
    let event = format!("issue\u{7f}_\u{e9}{}", "x".repeat(99));
    let request = bare_request(&[
        ("X-GitHub-Delivery", "last"),
        ("X-Forgejo-Delivery", "first"),
        ("X-Gitea-Signature", &right),
        ("Content-Type", "application/json"),
        ("X-Gitea-Event", "issues"),
        ("X-Gitea-Event-Type", &event),
    ]);
    let delivery = verify(&request).unwrap();
    assert_eq!(delivery.id.as_str(), "first");
    assert_eq!(delivery.event_header, format!("issue_{}", "x".repeat(58)));
}

fn until(key: &str, expires: Option<Timestamp>, repos: Option<&str>) -> Secret {
    let repos = repos.map(|r| vec![r.to_owned()]);
    Secret { key: SecretString::from(key), expires, repos }
}

#[test]
fn during_a_rotation_both_secrets_count_until_the_old_one_expires() {
    let (past, future) = (now() - TimeDelta::seconds(1), now() + TimeDelta::seconds(1));
    let signed = |key: &str| request(&[("X-Gitea-Signature", &hex_of(key, BODY.as_bytes()))]);
    let pair = |old: Timestamp| vec![until("old", Some(old), None), secret("new")];
    assert!(verify_with(pair(future), &signed("old")).is_ok());
    assert!(verify_with(pair(future), &signed("new")).is_ok());
    assert!(verify_with(pair(past), &signed("new")).is_ok());
    for expiry in [past, now()] {
        let old = verify_with(pair(expiry), &signed("old")).map(|d| d.id);
        assert_eq!(old, Err(Rejected::SecretExpired));
    }
    let other = verify_with(pair(past), &signed("other")).map(|d| d.id);
    assert_eq!(other, Err(Rejected::SignatureMismatch));
}

#[test]
fn scopes_of_the_same_secret_add_up() {
    let signed = request(&[("X-Gitea-Signature", &hex_of(KEY, BODY.as_bytes()))]);
    let scope = |secrets| verify_with(secrets, &signed).unwrap().scope;
    let past = Some(now() - TimeDelta::seconds(1));
    let (a, b) = (until(KEY, None, Some("a/*")), until(KEY, None, Some("b/*")));
    assert_eq!(scope(vec![a.clone(), secret("x")]), Some(vec!["a/*".to_owned()]));
    assert_eq!(scope(vec![a.clone(), b, a.clone()]), Some(vec!["a/*".into(), "b/*".into()]));
    assert_eq!(scope(vec![a.clone(), secret(KEY)]), None);
    assert_eq!(scope(vec![a, until(KEY, past, None)]), Some(vec!["a/*".to_owned()]));
}

#[test]
fn an_empty_secret_signs_nothing() {
    let signed = request(&[("X-Gitea-Signature", &hex_of("", BODY.as_bytes()))]);
    let answer = verify_with(vec![secret("")], &signed).map(|d| d.id);
    assert_eq!(answer, Err(Rejected::SignatureMismatch));
}

#[test]
fn actix_headers_are_looked_up_alike() {
    use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
    let signed = request(&[("X-Gitea-Signature", &hex_of(KEY, BODY.as_bytes()))]);
    let mut headers = HeaderMap::new();
    for (name, value) in &signed.headers {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let verifier = Verifier::new(vec![secret(KEY)]);
    assert!(verifier.verify(&headers, signed.body.clone(), now()).is_ok());
    let value = HeaderValue::from_static("00");
    headers.append(HeaderName::from_static("x-gitea-signature"), value);
    let answer = verifier.verify(&headers, signed.body, now()).map(|d| d.id);
    assert_eq!(answer, Err(Rejected::SignatureMalformed));
}

#[test]
fn a_refusal_has_a_status_and_no_secret_in_it() {
    for (why, status) in [
        (Rejected::SignatureMissing, 401),
        (Rejected::SignatureEmpty, 401),
        (Rejected::SignatureMalformed, 401),
        (Rejected::SignatureMismatch, 401),
        (Rejected::SecretExpired, 401),
        (Rejected::NoDeliveryId, 400),
        (Rejected::BadForm, 400),
        (Rejected::UnsupportedContentType, 415),
    ] {
        assert_eq!(why.status(), status, "{why}");
    }
    let verifier = format!("{:?} {:?}", Verifier::new(vec![secret(KEY)]), secret(KEY));
    assert!(!verifier.contains(KEY), "{verifier}");
}

fn fixtures() -> Vec<(String, Recording)> {
    let all = recorded_in("fixtures");
    assert_eq!(all.len(), 62);
    all
}

fn recorded_in(folder: &str) -> Vec<(String, Recording)> {
    let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "http"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, Recording::read(std::fs::read(path).unwrap()).unwrap())
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn every_recorded_delivery_is_let_in_but_the_unsigned_one() {
    for (name, recording) in fixtures() {
        let answer = verify(&recording).map(|d| d.id.as_str().len());
        let expected = if name.starts_with("58") { Err(Rejected::SignatureEmpty) } else { Ok(36) };
        assert_eq!(answer, expected, "{name}");
        let other = verify_with(vec![secret("other")], &recording).map(|d| d.id);
        assert!(other.is_err_and(|why| why.status() == 401), "{name}");
    }
}

/// The signed bytes of a recording, unsigned or not.
fn signed(recording: &Recording) -> Bytes {
    let form = recording.headers.iter().any(|(_, value)| value.contains("form-urlencoded"));
    if !form {
        return recording.body.clone();
    }
    let mut fields = form_urlencoded::parse(&recording.body);
    fields.find(|(name, _)| name == "payload").unwrap().1.into_owned().into()
}

/// One line an event: action, issue, `!` for what our own writes come back as, `+` for more to come.
fn line(event: &Event) -> String {
    match event {
        Event::Issue(issue) => {
            assert!(issue.sender.is_some());
            let marks = [(issue.echoes, "!"), (issue.more_coming, "+"), (issue.deleted, "x")];
            let marks: String = marks.iter().filter(|m| m.0).map(|m| m.1).collect();
            format!("{} {}{marks}", issue.action, issue.at)
        }
        Event::Renamed { action, name, .. } => format!("{action} {name}"),
        Event::Pull(pull) => format!("{} {} pull", pull.action, pull.at),
        Event::Status { action, repo, sha } => format!("{action} {repo} {sha}"),
        Event::Ignored { action, repo, reason } => {
            format!("{action} {}: {reason}", repo.as_deref().unwrap_or("-"))
        }
    }
}

#[test]
fn every_recorded_delivery_is_what_it_was_recorded_as() {
    let lines: Vec<String> = fixtures()
        .iter()
        .map(|(name, recording)| {
            let event = gitea::parse(&signed(recording)).unwrap();
            format!("{} {}", &name[..2], line(&event))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    01 push acme/widgets: a push concerns no issue
    02 issues/opened acme/widgets#1
    03 issues/opened acme/widgets#2
    04 issues/opened acme/widgets#3
    05 issues/opened acme/widgets#4
    06 issues/opened acme/widgets#5
    07 issues/opened acme/widgets#6
    08 issues/opened acme/widgets#7
    09 issues/opened acme/widgets#8
    10 issues/opened acme/widgets#9
    11 issues/assigned acme/widgets#10!+
    12 issues/assigned acme/widgets#10!+
    13 issues/opened acme/widgets#10+
    14 issues/label_updated acme/widgets#10!
    15 issues/milestoned acme/widgets#10!
    16 issues/opened acme/widgets#11+
    17 issues/label_updated acme/widgets#11!
    18 issues/label_updated acme/widgets#6!
    19 issues/label_updated acme/widgets#6!
    20 issues/label_updated acme/widgets#6!
    21 issues/label_updated acme/widgets#6!
    22 issues/label_updated acme/widgets#6!
    23 issues/label_cleared acme/widgets#6!
    24 issues/edited acme/widgets#6!
    25 issues/edited acme/widgets#6!
    26 issues/assigned acme/widgets#6!
    27 issues/unassigned acme/widgets#6!
    28 issues/assigned acme/widgets#6!
    29 issues/assigned acme/widgets#6!
    30 issues/unassigned acme/widgets#6!
    31 issues/unassigned acme/widgets#6!
    32 issues/milestoned acme/widgets#6!
    33 issues/demilestoned acme/widgets#6!
    34 issue_comment/created acme/widgets#6!
    35 issue_comment/edited acme/widgets#6!
    36 issue_comment/deleted acme/widgets#6!
    37 issue_comment/created acme/widgets#6!
    38 issue_comment/created acme/widgets#6!
    39 issues/closed acme/widgets#6
    40 issues/reopened acme/widgets#6
    41 issues/closed acme/widgets#1
    42 create acme/widgets: a branch or tag concerns no issue
    43 push acme/widgets: a push concerns no issue
    44 pull_request/opened acme/widgets#12 pull
    45 pull_request_comment/created acme/widgets#12 pull
    46 pull_request/label_updated acme/widgets#12 pull
    47 pull_request/closed acme/widgets#12 pull
    48 issues/closed acme/widgets#2
    49 push acme/widgets: a push concerns no issue
    50 issues/closed acme/widgets#3
    51 push acme/widgets: a push concerns no issue
    52 issues/deleted acme/widgets#9x
    53 push acme/widgets: a push concerns no issue
    54 create acme/widgets: a branch or tag concerns no issue
    55 release/published acme/widgets: a release concerns no issue
    56 issues/opened acme/widgets#13
    57 issues/label_updated acme/widgets#13!
    58 issues/opened acme/widgets#14
    59 issues/opened acme/widgets#15
    60 issues/opened acme/widgets#16
    61 issues/closed acme/widgets#16
    62 issues/opened acme/widgets#26
    ");
}

#[test]
fn what_a_forgejo_sent_is_let_in_and_read_as_well() {
    let all = recorded_in("fixtures/forgejo-15.0.3");
    let lines: Vec<String> = all
        .iter()
        .map(|(name, recording)| {
            let answer = verify(recording).map(|d| d.id.as_str().len());
            let unsigned = name.starts_with("62");
            let expected = if unsigned { Err(Rejected::SignatureEmpty) } else { Ok(36) };
            assert_eq!(answer, expected, "{name}");
            assert!(recording.is_of_forgejo(), "{name}");
            format!("{} {}", &name[..2], line(&gitea::parse(&signed(recording)).unwrap()))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    01 push harbor/lantern: a push concerns no issue
    02 issues/opened harbor/lantern#1
    04 issues/opened harbor/lantern#3
    05 issues/opened harbor/lantern#4
    07 issues/opened harbor/lantern#6
    08 issues/opened harbor/lantern#7
    10 issues/opened harbor/lantern#9
    11 issues/assigned harbor/lantern#10!
    13 issues/opened harbor/lantern#10+
    14 issues/label_updated harbor/lantern#10!
    16 issues/opened harbor/lantern#11+
    17 issues/label_updated harbor/lantern#11!
    19 issues/label_updated harbor/lantern#1!
    20 issues/label_updated harbor/lantern#1!
    22 issues/label_updated harbor/lantern#1!
    23 issues/label_updated harbor/lantern#1!
    25 issues/edited harbor/lantern#1!
    26 issues/edited harbor/lantern#1!
    28 issues/edited harbor/lantern#1!
    29 issues/assigned harbor/lantern#1!
    31 issues/assigned harbor/lantern#1!
    32 issues/assigned harbor/lantern#1!
    34 issues/unassigned harbor/lantern#1!
    35 issues/milestoned harbor/lantern#1!
    37 issue_comment/created harbor/lantern#1!
    38 issue_comment/edited harbor/lantern#1!
    40 issue_comment/deleted harbor/lantern#1!
    41 issue_comment/created harbor/lantern#1!
    43 issues/closed harbor/lantern#1
    44 issues/reopened harbor/lantern#1
    46 create harbor/lantern: a branch or tag concerns no issue
    47 push harbor/lantern: a push concerns no issue
    49 pull_request_comment/created harbor/lantern#12 pull
    50 pull_request/label_updated harbor/lantern#12 pull
    52 pull_request/closed harbor/lantern#12 pull
    53 issues/closed harbor/lantern#2
    55 issues/closed harbor/lantern#5
    56 push harbor/lantern: a push concerns no issue
    58 create harbor/lantern: a branch or tag concerns no issue
    59 release/published harbor/lantern: a release concerns no issue
    61 issues/label_updated harbor/lantern#13!
    62 issues/opened harbor/lantern#14
    64 issues/opened harbor/lantern#16
    65 create harbor/lantern: a branch or tag concerns no issue
    67 delete harbor/lantern: a branch or tag concerns no issue
    68 issues/opened harbor/lantern#17
    70 issues/opened harbor/lantern#18
    ");
}

#[test]
fn a_command_is_read_from_its_comment() {
    let (_, recording) = fixtures().swap_remove(33);
    let Event::Issue(event) = gitea::parse(&recording.body).unwrap() else { panic!() };
    let comment = event.comment.unwrap();
    assert_eq!((comment.id, comment.created), (28, true));
    assert_eq!(comment.body, "I can reproduce this. /triage retry");
    assert_eq!(comment.author.unwrap().login, "alice");
}

#[track_caller]
fn parses(body: &str, expected: &str) {
    assert_eq!(line(&gitea::parse(body.as_bytes()).unwrap()), expected);
}

#[test]
fn other_payloads_are_ignored_with_a_reason() {
    let repo = r#""repository":{"full_name":"acme/widgets"}"#;
    parses("{}", "unknown -: no issue in it");
    parses(r#"{"issue":null,"action":null}"#, "unknown -: no issue in it");
    parses(
        &format!(r#"{{"action":"created",{repo}}}"#),
        "repository/created acme/widgets: a repository's own events concern no issue",
    );
    parses(
        &format!(r#"{{"action":"edited","page":"Home","comment":"typo",{repo}}}"#),
        "wiki/edited acme/widgets: a wiki page concerns no issue",
    );
    parses(
        &format!(r#"{{"ref":"main","ref_type":"branch","pusher_type":"user",{repo}}}"#),
        "delete acme/widgets: a branch or tag concerns no issue",
    );
    parses(
        &format!(r#"{{"action":"created","issue":{{"number":3}},"is_pull":true,{repo}}}"#),
        "pull_request_comment/created acme/widgets#3 pull",
    );
    parses(
        &format!(r#"{{"issue":{{"number":3}},{repo}}}"#),
        "issues acme/widgets: it does not say what happened to the issue",
    );
}

#[test]
fn the_envelope_stands_in_for_an_issue_that_gitea_could_not_convert() {
    let body = r#"{"action":"opened","number":12,"issue":{"id":0,"number":0,"title":""},
        "repository":{"full_name":"acme/widgets"},"sender":{"id":1,"login":"x"}}"#;
    parses(body, "issues/opened acme/widgets#12");
}

#[test]
fn an_issue_that_is_not_saved_yet_is_dated_1970_in_the_servers_zone() {
    for (created, mark) in [
        ("1969-12-31T19:00:00-05:00", "!+"),
        ("1970-01-01T09:00:00+09:00", "!+"),
        ("2026-01-01T00:00:00Z", "!"),
        ("nonsense", "!"),
    ] {
        let body = format!(
            r#"{{"action":"assigned","issue":{{"number":3,"created_at":"{created}"}},
            "repository":{{"full_name":"a/b"}},"sender":{{"id":1,"login":"x"}}}}"#
        );
        parses(&body, &format!("issues/assigned a/b#3{mark}"));
    }
}

#[test]
fn what_cannot_be_worked_on_says_what_is_wrong_and_quotes_nothing() {
    let issue = |number: &str, repo: &str| {
        format!(
            r#"{{"action":"opened","issue":{{"number":{number}}},"repository":{{"full_name":"{repo}"}}}}"#
        )
    };
    for repo in ["", "acme", "acme/widgets/x", "../x", "a b/c", "acme/..", "acme/w?x=1"] {
        let error = gitea::parse(issue("1", repo).as_bytes()).unwrap_err();
        assert_eq!(error, ParseError::Repository, "{repo}");
    }
    for number in ["0", "-1", "null"] {
        let error = gitea::parse(issue(number, "a/b").as_bytes()).unwrap_err();
        assert_eq!(error, ParseError::Number, "{number}");
    }
    for body in [&b""[..], b"hidden", b"{\"action\":\"hidden", b"{} hidden"] {
        let error = gitea::parse(body).unwrap_err();
        assert!(matches!(error, ParseError::NotGitea { .. }), "{error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    for body in ["[]", "null", "\"x\"", "1", "1.5", "true", "[{\"action\":[]}]"] {
        assert_eq!(gitea::parse(body.as_bytes()), Err(ParseError::NotAnObject), "{body}");
    }
    assert_eq!(gitea::parse(b"{\"x\":\"\xff\"}"), Err(ParseError::NotText));
}

#[test]
fn a_wrong_type_in_what_nobody_needs_stops_nothing() {
    let repo = r#""repository":{"id":"x","full_name":"acme/widgets"}"#;
    parses(
        &format!(r#"{{"ref":"main","after":"0","commits":[],{repo},"sender":{{"id":"seven"}}}}"#),
        "push acme/widgets: a push concerns no issue",
    );
    parses(r#"{"action":7}"#, "unknown -: no issue in it");
}

/// Whatever else is of another type than Gitea sends: an event with an issue, its number and its repository leads to
/// it, and one without ends as what it is.
#[test]
fn another_type_anywhere_else_changes_neither_the_issue_nor_the_name_of_an_event() {
    let needed = ["/action", "/issue", "/issue/number", "/repository", "/repository/full_name"];
    let odd = [
        serde_json::json!("text"),
        serde_json::json!(7),
        serde_json::json!(1.5),
        serde_json::json!(true),
        serde_json::json!([1, ["x"]]),
        serde_json::json!({"a": {"b": []}}),
    ];
    for (name, recording) in fixtures() {
        let body = signed(&recording);
        let expected = named(&gitea::parse(&body).unwrap());
        let whole: serde_json::Value = serde_json::from_slice(&body).unwrap();
        for path in paths(&whole) {
            let at = format!("/{}", path.join("/"));
            // A pull request is known by what stands there, whatever it is.
            if needed.contains(&at.as_str()) || at == "/is_pull" || path.len() > 2 {
                continue;
            }
            for value in &odd {
                let mut body = whole.clone();
                *body.pointer_mut(&at).unwrap() = value.clone();
                let event = gitea::parse(body.to_string().as_bytes());
                let event = event.unwrap_or_else(|error| panic!("{name} {at} {value}: {error}"));
                let became_a_pull = at == "/issue/pull_request" && named(&event) != expected;
                assert!(became_a_pull || named(&event) == expected, "{name} {at} {value}");
            }
        }
    }
}

/// What an event is about.
fn named(event: &Event) -> String {
    match event {
        Event::Issue(issue) => issue.at.to_string(),
        Event::Pull(pull) => pull.action.clone(),
        Event::Ignored { action, .. }
        | Event::Status { action, .. }
        | Event::Renamed { action, .. } => action.clone(),
    }
}

#[test]
fn a_run_of_forgejo_is_ignored_by_its_name() {
    for action in ["failure", "recover", "success"] {
        let body = format!(
            r#"{{"action":"{action}","run":{{"id":5,"repository":{{"id":1,"full_name":"acme/widgets"}}}},
            "prior_status":"running","last_run":null}}"#
        );
        parses(
            &body,
            &format!("action_run/{action} acme/widgets: a workflow run concerns no issue"),
        );
    }
    parses(
        r#"{"action":"success","run":"x"}"#,
        "action_run/success -: a workflow run concerns no issue",
    );
}

#[test]
fn deep_nesting_does_not_overflow() {
    for (open, close) in [("[", "]"), ("{\"issue\":", "}"), ("{\"x\":", "}")] {
        let body = format!("{{\"issue\":{}1{}}}", open.repeat(200_000), close.repeat(200_000));
        let _ = gitea::parse(body.as_bytes());
    }
}

/// The path of each value in an object, and of what is in it.
fn paths(value: &serde_json::Value) -> Vec<Vec<String>> {
    let serde_json::Value::Object(map) = value else { return Vec::new() };
    let below = |(key, inner): (&String, &serde_json::Value)| {
        let inner = paths(inner).into_iter().map(|path| [vec![key.clone()], path].concat());
        std::iter::once(vec![key.clone()]).chain(inner).collect::<Vec<_>>()
    };
    map.iter().flat_map(below).collect()
}

#[test]
fn a_null_anywhere_is_no_surprise() {
    for (name, recording) in fixtures() {
        let whole: serde_json::Value = serde_json::from_slice(&signed(&recording)).unwrap();
        for path in paths(&whole) {
            let mut body = whole.clone();
            *body.pointer_mut(&format!("/{}", path.join("/"))).unwrap() = serde_json::Value::Null;
            let parsed = gitea::parse(body.to_string().as_bytes());
            let fine = !matches!(parsed, Err(ParseError::NotGitea { .. }));
            assert!(fine, "{name} {path:?}");
        }
    }
}

proptest! {
    #[test]
    fn parse_never_panics(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = gitea::parse(&body);
        let _ = Recording::read(body);
    }

    #[test]
    fn parse_never_panics_on_broken_payloads(
        which in 0usize..62,
        cuts in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        end in any::<proptest::sample::Index>(),
    ) {
        let mut body = signed(&CACHED[which]).to_vec();
        for (at, byte) in cuts {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = gitea::parse(&body);
        let _ = gitea::parse(&body[..end.index(body.len())]);
    }
}

static CACHED: std::sync::LazyLock<Vec<Recording>> =
    std::sync::LazyLock::new(|| fixtures().into_iter().map(|(_, r)| r).collect());
