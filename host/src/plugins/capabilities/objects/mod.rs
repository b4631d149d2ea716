//! The interface `objects`: reads and writes objects in the buckets of projects, and backups, exports and imports in
//! the platform's own bucket.
//!
//! `location` resolves names of stores and keys of objects.

mod location;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use wasmtime::component::{FutureReader, Linker, Resource, StreamReader};

use crate::{
    object_store::{ListedObject, ObjectBytes, ObjectMeta, StoreError, StoredUpload},
    plugins::guest::{
        Accessor, Call, CallError, HeldMemory, Host, OpenUpload, RunScope, RunState, Transfer, UncommittedUpload,
        begin_call,
        bindings::{
            objects,
            types::{self, ErrorCode},
        },
        charge_result, check_lease,
        streams::{self, ByteStream},
    },
    storage::{self, PluginObject},
};
use location::{Location, check_size};

/// Maximum size of the body of `put-bytes`.
const MAX_PUT_BYTES: usize = 1 << 20;
const MAX_CONTENT_TYPE_BYTES: usize = 200;
/// Number of objects per page.
const PAGE_SIZE: i32 = 1000;
/// Memory held for a page of objects, whose keys are at most 1 KiB long.
const PAGE_BYTES: usize = 2 << 20;
/// Memory held while an object is read.
const GET_BYTES: usize = 1 << 20;
/// Memory held for the chunks of an upload that wait to be sent.
const QUEUE_BYTES: usize = 2 << 20;
/// Maximum memory held for the parts of an upload, see `object_store::Upload`.
const MAX_PARTS_BYTES: u64 = 28 << 20;
/// An upload of up to this size is kept in memory until its commit. The bytes of a larger one are already in the store.
const MAX_UNSENT_BYTES: u64 = 1 << 20;

/// Metadata of an object, its content, and whether the content was read completely.
type OpenDownload = (objects::ObjectMeta, StreamReader<u8>, FutureReader<Result<(), types::Error>>);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    objects::add_to_linker::<_, Host>(linker, |state| state)
}

impl objects::Host for RunState {}

impl objects::HostUpload for RunState {
    fn drop(&mut self, upload: Resource<OpenUpload>) -> wasmtime::Result<()> {
        // Dropping an uncommitted upload discards its bytes.
        self.table.delete(upload)?;
        Ok(())
    }
}

impl objects::HostUploadWithStore<RunState> for Host {
    async fn commit(accessor: &Accessor, upload: Resource<OpenUpload>) -> Result<objects::ObjectMeta, CallError> {
        let run = begin_call(accessor, 0)?;
        let _permit = run.enter().await;
        let (stored, meta, is_committed) = accessor.with(|mut access| {
            let upload = access.get().table.get_mut(&upload)?;
            Ok::<_, CallError>((upload.stored.take(), upload.meta.clone(), upload.is_committed))
        })?;
        let Some(UncommittedUpload { upload: stored, object, transfer: _transfer, memory: _memory }) = stored else {
            return if is_committed {
                Ok(meta)
            } else {
                Err(CallError::new(
                    ErrorCode::Conflict,
                    "the upload is being committed or its commit failed; upload the object again",
                ))
            };
        };
        let commit = async { Ok::<_, CallError>(stored.commit().await?) };
        commit_object(&run, object.as_ref(), commit).await?;
        accessor.with(|mut access| {
            // The guest may have dropped its handle in the meantime, but the object exists.
            if let Ok(upload) = access.get().table.get_mut(&upload) {
                upload.is_committed = true;
            }
        });
        Ok(meta)
    }
}

