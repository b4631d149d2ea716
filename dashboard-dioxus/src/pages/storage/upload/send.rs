//! Sends one file to the object store, in one request or in parts.

use std::collections::{BTreeMap, HashMap};

use api_types::{
    AbortUpload, CompleteUpload, CompletedPart, SignParts, SignUpload, SignedParts, SignedUpload, StoredObject,
    SystemInfo, UploadMode,
};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast as _;
use web_sys::Blob;

use super::{
    state::{self, Answer, Parts, Problem, Upload},
    transfer::{self, Ended},
};
use crate::{
    pages::storage::paths,
    remote::{self, Failure, Method},
};

/// Maximum size in bytes of a file that is sent whole. Larger files are sent in parts.
const MAX_WHOLE_BYTES: i64 = 16 << 20;
/// Maximum number of parts that are signed with one request.
const SIGNED_AT_ONCE: usize = 64;
/// Delays between attempts of one request.
const RETRY_MS: [u32; 2] = [1_000, 3_000];
/// Maximum number of names to try if the owner keeps both objects.
const MAX_NAMES: u32 = 1_000;

/// The reason why a file was not uploaded.
#[derive(Debug)]
pub(super) enum NotSent {
    Stopped,
    /// An object with this name exists, and the owner has not allowed to replace it.
    Exists,
    /// The server or the store no longer knows the upload in parts.
    Expired,
    Failed(Problem),
}

impl From<Failure> for NotSent {
    fn from(failure: Failure) -> Self {
        match failure.code() {
            Some("object_exists") => Self::Exists,
            Some("object_not_found") => Self::Expired,
            code => Self::Failed(Problem { text: failure.message(), is_limit: code == Some("object_too_large") }),
        }
    }
}

fn failed(text: impl Into<String>) -> NotSent {
    NotSent::Failed(Problem { text: text.into(), is_limit: false })
}

/// Uploads a file. If parts of it were sent before, sends only the others. If the store has lost these parts, sends the
/// whole file.
pub(super) async fn send(upload: &Upload) -> Result<(), NotSent> {
    let is_in_parts = upload.size > MAX_WHOLE_BYTES;
    if let Some(parts) = upload.parts.clone() {
        match send_parts(upload, parts, HashMap::new()).await {
            Err(NotSent::Expired) => {}
            Err(NotSent::Exists) if upload.answer == Answer::KeepBoth => abandon_parts(upload).await,
            result => return result,
        }
        state::change(upload.id, |upload| upload.parts = None);
    }
    for attempt in 0..MAX_NAMES {
        let path = if attempt == 0 { upload.path() } else { numbered(&upload.path(), attempt) };
        let result = if is_in_parts { begin_parts(upload, path).await } else { send_whole(upload, path).await };
        match result {
            Err(NotSent::Exists) if upload.answer == Answer::KeepBoth => abandon_parts(upload).await,
            result => return result,
        }
    }
    Err(failed("No free name was found. Rename the file and upload it again."))
}

/// Removes the parts of an upload that begins again under another name.
async fn abandon_parts(upload: &Upload) {
    if let Some(parts) = state::find(upload.id).and_then(|current| current.parts) {
        abort(upload, &parts).await;
        state::change(upload.id, |upload| upload.parts = None);
    }
}

/// Returns a path with a number before its extension: `a (1).png`.
fn numbered(path: &str, number: u32) -> String {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{folder}{slash}{stem} ({number}).{extension}"),
        _ => format!("{folder}{slash}{name} ({number})"),
    }
}

/// Returns the content type to store. Browsers don't know the types of some files.
fn content_type(upload: &Upload) -> String {
    let known = upload.file.type_();
    if known.is_empty() { "application/octet-stream".to_owned() } else { known }
}

async fn sign(upload: &Upload, path: String, mode: UploadMode) -> Result<SignedUpload, NotSent> {
    let replace = upload.answer == Answer::Replace;
    let request = SignUpload {
        bucket: String::new(),
        path,
        content_type: content_type(upload),
        max_size: None,
        size: Some(upload.size),
        upsert: replace,
        once: mode == UploadMode::Put && !replace,
        mode,
        part_size: None,
        part_count: (mode == UploadMode::Multipart).then_some(SIGNED_AT_ONCE as u32),
    };
    let path = format!("{}/signed-upload", upload.to.bucket_path());
    with_retries(upload, || remote::send(Method::Post, &path, &request)).await
}

/// Sends a request to the server, and repeats it up to twice if its failure is temporary and the session has not ended.
async fn with_retries<T, F: Future<Output = Result<T, Failure>>>(
    upload: &Upload,
    request: impl Fn() -> F,
) -> Result<T, NotSent> {
    for wait in RETRY_MS {
        match request().await {
            Err(failure) if failure.is_temporary() && failure != Failure::SignedOut => {
                let wait = failure.retry_after().map_or(wait, |seconds| seconds.saturating_mul(1000));
                TimeoutFuture::new(wait).await;
            }
            result => return result.map_err(NotSent::from),
        }
        if upload.stop.is_requested() {
            return Err(NotSent::Stopped);
        }
    }
    request().await.map_err(NotSent::from)
}

