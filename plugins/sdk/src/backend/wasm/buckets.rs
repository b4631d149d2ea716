//! Calls the host's interface `buckets`.

use super::{from_wit, host};
use crate::{
    Result,
    buckets::{Bucket, SignedUrl, UploadOptions},
};

pub(crate) async fn list(store: &str) -> Result<Vec<Bucket>> {
    host::buckets::list(store.to_owned()).await.map_err(from_wit)
}

pub(crate) async fn sign_download(store: &str, key: &str, file_name: Option<&str>) -> Result<SignedUrl> {
    host::buckets::sign_download(store.to_owned(), key.to_owned(), file_name.map(str::to_owned)).await.map_err(from_wit)
}

pub(crate) async fn sign_upload(store: &str, key: &str, options: UploadOptions) -> Result<SignedUrl> {
    host::buckets::sign_upload(store.to_owned(), key.to_owned(), options).await.map_err(from_wit)
}
