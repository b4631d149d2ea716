//! Samples of lists, grids, states and other views of data, for the page of components.

use dioxus::prelude::*;

use super::Tile;
use crate::{
    remote::Failure,
    ui::{CopyButton, Empty, ErrorBox, LoadingTable, Mark, Shape},
};

const STATES: [(Shape, &str); 8] = [
    (Shape::Queued, "Queued"),
    (Shape::Running, "Running"),
    (Shape::Succeeded, "Succeeded"),
    (Shape::Failed, "Failed"),
    (Shape::TimedOut, "Timed out"),
    (Shape::Cancelled, "Cancelled"),
    (Shape::Skipped, "Skipped"),
    (Shape::Attention, "Needs attention"),
];

#[component]
pub(super) fn Marks() -> Element {
    rsx! {
        Tile { name: "State",
            div { class: "row row-4 wrap",
                for (shape, words) in STATES {
                    span { key: "{words}", class: "badge", Mark { shape } "{words}" }
                }
            }
        }
    }
}

#[component]
pub(super) fn Facts() -> Element {
    rsx! {
        Tile { name: "Facts, attention",
            div { class: "facts facts-fit",
                div { span { class: "k", "Databases" } span { class: "v", "3.4 GB" } span { class: "d", "4 projects" } }
                div {
                    span { class: "k", "Runs in 24 h" }
                    span { class: "v", "128" }
                    span { class: "d", Mark { shape: Shape::Failed } "2 failed" }
                }
            }
            ul { class: "items", "aria-label": "Sample items",
                li { class: "item",
                    Mark { shape: Shape::Failed }
                    div { h3 { "Nightly backup failed 3 times since 02:00:00" } p { "notebook · The store is full." } }
                    div { class: "acts", button { class: "btn btn-s", r#type: "button", "Open sample run" } }
                }
            }
            div {
                class: "well", role: "status", Mark { shape: Shape::Succeeded }
                span { strong { "All is well." } " 4 projects." }
            }
        }
    }
}

#[component]
pub(super) fn List() -> Element {
    rsx! {
        Tile { name: "List",
            table { class: "table", "aria-label": "Sample list",
                thead { tr { th { "Name" } th { "State" } th { class: "num", "Took" } } }
                tbody {
                    for (index, (shape, words)) in STATES.into_iter().take(4).enumerate() {
                        tr {
                            key: "{words}", "aria-selected": if index == 1 { "true" },
                            class: if index == 3 { "is-off" },
                            td { class: "name", "Nightly backup" }
                            td { span { class: "badge", Mark { shape } "{words}" } }
                            td { class: "num", "{index + 1}.0 s" }
                        }
                    }
                }
            }
        }
    }
}

#[component]
pub(super) fn Cards() -> Element {
    rsx! {
        Tile { name: "Cards",
            ul { class: "cards", "aria-label": "Sample cards",
                li { class: "card", h3 { "notebook" } p { "812 MB · last good backup 3 h ago" } }
                li { class: "card", h3 { "shop" } p { "2.1 GB · 2 failed runs" } }
            }
        }
    }
}

#[component]
pub(super) fn GridSample() -> Element {
    rsx! {
        Tile { name: "Data grid",
            div { class: "grid-wrap", tabindex: "0", role: "region", "aria-label": "Sample grid",
                table { class: "grid", "aria-label": "Sample rows",
                    thead {
                        tr {
                            th { class: "num", "id" span { class: "type", "int8" } }
                            th { "title" span { class: "type", "text" } }
                            th { class: "num", "price" span { class: "type", "numeric" } }
                        }
                    }
                    tbody {
                        tr {
                            td { class: "num", "9007199254740993" }
                            td { "Invisible Cities" }
                            td { class: "num", "10.90" }
                        }
                        tr {
                            "aria-selected": "true", td { class: "num", "2" }
                            td { "Selected" }
                            td { class: "num", span { class: "null", "NULL" } }
                        }
                        tr { td { class: "num", "3" } td { class: "changed", "Changed" } td { class: "num", "12.00" } }
                        tr {
                            td { class: "num", "4" }
                            td { class: "is-wrong", "Refused" }
                            td { class: "num", span { class: "null", "NULL" } }
                        }
                        tr { td { class: "num", "5" } td { class: "is-focus", "Focused" } td { class: "num", "0" } }
                    }
                }
            }
            div { class: "staged", Mark { shape: Shape::Attention } strong { "3 changes in 2 rows" } }
        }
    }
}

#[component]
pub(super) fn Progress() -> Element {
    rsx! {
        Tile { name: "Progress, skeleton",
            div {
                class: "bar", role: "progressbar", "aria-label": "Sample at 64 %", "aria-valuenow": "64",
                style: "--p:64%", i {}
            }
            div { class: "bar unknown", role: "progressbar", "aria-label": "Sample of unknown length", i {} }
            span { class: "sk" }
            LoadingTable { name: "Sample that loads", columns: 3 }
        }
    }
}

#[component]
pub(super) fn States() -> Element {
    rsx! {
        Tile { name: "Empty, error",
            Empty { title: "No API keys", text: "Without a key, no app can reach the project.",
                button { class: "btn btn-primary", r#type: "button", "New key" }
            }
            ErrorBox { what: "Samples could not be loaded.", failure: Failure::Unreachable, on_retry: |()| {} }
            ErrorBox {
                what: "Samples could not be saved.", failure: refused(503, "The server is busy.", Some(3_600)),
                on_retry: |()| {}
            }
            ErrorBox {
                what: "Samples could not be opened.", failure: refused(403, "You may not read samples.", None),
                on_retry: |()| {}
            }
        }
    }
}

fn refused(status: u16, message: &str, retry_after: Option<u32>) -> Failure {
    Failure::Refused {
        status,
        code: "sample".to_owned(),
        message: message.to_owned(),
        hint: None,
        request_id: Some("0199c1de-sample".to_owned()),
        details: None,
        retry_after,
    }
}

#[component]
pub(super) fn Code() -> Element {
    rsx! {
        Tile { name: "Code block",
            div { class: "code",
                div { class: "code-head",
                    span { class: "grow", ".env" }
                    CopyButton { name: "Copy the sample lines", label: "Copy", text: "A=b" }
                }
                pre { "ATLASHUB_API_URL=https://api.example.com" }
            }
        }
    }
}

/// Every pair of text and background color in use, for the contrast test.
#[component]
pub(super) fn Tints() -> Element {
    rsx! {
        Tile { name: "Contrast",
            for ground in ["ground", "panel", "raised"] {
                div { key: "{ground}", class: "row row-4 swatch bg-{ground}", "data-ground": ground,
                    span { class: "text-text", "text" }
                    span { class: "text-muted", "muted" }
                    span { class: "text-faint", "faint" }
                    Mark { shape: Shape::Succeeded }
                    Mark { shape: Shape::Attention }
                    Mark { shape: Shape::Failed }
                    span { class: "swatch-edge", "data-edge": "true" }
                }
            }
        }
    }
}
