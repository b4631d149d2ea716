use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use plugin_manifest::{Capability, Scope};
use tokio::sync::oneshot;
use wasmtime::component::{FutureReader, Linker, Resource, StreamReader};

use crate::{
    db::DatabaseName,
    object_store::{ListedObject, ObjectBytes, ObjectMeta, PLATFORM_BUCKET, StoreError, StoredUpload},
    plugins::guest::{
        Accessor, CallError, Host, OpenUpload, RunScope, RunState, Transfer, begin_call,
        bindings::{
            objects,
            types::{self, ErrorCode},
        },
        check_lease,
        streams::{self, ByteStream},
    },
    storage::{self, ObjectPath},
};

/// Prefix of the keys in the platform's own bucket that plugins may access. The bucket also has the logs of runs.
const BACKUPS_PREFIX: &str = "backups/";
/// Largest body of `put-bytes`.
const MAX_PUT_BYTES: usize = 1 << 20;
const MAX_CONTENT_TYPE_BYTES: usize = 200;
/// Objects per page.
const PAGE_SIZE: i32 = 1000;

/// Metadata and content of an object, and whether the content was read completely.
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
        let (stored, meta, is_committed) = accessor.with(|mut access| {
            let upload = access.get().table.get_mut(&upload)?;
            Ok::<_, CallError>((upload.stored.take(), upload.meta.clone(), upload.is_committed))
        })?;
        let Some((stored, _transfer)) = stored else {
            return if is_committed {
                Ok(meta)
            } else {
                Err(CallError::new(
                    ErrorCode::Conflict,
                    "the upload is being committed or its commit failed; upload the object again",
                ))
            };
        };
        check_lease(&run).await?;
        stored.commit().await?;
        accessor.with(|mut access| {
            // The guest may have dropped its handle since; the object exists all the same.
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
        // Before anything can fail, because the writer of a stream that is not received waits forever.
        let mut bytes = accessor.with(|mut access| streams::receive(&mut access, body))?;
        let run = begin_call(accessor, store.len() + key.len() + content_type.len())?;
        let location = Location::of_key(&run, &store, &key).await?;
        check_content_type(&content_type)?;
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        location.ensure_bucket(&run).await?;
        let mut upload = run.services.store.begin_upload(&location.bucket, &key, &content_type);
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.map_err(|error| {
                CallError::new(
                    ErrorCode::Failed,
                    format!("the stream ended with an error ({error}), so nothing was stored"),
                )
            })?;
            upload.write(chunk).await?;
        }
        let stored = upload.end().await?;
        let meta = stored_to_wit(key, &stored, content_type);
        let upload = OpenUpload { stored: Some((stored, transfer)), meta, is_committed: false };
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
        let location = Location::of_key(&run, &store, &key).await?;
        check_content_type(&content_type)?;
        if body.len() > MAX_PUT_BYTES {
            return Err(CallError::too_large("`put-bytes` accepts at most 1 MiB; use `put` with a stream"));
        }
        location.ensure_bucket(&run).await?;
        let mut upload = run.services.store.begin_upload(&location.bucket, &key, &content_type);
        upload.write(Bytes::from(body)).await?;
        let stored = upload.end().await?;
        let meta = stored_to_wit(key, &stored, content_type);
        check_lease(&run).await?;
        stored.commit().await?;
        Ok(meta)
    }

    async fn get(accessor: &Accessor, store: String, key: String) -> Result<OpenDownload, CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let location = Location::of_key(&run, &store, &key).await?;
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let (meta, bytes) =
            run.services.store.get(&location.bucket, &key).await?.ok_or_else(|| object_not_found(&store, &key))?;
        let (bytes, outcome) = with_outcome(bytes, transfer);
        accessor.with(|mut access| {
            let stream = streams::send(&mut access, bytes)?;
            let outcome = streams::send_outcome(&mut access, outcome)?;
            Ok((to_wit(key, meta), stream, outcome))
        })
    }

    async fn head(accessor: &Accessor, store: String, key: String) -> Result<objects::ObjectMeta, CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let location = Location::of_key(&run, &store, &key).await?;
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
        let location = Location::of_store(&run, &store).await?;
        let Some(prefix) = location.narrow_prefix(&prefix) else {
            return Ok(objects::ObjectPage { objects: Vec::new(), cursor: None });
        };
        let page = match run.services.store.list_page(&location.bucket, &prefix, PAGE_SIZE, cursor.as_deref()).await {
            // The platform's own bucket is created with its first object.
            Err(error) if error.is_not_found() => crate::object_store::ObjectPage::default(),
            page => page?,
        };
        // Uploads that have not ended are no objects yet.
        let objects = page.objects.into_iter().filter(|object| !storage::is_staged_key(&object.key));
        Ok(objects::ObjectPage { objects: objects.map(listed_to_wit).collect(), cursor: page.next })
    }

    async fn delete(accessor: &Accessor, store: String, key: String) -> Result<(), CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let location = Location::of_key(&run, &store, &key).await?;
        check_lease(&run).await?;
        match run.services.store.delete(&location.bucket, &key).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Location of a store's objects.
