//! The caller of a storage operation, the project, and the caller's permissions there.

use std::sync::Arc;

use api_types::{BucketAccess, KeyType};

use super::{
    buckets::BucketSettings,
    path::{self, BucketName, ObjectPath},
    records::ObjectContext,
    state::StorageState,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::{Caller, ProjectRef},
};

/// One caller's access to the storage of one project: the first argument of every operation on objects.
pub(super) struct StorageAccess {
    pub state: StorageState,
    pub project: Arc<ProjectRef>,
    pub requester: Requester,
    /// The key or user whose quota limits the requester's open uploads; `None` for a trusted requester.
    pub quota_owner: Option<String>,
    /// The bucket in the path of an admin request.
    path_bucket: Option<String>,
}

impl StorageAccess {
    /// Creates the access of a request that carries an API key.
    pub(super) fn public(state: StorageState, caller: &Caller) -> Self {
        let (project, requester) = (caller.project.clone(), Requester::of(caller));
        let quota_owner = match &requester {
            Requester::Admin | Requester::SecretKey | Requester::Plugin(_) => None,
            Requester::SignedIn(user) => Some(format!("user:{}:{user}", project.id)),
            Requester::PublishableKey => Some(format!("key:{}", caller.key_id)),
        };
        Self { state, project, requester, quota_owner, path_bucket: None }
    }

    /// Creates the access of an admin request whose path names `bucket`.
    pub(super) fn admin(state: StorageState, project: Arc<ProjectRef>, bucket: String) -> Self {
        Self { state, project, requester: Requester::Admin, quota_owner: None, path_bucket: Some(bucket) }
    }

    /// Creates the access of a plugin, whose grant covers the project.
    pub(super) fn plugin(state: StorageState, project: Arc<ProjectRef>, plugin: &str) -> Self {
        let requester = Requester::Plugin(format!("plugin:{plugin}").into());
        Self { state, project, requester, quota_owner: None, path_bucket: None }
    }

    /// Returns the name of the project's bucket in the object store.
    pub(super) fn store_bucket(&self) -> String {
        self.project.bucket()
    }

    /// Returns the bucket that the request names in its path, body or query, or `None` if it names none.
    ///
    /// # Errors
    /// Returns `invalid_request` if the path and the body or query name different buckets.
    pub(super) fn resolve_bucket<'a>(&'a self, named: Option<&'a str>) -> ApiResult<Option<&'a str>> {
        match (self.path_bucket.as_deref(), named) {
            (Some(path_bucket), Some(named)) if named != path_bucket => {
                Err(ApiError::invalid("`bucket` differs from the bucket in the URL's path.")
                    .with_hint("Omit `bucket`: the path already names it."))
            }
            (path_bucket, named) => Ok(path_bucket.or(named)),
        }
    }

    /// Parses an object key. If the request names a bucket, the key may omit it: `bucket=uploads&objectKey=x.png` is
    /// the object `uploads/x.png`.
    ///
    /// # Errors
    /// Returns `invalid_request` if the bucket's name is invalid or [`Self::resolve_bucket`] fails, and `invalid_path`
    /// if the key is invalid, or begins with the name of another bucket whose existence the requester may know, or with
    /// that of a project's bucket in the store.
    pub(super) async fn object_path(&self, named_bucket: Option<&str>, key: &str) -> ApiResult<ObjectPath> {
        let Some(bucket) = self.resolve_bucket(named_bucket)? else {
            let path = ObjectPath::from_key(None, key)?;
            // Without this, the error would be about a bucket that the project doesn't have.
            if path::is_project_bucket(path.bucket()) && !self.knows_bucket(path.bucket()).await? {
                return Err(path::path_in_project_bucket());
            }
            return Ok(path);
        };
        let bucket = BucketName::parse(bucket)?;
        match key.split_once('/') {
            Some((first, _)) if first == bucket.as_str() => ObjectPath::from_key(Some(first), key),
            Some((first, _)) if self.knows_bucket(first).await? => Err(path::key_in_another_bucket()),
            _ => ObjectPath::new(&bucket, key),
        }
    }

    /// Checks that the path of a new object does not start with the name of its own bucket, or of another bucket whose
    /// existence the requester may know. [`Self::object_path`] would read such a path as a key. The admin API accepts
    /// such paths, because the dashboard always sends keys.
    ///
    /// # Errors
    /// Returns `invalid_path` if the path starts with such a name.
    pub(super) async fn check_new_path(&self, path: &ObjectPath) -> ApiResult<()> {
        match path.path().split_once('/') {
            Some(_) if self.path_bucket.is_some() => Ok(()),
            Some((first, _)) if first == path.bucket() => Err(path::path_with_its_bucket(path)),
            Some((first, _)) if self.knows_bucket(first).await? => Err(path::path_in_another_bucket(first)),
            _ => Ok(()),
        }
    }

