//! The buttons that cancel and repeat a run.

use api_types::{Run, RunStarted, RunStatus};
use dioxus::prelude::*;

use crate::{
    address,
    remote::{self, Method},
    ui::{Confirm, Icon, IconName, messages},
};

pub(super) fn is_active(run: &Run) -> bool {
    matches!(run.status, RunStatus::Queued | RunStatus::Running)
}

/// The buttons "Cancel run" and "Run again".
#[component]
pub(super) fn RunActs(run: Run) -> Element {
    let mut asks = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let active = is_active(&run);
    let path = format!("/runs/{}/again", run.id);
    let id = run.id.clone();
    rsx! {
        if active {
            button { class: "btn", r#type: "button", "data-act": "true", onclick: move |_| asks.set(true),
                Icon { name: IconName::Stop }
                "Cancel run"
            }
        }
        button {
            class: "btn",
            r#type: "button",
            "data-act": "true",
            disabled: busy() || active,
            title: if active { "The run has not ended" },
            onclick: move |_| {
                let (path, of) = (path.clone(), id.clone());
                spawn(async move {
                    busy.set(true);
                    match remote::send::<_, RunStarted>(Method::Post, &path, &serde_json::json!({})).await {
                        Ok(started) => {
                            remote::forget("/runs");
                            remote::forget("/jobs");
                            messages::show("Started again");
                            let to = format!("/runs/{}", started.run_id);
                            address::go(&address::with_parameters(&to, &[("again", Some(&of))]));
                        }
                        Err(refused) => messages::show_failure(refused.message()),
                    }
                    busy.set(false);
                });
            },
            Icon { name: IconName::Refresh }
            "Run again"
        }
        if asks() {
            CancelDialog { run, on_close: move |()| asks.set(false) }
        }
    }
}

#[component]
fn CancelDialog(run: Run, on_close: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let path = format!("/runs/{}/cancel", run.id);
    let description = match (run.status, run.plugin.as_str()) {
        (RunStatus::Queued, _) => "The run has not started yet. A cancelled run is not retried.",
        (_, "backup") => "The backup in progress is discarded. Completed backups stay.",
        (_, "http-job") => "The request is aborted. Changes that the server has already made are not undone.",
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
                    let sent = remote::send::<_, Run>(Method::Post, &path, &serde_json::json!({})).await;
                    remote::forget("/runs");
                    remote::forget("/jobs");
                    match sent {
                        Ok(_) => on_close.call(()),
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}
