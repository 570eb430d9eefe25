//! The digests in a delivery's headers.

use ring::hmac::{Algorithm, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key, sign};

pub(super) fn hmac_sha256(secret: &str, body: &[u8]) -> String {
    hmac(HMAC_SHA256, secret, body)
}

/// HMAC-SHA1 in lower-case hexadecimal, for a header that the service refuses to trust.
pub(super) fn hmac_sha1(secret: &str, body: &[u8]) -> String {
    hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret, body)
}

fn hmac(algorithm: Algorithm, secret: &str, body: &[u8]) -> String {
    hex::encode(sign(&Key::new(algorithm, secret.as_bytes()), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_of_rfc_2202_and_rfc_4231_come_out() {
        let text = b"what do ya want for nothing?";
        assert_eq!(hmac_sha1("Jefe", text), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert!(hmac_sha256("Jefe", text).starts_with("5bdcc146bf60754e6a042426089575c7"));
        let long = "x".repeat(80);
        assert_eq!(hmac_sha1(&long, &[b'y'; 119]).len(), 40);
    }
}