    /// Checks that a list prefix under which nothing exists does not begin with the name of another bucket whose
    /// existence the requester may know. If the bucket has a folder of that name, the folder is listed like any other:
    /// the admin API, other programs and earlier versions can have stored objects at such paths.
    ///
    /// # Errors
    /// Returns `invalid_path` if the prefix begins with such a name.
    pub(super) async fn check_empty_prefix(&self, bucket: &str, prefix: &str) -> ApiResult<()> {
        let Some((first, _)) = prefix.split_once('/') else { return Ok(()) };
        if self.path_bucket.is_some() || first == bucket || !self.knows_bucket(first).await? {
            return Ok(());
        }
        let folder = self.state.store.list_page(&self.store_bucket(), &format!("{bucket}/{first}/"), 1, None).await?;
        if !folder.objects.is_empty() {
            return Ok(());
        }
        let hint = format!("To list the bucket `{first}`, send `bucket={first}`, and the prefix without `{first}/`.");
        Err(path::path_in_another_bucket(first).with_hint(hint))
    }

    /// Returns whether the bucket exists and the requester may know that.
    async fn knows_bucket(&self, bucket: &str) -> ApiResult<bool> {
        let settings = self.state.bucket_settings.get(&self.project.id, bucket).await?;
        Ok(settings.is_some_and(|settings| self.requester.exposure(&settings) != Some(BucketAccess::None)))
    }

    /// Returns the context for inspecting an object. `store_bucket` must be the result of [`Self::store_bucket`].
    pub(super) fn object_context<'a>(&'a self, store_bucket: &'a str, path: &'a ObjectPath) -> ObjectContext<'a> {
        ObjectContext { state: &self.state, project_id: &self.project.id, store_bucket, path }
    }

    /// Returns the settings of `bucket` if the requester may do `action` there.
    ///
    /// # Errors
    /// Returns `forbidden` if it may not. If the bucket does not exist, returns `not_found` to trusted requesters and
    /// `forbidden` to others.
    pub(super) async fn authorize(&self, bucket: &str, action: Action) -> ApiResult<BucketSettings> {
        let settings = self.state.bucket_settings.get(&self.project.id, bucket).await?;
        self.requester.authorize(settings.as_ref(), action)
    }

    /// Checks that the project has a bucket of this name.
    ///
    /// # Errors
    /// Returns `not_found` if it has none.
    pub(super) async fn require_bucket(&self, bucket: &str) -> ApiResult<()> {
        let settings = self.state.bucket_settings.get(&self.project.id, bucket).await?;
        settings.map(drop).ok_or_else(|| ApiError::not_found("bucket"))
    }
}

/// The kind of caller.
#[derive(Debug, Clone)]
pub(super) enum Requester {
    /// The owner, through the admin API.
    Admin,
    SecretKey,
    /// A plugin, by its label: `plugin:` and the plugin's name.
    Plugin(Arc<str>),
    /// An end user, by id. The user's permissions apply, whichever API key the request carries.
    SignedIn(Arc<str>),
    PublishableKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Upload,
    Download,
}

impl Requester {
    fn of(caller: &Caller) -> Self {
        match (&caller.user, caller.key_type) {
            (Some(user), _) => Self::SignedIn(user.sub.as_str().into()),
            (None, KeyType::Secret) => Self::SecretKey,
            (None, KeyType::Publishable) => Self::PublishableKey,
        }
    }

    /// Returns whether the requester may access every bucket and replace objects.
    pub(super) fn is_trusted(&self) -> bool {
        matches!(self, Self::Admin | Self::SecretKey | Self::Plugin(_))
    }

    /// Returns the value for the column `file_metadata.uploaded_by`.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Admin => "admin",
            Self::SecretKey => "secret",
            Self::Plugin(name) | Self::SignedIn(name) => name,
            Self::PublishableKey => "publishable",
        }
    }

    /// Returns the bucket's settings if the requester may do `action` there. An untrusted requester receives the same
    /// 403 for an unexposed bucket and for a bucket that does not exist.
    pub(super) fn authorize(&self, bucket: Option<&BucketSettings>, action: Action) -> ApiResult<BucketSettings> {
        let Some(bucket) = bucket else {
            return Err(if self.is_trusted() { ApiError::not_found("bucket") } else { self.forbidden(action) });
        };
        let is_allowed = match (self.exposure(bucket), action) {
            (None, _) => true,
            (Some(access), Action::Upload) => access.allows_upload(),
            (Some(access), Action::Download) => access.allows_download(),
        };
        if is_allowed { Ok(*bucket) } else { Err(self.forbidden(action)) }
    }

    /// Returns the exposure that restricts the requester, or `None` if none does.
    fn exposure(&self, bucket: &BucketSettings) -> Option<BucketAccess> {
        match self {
            Self::Admin | Self::SecretKey | Self::Plugin(_) => None,
            Self::SignedIn(_) => Some(bucket.signed_in),
            Self::PublishableKey => Some(bucket.publishable),
        }
    }

    fn forbidden(&self, action: Action) -> ApiError {
        let verb = match action {
            Action::Upload => "upload to",
            Action::Download => "download from",
        };
        let subject = match self {
            Self::SignedIn(_) => "A signed-in user",
            _ => "The publishable key",
        };
        ApiError::new(Code::Forbidden, format!("{subject} may not {verb} this bucket."))
            .with_hint("Expose the bucket in the dashboard, or sign the URL on a server with the secret key.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_exposure_limits_only_untrusted_requesters() {
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
