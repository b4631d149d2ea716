//! The members of a JSON object with their JSON as it is in the file. Postgres's numbers can have more digits than
//! those of serde_json, and can be larger.

use std::{collections::HashMap, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in the order of the file. If a key repeats, only its last value is here.
pub(in crate::transfers::imports) struct Members<'b> {
    keys: Vec<String>,
    values: HashMap<String, &'b RawValue>,
}

impl<'b> Members<'b> {
    pub(in crate::transfers::imports) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// Returns the JSON of a value.
    pub(in crate::transfers::imports) fn get(&self, key: &str) -> Option<&'b str> {
        self.values.get(key).map(|json| json.get())
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members { keys: Vec::new(), values: HashMap::new() };
                while let Some((key, json)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.values.insert(key.clone(), json).is_none() {
                        members.keys.push(key);
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Returns the text of a JSON value: that of a string, or else the JSON itself.
pub(in crate::transfers::imports) fn json_text(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}
