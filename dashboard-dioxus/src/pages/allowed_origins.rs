//! Notes for a project that allows no origins: no app in a browser can use its publishable keys.

use dioxus::prelude::*;
use serde::Deserialize;

use crate::{
    address, dom,
    remote::{self, Failure, Method, use_remote},
    ui::{Icon, IconName, Link, messages},
};

/// The origin of an app under development on the owner's machine.
pub(super) const LOCAL: &str = "http://localhost:3000";

/// Parameter of the address of a project's settings. Its value `origins` focuses the field "Allowed origins".
const FIELD: &str = "field";

/// Part of [`api_types::ProjectDetail`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectOrigins {
    cors_origins: Vec<String>,
}

/// Returns whether a project allows no origins. False while this is unknown.
pub(super) fn use_allows_no_origins(project: ReadSignal<String>) -> bool {
    let detail = use_remote::<ProjectOrigins>(use_memo(move || format!("/projects/{project}")).into());
    detail.value().is_some_and(|project| project.cors_origins.is_empty())
}

/// A note with a link to the settings, shown if the project allows no origins.
#[component]
pub(super) fn NoOriginsNote(project: ReadSignal<String>) -> Element {
    if !use_allows_no_origins(project) {
        return rsx! {};
    }
    let to = address::with_parameters(&format!("/projects/{project}/settings"), &[(FIELD, Some("origins"))]);
    rsx! {
        div { class: "banner mt-2", role: "note",
            Icon { name: IconName::Globe }
            p {
                "The project allows no origins, so apps in a browser get 403 "
                code { "origin_not_allowed" }
                ". Allow the origin of your app, for example https://app.example.com."
            }
            div { class: "row wrap",
                Link { to, class: "btn btn-s", "Allow an origin…" }
                AllowLocal { project: project() }
            }
        }
    }
}

/// The button that allows [`LOCAL`], for a project that allows no origins.
#[component]
pub(super) fn AllowLocal(project: String) -> Element {
    let mut busy = use_signal(|| false);
    let allow = move |_| {
        let path = format!("/projects/{project}");
        spawn(async move {
            busy.set(true);
            match allow_local(&path).await {
                Ok(()) => messages::show(format!("{LOCAL} is allowed")),
                Err(failure) => messages::show_failure(failure.message()),
            }
            busy.set(false);
            remote::forget("/projects");
        });
    };
    rsx! {
        button {
            class: "btn btn-s",
            r#type: "button",
            "data-act": "true",
            "aria-disabled": busy(),
            onclick: allow,
            "Allow {LOCAL}"
        }
    }
}

/// Adds [`LOCAL`] to the allowed origins of the project at a path of the API. Reads the origins first, because another
/// tab may have added some, and a change replaces the whole list.
async fn allow_local(path: &str) -> Result<(), Failure> {
    let mut origins = remote::get::<ProjectOrigins>(path).await?.cors_origins;
    if !origins.iter().any(|origin| origin == LOCAL) {
        origins.push(LOCAL.to_owned());
        let change = serde_json::json!({ "corsOrigins": origins });
        remote::send::<_, serde_json::Value>(Method::Patch, path, &change).await?;
    }
    Ok(())
}

/// Focuses the field "Allowed origins" if the address asks for it.
pub(super) fn focus_if_asked() {
    if address::parameter(FIELD).as_deref() == Some("origins") {
        dom::focus("#origins");
    }
}
