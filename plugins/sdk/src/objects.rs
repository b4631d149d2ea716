//! Objects in stores by their logical names: `backups` (the platform's own bucket), or `project:<id>`.

pub use crate::bindings::atlashub::plugin::objects::{ObjectMeta, ObjectPage};
use crate::{
    Result,
    stream::{ByteStream, Outcome},
};

/// Bytes that are in the store and not an object yet. Dropping it throws them away.
pub struct Upload {
    #[cfg(target_arch = "wasm32")]
    handle: crate::bindings::atlashub::plugin::objects::Upload,
    #[cfg(not(target_arch = "wasm32"))]
    object: crate::testing::PendingObject,
}

/// An object being read.
pub struct Download {
    pub meta: ObjectMeta,
    pub body: ByteStream,
    /// Whether the body had all of the object.
    pub outcome: Outcome<()>,
}

impl Upload {
    /// Makes the bytes an object, at once and whole.
    ///
    /// # Errors
    /// `Unavailable`, `Conflict`.
    #[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
    pub async fn commit(self) -> Result<ObjectMeta> {
        #[cfg(target_arch = "wasm32")]
        return self.handle.commit().await.map_err(crate::error::from_wit);
        #[cfg(not(target_arch = "wasm32"))]
        {
            let key = self.object.key.clone();
            crate::testing::call(crate::plugin::Capability::Objects, "objects.commit", &key, |state| {
                Ok(state.store(self.object))
            })
        }
    }
}

/// Takes a stream to its end. The object appears with [`Upload::commit`].
///
/// # Errors
/// `Denied`, `NotFound` where there is no such store, `Invalid` key, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn put(store: &str, key: &str, content_type: &str, body: ByteStream) -> Result<Upload> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::objects::put(
        store.to_owned(),
        key.to_owned(),
        content_type.to_owned(),
        body.reader,
    )
    .await
    .map(|handle| Upload { handle })
    .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    {
        crate::testing::call(crate::plugin::Capability::Objects, "objects.put", store, |_| Ok(()))?;
        let bytes = body.collect(usize::MAX).await?;
        Ok(Upload { object: crate::testing::PendingObject::new(store, key, content_type, bytes) })
    }
}

/// Stores a few bytes, at most 1 MiB, as an object.
///
/// # Errors
/// As [`put`], and `TooLarge`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn put_bytes(store: &str, key: &str, content_type: &str, body: Vec<u8>) -> Result<ObjectMeta> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::objects::put_bytes(
        store.to_owned(),
        key.to_owned(),
        content_type.to_owned(),
        body,
    )
    .await
    .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Objects, "objects.put-bytes", store, |state| {
        Ok(state.store(crate::testing::PendingObject::new(store, key, content_type, body)))
    })
}

/// An object's bytes.
///
/// # Errors
/// `Denied`, `NotFound`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn get(store: &str, key: &str) -> Result<Download> {
    #[cfg(target_arch = "wasm32")]
    {
        let (meta, body, outcome) = crate::bindings::atlashub::plugin::objects::get(store.to_owned(), key.to_owned())
            .await
            .map_err(crate::error::from_wit)?;
        Ok(Download {
            meta,
            body: ByteStream::from_reader(body),
            outcome: Outcome::new(async move { outcome.await.map_err(crate::error::from_wit) }),
        })
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Objects, "objects.get", store, |state| {
        let object = state.object(store, key)?;
        let outcome = state.failure("objects.get.outcome", store).map_or(Ok(()), Err);
        Ok(Download {
            meta: object.meta(key),
            body: ByteStream { pipe: crate::testing::full_pipe(object.bytes) },
            outcome: Outcome::new(async move { outcome }),
        })
    })
}

/// What is known of an object.
///
/// # Errors
/// `Denied`, `NotFound`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn head(store: &str, key: &str) -> Result<ObjectMeta> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::objects::head(store.to_owned(), key.to_owned())
        .await
        .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Objects, "objects.head", store, |state| {
        Ok(state.object(store, key)?.meta(key))
    })
}

/// Up to 1000 objects whose keys start with `prefix`, in the order of their bytes. Call again with the page's cursor.
///
/// # Errors
/// `Denied`, `NotFound`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn list(store: &str, prefix: &str, cursor: Option<String>) -> Result<ObjectPage> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::objects::list(store.to_owned(), prefix.to_owned(), cursor)
        .await
        .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Objects, "objects.list", store, |state| {
        Ok(state.page(store, prefix, cursor.as_deref()))
    })
}

/// Removes an object; succeeds as well where there is none.
///
/// # Errors
/// `Denied`, `NotFound` where there is no such store, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn delete(store: &str, key: &str) -> Result<()> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::objects::delete(store.to_owned(), key.to_owned())
        .await
        .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Objects, "objects.delete", store, |state| {
        state.delete(store, key);
        Ok(())
    })
}
