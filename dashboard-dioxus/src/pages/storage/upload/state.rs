//! The state of all uploads of this tab.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
};

use api_types::CompletedPart;
use dioxus::prelude::*;
use web_sys::{File, XmlHttpRequest};

/// Interval at which the rate of an upload is measured.
const RATE_SAMPLE_MS: f64 = 500.0;

/// The folder that files are uploaded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Destination {
    pub(in super::super) project: String,
    pub(in super::super) bucket: String,
    /// Folder, empty or with a slash at its end.
    pub(in super::super) folder: String,
}

impl Destination {
    /// Returns the bucket's path in the admin API.
    pub(super) fn bucket_path(&self) -> String {
        format!("/projects/{}/buckets/{}", self.project, self.bucket)
    }
}

/// The action if an object with the name exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Ask,
    Replace,
    KeepBoth,
    Skip,
}

/// The object that already has the name. Its fields are `None` if it could not be read, or need not be shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Existing {
    pub(super) size: Option<i64>,
    pub(super) changed: Option<chrono::DateTime<chrono::Utc>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    Waiting,
    Sending,
    /// An object with the name exists, and the owner is asked to choose an [`Answer`].
    Asking(Existing),
    Done,
    Failed(Problem),
}

/// The reason why an upload failed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) text: String,
    /// Whether the file exceeds the bucket's limit, which can be changed on the bucket's tab "Access".
    pub(super) is_limit: bool,
}

/// A multipart upload that has begun.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parts {
    pub(super) object_key: String,
    pub(super) upload_id: String,
    pub(super) part_size: i64,
    pub(super) part_count: i32,
    pub(super) done: Vec<CompletedPart>,
    pub(super) done_bytes: i64,
}

/// Stops an upload, even while a request is in flight.
#[derive(Debug, Default)]
pub struct Stop {
    requested: Cell<bool>,
    request: RefCell<Option<XmlHttpRequest>>,
}

impl Stop {
    pub fn is_requested(&self) -> bool {
        self.requested.get()
    }

    pub(super) fn set_request(&self, request: Option<XmlHttpRequest>) {
        self.request.replace(request);
    }

    pub fn stop(&self) {
        self.requested.set(true);
        if let Some(request) = self.request.take() {
            let _ = request.abort();
        }
    }
}

/// A file to upload, and its progress.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) id: u32,
    /// Number shared by all files that were added together.
    pub(super) batch: u32,
    pub(super) to: Destination,
    /// Path below the destination's folder; a plain name unless a folder is uploaded.
    pub(super) name: String,
    pub(super) file: File,
    pub(super) size: i64,
    pub(super) sent: i64,
    pub(super) status: Status,
    pub(super) answer: Answer,
    pub(super) parts: Option<Parts>,
    pub(super) stop: Rc<Stop>,
    /// Bytes per second; zero until it is known.
    pub(super) rate: f64,
    sampled_at: f64,
    sampled_bytes: i64,
}

impl Upload {
    pub(super) fn new(id: u32, batch: u32, to: Destination, name: String, file: File) -> Self {
        Self {
            id,
            batch,
            to,
            name,
            size: file.size() as i64,
            file,
            sent: 0,
            status: Status::Waiting,
            answer: Answer::Ask,
            parts: None,
            stop: Rc::default(),
            rate: 0.0,
            sampled_at: 0.0,
            sampled_bytes: 0,
        }
    }

    /// Returns the path in the bucket.
    pub(super) fn path(&self) -> String {
        format!("{}{}", self.to.folder, self.name)
    }

    /// Returns the progress in percent. Only a completed upload has 100.
    pub(super) fn percent(&self) -> i64 {
        match self.status {
            Status::Done => 100,
            _ if self.size == 0 => 0,
            _ => (self.sent * 100 / self.size).clamp(0, 99),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.status, Status::Done | Status::Failed(_))
    }

    fn note_sent(&mut self, sent: i64) {
        self.sent = sent.min(self.size);
        let now = js_sys::Date::now();
        let elapsed = now - self.sampled_at;
        if self.sampled_at == 0.0 || sent < self.sampled_bytes {
            (self.sampled_at, self.sampled_bytes) = (now, sent);
        } else if elapsed >= RATE_SAMPLE_MS {
            let rate = (sent - self.sampled_bytes) as f64 * 1000.0 / elapsed;
            self.rate = if self.rate == 0.0 { rate } else { self.rate * 0.6 + rate * 0.4 };
            (self.sampled_at, self.sampled_bytes) = (now, sent);
        }
    }

    /// Prepares a new attempt.
    pub(super) fn restart(&mut self) {
        (self.rate, self.sampled_at, self.sampled_bytes) = (0.0, 0.0, 0);
        self.stop = Rc::default();
    }
}

/// The uploads of this tab.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// All uploads, except those that were cancelled, skipped, or removed when the dock was closed.
    pub(super) list: Vec<Upload>,
    pub(super) next_id: u32,
    /// Answers of the owner that apply to all conflicts of a batch, by the number of the batch.
    pub(super) decided: HashMap<u32, Answer>,
    pub(super) folded: bool,
    /// Ids of the uploads in parts that this tab began, except those that it failed to abort. Each is in the list, or
    /// completed, or aborted.
    pub(super) begun: HashSet<String>,
}

pub(super) static UPLOADS: GlobalSignal<Uploads> = Signal::global(Uploads::default);

/// Returns a copy of an upload, if it was not cancelled.
pub(super) fn find(id: u32) -> Option<Upload> {
    UPLOADS.peek().list.iter().find(|upload| upload.id == id).cloned()
}

/// Records that an upload in parts has begun.
pub(super) fn set_parts(id: u32, parts: Parts) {
    let mut uploads = UPLOADS.write();
    uploads.begun.insert(parts.upload_id.clone());
    if let Some(upload) = uploads.list.iter_mut().find(|upload| upload.id == id) {
        upload.parts = Some(parts);
    }
}

/// Records that the store may still have the parts of an upload that was removed from the list.
pub(super) fn leave_unfinished(upload_id: &str) {
    UPLOADS.write().begun.remove(upload_id);
}

/// Returns whether this tab began an upload in parts, and did not fail to abort it. Subscribes the caller.
pub(in super::super) fn was_begun_here(upload_id: &str) -> bool {
    UPLOADS.read().begun.contains(upload_id)
}

/// Changes an upload, unless it was cancelled.
pub(super) fn change(id: u32, change: impl FnOnce(&mut Upload)) {
    let mut uploads = UPLOADS.write();
    if let Some(upload) = uploads.list.iter_mut().find(|upload| upload.id == id) {
        change(upload);
    }
}

pub(super) fn set_status(id: u32, status: Status) {
    change(id, |upload| upload.status = status);
}

/// Records the number of bytes that have been sent.
pub(super) fn set_sent(id: u32, sent: i64) {
    change(id, |upload| upload.note_sent(sent));
}

/// Removes an upload from the list.
pub(super) fn remove(id: u32) {
    UPLOADS.write().list.retain(|upload| upload.id != id);
}
