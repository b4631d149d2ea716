//! The button "Restore from a file": uploads an archive from the browser directly to the store, and opens its plan.

use api_types::{PlanUploadRestore, Restore, SignRestoreUpload, SignedRestoreUpload};
use dioxus::prelude::*;

use super::restore_address;
use crate::{
    address, dom,
    pages::storage::upload::{Stop, chosen_files, send_file},
    remote::{self, Method},
    ui::{Icon, IconName, Mark, Shape},
};

const FIELD: &str = "restore-file";

#[component]
pub(in crate::pages) fn UploadArchive(project: String) -> Element {
    let mut sent = use_signal(|| None::<(i64, i64)>);
    let mut failure = use_signal(|| None::<String>);
    let begin = move |event: FormEvent| {
        let Some(file) = chosen_files(&event).into_iter().next() else { return };
        let project = project.clone();
        spawn(async move {
            failure.set(None);
            sent.set(Some((0, file.size() as i64)));
            match plan_from(&project, &file, move |bytes| sent.set(Some((bytes, file_size(sent()))))).await {
                Ok(restore) => {
                    remote::forget("/restores");
                    address::go(&restore_address(&project, &restore.id));
                }
                Err(problem) => failure.set(Some(problem)),
            }
            sent.set(None);
        });
    };
    let share = sent().map(|(done, total)| if total > 0 { done * 100 / total } else { 0 });
    rsx! {
        span { class: "row wrap",
            if let Some(failure) = failure() {
                span { class: "row", role: "alert", Mark { shape: Shape::Failed } "{failure}" }
            }
            input { id: FIELD, class: "sr", r#type: "file", tabindex: "-1", "aria-hidden": "true", onchange: begin }
            button {
                class: "btn",
                r#type: "button",
                disabled: share.is_some(),
                onclick: |_| {
                    if let Some(field) = dom::find(&format!("#{FIELD}")) {
                        field.click();
                    }
                },
                Icon { name: IconName::Upload }
                match share {
                    Some(share) => rsx! { "Uploading, {share} %" },
                    None => rsx! { "Restore from a file" },
                }
            }
        }
    }
}

fn file_size(sent: Option<(i64, i64)>) -> i64 {
    sent.map_or(0, |(_, size)| size)
}

/// Uploads an archive and plans its restore.
async fn plan_from(project: &str, file: &web_sys::File, on_sent: impl FnMut(i64)) -> Result<Restore, String> {
    let request =
        SignRestoreUpload { project_id: project.to_owned(), file_name: file.name(), size_bytes: file.size() as i64 };
    let signed: SignedRestoreUpload =
        remote::send(Method::Post, "/restores/uploads", &request).await.map_err(|failure| failure.message())?;
    send_file(&signed.upload_url, &signed.headers, file, &Stop::default(), on_sent).await?;
    let plan = PlanUploadRestore { project_id: project.to_owned(), upload_id: signed.upload_id, identity: None };
    remote::send(Method::Post, "/restores", &plan).await.map_err(|failure| failure.message())
}