/// Sends a small file in one request.
async fn send_whole(upload: &Upload, path: String) -> Result<(), NotSent> {
    let signed = sign(upload, path.clone(), UploadMode::Put).await?;
    let body: &Blob = upload.file.unchecked_ref();
    let mut attempts = 0;
    loop {
        if upload.stop.is_requested() {
            return Err(NotSent::Stopped);
        }
        let id = upload.id;
        let ended =
            transfer::put(&signed.upload_url, &signed.headers, body, &upload.stop, |sent| state::set_sent(id, sent))
                .await;
        match ended {
            Ended::Stopped => return Err(NotSent::Stopped),
            Ended::Response { status: 200..=299, .. } if upload.stop.is_requested() => {
                // The upload completed before it could be stopped.
                if upload.answer != Answer::Replace {
                    let key = [("objectKey", Some(signed.object_key.as_str()))];
                    let path = crate::address::with_parameters(&format!("{}/objects", upload.to.bucket_path()), &key);
                    let _ = remote::delete(&path).await;
                }
                return Err(NotSent::Stopped);
            }
            Ended::Response { status: 200..=299, .. } => {
                // Reading the object makes the server count it at once.
                let path = paths::object(&upload.to.project, &upload.to.bucket, &path);
                let _ = remote::get_text(&path).await;
                return Ok(());
            }
            Ended::Response { status: 409 | 412, .. } => return Err(NotSent::Exists),
            Ended::Response { status, text, .. } if status < 500 => return Err(failed(refused(status, &text))),
            ended => {
                let Some(wait) = RETRY_MS.get(attempts) else {
                    return Err(failed(broken(&ended, &signed.upload_url).await));
                };
                attempts += 1;
                TimeoutFuture::new(*wait).await;
            }
        }
    }
}

async fn begin_parts(upload: &Upload, path: String) -> Result<(), NotSent> {
    let signed = sign(upload, path, UploadMode::Multipart).await?;
    let Some(multipart) = signed.multipart else { return Err(failed("The server did not sign the upload's parts.")) };
    let parts = Parts {
        object_key: signed.object_key,
        upload_id: multipart.upload_id,
        part_size: multipart.part_size,
        part_count: multipart.part_count,
        done: Vec::new(),
        done_bytes: 0,
    };
    state::set_parts(upload.id, parts.clone());
    if upload.stop.is_requested() {
        abort(upload, &parts).await;
        return Err(NotSent::Stopped);
    }
    let urls = multipart.parts.into_iter().map(|part| (part.part_number, part.upload_url)).collect();
    send_parts(upload, parts, urls).await
}

/// Sends the missing parts one after the other, then completes the upload.
async fn send_parts(upload: &Upload, mut parts: Parts, mut urls: HashMap<i32, String>) -> Result<(), NotSent> {
    let missing: Vec<i32> =
        (1..=parts.part_count).filter(|number| parts.done.iter().all(|part| part.part_number != *number)).collect();
    for (position, number) in missing.iter().copied().enumerate() {
        if !urls.contains_key(&number) {
            let next = missing.iter().skip(position).take(SIGNED_AT_ONCE).copied().collect();
            urls.extend(sign_parts(upload, &parts, next).await?);
        }
        let url = urls.remove(&number).unwrap_or_default();
        let part = send_part(upload, &parts, number, url).await?;
        let start = i64::from(number - 1) * parts.part_size;
        parts.done_bytes += parts.part_size.min(upload.size - start);
        parts.done.push(part);
        state::change(upload.id, |current| current.parts = Some(parts.clone()));
        state::set_sent(upload.id, parts.done_bytes);
    }
    parts.done.sort_by_key(|part| part.part_number);
    let request = CompleteUpload { object_key: parts.object_key, upload_id: parts.upload_id, parts: parts.done };
    let path = format!("{}/multipart/complete", upload.to.bucket_path());
    let completed: Result<StoredObject, NotSent> =
        with_retries(upload, || remote::send(Method::Post, &path, &request)).await;
    completed.map(drop)
}

async fn sign_parts(upload: &Upload, parts: &Parts, part_numbers: Vec<i32>) -> Result<HashMap<i32, String>, NotSent> {
    let (object_key, upload_id) = (parts.object_key.clone(), parts.upload_id.clone());
    let request = SignParts { object_key, upload_id, part_numbers };
    let path = format!("{}/multipart/parts", upload.to.bucket_path());
    let signed: SignedParts = with_retries(upload, || remote::send(Method::Post, &path, &request)).await?;
    Ok(signed.parts.into_iter().map(|part| (part.part_number, part.upload_url)).collect())
}

