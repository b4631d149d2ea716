//! Copies or moves one object.

use api_types::{MoveObject, StoredObject};

use super::{
    super::{
        access::{Action, StorageAccess},
        errors::object_not_found,
        open_uploads,
        path::{self, BucketName, ObjectPath},
        records::{self, inspect_object},
    },
    detail::stored_object,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::{ObjectMeta, StoreError},
};

/// Whether the object is copied or moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Transfer {
    Copy,
    Move,
}

/// The behavior if an object is already at the new path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IfTaken {
    Refuse,
    Replace,
}

/// Copies or moves an object to another path of its project. Completes even if the caller is cancelled, because a
/// store may take minutes to copy a large object.
///
/// A move copies the object, records the copy, and then deletes the object unless it was replaced in the meantime. If
/// the move is interrupted, both objects can exist.
///
/// # Errors
/// Returns 400 for an invalid path or if the store refuses the copy, 404 if a bucket or the object does not exist, and
/// 413 if the object is larger than the new bucket allows. Returns 409 if the new path is taken, if the object was
/// replaced in the meantime, or if another request moved or deleted it while this one moves it.
pub(in super::super) async fn transfer_object(
    access: StorageAccess,
    request: MoveObject,
    transfer: Transfer,
) -> ApiResult<StoredObject> {
    let transferring = tokio::spawn(async move { transfer_to_end(&access, request, transfer).await });
    transferring.await.unwrap_or_else(|error| Err(ApiError::internal(error)))
}

async fn transfer_to_end(access: &StorageAccess, request: MoveObject, transfer: Transfer) -> ApiResult<StoredObject> {
    let from = access.object_path(None, &request.object_key).await?;
    let to_bucket = request.to_bucket.as_deref().unwrap_or_else(|| from.bucket());
    let to = ObjectPath::new(&BucketName::parse(to_bucket)?, &request.to)?;
    // A new path that begins with the name of its bucket is most likely a full key. An object that is already in a
    // folder of that name can be renamed there.
    if to.is_in_folder_of_its_bucket() && !(from.bucket() == to.bucket() && from.is_in_folder_of_its_bucket()) {
        return Err(path::path_with_its_bucket(&to));
    }
    if from == to {
        return Err(ApiError::invalid("`to` is the current path of the object."));
    }
    access.require_bucket(from.bucket()).await?;
    let _moving = match transfer {
        Transfer::Move => Some(access.state.move_locks.lock(&access.project.id, &from).await),
        Transfer::Copy => None,
    };
    let settings = access.authorize(to.bucket(), Action::Upload).await?;
    let store_bucket = access.store_bucket();
    let source = inspect_object(access.object_context(&store_bucket, &from)).await?;
    let source = source.into_object().ok_or_else(object_not_found)?;
    if source.size > settings.max_object_bytes {
        let (size, max) = (source.size, settings.max_object_bytes);
        let message = format!("The object has {size} bytes. The bucket `{}` allows {max}.", to.bucket());
        return Err(ApiError::new(Code::ObjectTooLarge, message).with_hint("Raise the bucket's maximum object size."));
    }
    let existing = inspect_object(access.object_context(&store_bucket, &to)).await?.into_object();
    let if_taken = if request.replace { IfTaken::Replace } else { IfTaken::Refuse };
    if existing.is_some() && if_taken == IfTaken::Refuse {
        return Err(path_taken(&to));
    }
    let copy = copy(access, &from, &to, &source, if_taken).await?;
    if transfer == Transfer::Move {
        remove_source(access, &from, &to, &source).await?;
    }
    tracing::info!(
        project = access.project.id,
        object_key = from.key(),
        new_object_key = to.key(),
        size_bytes = copy.size,
        kept = transfer == Transfer::Copy,
        "copied an object"
    );
    Ok(stored_object(&to, copy))
}

async fn copy(
    access: &StorageAccess,
    from: &ObjectPath,
    to: &ObjectPath,
    source: &ObjectMeta,
    if_taken: IfTaken,
) -> ApiResult<ObjectMeta> {
    let (state, store_bucket, project) = (&access.state, access.store_bucket(), &access.project.id);
    // Before the copy, because another request may look up the object as soon as it exists.
    records::raise_limit(&state.platform, project, to, source.size).await?;
    let etag = source.etag.as_deref().unwrap_or_default();
    let copied = match if_taken {
        IfTaken::Replace => state.store.copy_replacing(&store_bucket, from.key(), to.key(), etag).await,
        IfTaken::Refuse => state.store.copy_if_absent(&store_bucket, from.key(), to.key(), etag).await,
    };
    match copied {
        Ok(()) => {}
        Err(StoreError::NotFound { .. }) => return Err(object_not_found()),
        Err(StoreError::PreconditionFailed { .. }) => {
            let is_taken = if_taken == IfTaken::Refuse && state.store.head(&store_bucket, to.key()).await?.is_some();
            return Err(if is_taken { path_taken(to) } else { replaced_meanwhile(from) });
        }
        Err(StoreError::Refused { status: 400, message, .. }) => {
            return Err(ApiError::invalid(format!("The object store refused to copy the object: {message}"))
                .with_hint("Many stores copy at most 5 GiB. Download the object and upload it to the new path."));
        }
        Err(error) => return Err(error.into()),
    }
    let copy = state.store.head(&store_bucket, to.key()).await?.ok_or_else(object_not_found)?;
    if !records::record_copy(&state.platform, project, from, to, &copy).await? {
        return Err(ApiError::not_found("bucket"));
    }
    Ok(copy)
}

/// Deletes a moved object at its old path. Returns `conflict` if the object was replaced after it was copied, or if
/// another request moves or deletes it. The copy stays in both cases: with a store that ignores conditions, the other
/// request may have copied to the same path.
async fn remove_source(
    access: &StorageAccess,
    from: &ObjectPath,
    to: &ObjectPath,
    source: &ObjectMeta,
) -> ApiResult<()> {
    let (state, store_bucket, project) = (&access.state, access.store_bucket(), &access.project.id);
    let current = state.store.head(&store_bucket, from.key()).await?;
    if current.as_ref().is_some_and(|current| current.etag != source.etag) {
        return Err(replaced_after_copy(to));
    }
    let is_first = records::claim_removal(&state.platform, project, from, source.etag.as_deref()).await?;
    if current.is_none() || !is_first {
        return Err(ApiError::new(
            Code::Conflict,
            format!("The object was moved or deleted by another request while it was copied to `{}`.", to.key()),
        )
        .with_hint("The copy exists. Delete it if you do not need it."));
    }
    open_uploads::discard_arrived(state, project, from).await?;
    match state.store.delete_if_match(&store_bucket, from.key(), source.etag.as_deref()).await {
        Err(StoreError::PreconditionFailed { .. }) => Err(replaced_after_copy(to)),
        deleted => Ok(deleted?),
    }
}

fn replaced_after_copy(to: &ObjectPath) -> ApiError {
    ApiError::new(Code::Conflict, format!("The object was replaced while it was copied to `{}`.", to.key()))
        .with_hint("Both objects exist now. Delete the one that you do not need.")
}

fn path_taken(path: &ObjectPath) -> ApiError {
    ApiError::new(Code::ObjectExists, format!("The object `{}` already exists.", path.key()))
        .with_hint("Choose another path, or send `\"replace\": true` to replace it.")
}

fn replaced_meanwhile(path: &ObjectPath) -> ApiError {
    ApiError::new(Code::Conflict, format!("The object `{}` was replaced at the same time.", path.key()))
        .with_hint("Nothing was copied. Try again.")
}
