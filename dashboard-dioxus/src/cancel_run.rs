//! The dialog that asks before a run is cancelled, on the page of the run and in the list of running work.

use dioxus::prelude::*;

use crate::{
    remote::{self, Method},
    ui::Confirm,
};

/// The dialog "Cancel run". It says what is lost.
#[component]
pub fn CancelRun(
    /// Id of the run.
    run: String,
    plugin: String,
    /// The plugin's job that the run executes.
    plugin_job: String,
    /// Whether the run has not started yet.
    #[props(default)]
    is_queued: bool,
    /// Called once the server has accepted the request.
    on_cancelled: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let path = format!("/runs/{run}/cancel");
    let description = match (plugin.as_str(), plugin_job.as_str()) {
        _ if is_queued => "The run has not started yet. A cancelled run is not retried.",
        ("backup", "backup") => "The backup in progress is discarded. Completed backups stay.",
        ("backup", "verify") => "The backup that is being verified keeps its state. Results of other backups stay.",
        ("http-job", _) => "The request is aborted. Changes that the server has already made are not undone.",
        _ => "The run stops within a second. Its changes stay, unless the run undoes them.",
    };
    rsx! {
        Confirm {
            act: "Cancel run",
            description,
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let path = path.clone();
                spawn(async move {
                    busy.set(true);
                    let body = serde_json::json!({});
                    let sent: Result<serde_json::Value, _> = remote::send(Method::Post, &path, &body).await;
                    remote::forget("/runs");
                    remote::forget("/jobs");
                    match sent {
                        Ok(_) => on_cancelled.call(()),
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}
