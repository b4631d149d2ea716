//! Sends the files of imports to the store. An upload continues while other pages are open.

use std::{collections::BTreeMap, rc::Rc};

use api_types::{CreateImport, ImportCreated, ImportFormat, ImportUpload};
use dioxus::prelude::*;
use web_sys::File;

use super::draft::{self, Draft};
use crate::{
    pages::storage::upload::{Stop, UploadKind, ask_before_closing, send_file},
    remote::{self, Failure, Method},
};

/// An upload that is running or failed.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    import: String,
    file: File,
    url: String,
    headers: BTreeMap<String, String>,
    stop: Rc<Stop>,
    pub(super) sent: i64,
    pub(super) size: i64,
    /// The reason why the upload failed. `None` while it is running.
    pub(super) problem: Option<String>,
}

static UPLOADS: GlobalSignal<Vec<Upload>> = Signal::global(Vec::new);

/// Returns the upload of an import's file, and subscribes the caller.
pub(super) fn find(import: &str) -> Option<Upload> {
    UPLOADS.read().iter().find(|upload| upload.import == import).cloned()
}

/// Creates an import and starts the upload of its file. Returns the import's id.
pub(super) async fn begin(
    project: &str,
    table: &str,
    file: File,
    format: ImportFormat,
    is_utf8: bool,
) -> Result<String, Failure> {
    let request = CreateImport {
        project_id: project.to_owned(),
        table: table.to_owned(),
        format,
        size_bytes: file.size() as i64,
        file_name: Some(file.name().chars().take(200).collect()),
    };
    let created: ImportCreated = remote::send(Method::Post, "/imports", &request).await?;
    let id = created.import.id.clone();
    remote::forget("/imports");
    start(&id, file, is_utf8, (created.upload_url, created.headers));
    Ok(id)
}

/// Uploads the file of an import whose upload was interrupted, for example by a reload of the page.
pub(super) async fn resume(import: &str, file: File, is_utf8: bool) -> Result<(), Failure> {
    match sign_again(import).await {
        Ok(signed) => start(import, file, is_utf8, (signed.upload_url, signed.headers)),
        // Another window has uploaded the file.
        Err(failure) if failure.code() == Some("conflict") => remote::forget("/imports"),
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// Starts a failed upload again, with another URL, because that of the first attempt may have expired.
pub(super) fn retry(import: &str) {
    change(import, |upload| {
        upload.problem = None;
        upload.sent = 0;
        upload.stop = Rc::default();
    });
    let import = import.to_owned();
    dioxus::core::spawn_forever(async move {
        match sign_again(&import).await {
            Ok(signed) => {
                change(&import, |upload| (upload.url, upload.headers) = (signed.upload_url, signed.headers));
                // The owner may have cancelled the upload in the meantime.
                let upload = UPLOADS.peek().iter().find(|upload| upload.import == import).cloned();
                if let Some(upload) = upload {
                    send(upload);
                }
            }
            // The file has arrived, although the connection was lost before the store's response.
            Err(failure) if failure.code() == Some("conflict") => {
                forget(&import);
                remote::forget("/imports");
            }
            Err(failure) => change(&import, |upload| upload.problem = Some(failure.message())),
        }
    });
}

async fn sign_again(import: &str) -> Result<ImportUpload, Failure> {
    remote::send(Method::Post, &format!("/imports/{import}/upload"), &serde_json::json!({})).await
}

/// Starts to send the file of an import to a signed URL with these headers.
fn start(import: &str, file: File, is_utf8: bool, (url, headers): (String, BTreeMap<String, String>)) {
    draft::prepare(import, &Draft { is_utf8: Some(is_utf8), ..Draft::default() });
    let upload = Upload {
        import: import.to_owned(),
        size: file.size() as i64,
        file,
        url,
        headers,
        stop: Rc::default(),
        sent: 0,
        problem: None,
    };
    UPLOADS.write().push(upload.clone());
    send(upload);
}

/// Stops an upload and deletes its import.
pub(super) async fn cancel(import: &str) -> Result<(), Failure> {
    forget(import);
    let removed = remote::delete(&format!("/imports/{import}")).await;
    remote::forget("/imports");
    match removed {
        Err(failure) if !failure.is_not_found() => Err(failure),
        _ => Ok(()),
    }
}

/// Stops an upload and forgets it.
fn forget(import: &str) {
    let found = UPLOADS.peek().iter().find(|upload| upload.import == import).map(|upload| upload.stop.clone());
    if let Some(stop) = found {
        UPLOADS.write().retain(|upload| upload.import != import);
        stop.stop();
    }
    update_closing_warning();
}

fn change(import: &str, change: impl FnOnce(&mut Upload)) {
    let mut uploads = UPLOADS.write();
    if let Some(upload) = uploads.iter_mut().find(|upload| upload.import == import) {
        change(upload);
    }
}

fn update_closing_warning() {
    let is_sending = UPLOADS.peek().iter().any(|upload| upload.problem.is_none());
    ask_before_closing(UploadKind::Imports, is_sending);
}

fn send(upload: Upload) {
    update_closing_warning();
    dioxus::core::spawn_forever(async move {
        let import = upload.import.clone();
        let on_sent = |sent| change(&import, |upload| upload.sent = sent);
        let ended = send_file(&upload.url, &upload.headers, &upload.file, &upload.stop, on_sent).await;
        match ended {
            Ok(()) => UPLOADS.write().retain(|upload| upload.import != import),
            Err(problem) => change(&import, |upload| upload.problem = Some(problem)),
        }
        update_closing_warning();
        remote::forget("/imports");
    });
}