impl objects::HostWithStore<RunState> for Host {
    async fn put(
        accessor: &Accessor,
        store: String,
        key: String,
        content_type: String,
        body: StreamReader<u8>,
    ) -> Result<Resource<OpenUpload>, CallError> {
        // The stream is received before anything can fail, because the writer of a stream that is not received waits
        // forever.
        let mut bytes = accessor.with(|mut access| streams::receive(&mut access, body))?;
        let run = begin_call(accessor, store.len() + key.len() + content_type.len())?;
        let (location, path) = Location::of_key(&run, &store, &key)?;
        check_content_type(&content_type)?;
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let mut memory = run.calls.hold(QUEUE_BYTES)?;
        // The stream may hold a dump or a connection, which must not wait long for other calls of this run.
        let idle = run.calls.stream_idle();
        let _permit = tokio::time::timeout(idle, run.enter()).await.map_err(|_| {
            CallError::new(ErrorCode::Timeout, format!("the upload could not start within {} s", idle.as_secs()))
        })?;
        let object = location.prepare_put(&run, path, &content_type).await?;
        let mut upload = run.services.store.begin_upload(&location.bucket, &key, &content_type);
        let mut size = 0_u64;
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.map_err(|error| {
                CallError::new(
                    ErrorCode::Failed,
                    format!("the stream ended with an error ({error}), so nothing was stored"),
                )
            })?;
            size += chunk.len() as u64;
            check_size(object.as_ref(), size)?;
            hold_parts(&run, &mut memory, size)?;
            upload.write(chunk).await?;
        }
        let stored = upload.end().await?;
        memory.resize(&run.calls, if stored.size > MAX_UNSENT_BYTES { 0 } else { stored.size as usize })?;
        let meta = stored_to_wit(key, &stored, content_type);
        let stored = UncommittedUpload { upload: stored, object, transfer, memory };
        let upload = OpenUpload { stored: Some(stored), meta, is_committed: false };
        accessor.with(|mut access| Ok(access.get().table.push(upload)?))
    }

    async fn put_bytes(
        accessor: &Accessor,
        store: String,
        key: String,
        content_type: String,
        body: Vec<u8>,
    ) -> Result<objects::ObjectMeta, CallError> {
        let run = begin_call(accessor, store.len() + key.len() + content_type.len() + body.len())?;
        let (location, path) = Location::of_key(&run, &store, &key)?;
        check_content_type(&content_type)?;
        if body.len() > MAX_PUT_BYTES {
            return Err(CallError::too_large("`put-bytes` accepts at most 1 MiB; use `put` with a stream"));
        }
        let _permit = run.enter().await;
        let object = location.prepare_put(&run, path, &content_type).await?;
        check_size(object.as_ref(), body.len() as u64)?;
        let meta = objects::ObjectMeta {
            size_bytes: body.len() as u64,
            sha256: Some(hex::encode(Sha256::digest(&body))),
            content_type: Some(content_type.clone()),
            last_modified: None,
            key,
        };
        let put = async {
            let store = &run.services.store;
            Ok::<_, CallError>(store.put_small(&location.bucket, &meta.key, &content_type, Bytes::from(body)).await?)
        };
        commit_object(&run, object.as_ref(), put).await?;
        Ok(meta)
    }

    async fn get(accessor: &Accessor, store: String, key: String) -> Result<OpenDownload, CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let (location, _) = Location::of_key(&run, &store, &key)?;
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let memory = run.calls.hold(GET_BYTES)?;
        let _permit = run.enter().await;
        location.check_exists(&run).await?;
        let (meta, bytes) =
            run.services.store.get(&location.bucket, &key).await?.ok_or_else(|| object_not_found(&store, &key))?;
        let (bytes, outcome) = with_outcome(bytes, (transfer, memory), run.share());
        accessor.with(|mut access| {
            let stream = streams::send(&mut access, bytes)?;
            let outcome = streams::send_outcome(&mut access, outcome)?;
            Ok((to_wit(key, meta), stream, outcome))
        })
    }

    async fn head(accessor: &Accessor, store: String, key: String) -> Result<objects::ObjectMeta, CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let (location, _) = Location::of_key(&run, &store, &key)?;
        let _permit = run.enter().await;
        location.check_exists(&run).await?;
        let meta =
            run.services.store.head(&location.bucket, &key).await?.ok_or_else(|| object_not_found(&store, &key))?;
        Ok(to_wit(key, meta))
    }

    async fn list(
        accessor: &Accessor,
        store: String,
        prefix: String,
        cursor: Option<String>,
    ) -> Result<objects::ObjectPage, CallError> {
        let run = begin_call(accessor, store.len() + prefix.len() + cursor.as_ref().map_or(0, String::len))?;
        let location = Location::of_store(&run, &store)?;
        let Some(prefix) = location.narrow_prefix(&prefix) else {
            return Ok(objects::ObjectPage { objects: Vec::new(), cursor: None });
        };
        let _permit = run.enter().await;
        let _memory = run.calls.hold(PAGE_BYTES)?;
        location.check_exists(&run).await?;
        let page = match run.services.store.list_page(&location.bucket, &prefix, PAGE_SIZE, cursor.as_deref()).await {
            // The platform's own bucket is created when the first object is stored in it.
            Err(error) if error.is_not_found() => crate::object_store::ObjectPage::default(),
            page => page?,
        };
        charge_result(accessor, page.objects.iter().map(|object| object.key.len()).sum())?;
        // A staged object belongs to an upload that has not ended, so it is not an object of the store yet.
        let objects = page.objects.into_iter().filter(|object| !storage::is_staged_key(&object.key));
        Ok(objects::ObjectPage { objects: objects.map(listed_to_wit).collect(), cursor: page.next })
    }

    async fn delete(accessor: &Accessor, store: String, key: String) -> Result<(), CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let (location, path) = Location::of_key(&run, &store, &key)?;
        let _permit = run.enter().await;
        location.check_exists(&run).await?;
        check_lease(&run).await?;
        match run.services.store.delete(&location.bucket, &key).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        if let Some(project) = &location.project {
            run.services.storage.forget_object(project, &path).await?;
        }
        Ok(())
    }
}

