//! Uploads archives directly to the store, and plans their restores. An upload continues while other pages are open.

use std::{collections::HashMap, rc::Rc};

use api_types::{PlanUploadRestore, Restore, SignRestoreUpload, SignedRestoreUpload};
use dioxus::prelude::*;
use web_sys::File;

use super::restore_address;
use crate::{
    address, dom,
    pages::storage::upload::{Stop, UploadKind, ask_before_closing, send_file},
    remote::{self, Failure, Method},
    ui::messages,
};

/// Id of the file field, which is on the page while the button "Restore from a file" is.
pub(super) const FIELD: &str = "restore-file";

/// An archive that the owner chose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Archive {
    pub(super) file: File,
    pub(super) is_encrypted: bool,
    /// Id of its upload, once a URL was signed.
    pub(super) upload: Option<String>,
}

/// The reason why no plan was created.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) message: String,
    /// The archive, if another attempt may succeed. A finished upload is not repeated.
    pub(super) repeatable: Option<Archive>,
}

/// The state of an upload.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// The archive is being uploaded, or its restore is being planned.
    Running,
    Failed(Problem),
    /// The id of the planned restore, which the page opens next.
    Planned(String),
}

/// The upload of an archive.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    sent: i64,
    size: i64,
    stop: Rc<Stop>,
    pub(super) state: State,
}

impl Upload {
    /// Returns the part of the archive that was sent, in percent.
    pub(super) fn percent(&self) -> i64 {
        if self.size > 0 { self.sent * 100 / self.size } else { 0 }
    }
}

/// The upload of each project.
static UPLOADS: GlobalSignal<HashMap<String, Upload>> = Signal::global(HashMap::new);

/// Returns the upload of a project, and subscribes the caller.
pub(super) fn find(project: &str) -> Option<Upload> {
    UPLOADS.read().get(project).cloned()
}

/// Starts to upload an archive, unless it is in storage already, and then plans its restore.
pub(super) fn start(project: &str, archive: Archive, identity: Option<String>) {
    cancel(project);
    let stop = Rc::<Stop>::default();
    let size = archive.file.size() as i64;
    let upload = Upload { sent: 0, size, stop: stop.clone(), state: State::Running };
    UPLOADS.write().insert(project.to_owned(), upload);
    update_closing_warning();
    let project = project.to_owned();
    dioxus::core::spawn_forever(async move {
        let on_sent = |sent| change(&project, |upload| upload.sent = sent);
        let planned = plan_from(&project, archive, identity, &stop, on_sent).await;
        if stop.is_requested() {
            if let Ok(restore) = planned {
                // Without this, a plan that the owner does not want stays in the list until it expires.
                let _ = remote::delete(&format!("/restores/{}?state=planned", restore.id)).await;
                remote::forget("/restores");
            }
            return;
        }
        match planned {
            Ok(restore) => {
                remote::forget("/restores");
                finish(&project, restore.id);
            }
            Err(problem) => {
                if !is_shown(&project) {
                    messages::show_failure(format!("Restore from a file: {}", problem.message));
                }
                change(&project, |upload| upload.state = State::Failed(problem));
            }
        }
        update_closing_warning();
    });
}

/// Stops the upload of a project, and forgets it.
pub(super) fn cancel(project: &str) {
    let found = UPLOADS.peek().get(project).map(|upload| upload.stop.clone());
    if let Some(stop) = found {
        UPLOADS.write().remove(project);
        stop.stop();
        update_closing_warning();
    }
}

/// Lets the page open the plan. If another page is open, shows a message with a link to the plan.
fn finish(project: &str, restore: String) {
    if is_shown(project) {
        change(project, |upload| upload.state = State::Planned(restore));
    } else {
        UPLOADS.write().remove(project);
        let to = restore_address(project, &restore);
        messages::show_with_link("The archive was uploaded", to, "Open plan");
    }
}

/// Returns whether the page shows the upload of a project.
fn is_shown(project: &str) -> bool {
    address::path() == format!("/projects/{project}/database") && dom::find(&format!("#{FIELD}")).is_some()
}

fn change(project: &str, change: impl FnOnce(&mut Upload)) {
    let mut uploads = UPLOADS.write();
    if let Some(upload) = uploads.get_mut(project) {
        change(upload);
    }
}

fn update_closing_warning() {
    let is_sending = UPLOADS.peek().values().any(|upload| upload.state == State::Running);
    ask_before_closing(UploadKind::Archives, is_sending);
}

async fn plan_from(
    project: &str,
    mut archive: Archive,
    identity: Option<String>,
    stop: &Stop,
    on_sent: impl FnMut(i64),
) -> Result<Restore, Problem> {
    match sign(project, &archive).await {
        Ok(signed) => {
            archive.upload = Some(signed.upload_id);
            let sent = send_file(&signed.upload_url, &signed.headers, &archive.file, stop, on_sent).await;
            if let Err(message) = sent {
                return Err(Problem { message, repeatable: Some(archive) });
            }
        }
        // The archive has arrived in an earlier attempt.
        Err(failure) if archive.upload.is_some() && failure.code() == Some("conflict") => {}
        Err(failure) => return Err(archive.not_planned(&failure)),
    }
    let upload_id = archive.upload.clone().unwrap_or_default();
    let plan = PlanUploadRestore { project_id: project.to_owned(), upload_id, identity };
    remote::send(Method::Post, "/restores", &plan).await.map_err(|failure| archive.not_planned(&failure))
}

/// Signs the upload of an archive. After a failed attempt, signs the same upload again.
async fn sign(project: &str, archive: &Archive) -> Result<SignedRestoreUpload, Failure> {
    if let Some(upload) = &archive.upload {
        return remote::send(Method::Post, &format!("/restores/uploads/{upload}/sign"), &serde_json::json!({})).await;
    }
    let file = &archive.file;
    let request =
        SignRestoreUpload { project_id: project.to_owned(), file_name: file.name(), size_bytes: file.size() as i64 };
    remote::send(Method::Post, "/restores/uploads", &request).await
}

impl Archive {
    /// Returns the problem for a request that failed. An uploaded encrypted archive can always be tried again, because
    /// another identity may open it.
    fn not_planned(self, failure: &Failure) -> Problem {
        let can_repeat = failure.is_temporary() || (self.is_encrypted && self.upload.is_some());
        Problem { message: failure.message(), repeatable: can_repeat.then_some(self) }
    }
}
