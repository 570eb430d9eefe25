//! The signature on what goes to an agent and on what it reports: HMAC-SHA256 over the exact bytes.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header that carries it: `sha256=` and 64 hex digits.
pub const SIGNATURE_HEADER: &str = "X-Triage-Signature-256";
const PREFIX: &str = "sha256=";

/// The header's value; `None` for an empty secret, with which anyone can sign.
pub(super) fn sign(secret: &SecretString, body: &[u8]) -> Option<String> {
    let digest = mac(secret)?.chain_update(body).finalize().into_bytes();
    Some(format!("{PREFIX}{}", hex::encode(digest)))
}

/// Whether the header's value is this secret's signature of these bytes; compared in constant time. An empty secret
/// has signed nothing.
pub fn verify_callback(secret: &SecretString, header: Option<&[u8]>, body: &[u8]) -> bool {
    let hex = header.and_then(|header| header.trim_ascii().strip_prefix(PREFIX.as_bytes()));
    let mut claim = [0; 32];
    hex.is_some_and(|hex| hex::decode_to_slice(hex, &mut claim).is_ok())
        && mac(secret).is_some_and(|mac| mac.chain_update(body).verify_slice(&claim).is_ok())
}

fn mac(secret: &SecretString) -> Option<Hmac<Sha256>> {
    let key = secret.expose_secret().as_bytes();
    if key.is_empty() { None } else { Hmac::new_from_slice(key).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    #[test]
    fn the_signature_is_the_one_everybody_computes() {
        // RFC 4231, test case 2.
        let header = sign(&secret("Jefe"), b"what do ya want for nothing?").unwrap();
        let digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(header, format!("sha256={digest}"));
    }

    #[test]
    fn only_the_right_signature_is_taken() {
        let (key, body) = (secret("k"), b"{\"state\":\"completed\"}".as_slice());
        let header = sign(&key, body).unwrap();
        let verify = |header: &str| verify_callback(&key, Some(header.as_bytes()), body);
        assert!(verify(&header));
        assert!(verify(&format!(" sha256={} ", header[7..].to_uppercase())));
        assert!(!verify_callback(&key, None, body));
        assert!(!verify_callback(&secret("other"), Some(header.as_bytes()), body));
        assert!(!verify_callback(&key, Some(header.as_bytes()), b"{\"state\":\"failed\"}"));
        for wrong in ["", "sha256=", &header[7..], &header[..70], &format!("{header}0")] {
            assert!(!verify(wrong), "{wrong}");
        }
        assert!(!verify_callback(&key, Some(b"sha256=\xff\xfe"), body));
    }

    #[test]
    fn each_wrong_bit_is_noticed() {
        let (key, body) = (secret("k"), b"body".as_slice());
        let digest = hex::decode(&sign(&key, body).unwrap()[7..]).unwrap();
        for bit in 0..256 {
            let mut wrong = digest.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let header = format!("sha256={}", hex::encode(wrong));
            assert!(!verify_callback(&key, Some(header.as_bytes()), body), "bit {bit}");
        }
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        assert_eq!(sign(&secret(""), b"body"), None);
        // HMAC-SHA256 of nothing with the empty key.
        let digest = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
        let header = format!("sha256={digest}");
        assert!(!verify_callback(&secret(""), Some(header.as_bytes()), b""));
    }
}
