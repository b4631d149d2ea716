//! Keys of staged objects: `_staged/<bucket>/<hash of the path>/<id>`. No bucket name begins with an underscore, so no
//! object of a bucket has such a key.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::super::path::ObjectPath;

/// Prefix of all staged objects of a project.
pub(super) const STAGED_PREFIX: &str = "_staged/";

/// Returns the key of a staged object.
pub(in super::super) fn staged_key(path: &ObjectPath, id: Uuid) -> String {
    format!("{}{}", path_prefix(path), id.simple())
}

/// Returns the prefix of all staged objects of a bucket.
pub(in super::super) fn bucket_prefix(bucket: &str) -> String {
    format!("{STAGED_PREFIX}{bucket}/")
}

/// Returns the prefix of all staged objects of a path.
pub(super) fn path_prefix(path: &ObjectPath) -> String {
    let hash = Sha256::digest(path.path().as_bytes());
    format!("{}{}/", bucket_prefix(path.bucket()), hex::encode(&hash[..16]))
}

/// Returns whether a key in a project's bucket of the store belongs to a staged object.
pub fn is_staged_key(key: &str) -> bool {
    key.starts_with(STAGED_PREFIX)
}

/// Returns the id of the upload that a staged object belongs to.
pub(super) fn upload_id(key: &str) -> Option<Uuid> {
    Uuid::try_parse(key.rsplit('/').next()?).ok().filter(|_| is_staged_key(key))
}

#[cfg(test)]
mod tests {
    use super::{super::super::path::BucketName, *};

    #[test]
    fn staged_keys_belong_to_no_bucket_and_name_their_upload() {
        let bucket = BucketName::parse("uploads").unwrap();
        let path = ObjectPath::new(&bucket, &"x".repeat(1000)).unwrap();
        let id = Uuid::from_u128(7);
        let key = staged_key(&path, id);
        assert!(key.starts_with("_staged/uploads/") && key.starts_with(&path_prefix(&path)), "{key}");
        assert!(key.len() <= 1024 && is_staged_key(&key));
        assert_eq!(upload_id(&key), Some(id));
        assert!(ObjectPath::from_key(None, &key).is_err());
        assert_ne!(path_prefix(&path), path_prefix(&ObjectPath::new(&bucket, "x").unwrap()));
        assert_eq!(upload_id("uploads/00000000000000000000000000000007"), None);
        assert_eq!(upload_id("_staged/uploads/x"), None);
    }
}
