//! Who may do what with a bucket.

use std::sync::Arc;

use api_types::{BucketAccess, KeyType};

use super::settings::BucketSettings;
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::Caller,
};

/// Who asks, as far as storage cares.
#[derive(Debug, Clone)]
pub(super) enum Requester {
    /// The owner, in the dashboard.
    Admin,
    SecretKey,
    /// An end user, by id. Narrows whichever key came along.
    SignedIn(Arc<str>),
    PublishableKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Upload,
    Download,
}

impl Requester {
    pub(super) fn of(caller: &Caller) -> Self {
        match (&caller.user, caller.key_type) {
            (Some(user), _) => Self::SignedIn(user.sub.as_str().into()),
            (None, KeyType::Secret) => Self::SecretKey,
            (None, KeyType::Publishable) => Self::PublishableKey,
        }
    }

    /// Reaches every bucket, and may replace what is there.
    pub(super) fn is_trusted(&self) -> bool {
        matches!(self, Self::Admin | Self::SecretKey)
    }

    /// For `file_metadata.uploaded_by`.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Admin => "admin",
            Self::SecretKey => "secret",
            Self::SignedIn(user) => user,
            Self::PublishableKey => "publishable",
        }
    }

    /// The bucket, where the requester may do this to it. Whoever isn't trusted gets the same 403 for a bucket that
    /// isn't exposed and for one that isn't there.
    pub(super) fn authorize(&self, bucket: Option<&BucketSettings>, action: Action) -> ApiResult<BucketSettings> {
        let access = match (self, bucket) {
            (Self::Admin | Self::SecretKey, Some(bucket)) => return Ok(*bucket),
            (Self::Admin | Self::SecretKey, None) => return Err(ApiError::not_found("bucket")),
            (_, None) => BucketAccess::None,
            (Self::SignedIn(_), Some(bucket)) => bucket.signed_in,
            (Self::PublishableKey, Some(bucket)) => bucket.publishable,
        };
        match (action, bucket) {
            (Action::Upload, Some(bucket)) if access.allows_upload() => Ok(*bucket),
            (Action::Download, Some(bucket)) if access.allows_download() => Ok(*bucket),
            _ => Err(self.refusal(action)),
        }
    }

    fn refusal(&self, action: Action) -> ApiError {
        let verb = match action {
            Action::Upload => "upload to",
            Action::Download => "download from",
        };
        let who = match self {
            Self::SignedIn(_) => "A signed-in user",
            _ => "The publishable key",
        };
        ApiError::new(Code::Forbidden, format!("{who} may not {verb} this bucket."))
            .with_hint("Expose the bucket in the dashboard, or sign the URL on a server with the secret key.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposure_decides_for_all_but_the_trusted() {
        use BucketAccess::{Both, Download, None as Closed, Upload};
        let user = || Requester::SignedIn("u".into());
        for (publishable, signed_in, requester, action, allowed) in [
            (Closed, Closed, Requester::SecretKey, Action::Upload, true),
            (Closed, Closed, Requester::Admin, Action::Download, true),
            (Closed, Both, Requester::PublishableKey, Action::Download, false),
            (Both, Closed, user(), Action::Upload, false),
            (Closed, Upload, user(), Action::Upload, true),
            (Closed, Upload, user(), Action::Download, false),
            (Download, Closed, Requester::PublishableKey, Action::Download, true),
            (Download, Closed, Requester::PublishableKey, Action::Upload, false),
            (Both, Closed, Requester::PublishableKey, Action::Upload, true),
        ] {
            let bucket = BucketSettings { publishable, signed_in, max_object_bytes: 1 };
            assert_eq!(
                requester.authorize(Some(&bucket), action).is_ok(),
                allowed,
                "{requester:?} {action:?} {bucket:?}"
            );
        }
        let closed = BucketSettings { publishable: Closed, signed_in: Closed, max_object_bytes: 1 };
        let unexposed = Requester::PublishableKey.authorize(Some(&closed), Action::Upload).unwrap_err();
        let unknown = Requester::PublishableKey.authorize(None, Action::Upload).unwrap_err();
        assert_eq!((unexposed.code(), unexposed.message()), (unknown.code(), unknown.message()));
        assert_eq!(Requester::SecretKey.authorize(None, Action::Upload).unwrap_err().code(), Code::NotFound);
    }
}