struct Location {
    bucket: String,
    /// Prefix of every key in the store.
    prefix: &'static str,
}

impl Location {
    /// Returns the location of a store, if it exists and the grant includes it.
    async fn of_store(run: &Arc<RunScope>, store: &str) -> Result<Self, CallError> {
        let unknown = || CallError::invalid("unknown store; use `backups` or `project:<id>`");
        let project = match store {
            "backups" => None,
            _ => match store.parse::<DatabaseName>() {
                Ok(DatabaseName::Project(id)) => Some(id),
                _ => return Err(unknown()),
            },
        };
        if !Scope::reaches(&run.scope(Capability::Objects).stores, store) {
            return Err(run.deny(Capability::Objects, &format!("store `{store}`")));
        }
        let Some(id) = project else { return Ok(Self { bucket: PLATFORM_BUCKET.to_owned(), prefix: BACKUPS_PREFIX }) };
        let bucket = format!("proj-{id}");
        run.services.databases.title(&DatabaseName::Project(id)).await?;
        Ok(Self { bucket, prefix: "" })
    }

    /// Returns the location of a store, if the key is valid in it.
    async fn of_key(run: &Arc<RunScope>, store: &str, key: &str) -> Result<Self, CallError> {
        let location = Self::of_store(run, store).await?;
        // The same rules as for paths in the public API.
        ObjectPath::from_key(None, key).map_err(|error| CallError::invalid(error.message().to_owned()))?;
        if !key.starts_with(location.prefix) {
            return Err(CallError::invalid(format!("keys of store `{store}` must start with `{}`", location.prefix)));
        }
        Ok(location)
    }

    /// Restricts a prefix to the store's keys. Returns `None` if no key can match.
    fn narrow_prefix(&self, prefix: &str) -> Option<String> {
        if prefix.starts_with(self.prefix) {
            Some(prefix.to_owned())
        } else {
            self.prefix.starts_with(prefix).then(|| self.prefix.to_owned())
        }
    }

    /// Creates the platform's own bucket if it is missing. Buckets of projects are created with the project.
    async fn ensure_bucket(&self, run: &Arc<RunScope>) -> Result<(), CallError> {
        if self.bucket == PLATFORM_BUCKET && !run.services.store.bucket_exists(PLATFORM_BUCKET).await? {
            run.services.store.ensure_bucket(PLATFORM_BUCKET).await?;
        }
        Ok(())
    }
}

/// Splits a download into its bytes and a future that resolves to whether all of them were read.
fn with_outcome(
    bytes: ObjectBytes,
    transfer: Transfer,
) -> (ByteStream, impl Future<Output = Result<(), types::Error>> + Send + 'static) {
    let (sender, receiver) = oneshot::channel::<Result<(), StoreError>>();
    let reading = Some((bytes, sender, transfer));
    let bytes = stream::unfold(reading, |reading| async move {
        let (mut bytes, sender, transfer) = reading?;
        match bytes.next().await {
            Some(Ok(chunk)) => Some((Ok(chunk), Some((bytes, sender, transfer)))),
            Some(Err(error)) => {
                let io_error = std::io::Error::other(error.to_string());
                // Fails if the guest dropped the future.
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
            Err(_) => CallError::new(ErrorCode::Failed, "the object was not read completely"),
        };
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
        let is_unavailable = match &error {
            StoreError::NotFound { .. } => return Self::not_found("object or bucket not found"),
            StoreError::Unavailable { .. } => true,
            _ => false,
        };
        tracing::warn!(
            error = format!("{:#}", anyhow::Error::from(error)),
            "a plugin's call to the object store failed"
        );
        if is_unavailable {
            return Self::unavailable("the object store can't be reached");
        }
        Self::new(ErrorCode::Failed, "the object store returned an error; see the server's log")
    }
}
