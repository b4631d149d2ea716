//! The list of uploads in the corner of every page, with their progress.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    conflict::Conflict,
    queue,
    state::{Status, UPLOADS, Upload},
};
use crate::{
    focus, lazy, text,
    ui::{Icon, IconName, Link, Mark, Shape},
};

/// Maximum number of files in the list. The heading counts all files.
const MAX_LISTED: usize = 100;

/// Time after which the list folds itself once all files were uploaded, so that it does not cover the page.
const FOLD_AFTER_MS: u32 = 10_000;

/// The properties of an upload that the dock shows.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    id: u32,
    name: String,
    size: i64,
    sent: i64,
    percent: i64,
    rate: f64,
    status: Status,
    has_parts: bool,
    bucket: String,
}

impl From<&Upload> for Shown {
    fn from(upload: &Upload) -> Self {
        Self {
            id: upload.id,
            name: upload.name.clone(),
            size: upload.size,
            sent: upload.sent,
            percent: upload.percent(),
            rate: upload.rate,
            status: upload.status.clone(),
            has_parts: upload.parts.as_ref().is_some_and(|parts| !parts.done.is_empty()),
            bucket: format!("/projects/{}/storage/{}", upload.to.project, upload.to.bucket),
        }
    }
}

/// The uploads, docked in the corner of every page, and the question whether to replace an object.
#[component]
pub fn UploadDock() -> Element {
    if UPLOADS.read().list.is_empty() {
        return rsx! {};
    }
    // The pages that begin uploads are in the same module, so the module is already loaded.
    rsx! { lazy::UploadList {} }
}

#[component]
pub fn UploadList() -> Element {
    let uploads = UPLOADS.read();
    let total = uploads.list.len() as i64;
    let done = uploads.list.iter().filter(|upload| upload.status == Status::Done).count() as i64;
    let failed = uploads.list.iter().filter(|upload| matches!(upload.status, Status::Failed(_))).count() as i64;
    let is_busy = uploads.list.iter().any(|upload| !upload.is_over());
    let (sent, size) =
        uploads.list.iter().fold((0, 0), |(sent, size), upload| (sent + upload.sent, size + upload.size.max(1)));
    let mut shown: Vec<&Upload> = uploads.list.iter().collect();
    // A stable sort: within each rank the files stay in their order.
    shown.sort_by_key(|upload| match upload.status {
        Status::Sending | Status::Asking(_) | Status::Failed(_) => 0,
        Status::Waiting => 1,
        Status::Done => 2,
    });
    let shown: Vec<Shown> = shown.into_iter().take(MAX_LISTED).map(Shown::from).collect();
    let hidden = total - shown.len() as i64;
    let folded = uploads.folded;
    let mut words = format!("{} of {} done", text::number(done), text::number(total));
    if failed > 0 {
        words.push_str(&format!(", {} failed", text::number(failed)));
    }
    let is_finished = !is_busy && failed == 0;
    use_effect(use_reactive!(|is_finished| {
        if is_finished {
            spawn(async {
                TimeoutFuture::new(FOLD_AFTER_MS).await;
                let is_still_finished = UPLOADS.peek().list.iter().all(|upload| upload.status == Status::Done);
                if is_still_finished && !UPLOADS.peek().folded {
                    UPLOADS.write().folded = true;
                }
            });
        }
    }));
    let share = if is_busy { (sent * 100 / size.max(1)).clamp(0, 99) } else { 100 };
    rsx! {
        section { class: if folded { "dock uploads is-folded" } else { "dock uploads" }, "aria-label": "Uploads",
            header {
                strong { class: "grow cut",
                    "Uploads "
                    span { class: "muted label", role: "status", "{words}" }
                }
                if is_busy {
                    button {
                        class: "btn btn-ghost btn-s", r#type: "button", onclick: |_| queue::cancel_all(), "Cancel all"
                    }
                }
                button {
                    class: "btn btn-ghost btn-s btn-icon",
                    r#type: "button",
                    "aria-label": if folded { "Expand uploads" } else { "Collapse uploads" },
                    "aria-expanded": (!folded).to_string(),
                    onclick: move |_| UPLOADS.write().folded = !folded,
                    Icon { name: if folded { IconName::ChevronUp } else { IconName::ChevronDown } }
                }
                if !is_busy {
                    button {
                        class: "btn btn-ghost btn-s btn-icon",
                        r#type: "button",
                        "aria-label": "Close uploads",
                        onclick: |_| {
                            focus::hand_over("#main-content");
                            queue::clear();
                        },
                        Icon { name: IconName::Close }
                    }
                }
            }
            div { class: if failed > 0 { "bar all bad" } else { "bar all" }, style: "--p:{share}%", i {} }
            if !folded {
                ul {
                    for upload in shown {
                        UploadRow { key: "{upload.id}", upload }
                    }
                    if hidden > 0 {
                        li { class: "muted", "{text::count(hidden, \"more file\", \"more files\")}" }
                    }
                }
            }
        }
        Conflict {}
    }
}

