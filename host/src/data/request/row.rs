//! Parses JSON objects into cells without parsing the values.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    data::message::shortened,
    error::{ApiError, ApiResult, Code},
};

/// Postgres's limit on the number of columns of a table.
const MAX_CELLS: usize = 1600;

/// One JSON object: its text, and its members in their order. Every key occurs once.
#[derive(Debug)]
pub struct Row<'b> {
    pub json: &'b str,
    pub cells: Vec<(Cow<'b, str>, &'b RawValue)>,
}

impl<'b> Row<'b> {
    /// Parses an object. `location` names it in errors, for example `rows[3]`.
    pub(in crate::data) fn parse(json: &'b str, location: fmt::Arguments<'_>) -> ApiResult<Self> {
        if !json.starts_with('{') {
            return Err(ApiError::new(Code::InvalidJson, format!("{location} is not an object.")));
        }
        let Cells(cells) = serde_json::from_str(json).map_err(|error| {
            let reason = match error.is_data() {
                true => without_position(&error),
                false => "it is not valid JSON".to_owned(),
            };
            ApiError::new(Code::InvalidJson, format!("{location} is invalid: {reason}."))
        })?;
        if cells.len() > MAX_CELLS {
            return Err(ApiError::new(
                Code::InvalidJson,
                format!(
                    "{location} is invalid: it contains more than {MAX_CELLS} members, the maximum number of columns."
                ),
            ));
        }
        Ok(Self { json, cells })
    }

    /// Parses an object that is the value of a column, or a part of one. It can have any number of members.
    pub(in crate::data) fn parse_value(json: &'b str) -> serde_json::Result<Self> {
        let Cells(cells) = serde_json::from_str(json)?;
        Ok(Self { json, cells })
    }
}

/// Returns the message of an error without line and column, because they count from the start of the object, not of the
/// body.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

struct Cells<'b>(Vec<(Cow<'b, str>, &'b RawValue)>);

impl<'de> Deserialize<'de> for Cells<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CellsVisitor;
        impl<'de> Visitor<'de> for CellsVisitor {
            type Value = Cells<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut cells: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    cells.push((key, value));
                }
                match repeated_key(&cells) {
                    Some(key) => Err(A::Error::custom(format_args!("the key `{}` occurs twice", shortened(key)))),
                    None => Ok(Cells(cells)),
                }
            }
        }
        deserializer.deserialize_map(CellsVisitor)
    }
}

/// A key, borrowed if it contains no escapes.
struct Key<'b>(Cow<'b, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

fn repeated_key<'c>(cells: &'c [(Cow<'_, str>, &RawValue)]) -> Option<&'c str> {
    // For few cells, comparing all of them is faster than sorting.
    if cells.len() <= 16 {
        let is_repeated = |position: &usize| cells[..*position].iter().any(|(key, _)| *key == cells[*position].0);
        return (1..cells.len()).find(is_repeated).map(|position| &*cells[position].0);
    }
    let mut keys: Vec<&str> = cells.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
