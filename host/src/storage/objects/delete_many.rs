//! Deletes many objects in steps, by their keys or under a prefix.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::super::{
    access::StorageAccess,
    open_uploads,
    path::{self, BucketName, ObjectPath},
    records::{self, ObjectContext, inspect_object},
    state::StorageState,
};
use crate::{
    error::{ApiError, ApiResult},
    projects::ProjectRef,
};

/// Maximum number of objects that one step deletes by prefix.
const PAGE_SIZE: i32 = 1000;
/// Maximum number of keys of one deletion.
const MAX_KEYS: usize = 1000;
/// Maximum number of keys that one step deletes.
const KEYS_PER_STEP: usize = 100;
/// Maximum number of objects that are looked up at the same time.
const MAX_CONCURRENT: usize = 8;

/// Selection of the objects to delete.
#[derive(Debug, Clone)]
enum DeletionScope {
    Keys(Vec<ObjectPath>),
    /// Selects every object whose path starts with this text.
    Prefix(String),
}

/// Deletes many objects of one bucket step by step. Repeating an interrupted deletion resumes it.
pub struct BulkDeletion {
    state: StorageState,
    project_id: String,
    store_bucket: String,
    bucket: BucketName,
    scope: DeletionScope,
    /// Number of keys that were processed.
    keys_done: usize,
    /// The store's continuation token for the next page of a prefix.
    token: Option<String>,
    is_done: bool,
}

/// Result of one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletionStep {
    pub deleted: u64,
    pub deleted_bytes: u64,
    /// Number of keys without an object.
    pub missing: u64,
}

impl BulkDeletion {
    /// Parses and checks a request. Deletes nothing.
    ///
    /// # Errors
    /// Returns `invalid_request` unless exactly one of `keys` and `prefix` is given and `keys` has 1 to 1000 keys,
    /// `invalid_path` for an invalid key or prefix, and 404 if the bucket does not exist.
    pub async fn parse(
        state: &StorageState,
        project: Arc<ProjectRef>,
        bucket: &str,
        keys: Option<&[String]>,
        prefix: Option<&str>,
    ) -> ApiResult<Self> {
        let access = StorageAccess::admin(state.clone(), project, bucket.to_owned());
        let name = BucketName::parse(bucket).map_err(|_| ApiError::not_found("bucket"))?;
        access.require_bucket(bucket).await?;
        let scope = match (keys, prefix) {
            (Some(keys), None) => {
                if !(1..=MAX_KEYS).contains(&keys.len()) {
                    return Err(ApiError::invalid(format!("`keys` must have 1 to {MAX_KEYS} keys.")));
                }
                let mut paths = Vec::with_capacity(keys.len());
                for key in keys {
                    let path = access.object_path(None, key).await?;
                    // The same object can be named with and without its bucket.
                    if !paths.contains(&path) {
                        paths.push(path);
                    }
                }
                DeletionScope::Keys(paths)
            }
            (None, Some(prefix)) => {
                path::list_prefix(&name, prefix)?;
                DeletionScope::Prefix(prefix.to_owned())
            }
            _ => return Err(ApiError::invalid("Send either `keys` or `prefix`.")),
        };
        Ok(Self {
            state: state.clone(),
            project_id: access.project.id.clone(),
            store_bucket: access.store_bucket(),
            bucket: name,
            scope,
            keys_done: 0,
            token: None,
            is_done: false,
        })
    }

    /// Moves objects that were uploaded without the secret key to their paths, so that they are deleted too. Returns
    /// the number of keys or objects to delete.
    ///
    /// # Errors
    /// Fails if the store or the platform database is unavailable.
    pub async fn prepare(&self) -> ApiResult<u64> {
        loop {
            let report = open_uploads::settle_project(&self.state, &self.project_id).await?;
            if !report.has_more || report.deleted == 0 {
                break;
            }
        }
        match &self.scope {
            DeletionScope::Keys(keys) => Ok(keys.len() as u64),
            DeletionScope::Prefix(prefix) => {
                let prefix = path::list_prefix(&self.bucket, prefix)?;
                let (mut count, mut token) = (0, None);
                loop {
                    let store = &self.state.store;
                    let page = store.list_page(&self.store_bucket, &prefix, PAGE_SIZE, token.as_deref()).await?;
                    count += page.objects.len() as u64;
                    token = page.next;
                    if token.is_none() {
                        return Ok(count);
                    }
                }
            }
        }
    }

