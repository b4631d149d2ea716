//! Actions on an export: download its file, copy a link, cancel, delete.

use api_types::{Export, ExportDownload, ExportState, Run};
use dioxus::prelude::*;

use crate::{
    address, clipboard, dom,
    remote::{self, Failure, Method},
    text,
    ui::{Confirm, messages},
};

/// Discards the cached exports and runs, so that they are read again.
pub(super) fn refresh() {
    remote::forget("/exports");
    remote::forget("/runs");
}

async fn sign(export: &str) -> Result<ExportDownload, Failure> {
    remote::send(Method::Post, &format!("/exports/{export}/download"), &serde_json::json!({})).await
}

/// Downloads the file of an export.
pub(super) fn download(export: &str) {
    let export = export.to_owned();
    spawn(async move {
        match sign(&export).await {
            Ok(signed) => dom::download(&signed.download_url),
            Err(failure) => messages::show_failure(failure.message()),
        }
    });
}

/// Copies a link with which anyone can download the file until the link expires.
pub(super) fn copy_link(export: &str) {
    let export = export.to_owned();
    spawn(async move {
        match sign(&export).await {
            Ok(signed) if clipboard::copy(&signed.download_url).await => {
                let lifetime = text::duration_in_words(chrono::Duration::seconds(signed.expires_in as i64));
                messages::show(format!("Copied. Anyone with the link can download the file for {lifetime}."));
            }
            Ok(_) => messages::show_failure(clipboard::REFUSED),
            Err(failure) => messages::show_failure(failure.message()),
        }
    });
}

/// Cancels the run of an export.
pub(super) fn cancel(export: &Export) {
    let path = format!("/runs/{}/cancel", export.run_id);
    spawn(async move {
        let sent = remote::send::<_, Run>(Method::Post, &path, &serde_json::json!({})).await;
        refresh();
        if let Err(failure) = sent {
            messages::show_failure(failure.message());
        }
    });
}

/// Asks whether to delete an export with its file.
#[component]
pub(super) fn DeleteExport(export: Export, on_close: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let description = match export.state {
        ExportState::Running => "The export is cancelled, and no file is created.".to_owned(),
        ExportState::Ready => format!(
            "{} ({}) will be deleted. Links to it stop working.",
            export.file_name,
            text::bytes(export.size_bytes)
        ),
        ExportState::Failed | ExportState::Cancelled => "It has no file. Its run and the run's log stay.".to_owned(),
    };
    let id = export.id;
    rsx! {
        Confirm {
            act: "Delete export",
            description,
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let id = id.clone();
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&format!("/exports/{id}")).await {
                        Ok(()) => {
                            messages::show("Export deleted");
                            if address::parameter(super::PARAMETER).as_ref() == Some(&id) {
                                address::replace_parameter(super::PARAMETER, None);
                            }
                            refresh();
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}
