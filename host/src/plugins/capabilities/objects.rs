use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use plugin_manifest::{Capability, Scope};
use tokio::sync::oneshot;
use wasmtime::component::{FutureReader, Resource, StreamReader};

use super::{begin_call, check_lease};
use crate::{
    db::DatabaseName,
    object_store::{ListedObject, ObjectBytes, ObjectMeta, PLATFORM_BUCKET, StoreError, StoredUpload},
    plugins::runtime::{
        Accessor, CallError, Host, RunScope, RunState, Transfer,
        bindings::{
            objects,
            types::{self, ErrorCode},
        },
        streams::{self, ByteStream},
    },
    storage::ObjectPath,
};

/// Of the platform's own bucket, plugins reach this part: logs of runs are there too.
const BACKUPS: &str = "backups/";
const PUT_BYTES: usize = 1 << 20;
const CONTENT_TYPE_BYTES: usize = 200;
/// Objects of one page.
const PAGE: i32 = 1000;

/// What a guest's handle of an upload stands for: bytes in the store, until they are committed.
pub struct OpenUpload {
    /// None from the first commit on.
    stored: Option<(StoredUpload, Transfer)>,
    meta: objects::ObjectMeta,
    committed: bool,
}

type Got = (objects::ObjectMeta, StreamReader<u8>, FutureReader<Result<(), types::Error>>);

impl objects::Host for RunState {}

impl objects::HostUpload for RunState {
    fn drop(&mut self, upload: Resource<OpenUpload>) -> wasmtime::Result<()> {
        // What was not committed is thrown away with it.
        self.table.delete(upload)?;
        Ok(())
    }
}

impl objects::HostUploadWithStore<RunState> for Host {
    async fn commit(accessor: &Accessor, upload: Resource<OpenUpload>) -> Result<objects::ObjectMeta, CallError> {
        let run = begin_call(accessor, 0)?;
        let (stored, meta, committed) = accessor.with(|mut access| {
            let upload = access.get().table.get_mut(&upload)?;
            Ok::<_, CallError>((upload.stored.take(), upload.meta.clone(), upload.committed))
        })?;
        let Some((stored, _transfer)) = stored else {
            return if committed {
                Ok(meta)
            } else {
                Err(CallError::new(ErrorCode::Conflict, "the upload is being committed, or could not be; put it anew"))
            };
        };
        check_lease(&run).await?;
        stored.commit().await?;
        accessor.with(|mut access| {
            // The guest may have dropped its handle meanwhile; the object is there all the same.
            if let Ok(upload) = access.get().table.get_mut(&upload) {
                upload.committed = true;
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
        // First of all, since a stream that nobody takes would keep its writer waiting.
        let mut bytes = accessor.with(|mut access| streams::receive(&mut access, body))?;
        let run = begin_call(accessor, store.len() + key.len() + content_type.len())?;
        let place = Place::of_key(&run, &store, &key).await?;
        check_content_type(&content_type)?;
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        place.ensure_bucket(&run).await?;
        let mut upload = run.services.store.begin_upload(&place.bucket, &key, &content_type);
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.map_err(|error| {
                CallError::new(ErrorCode::Failed, format!("the stream was cut short ({error}), so nothing was stored"))
            })?;
            upload.write(chunk).await?;
        }
        let stored = upload.end().await?;
        let meta = objects::ObjectMeta {
            key,
            size_bytes: stored.size,
            sha256: Some(stored.sha256_hex()),
            content_type: Some(content_type),
            last_modified: None,
        };
        let open = OpenUpload { stored: Some((stored, transfer)), meta, committed: false };
        accessor.with(|mut access| Ok(access.get().table.push(open)?))
    }

    async fn put_bytes(
        accessor: &Accessor,
        store: String,
        key: String,
        content_type: String,
        body: Vec<u8>,
    ) -> Result<objects::ObjectMeta, CallError> {
        let run = begin_call(accessor, store.len() + key.len() + content_type.len() + body.len())?;
        let place = Place::of_key(&run, &store, &key).await?;
        check_content_type(&content_type)?;
        if body.len() > PUT_BYTES {
            return Err(CallError::too_large("`put-bytes` takes at most 1 MiB; use `put` with a stream"));
        }
        place.ensure_bucket(&run).await?;
        let mut upload = run.services.store.begin_upload(&place.bucket, &key, &content_type);
        upload.write(Bytes::from(body)).await?;
        let stored = upload.end().await?;
        let meta = objects::ObjectMeta {
            key,
            size_bytes: stored.size,
            sha256: Some(stored.sha256_hex()),
            content_type: Some(content_type),
            last_modified: None,
        };
        check_lease(&run).await?;
        stored.commit().await?;
        Ok(meta)
    }

    async fn get(accessor: &Accessor, store: String, key: String) -> Result<Got, CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let place = Place::of_key(&run, &store, &key).await?;
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let (meta, bytes) =
            run.services.store.get(&place.bucket, &key).await?.ok_or_else(|| no_object(&store, &key))?;
        let (bytes, outcome) = with_outcome(bytes, transfer);
        accessor.with(|mut access| {
            let stream = streams::send(&mut access, bytes)?;
            let outcome = streams::send_outcome(&mut access, outcome)?;
            Ok((to_wit(key, meta), stream, outcome))
        })
    }

    async fn head(accessor: &Accessor, store: String, key: String) -> Result<objects::ObjectMeta, CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let place = Place::of_key(&run, &store, &key).await?;
        let meta = run.services.store.head(&place.bucket, &key).await?.ok_or_else(|| no_object(&store, &key))?;
        Ok(to_wit(key, meta))
    }

