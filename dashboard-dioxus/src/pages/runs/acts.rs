//! The buttons that cancel and repeat a run.

use api_types::{Run, RunStarted, RunStatus};
use dioxus::prelude::*;

use crate::{
    address,
    cancel_run::CancelRun,
    remote::{self, Method},
    ui::{Icon, IconName, messages},
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
            "aria-disabled": busy() || active,
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
            CancelRun {
                run: run.id.clone(),
                plugin: run.plugin.clone(),
                plugin_job: run.plugin_job.clone(),
                is_queued: run.status == RunStatus::Queued,
                on_cancelled: move |()| asks.set(false),
                on_close: move |()| asks.set(false),
            }
        }
    }
}
