//! Whether an issue says what another one said before: by the words of both, without a model. What a form, a program or
//! everybody says counts for little or nothing. Pure; where the words of others are kept is not known here.

mod likeness;
mod words;

pub use self::likeness::{Lookup, Neighbour, Neighbours};
pub use self::words::Word;

pub(super) use self::likeness::Likeness;
pub(super) use self::words::Wording;
