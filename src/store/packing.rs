//! How a body is kept: compressed against a dictionary, because bodies repeat one shape with few bytes of news in it.
//! It knows no tables and never reads what is in a body.
//!
//! A packed body is four bytes and one LZ4 block. The four bytes are a little-endian number: with the highest bit
//! clear it is the size of the body, and the block needs no dictionary. With the bit set, the other seven bits of the
//! highest byte name the dictionary, and the lower three bytes are the size.

use lz4_flex::block::{compress_prepend_size_with_dict, decompress, decompress_with_dict};

use super::Error;
use super::rows::unreadable;

/// The dictionaries, by their numbers from 1 on. They are part of the file's format: one that a release has written
/// with is never changed, and a new one is put behind the others.
const DICTIONARIES: [&[u8]; 1] = [include_bytes!("dictionary-1.json")];
/// The dictionary that bodies are packed with, as it stands in the highest byte.
const NEWEST: u8 = WITH_DICTIONARY | 1;
/// Set in the highest byte when the rest of it names a dictionary.
const WITH_DICTIONARY: u8 = 0x80;
/// Bodies from this size on are packed without a dictionary; they would hardly gain by it.
const LARGE: usize = 1 << 24;
/// LZ4 makes at most this many bytes out of one.
const MOST_FROM_A_BYTE: usize = 255;

/// Packs a body.
pub(super) fn pack(body: &[u8]) -> Vec<u8> {
    if body.len() >= LARGE {
        return lz4_flex::compress_prepend_size(body);
    }
    let [newest, ..] = DICTIONARIES;
    let mut packed = compress_prepend_size_with_dict(body, newest);
    if let Some(highest) = packed.get_mut(3) {
        *highest = NEWEST;
    }
    packed
}

/// The body that was packed.
///
/// # Errors
/// [`Error::Unreadable`] for anything that [`pack`] did not make, or that was cut.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Error> {
    let Some(([low, middle, high, highest], block)) = packed.split_first_chunk() else {
        return Err(unreadable(&"the packed body is shorter than its head"));
    };
    let dictionary = match highest & WITH_DICTIONARY {
        0 => None,
        _ => Some(dictionary(highest & !WITH_DICTIONARY)?),
    };
    let top = if dictionary.is_some() { 0 } else { *highest };
    let size = u32::from_le_bytes([*low, *middle, *high, top]) as usize;
    // A broken head must not make us ask for gigabytes.
    if size > block.len().saturating_mul(MOST_FROM_A_BYTE) {
        return Err(unreadable(&"the packed body is too short for its size"));
    }
    let body = match dictionary {
        Some(dictionary) => decompress_with_dict(block, size, dictionary),
        None => decompress(block, size),
    };
    let body = body.map_err(|e| unreadable(&e))?;
    if body.len() == size { Ok(body) } else { Err(unreadable(&"the packed body was cut")) }
}

fn dictionary(number: u8) -> Result<&'static [u8], Error> {
    let at = usize::from(number).checked_sub(1);
    let known = at.and_then(|at| DICTIONARIES.get(at)).copied();
    known.ok_or_else(|| {
        unreadable(&format!("packed with dictionary {number}, which only a later version has"))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// The recorded deliveries' bodies.
    fn recorded() -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|e| e == "http"));
        let bodies = files.map(|path| {
            let text = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
            text.split_once("\n\n").unwrap().1.as_bytes().to_vec()
        });
        bodies.collect()
    }

    fn sizes(bodies: &[Vec<u8>], pack: impl Fn(&[u8]) -> Vec<u8>) -> usize {
        bodies.iter().map(|body| pack(body).len()).sum()
    }

    #[test]
    fn recorded_bodies_come_back_and_take_a_fifth_of_their_size() {
        let bodies = recorded();
        assert!(bodies.len() > 60);
        for body in &bodies {
            assert_eq!(unpack(&pack(body)).unwrap(), *body);
        }
        let (raw, packed) = (sizes(&bodies, <[u8]>::to_vec), sizes(&bodies, pack));
        let plain = sizes(&bodies, lz4_flex::compress_prepend_size);
        assert!(packed * 5 < raw, "{packed} of {raw} bytes");
        assert!(packed * 5 < plain * 3, "{packed} bytes, {plain} without a dictionary");
    }

    #[test]
    fn bodies_packed_without_a_dictionary_stay_readable() {
        for body in recorded() {
            assert_eq!(unpack(&lz4_flex::compress_prepend_size(&body)).unwrap(), body);
        }
    }

    #[test]
    fn the_largest_body_with_a_dictionary_and_the_smallest_without_come_back() {
        for size in [LARGE - 1, LARGE] {
            let body = vec![b'x'; size];
            let packed = pack(&body);
            assert_eq!(packed[3] & WITH_DICTIONARY != 0, size < LARGE);
            assert!(unpack(&packed).unwrap() == body, "{size} bytes");
        }
    }

    #[test]
    fn a_dictionary_of_a_later_version_is_named() {
        let mut packed = pack(b"{}");
        packed[3] = WITH_DICTIONARY | 9;
        assert!(unpack(&packed).unwrap_err().to_string().contains("dictionary 9"));
    }

    #[test]
    fn a_head_that_promises_gigabytes_is_an_error() {
        assert!(unpack(&[0xff, 0xff, 0xff, 0x7f, 0, 0, 0]).is_err());
        assert!(unpack(&[0xff, 0xff, 0xff, NEWEST, 0, 0, 0]).is_err());
    }

    /// Text as bodies hold it, and bytes as they never do.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (0..DICTIONARIES[0].len(), 0..400_usize).prop_map(|(at, n)| DICTIONARIES[0]
                .iter()
                .skip(at)
                .take(n)
                .copied()
                .collect()),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(body in body()) {
            prop_assert_eq!(unpack(&pack(&body)).unwrap(), body);
        }

        #[test]
        fn a_cut_body_is_an_error(body in body(), cut in any::<prop::sample::Index>()) {
            let packed = pack(&body);
            prop_assert!(unpack(&packed[..cut.index(packed.len())]).is_err());
        }

        #[test]
        fn foreign_bytes_never_panic(mut bytes in body(), head in any::<[u8; 2]>(), top in any::<u8>()) {
            if let Some(start) = bytes.first_chunk_mut::<4>() {
                *start = [head[0], head[1], 0, top & 0x81];
            }
            if let Ok(body) = unpack(&bytes) {
                prop_assert_eq!(body.len(), usize::from(u16::from_le_bytes(head)));
            }
        }
    }
}
