//! The digests in a delivery's headers. SHA-1 is written out here: only this fake ever makes one,
//! for a header that the service refuses to trust, and that is no reason for another dependency.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 in lower-case hexadecimal.
pub(super) fn hmac_sha256(secret: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// HMAC-SHA1 in lower-case hexadecimal (RFC 2104).
pub(super) fn hmac_sha1(secret: &str, body: &[u8]) -> String {
    let mut key = [0u8; 64];
    if secret.len() > key.len() {
        key[..20].copy_from_slice(&sha1(secret.as_bytes()));
    } else {
        key[..secret.len()].copy_from_slice(secret.as_bytes());
    }
    let inner = sha1(&[&key.map(|b| b ^ 0x36)[..], body].concat());
    hex::encode(sha1(&[&key.map(|b| b ^ 0x5c)[..], &inner].concat()))
}

/// SHA-1 (FIPS 180-4).
fn sha1(data: &[u8]) -> [u8; 20] {
    let mut hash: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() < data.len() + 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len();
    padded[end - 8..].copy_from_slice(&(data.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        sha1_block(&mut hash, block);
    }
    let mut out = [0; 20];
    for (bytes, word) in out.chunks_exact_mut(4).zip(hash) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    out
}

fn sha1_block(hash: &mut [u32; 5], block: &[u8]) {
    let mut w = [0u32; 80];
    for (word, bytes) in w.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |sum, b| (sum << 8) | u32::from(*b));
    }
    for i in 16..80 {
        w[i] = (w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *hash;
    for (i, word) in w.iter().enumerate() {
        let (f, k) = match i / 20 {
            0 => ((b & c) | (!b & d), 0x5a82_7999_u32),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let sum = [f, e, k, *word].iter().fold(a.rotate_left(5), |s, x| s.wrapping_add(*x));
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum);
    }
    for (word, add) in hash.iter_mut().zip([a, b, c, d, e]) {
        *word = word.wrapping_add(add);
    }
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