    async fn list(
        accessor: &Accessor,
        store: String,
        prefix: String,
        cursor: Option<String>,
    ) -> Result<objects::ObjectPage, CallError> {
        let run = begin_call(accessor, store.len() + prefix.len() + cursor.as_ref().map_or(0, String::len))?;
        let place = Place::of_store(&run, &store).await?;
        let Some(prefix) = place.narrow(&prefix) else {
            return Ok(objects::ObjectPage { objects: Vec::new(), cursor: None });
        };
        let page = match run.services.store.list_page(&place.bucket, &prefix, PAGE, cursor.as_deref()).await {
            // The platform's own bucket is made with its first object.
            Err(error) if error.is_not_found() => crate::object_store::ObjectPage::default(),
            page => page?,
        };
        Ok(objects::ObjectPage { objects: page.objects.into_iter().map(listed).collect(), cursor: page.next })
    }

    async fn delete(accessor: &Accessor, store: String, key: String) -> Result<(), CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let place = Place::of_key(&run, &store, &key).await?;
        check_lease(&run).await?;
        match run.services.store.delete(&place.bucket, &key).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Where a store's objects are.
struct Place {
    bucket: String,
    /// What every key in it starts with.
    prefix: &'static str,
}

impl Place {
    /// The store, if the grant reaches it and it is there.
    async fn of_store(run: &Arc<RunScope>, store: &str) -> Result<Self, CallError> {
        let unknown = || CallError::invalid("there is no such store: write `backups` or `project:<id>`");
        let project = match store {
            "backups" => None,
            _ => match store.parse::<DatabaseName>() {
                Ok(DatabaseName::Project(id)) => Some(id),
                _ => return Err(unknown()),
            },
        };
        if !Scope::reaches(&run.scope(Capability::Objects).stores, store) {
            return Err(run.denied(Capability::Objects, &format!("store `{store}`")));
        }
        let Some(id) = project else { return Ok(Self { bucket: PLATFORM_BUCKET.to_owned(), prefix: BACKUPS }) };
        let bucket = format!("proj-{id}");
        run.services.databases.title(&DatabaseName::Project(id)).await?;
        Ok(Self { bucket, prefix: "" })
    }

    /// The same, if the key may be there.
    async fn of_key(run: &Arc<RunScope>, store: &str, key: &str) -> Result<Self, CallError> {
        let place = Self::of_store(run, store).await?;
        // The rules of paths are the same wherever a key comes from.
        ObjectPath::from_key(None, key).map_err(|error| CallError::invalid(error.message().to_owned()))?;
        if !key.starts_with(place.prefix) {
            return Err(CallError::invalid(format!("keys of store `{store}` start with `{}`", place.prefix)));
        }
        Ok(place)
    }

    /// The prefix within what may be seen; none where nothing can match.
    fn narrow(&self, prefix: &str) -> Option<String> {
        if prefix.starts_with(self.prefix) {
            Some(prefix.to_owned())
        } else {
            self.prefix.starts_with(prefix).then(|| self.prefix.to_owned())
        }
    }

    /// Projects' buckets are there with the project.
    async fn ensure_bucket(&self, run: &Arc<RunScope>) -> Result<(), CallError> {
        if self.bucket == PLATFORM_BUCKET && !run.services.store.bucket_exists(PLATFORM_BUCKET).await? {
            run.services.store.ensure_bucket(PLATFORM_BUCKET).await?;
        }
        Ok(())
    }
}

/// The bytes, and beside them whether all of them were read.
fn with_outcome(
    bytes: ObjectBytes,
    transfer: Transfer,
) -> (ByteStream, impl Future<Output = Result<(), types::Error>> + Send + 'static) {
    let (tell, told) = oneshot::channel::<Result<(), StoreError>>();
    let reading = Some((bytes, tell, transfer));
    let bytes = stream::unfold(reading, |reading| async move {
        let (mut bytes, tell, transfer) = reading?;
        match bytes.next().await {
            Some(Ok(chunk)) => Some((Ok(chunk), Some((bytes, tell, transfer)))),
            Some(Err(error)) => {
                let shown = std::io::Error::other(error.to_string());
                // Nobody asks how it ended: then it is enough that it did.
                let _ = tell.send(Err(error));
                Some((Err(shown), None))
            }
            None => {
                let _ = tell.send(Ok(()));
                None
            }
        }
    });
    let outcome = async move {
        let error = match told.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => CallError::from(error),
            Err(_) => CallError::new(ErrorCode::Failed, "the object was not read to its end"),
        };
        Err(error.into_wit().unwrap_or_else(|trap| types::Error {
            code: ErrorCode::Failed,
            message: trap.to_string(),
            details: None,
        }))
    };
    (Box::pin(bytes), outcome)
}

fn check_content_type(content_type: &str) -> Result<(), CallError> {
    let fits = content_type.len() <= CONTENT_TYPE_BYTES
        && content_type.contains('/')
        && content_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if fits { Ok(()) } else { Err(CallError::invalid("the content type is not one: write it as `application/json`")) }
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

fn listed(object: ListedObject) -> objects::ObjectMeta {
    objects::ObjectMeta {
        key: object.key,
        size_bytes: object.size.unsigned_abs(),
        sha256: None,
        content_type: None,
        last_modified: object.last_modified.and_then(|at| u64::try_from(at.timestamp_millis()).ok()),
    }
}

fn no_object(store: &str, key: &str) -> CallError {
    CallError::not_found(format!("store `{store}` has no object `{key}`"))
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::not_found("there is no such object or bucket"),
            StoreError::Unavailable { .. } => {
                tracing::warn!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "a plugin's call to the store failed"
                );
                Self::unavailable("the object store can't be reached")
            }
            error => {
                tracing::warn!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "a plugin's call to the store failed"
                );
                Self::new(ErrorCode::Failed, "the object store refused; the server's log has the cause")
            }
        }
    }
}