#[component]
fn UploadRow(upload: Shown) -> Element {
    let id = upload.id;
    let name = &upload.name;
    let bar = match upload.status {
        Status::Done => "bar done",
        Status::Failed(_) => "bar bad",
        _ => "bar",
    };
    rsx! {
        li { class: if upload.status == Status::Done { "is-done" },
            div { class: "row cut",
                if upload.status == Status::Done {
                    Mark { shape: Shape::Succeeded }
                }
                span { class: "cut", title: "{name}", "{name}" }
            }
            div { class: "row row-1",
                match upload.status {
                    Status::Done => rsx! { span { class: "muted tab-nums", "{text::bytes(upload.size)}" } },
                    Status::Failed(_) => rsx! {
                        button {
                            class: "btn btn-ghost btn-s",
                            r#type: "button",
                            "aria-label": "Retry upload of {name}",
                            onclick: move |_| queue::retry(id),
                            if upload.has_parts { "Continue" } else { "Retry" }
                        }
                    },
                    _ => rsx! {},
                }
                if upload.status != Status::Done {
                    button {
                        class: "btn btn-ghost btn-s btn-icon",
                        r#type: "button",
                        "aria-label": "Cancel upload of {name}",
                        onclick: move |_| queue::cancel(id),
                        Icon { name: IconName::Close }
                    }
                }
            }
            div {
                class: "{bar}",
                role: "progressbar",
                "aria-label": "Uploading {name}",
                "aria-valuemin": "0",
                "aria-valuemax": "100",
                "aria-valuenow": "{upload.percent}",
                style: "--p:{upload.percent}%",
                i {}
            }
            {facts(&upload)}
        }
    }
}

fn facts(upload: &Shown) -> Element {
    match &upload.status {
        Status::Done => rsx! {},
        Status::Waiting => rsx! { p { class: "muted tab-nums", "Waiting · {text::bytes(upload.size)}" } },
        Status::Asking(_) => rsx! { p { class: "muted", "The name already exists." } },
        Status::Sending => {
            rsx! { p { class: "muted tab-nums", "{progress_in_words(upload.sent, upload.size, upload.rate)}" } }
        }
        Status::Failed(problem) => rsx! {
            p { class: "why", role: "alert",
                Mark { shape: Shape::Failed }
                span {
                    "{problem.text} "
                    if problem.is_limit {
                        Link { to: "{upload.bucket}?tab=access", class: "link", "Change the limit" }
                    }
                }
            }
        },
    }
}

/// Returns the progress as text, for example `148 MB of 240 MB · 4.6 MB/s · 20 s left`.
fn progress_in_words(sent: i64, size: i64, rate: f64) -> String {
    let mut words = format!("{} of {}", text::bytes(sent), text::bytes(size));
    if sent >= size && size > 0 {
        words.push_str(" · finishing");
    } else if rate >= 1.0 {
        let left = ((size - sent) as f64 / rate * 1000.0) as i64;
        words.push_str(&format!(" · {}/s · {} left", text::bytes(rate as i64), text::duration(left.max(1_000))));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_has_rate_and_time_once_they_are_known() {
        assert_eq!(progress_in_words(0, 2_000, 0.0), "0 B of 2.0 KB");
        assert_eq!(progress_in_words(148_000_000, 240_000_000, 4_600_000.0), "148 MB of 240 MB · 4.6 MB/s · 20 s left");
        assert_eq!(progress_in_words(5, 5, 0.0), "5 B of 5 B · finishing");
    }
}