/// Checks the run's lease and makes an object visible with `commit`. Records the object if it is in a project's bucket.
async fn commit_object(
    run: &RunScope,
    object: Option<&PluginObject>,
    commit: impl Future<Output = Result<(), CallError>>,
) -> Result<(), CallError> {
    check_lease(run).await?;
    let Some(object) = object else { return commit.await };
    let begun = run.services.storage.begin_plugin_object(object).await?;
    commit.await?;
    if let Err(error) = run.services.storage.finish_plugin_object(object, begun).await {
        // The object is stored, so the call succeeds. A sweep records the size.
        tracing::debug!(%error, "the size of a plugin's object is not recorded yet");
    }
    Ok(())
}

/// Reserves the memory for an upload of which `size` bytes have been received so far.
fn hold_parts(run: &Call, memory: &mut HeldMemory, size: u64) -> Result<(), CallError> {
    let parts = size.next_multiple_of(1 << 20).min(MAX_PARTS_BYTES) as usize;
    memory.resize(&run.calls, QUEUE_BYTES + parts)
}

/// Returns the bytes of a download as a stream, and a future that succeeds if the stream was read completely. The
/// stream releases `permits` when it ends or is dropped.
fn with_outcome(
    bytes: ObjectBytes,
    permits: (Transfer, HeldMemory),
    run: Arc<RunScope>,
) -> (ByteStream, impl Future<Output = Result<(), types::Error>> + Send + 'static) {
    let (sender, receiver) = oneshot::channel::<Result<(), StoreError>>();
    let reading = Some((bytes, sender, permits));
    let bytes = stream::unfold(reading, |reading| async move {
        let (mut bytes, sender, permits) = reading?;
        match bytes.next().await {
            Some(Ok(chunk)) => Some((Ok(chunk), Some((bytes, sender, permits)))),
            Some(Err(error)) => {
                let io_error = std::io::Error::other(error.to_string());
                // Sending fails if the guest dropped the future.
                let _ = sender.send(Err(error));
                Some((Err(io_error), None))
            }
            None => {
                let _ = sender.send(Ok(()));
                None
            }
        }
    });
    let outcome = async move {
        let error = match receiver.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => CallError::from(error),
            Err(_) => {
                let idle = run.calls.stream_idle().as_secs();
                CallError::new(
                    ErrorCode::Failed,
                    format!(
                        "the object was not read completely: its stream was dropped, not read for {idle} s, or read \
                         too slowly"
                    ),
                )
            }
        };
        run.log_failure(&error);
        Err(error.into_wit_value())
    };
    (Box::pin(bytes), outcome)
}

fn check_content_type(content_type: &str) -> Result<(), CallError> {
    let is_valid = content_type.len() <= MAX_CONTENT_TYPE_BYTES
        && content_type.contains('/')
        && content_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_valid {
        Ok(())
    } else {
        Err(CallError::invalid("the content type is invalid; write it like `application/json`"))
    }
}

fn stored_to_wit(key: String, upload: &StoredUpload, content_type: String) -> objects::ObjectMeta {
    objects::ObjectMeta {
        key,
        size_bytes: upload.size,
        sha256: Some(upload.sha256_hex()),
        content_type: Some(content_type),
        last_modified: None,
    }
}

fn to_wit(key: String, meta: ObjectMeta) -> objects::ObjectMeta {
    objects::ObjectMeta {
        key,
        size_bytes: meta.size.unsigned_abs(),
        sha256: None,
        content_type: meta.content_type,
        last_modified: meta.last_modified.and_then(|at| u64::try_from(at.timestamp_millis()).ok()),
    }
}

fn listed_to_wit(object: ListedObject) -> objects::ObjectMeta {
    objects::ObjectMeta {
        key: object.key,
        size_bytes: object.size.unsigned_abs(),
        sha256: None,
        content_type: None,
        last_modified: object.last_modified.and_then(|at| u64::try_from(at.timestamp_millis()).ok()),
    }
}

fn object_not_found(store: &str, key: &str) -> CallError {
    CallError::not_found(format!("store `{store}` has no object `{key}`"))
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        let failed = match &error {
            StoreError::NotFound { .. } => return Self::not_found("object or bucket not found"),
            StoreError::Unavailable { .. } => Self::unavailable("the object store can't be reached"),
            StoreError::Full { .. } => Self::unavailable("the object store has no space left"),
            _ => Self::new(ErrorCode::Failed, "the object store returned an error; see the server's log"),
        };
        failed.caused_by("object store", format!("{:#}", anyhow::Error::from(error)))
    }
}