    /// Deletes the next objects. Returns `None` after the last step.
    ///
    /// # Errors
    /// Fails if the store or the platform database is unavailable. Calling this again repeats the failed step.
    pub async fn step(&mut self) -> ApiResult<Option<DeletionStep>> {
        if self.is_done {
            return Ok(None);
        }
        match self.scope.clone() {
            DeletionScope::Keys(keys) => self.delete_keys(&keys).await.map(Some),
            DeletionScope::Prefix(prefix) => self.delete_page(&prefix).await.map(Some),
        }
    }

    async fn delete_keys(&mut self, keys: &[ObjectPath]) -> ApiResult<DeletionStep> {
        let rest = keys.get(self.keys_done..).unwrap_or_default();
        let batch = rest.get(..KEYS_PER_STEP).unwrap_or(rest);
        let (state, project_id, store_bucket) = (&self.state, &self.project_id, &self.store_bucket);
        let sizes: Vec<(ObjectPath, Option<i64>)> = stream::iter(batch.to_vec())
            .map(|path| async move {
                let context = ObjectContext { state, project_id, store_bucket, path: &path };
                let object = inspect_object(context).await?.into_object();
                if object.is_some() {
                    open_uploads::discard_arrived(state, project_id, &path).await?;
                }
                Ok::<_, ApiError>((path, object.map(|object| object.size)))
            })
            .buffer_unordered(MAX_CONCURRENT)
            .try_collect()
            .await?;
        let present: Vec<(ObjectPath, i64)> =
            sizes.iter().filter_map(|(path, size)| Some((path.clone(), (*size)?))).collect();
        self.delete_with_records(present.iter().map(|(path, _)| path.key().to_owned()).collect()).await?;
        self.keys_done += batch.len();
        self.is_done = self.keys_done >= keys.len();
        Ok(DeletionStep { missing: (batch.len() - present.len()) as u64, ..step_of(&present) })
    }

    async fn delete_page(&mut self, prefix: &str) -> ApiResult<DeletionStep> {
        let prefix = path::list_prefix(&self.bucket, prefix)?;
        let store = &self.state.store;
        let page = store.list_page(&self.store_bucket, &prefix, PAGE_SIZE, self.token.as_deref()).await?;
        // Keys that AtlasHub would not accept can only come from other programs. They are deleted like the others.
        let keys: Vec<String> = page.objects.iter().map(|object| object.key.clone()).collect();
        self.delete_with_records(keys).await?;
        self.is_done = page.next.is_none();
        self.token = page.next;
        let deleted_bytes = page.objects.iter().map(|object| object.size.unsigned_abs()).sum();
        Ok(DeletionStep { deleted: page.objects.len() as u64, deleted_bytes, missing: 0 })
    }

    /// Deletes objects of the bucket, and then their records. Completes even if the caller is cancelled: a record that
    /// stays would count towards the size of the bucket.
    async fn delete_with_records(&self, keys: Vec<String>) -> ApiResult<()> {
        let (state, project_id, store_bucket) =
            (self.state.clone(), self.project_id.clone(), self.store_bucket.clone());
        let bucket = self.bucket.clone();
        let deleting = tokio::spawn(async move {
            state.store.delete_batch(&store_bucket, &keys).await?;
            let path_start = bucket.as_str().len() + 1;
            let paths: Vec<&str> = keys.iter().filter_map(|key| key.get(path_start..)).collect();
            records::delete_records(&state.platform, &project_id, bucket.as_str(), &paths).await?;
            Ok::<(), ApiError>(())
        });
        deleting.await.unwrap_or_else(|error| Err(ApiError::internal(error)))
    }
}

fn step_of(present: &[(ObjectPath, i64)]) -> DeletionStep {
    DeletionStep {
        deleted: present.len() as u64,
        deleted_bytes: present.iter().map(|(_, size)| size.unsigned_abs()).sum(),
        missing: 0,
    }
}
