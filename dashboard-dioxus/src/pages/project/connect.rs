//! The region "Connect" of a project's page: code with which an app connects to the project.

use api_types::{Page as ApiPage, SystemInfo};
use dioxus::prelude::*;
use serde::Deserialize;

use crate::{
    pages::{allowed_origins::NoOriginsNote, code_tabs::CodeTabs},
    remote::{RemoteState, use_remote},
    ui::{CopyButton, ErrorBox},
};

/// The fields of a table that the snippets need.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct NamedTable {
    name: String,
}

/// A snippet that connects an app to the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Snippet {
    Env,
    Curl,
    NextJs,
}

impl Snippet {
    const ALL: [Self; 3] = [Self::Env, Self::Curl, Self::NextJs];

    const fn label(self) -> &'static str {
        match self {
            Self::Env => ".env",
            Self::Curl => "curl",
            Self::NextJs => "Next.js",
        }
    }

    /// Returns the code, with the URL of the server, and with a table of the project if it has one.
    fn blocks(self, api_url: &str, table: Option<&str>) -> Vec<Block> {
        let path = match table {
            Some(table) => format!("/v1/db/{}?limit=10", js_sys::encode_uri_component(table)),
            None => "/v1/db/tables".to_owned(),
        };
        let only = |text| vec![Block { title: "", copy: "Copy snippet", text }];
        match self {
            Self::Env => only(format!(
                "ATLASHUB_API_URL={api_url}\nATLASHUB_PUBLISHABLE_KEY=ah_pub_…\nATLASHUB_SECRET_KEY=ah_sec_…"
            )),
            Self::Curl => only(format!("curl \"{api_url}{path}\" \\\n  -H \"x-api-key: $ATLASHUB_SECRET_KEY\"")),
            Self::NextJs => vec![
                Block {
                    title: "On the server, with the secret key",
                    copy: "Copy server snippet",
                    text: format!(
                        "// .env.local: ATLASHUB_API_URL and ATLASHUB_SECRET_KEY. They never reach the browser.\n\
                         import \"server-only\";\n\n{}",
                        load_function("ATLASHUB_API_URL", "ATLASHUB_SECRET_KEY", &path)
                    ),
                },
                Block {
                    title: "In the browser, with the publishable key",
                    copy: "Copy browser snippet",
                    text: format!(
                        "// .env.local: only variables whose names start with NEXT_PUBLIC_ reach the browser.\n\
                         //   NEXT_PUBLIC_ATLASHUB_API_URL={api_url}\n\
                         //   NEXT_PUBLIC_ATLASHUB_PUBLISHABLE_KEY=ah_pub_…\n\
                         \"use client\";\n\n{}",
                        load_function("NEXT_PUBLIC_ATLASHUB_API_URL", "NEXT_PUBLIC_ATLASHUB_PUBLISHABLE_KEY", &path)
                    ),
                },
            ],
        }
    }
}

/// Code of a snippet that can be copied.
#[derive(Debug, Clone, PartialEq)]
struct Block {
    /// The place where the code runs. Empty if the snippet is a single block.
    title: &'static str,
    copy: &'static str,
    text: String,
}

/// Returns a TypeScript function that sends a request with the URL and the key of two environment variables.
fn load_function(url: &str, key: &str, path: &str) -> String {
    format!(
        "export async function load() {{\n  const response = await fetch(`${{process.env.{url}}}{path}`, {{\n    \
         headers: {{ \"x-api-key\": process.env.{key}! }},\n    cache: \"no-store\",\n  }});\n  \
         if (!response.ok) throw new Error(await response.text());\n  return response.json();\n}}"
    )
}

/// The region "Connect".
#[component]
pub(super) fn Connect(project: String) -> Element {
    let mut system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    let tables = use_remote::<ApiPage<NamedTable>>(use_signal(|| format!("/projects/{project}/tables?limit=1")).into());
    let table = tables.value().and_then(|page| page.items.into_iter().next()).map(|table| table.name);
    let code = match system.state() {
        RemoteState::Loading => rsx! { div { class: "late", "aria-busy": "true", span { class: "sk" } } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The API URL could not be loaded.", failure, on_retry: move |()| system.refresh() }
        },
        RemoteState::Ready(system) => rsx! { Snippets { api_url: system.public_url, table } },
    };
    rsx! {
        section { class: "section", "aria-label": "Connect",
            div { class: "section-head", h2 { "Connect" } }
            {code}
            NoOriginsNote { project }
        }
    }
}

#[component]
fn Snippets(api_url: String, table: Option<String>) -> Element {
    let chosen = use_signal(|| 0_usize);
    let snippet = Snippet::ALL.get(chosen()).copied().unwrap_or(Snippet::Env);
    let blocks = snippet.blocks(&api_url, table.as_deref());
    rsx! {
        div { class: "code connect",
            div { class: "row connect-head",
                CodeTabs {
                    name: "Connect", id: "connect", labels: Snippet::ALL.map(Snippet::label).to_vec(), chosen,
                }
                if let [Block { title: "", copy, text }] = blocks.as_slice() {
                    CopyButton { name: *copy, text: text.clone() }
                }
            }
            div { id: "connect-panel", role: "tabpanel", "aria-label": snippet.label(),
                for block in blocks {
                    if !block.title.is_empty() {
                        div { class: "code-head",
                            span { class: "grow", "{block.title}" }
                            CopyButton { name: block.copy, text: block.text.clone() }
                        }
                    }
                    // Focusable, so that the keyboard can scroll it.
                    pre { tabindex: "0", "{block.text}" }
                }
            }
        }
    }
}
