//! The queue of uploads: adds, starts, cancels and repeats them.

use api_types::ObjectDetail;
use dioxus::prelude::ReadableExt as _;

use super::{
    closing::{UploadKind, ask_before_closing},
    files::Picked,
    send::{self, NotSent},
    state::{self, Answer, Destination, Existing, Problem, Status, UPLOADS, Upload},
};
use crate::{pages::storage::paths, remote};

/// Maximum number of files that are sent at the same time.
const MAX_CONCURRENT: usize = 3;
/// Minimum time between two refreshes of lists while files arrive.
const REFRESH_MS: f64 = 1_000.0;

/// Adds files to the queue.
pub(in super::super) fn add(to: &Destination, files: Vec<Picked>) {
    {
        let mut uploads = UPLOADS.write();
        let batch = uploads.next_id;
        for Picked { name, file } in files {
            let id = uploads.next_id;
            uploads.next_id += 1;
            uploads.list.push(Upload::new(id, batch, to.clone(), name, file));
        }
        uploads.next_id += 1;
        uploads.folded = false;
    }
    start_next();
}

/// Starts uploads while fewer than [`MAX_CONCURRENT`] are in flight.
fn start_next() {
    loop {
        let next = {
            let uploads = UPLOADS.peek();
            let sending = uploads.list.iter().filter(|upload| upload.status == Status::Sending).count();
            let waiting = uploads.list.iter().find(|upload| upload.status == Status::Waiting);
            waiting.filter(|_| sending < MAX_CONCURRENT).map(|upload| upload.id)
        };
        let Some(id) = next else { break };
        state::set_status(id, Status::Sending);
        dioxus::core::spawn_forever(run(id));
    }
    let is_busy = UPLOADS.peek().list.iter().any(|upload| !upload.is_over());
    ask_before_closing(UploadKind::Objects, is_busy);
}

async fn run(id: u32) {
    let Some(upload) = state::find(id) else { return };
    let result = send::send(&upload).await;
    // This copy includes the parts that were sent in the meantime.
    let current = state::find(id).unwrap_or_else(|| upload.clone());
    match result {
        Ok(()) => {
            state::change(id, |upload| {
                upload.sent = upload.size;
                upload.status = Status::Done;
                upload.parts = None;
            });
        }
        Err(NotSent::Stopped) => {
            if let Some(parts) = &current.parts {
                send::abort(&upload, parts).await;
            }
            state::remove(id);
        }
        Err(NotSent::Exists) => {
            if let Some(parts) = &current.parts {
                send::abort(&upload, parts).await;
            }
            state::change(id, |upload| {
                upload.parts = None;
                upload.sent = 0;
            });
            let decided = || UPLOADS.peek().decided.get(&upload.batch).copied();
            let existing = if decided().is_some() { Existing::default() } else { existing(&upload).await };
            // The owner may have cancelled the upload, or decided about all conflicts, in the meantime.
            match decided() {
                _ if upload.stop.is_requested() => state::remove(id),
                Some(answer) => decide(id, answer),
                None => state::set_status(id, Status::Asking(existing)),
            }
        }
        Err(NotSent::Expired) => {
            state::change(id, |upload| upload.parts = None);
            let text =
                "The upload was aborted elsewhere, or has expired. Retry to send the file from the start.".to_owned();
            state::set_status(id, Status::Failed(Problem { text, is_limit: false }));
        }
        Err(NotSent::Failed(problem)) => state::set_status(id, Status::Failed(problem)),
    }
    // Also after a failure: earlier files may not be listed yet.
    refresh_lists(&upload.to);
    start_next();
}

/// Reads the object that already has the name.
async fn existing(upload: &Upload) -> Existing {
    let path = paths::object(&upload.to.project, &upload.to.bucket, &upload.path());
    match remote::get::<ObjectDetail>(&path).await {
        Ok(detail) => Existing { size: Some(detail.object.size), changed: detail.object.last_modified },
        Err(_) => Existing::default(),
    }
}

fn decide(id: u32, answer: Answer) {
    if answer == Answer::Skip {
        state::remove(id);
        return;
    }
    state::change(id, |upload| {
        upload.answer = answer;
        upload.status = Status::Waiting;
        upload.restart();
    });
}

/// Applies the owner's answer to one conflict, or to all conflicts of its batch.
pub(super) fn answer(id: u32, answer: Answer, for_all: bool) {
    let batch = state::find(id).map(|upload| upload.batch);
    if let Some(batch) = batch.filter(|_| for_all) {
        UPLOADS.write().decided.insert(batch, answer);
        let asking: Vec<u32> = {
            let uploads = UPLOADS.peek();
            let is_asked = |upload: &&Upload| upload.batch == batch && matches!(upload.status, Status::Asking(_));
            uploads.list.iter().filter(is_asked).map(|upload| upload.id).collect()
        };
        for id in asking {
            decide(id, answer);
        }
    }
    decide(id, answer);
    start_next();
}

/// Stops an upload and deletes its parts from the store.
pub(super) fn cancel(id: u32) {
    let Some(upload) = state::find(id) else { return };
    if upload.status == Status::Sending {
        upload.stop.stop();
        return;
    }
    state::remove(id);
    if let Some(parts) = upload.parts.clone() {
        dioxus::core::spawn_forever(async move { send::abort(&upload, &parts).await });
    }
    start_next();
}

/// Stops every upload that is not done, and removes those that failed.
pub(super) fn cancel_all() {
    let ids: Vec<u32> =
        UPLOADS.peek().list.iter().filter(|upload| upload.status != Status::Done).map(|upload| upload.id).collect();
    // Waiting uploads first, so that none of them starts.
    for id in ids.iter().rev() {
        cancel(*id);
    }
}

/// Sends a failed upload again. An upload in parts continues with its first missing part.
pub(super) fn retry(id: u32) {
    state::change(id, |upload| {
        upload.status = Status::Waiting;
        upload.restart();
    });
    start_next();
}

/// Removes ended uploads from the list, and the parts of failed ones from the store.
pub(super) fn clear() {
    let over: Vec<u32> = UPLOADS.peek().list.iter().filter(|upload| upload.is_over()).map(|upload| upload.id).collect();
    for id in over {
        cancel(id);
    }
    UPLOADS.write().decided.clear();
}

/// Discards the cached lists of objects: at most once a second while files are being sent or wait, and once more after
/// the last file.
fn refresh_lists(to: &Destination) {
    thread_local! {
        static REFRESHED_AT: std::cell::Cell<f64> = const { std::cell::Cell::new(0.0) };
    }
    let is_last = !UPLOADS.peek().list.iter().any(|upload| matches!(upload.status, Status::Sending | Status::Waiting));
    let now = js_sys::Date::now();
    if is_last || now - REFRESHED_AT.get() > REFRESH_MS {
        REFRESHED_AT.set(now);
        remote::forget(&format!("/projects/{}/buckets", to.project));
    }
}
