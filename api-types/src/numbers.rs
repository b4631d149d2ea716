//! Optional whole numbers in requests. The error for another value says what the field accepts, instead of the range of
//! its type.

use std::fmt;

use serde::{
    Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Deserializes the maximum size of an upload. The bucket limits it further.
pub(crate) fn max_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_option(OptionalNumber("a whole number of bytes from 1 to the bucket's maximum"))
}

/// Deserializes the exact size of an upload.
pub(crate) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_option(OptionalNumber("a whole number of bytes from 0 to the bucket's maximum"))
}

/// Deserializes the number of objects per page. Accepts values above 1000, up to the maximum of `i64`: the server
/// reduces them.
pub(crate) fn object_limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    const EXPECTED: &str = "a whole number from 1 to 1000";
    let limit = deserializer.deserialize_option(OptionalNumber(EXPECTED))?;
    match limit.map(|limit| u32::try_from(limit.min(u32::MAX.into())).map_err(|_| limit)).transpose() {
        Ok(limit) => Ok(limit),
        Err(limit) => Err(D::Error::invalid_value(Unexpected::Signed(limit), &EXPECTED)),
    }
}

/// Expects nothing, null, or the number that the text describes.
struct OptionalNumber(&'static str);

impl<'de> Visitor<'de> for OptionalNumber {
    type Value = Option<i64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }

    fn visit_none<E: Error>(self) -> Result<Option<i64>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<i64>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<i64>, D::Error> {
        deserializer.deserialize_i64(self)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<i64>, E> {
        Ok(Some(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<i64>, E> {
        i64::try_from(number).map(Some).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}
