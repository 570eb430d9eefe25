//! Reading a value that may be of any type: one of another type than the wanted is none, and what stands beside it is
//! still read. Only broken JSON is an error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value of the wanted type, or none.
pub(super) struct Loose<T>(pub Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Wanted(PhantomData)).map(Self)
    }
}

/// For a field: its value, or `None` where another type stands.
pub(super) fn loose<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Loose::deserialize(from).map(|value| value.0)
}

/// The values of the wanted type among the first of a list; the rest is skipped unread.
#[derive(Default)]
pub(super) struct Few<T>(pub Vec<T>);

/// More labels than these has no issue that people can follow.
const FEW: usize = 256;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(First(PhantomData))
    }
}

struct First<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut few = Vec::new();
        for _ in 0..FEW {
            let Some(Loose(value)) = list.next_element()? else { break };
            few.extend(value);
        }
        Ok(Few(few))
    }
}

struct Wanted<T>(PhantomData<T>);

impl<T> Wanted<T> {
    fn single<'de, E: de::Error>(value: impl IntoDeserializer<'de, E>) -> Result<Option<T>, E>
    where
        T: Deserialize<'de>,
    {
        Ok(T::deserialize(value.into_deserializer()).ok())
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Wanted<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Self::single(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Self::single(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Self::single(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Self::single(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Self::single(value)
    }

    // A list or an object is read to its end, whatever became of it.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let value = T::deserialize(SeqAccessDeserializer::new(&mut list)).ok();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let value = T::deserialize(MapAccessDeserializer::new(&mut object)).ok();
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}
