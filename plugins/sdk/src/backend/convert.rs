//! Conversions between the SDK's error and the error of the bindings.

use crate::{Error, bindings::atlashub::plugin::types::Error as WitError};

pub(super) fn from_wit(error: WitError) -> Error {
    Error {
        code: error.code,
        message: error.message,
        details: error.details.and_then(|details| serde_json::from_str(&details).ok()),
    }
}

pub(super) fn into_wit(error: Error) -> WitError {
    WitError { code: error.code, message: error.message, details: error.details.map(|details| details.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn error_details_are_converted_to_json_and_back() {
        let error = WitError {
            code: ErrorCode::Unavailable,
            message: "no".to_owned(),
            details: Some("{\"httpStatus\":503}".to_owned()),
        };
        let converted = from_wit(error.clone());
        assert_eq!(converted.code, ErrorCode::Unavailable);
        assert_eq!(converted.details, Some(serde_json::json!({"httpStatus": 503})));
        assert_eq!(into_wit(converted).details, error.details);
    }
}
