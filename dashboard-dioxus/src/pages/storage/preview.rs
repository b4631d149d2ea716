//! A preview of an object. Stored content never runs: HTML and SVG are shown as text, and PDF documents in a sandboxed
//! frame. Chromium shows no documents in such a frame, so they can also be opened in a new tab.

use api_types::{SignedDownload, StoredObject};
use dioxus::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;

use super::{paths, words::name_of};
use crate::remote;

/// Maximum size of text that is shown.
const MAX_TEXT_BYTES: i64 = 1_000_000;
/// Maximum size of images that are shown.
const MAX_IMAGE_BYTES: i64 = 50_000_000;

/// The kind of element that shows an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Pdf,
    Audio,
    Video,
    Text,
    Unknown,
}

/// Returns the kind of element for a content type, or for the name if the type is generic or absent.
fn kind_of(content_type: Option<&str>, name: &str) -> Kind {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (main, sub) = essence.split_once('/').unwrap_or((&essence, ""));
    match (main, sub) {
        ("image", "svg+xml") => Kind::Text,
        ("image", _) => Kind::Image,
        ("application", "pdf") => Kind::Pdf,
        ("audio", _) => Kind::Audio,
        ("video", _) => Kind::Video,
        ("text", _) => Kind::Text,
        ("application", "json" | "xml" | "javascript" | "x-ndjson" | "toml" | "yaml" | "x-yaml" | "sql" | "x-sh") => {
            Kind::Text
        }
        _ if sub.ends_with("+xml") || sub.ends_with("+json") => Kind::Text,
        ("application", "octet-stream") | ("", _) if has_text_extension(name) => Kind::Text,
        _ => Kind::Unknown,
    }
}

fn has_text_extension(name: &str) -> bool {
    const EXTENSIONS: [&str; 17] = [
        "txt", "md", "csv", "tsv", "json", "ndjson", "xml", "html", "svg", "css", "js", "ts", "rs", "sql", "toml",
        "yaml", "yml",
    ];
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

#[component]
pub(super) fn Preview(project: ReadSignal<String>, bucket: ReadSignal<String>, object: StoredObject) -> Element {
    let name = name_of(&object.path).to_owned();
    let kind = kind_of(object.content_type.as_deref(), &name);
    let why_not = match kind {
        Kind::Unknown => Some("There is no preview for this type. Download the object to open it."),
        Kind::Text if object.size > MAX_TEXT_BYTES => {
            Some("The text is too long for a preview. Download it to read it.")
        }
        Kind::Image if object.size > MAX_IMAGE_BYTES => {
            Some("The image is too large for a preview. Download it to see it.")
        }
        _ if object.size == 0 => Some("The object is empty."),
        _ => None,
    };
    if let Some(why_not) = why_not {
        return rsx! { p { class: "preview-none muted", "{why_not}" } };
    }
    let request = paths::signed_download(&project.read(), &bucket.read(), &object.path, None);
    rsx! { Loaded { name, kind, request } }
}

#[component]
fn Loaded(name: String, kind: Kind, request: String) -> Element {
    let mut broken = use_signal(|| false);
    let signed = use_resource(move || {
        let request = request.clone();
        async move { remote::get::<SignedDownload>(&request).await }
    });
    let url = match &*signed.read() {
        None => return rsx! { div { class: "preview late", "aria-busy": "true", span { class: "sk" } } },
        Some(Err(failure)) => {
            return rsx! {
                p { class: "preview-none muted", role: "alert", "The preview could not be loaded. {failure.message()}" }
            };
        }
        Some(Ok(signed)) => signed.download_url.clone(),
    };
    if broken() {
        return rsx! {
            p { class: "preview-none muted", role: "alert",
                "The browser could not show the object. It may be damaged, or its content type may be wrong."
            }
        };
    }
    match kind {
        Kind::Image => rsx! {
            div { class: "preview", img { src: "{url}", alt: "Preview of {name}", onerror: move |_| broken.set(true) } }
        },
        Kind::Audio => rsx! {
            div {
                class: "preview",
                audio { src: "{url}", controls: true, preload: "metadata", "aria-label": "Preview of {name}" }
            }
        },
        Kind::Video => rsx! {
            div {
                class: "preview",
                video { src: "{url}", controls: true, preload: "metadata", "aria-label": "Preview of {name}" }
            }
        },
        Kind::Pdf => rsx! {
            // A frame without a sandbox may run scripts.
            div { class: "preview-none row",
                p { class: "muted grow", "If the browser shows no preview below, open the document in a new tab." }
                a { class: "btn btn-s", href: "{url}", target: "_blank", rel: "noopener noreferrer",
                    "Open in a new tab"
                }
            }
            div { class: "preview preview-pdf", iframe { src: "{url}", title: "Preview of {name}", "sandbox": "" } }
        },
        Kind::Text | Kind::Unknown => rsx! { TextPreview { name, url } },
    }
}

#[component]
fn TextPreview(name: String, url: String) -> Element {
    let text = use_resource(move || {
        let url = url.clone();
        async move { read_text(&url).await }
    });
    match &*text.read() {
        None => rsx! { div { class: "preview late", "aria-busy": "true", span { class: "sk" } } },
        Some(None) => rsx! {
            p { class: "preview-none muted", role: "alert",
                "The browser could not read the object from the store. If this happens with every object, check \
                 ATLASHUB_S3_PUBLIC_ENDPOINT."
            }
        },
        Some(Some(text)) => rsx! {
            pre {
                class: "preview-text mono", role: "region", tabindex: "0", "aria-label": "Preview of {name}", "{text}"
            }
        },
    }
}

/// Reads an object as text. Bytes that are not UTF-8 become `�`.
async fn read_text(url: &str) -> Option<String> {
    let response = JsFuture::from(web_sys::window()?.fetch_with_str(url)).await.ok()?;
    let response: web_sys::Response = response.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    JsFuture::from(response.text().ok()?).await.ok()?.as_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_decides_the_element_and_documents_that_could_run_are_text() {
        for (content_type, name, expected) in [
            (Some("text/html; charset=utf-8"), "a.html", Kind::Text),
            (Some("image/svg+xml"), "a.svg", Kind::Text),
            (Some("application/xhtml+xml"), "a", Kind::Text),
            (Some("IMAGE/PNG"), "a.png", Kind::Image),
            (Some("application/pdf"), "a.pdf", Kind::Pdf),
            (Some("application/octet-stream"), "a.sql", Kind::Text),
            (Some("application/zip"), "a.txt", Kind::Unknown),
            (None, "a", Kind::Unknown),
        ] {
            assert_eq!(kind_of(content_type, name), expected, "{content_type:?} {name}");
        }
    }
}