async fn send_part(upload: &Upload, parts: &Parts, number: i32, mut url: String) -> Result<CompletedPart, NotSent> {
    let start = i64::from(number - 1) * parts.part_size;
    let end = (start + parts.part_size).min(upload.size);
    let body = upload.file.slice_with_f64_and_f64(start as f64, end as f64);
    let Ok(body) = body else { return Err(failed("The file can no longer be read. Choose it again.")) };
    let mut attempts = 0;
    loop {
        if upload.stop.is_requested() {
            return Err(NotSent::Stopped);
        }
        let (id, before) = (upload.id, parts.done_bytes);
        let headers = BTreeMap::new();
        let ended = transfer::put(&url, &headers, &body, &upload.stop, |sent| state::set_sent(id, before + sent)).await;
        let why = match ended {
            Ended::Stopped => return Err(NotSent::Stopped),
            Ended::Response { status: 200..=299, etag: Some(etag), .. } => {
                return Ok(CompletedPart { part_number: number, etag });
            }
            Ended::Response { status: 200..=299, etag: None, .. } => {
                return Err(failed(
                    "Uploads in parts need the header ETag, which the store hides from browsers. Expose it in the \
                     store's CORS rules.",
                ));
            }
            Ended::Response { status: 404, .. } => return Err(NotSent::Expired),
            Ended::Response { status, ref text, .. } => refused(status, text),
            Ended::Broken => broken(&ended, &url).await,
        };
        let Some(wait) = RETRY_MS.get(attempts) else {
            let (count, tries) = (parts.part_count, RETRY_MS.len() + 1);
            return Err(failed(format!("Part {number} of {count} failed {tries} times. {why}")));
        };
        attempts += 1;
        TimeoutFuture::new(*wait).await;
        // The signature may have expired.
        if let Some(signed) = sign_parts(upload, parts, vec![number]).await?.remove(&number) {
            url = signed;
        }
    }
}

/// Removes the parts of an upload that will not be completed. If the server does not remove them, the upload appears in
/// the list of unfinished uploads.
pub(super) async fn abort(upload: &Upload, parts: &Parts) {
    let request = AbortUpload { object_key: parts.object_key.clone(), upload_id: parts.upload_id.clone() };
    let path = format!("{}/multipart/abort", upload.to.bucket_path());
    let aborted: Result<(), Failure> = remote::send(Method::Post, &path, &request).await;
    if aborted.is_err() {
        state::leave_unfinished(&parts.upload_id);
    }
}

/// Returns why the store refused a request, with the message of the store.
fn refused(status: u16, text: &str) -> String {
    let message =
        text.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>")).map(|(message, _)| message);
    match message {
        Some(message) => format!("The store refused the file: {message} (HTTP {status})"),
        None => format!("The store refused the file with HTTP {status}."),
    }
}

/// Returns why a request to the store failed, in a sentence.
async fn broken(ended: &Ended, url: &str) -> String {
    if let Ended::Response { status, .. } = ended {
        return format!("The store responded with HTTP {status}.");
    }
    let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let is_online = web_sys::window().is_none_or(|window| window.navigator().on_line());
    let system: Option<SystemInfo> = if is_online { remote::get("/system").await.ok() } else { None };
    match system {
        Some(system) if system.store.reachable => {
            format!("The browser could not reach the store at {origin}. Check ATLASHUB_S3_PUBLIC_ENDPOINT.")
        }
        Some(_) => format!("The store at {origin} does not respond."),
        None => "The connection was lost.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_before_the_extension() {
        for (path, expected) in [
            ("a.png", "a (1).png"),
            ("notes/a.tar.gz", "notes/a.tar (1).gz"),
            ("a", "a (1)"),
            ("v1.2/a", "v1.2/a (1)"),
            (".env", ".env (1)"),
        ] {
            assert_eq!(numbered(path, 1), expected);
        }
    }

    #[test]
    fn unknown_upload_is_recognized_by_the_error_code() {
        let refused = |code: &str| Failure::Refused {
            status: 404,
            code: code.to_owned(),
            message: "Gone.".to_owned(),
            hint: None,
            request_id: None,
            details: None,
            retry_after: None,
        };
        assert!(matches!(NotSent::from(refused("object_not_found")), NotSent::Expired));
        assert!(matches!(NotSent::from(refused("not_found")), NotSent::Failed(_)));
    }

    #[test]
    fn refusal_uses_the_stores_message() {
        assert_eq!(
            refused(403, "<Error><Message>Expired</Message></Error>"),
            "The store refused the file: Expired (HTTP 403)"
        );
        assert_eq!(refused(403, ""), "The store refused the file with HTTP 403.");
    }
}
