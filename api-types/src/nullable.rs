//! Fields of changes that can be absent, null or have a value.

use serde::{Deserialize, Deserializer};

/// Deserializes a present field, which may be null. Use it with `default`, so that an absent field is `None`.
pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use crate::UpdateApiKey;

    #[test]
    fn absent_null_and_given_values_differ() {
        let parse = |text: &str| serde_json::from_str::<UpdateApiKey>(text).unwrap();
        assert_eq!(parse("{}").expires_at, None);
        assert_eq!(parse(r#"{"expiresAt":null}"#).expires_at, Some(None));
        assert!(matches!(parse(r#"{"expiresAt":"2030-01-01T00:00:00Z"}"#).expires_at, Some(Some(_))));
        assert_eq!(serde_json::to_string(&parse(r#"{"expiresAt":null}"#)).unwrap(), r#"{"expiresAt":null}"#);
        assert_eq!(serde_json::to_string(&parse("{}")).unwrap(), "{}");
    }
}
