//! Gives serde_json's `RawValue` the text of a value as the client sent it.

use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess};

use super::problem::DecodeError;

/// The name by which serde_json's `RawValue` asks a deserializer for the JSON of a value. It is also the only key of
/// the map that the deserializer must then return.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// The JSON of a value, as `RawValue` reads it.
pub(super) struct SentText(pub(super) Option<String>);

impl<'de> MapAccess<'de> for SentText {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        match self.0 {
            Some(_) => seed.deserialize(RAW_VALUE.into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        seed.deserialize(self.0.take().unwrap_or_default().into_deserializer())
    }
}
