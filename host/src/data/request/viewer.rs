//! Parses the parameter `as` of the owner's requests for rows.

use uuid::Uuid;

use crate::{
    data::message::not_value,
    error::{ApiError, ApiResult},
};

/// Prefix of the id of a user.
const USER_PREFIX: &str = "user:";

/// A caller of the public surface as whom the owner reads rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// A caller with the publishable key alone.
    Publishable,
    /// The signed-in user with this id.
    User(Uuid),
}

impl Viewer {
    /// Parses the value of `as`.
    pub(super) fn parse(text: &str) -> ApiResult<Self> {
        let viewer = match text.strip_prefix(USER_PREFIX) {
            Some(id) => id.parse().ok().map(Self::User),
            None => (text == "publishable").then_some(Self::Publishable),
        };
        viewer.ok_or_else(|| {
            let not_text = not_value(text);
            ApiError::invalid(format!("`as` must be `publishable` or `user:` with the id of a user{not_text}."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_are_parsed() {
        let id = Uuid::from_u128(7);
        assert_eq!(Viewer::parse("publishable").unwrap(), Viewer::Publishable);
        assert_eq!(Viewer::parse(&format!("user:{id}")).unwrap(), Viewer::User(id));
        for invalid in ["", "owner", "secret", "Publishable", "user:", "user:ada", &id.to_string()] {
            let error = Viewer::parse(invalid).unwrap_err();
            assert!(error.message().starts_with("`as` must be"), "{invalid}");
            assert!(!error.message().contains("``"), "{error:?}");
        }
    }
}
