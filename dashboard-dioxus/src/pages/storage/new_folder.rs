//! The dialog "New folder". It opens a folder that no object is in yet; the first uploaded file creates the folder.

use api_types::ObjectPage;
use dioxus::prelude::*;

use super::{super::not_saved::NotSaved, objects::folder_address, paths, upload::Destination};
use crate::{
    address, draft,
    remote::{self, Failure},
    ui::{Dialog, Field},
};

/// Id of the form in the dialog.
const FORM: &str = "new-folder";

#[component]
pub(super) fn NewFolder(
    /// The folder in which the new one will be.
    within: Destination,
    on_close: EventHandler<()>,
) -> Element {
    let form = draft::use_form(|| {
        let Destination { project, bucket, folder } = &within;
        format!("new-folder.{project}.{bucket}/{folder}")
    });
    let name = form.use_field("name", String::new());
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let is_dirty = !name.read().is_empty();
    let place = format!("{}/{}", within.bucket, within.folder);
    let open = move |event: FormEvent| {
        event.prevent_default();
        if busy() {
            return;
        }
        let Some(folder) = folder_in(&within.folder, &name.peek()) else {
            error.set(Some("Enter a name.".to_owned()));
            return;
        };
        let (project, bucket) = (within.project.clone(), within.bucket.clone());
        spawn(async move {
            busy.set(true);
            error.set(None);
            // The server checks the name.
            let path = paths::objects(&project, &bucket, &folder, "1", None);
            match remote::get::<ObjectPage>(&path).await {
                Ok(_) => {
                    form.forget();
                    on_close.call(());
                    address::go(&folder_address(&project, &bucket, &folder));
                }
                Err(failure) => error.set(Some(problem_of(&failure))),
            }
            busy.set(false);
        });
    };
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    rsx! {
        Dialog {
            title: "New folder",
            description: "The folder is created in {place} with the first file that you upload to it.",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                NotSaved { is_dirty }
                button { class: "btn btn-l", r#type: "button", onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: FORM, "aria-disabled": busy(), "Open folder"
                }
            },
            form { id: FORM, class: "stack", onsubmit: open,
                Field {
                    id: "folder-name",
                    label: "Name",
                    value: name,
                    autofocus: true,
                    required: true,
                    help: "With a slash, the folder is inside of another new one: 2026/autumn.",
                    error: error(),
                }
            }
        }
    }
}

/// Returns the folder with the entered name inside of another folder. `None` if the name is empty.
fn folder_in(within: &str, entered: &str) -> Option<String> {
    let name = entered.trim().trim_matches('/').trim();
    (!name.is_empty()).then(|| format!("{within}{name}/"))
}

/// Returns why the server refuses a folder, as a message for the owner. The server calls the folder a prefix, and its
/// hint is for programs.
fn problem_of(failure: &Failure) -> String {
    let rule = match failure {
        Failure::Refused { message, .. } => message.strip_prefix("The prefix "),
        _ => None,
    };
    rule.map_or_else(|| failure.message(), |rule| format!("The name {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_ends_with_a_slash() {
        for (within, entered, expected) in [
            ("", "autumn", Some("autumn/")),
            ("2026/", " /autumn/ ", Some("2026/autumn/")),
            ("2026/", "autumn/new", Some("2026/autumn/new/")),
            ("2026/", " / ", None),
            ("", "", None),
        ] {
            assert_eq!(folder_in(within, entered).as_deref(), expected, "{entered}");
        }
    }

    #[test]
    fn refused_prefix_is_a_name() {
        for (message, expected) in
            [("The prefix is empty.", "The name is empty."), ("No such bucket.", "No such bucket. Send another one.")]
        {
            let failure = Failure::Refused {
                status: 400,
                code: "invalid_path".to_owned(),
                message: message.to_owned(),
                hint: Some("Send another one.".to_owned()),
                request_id: None,
                details: None,
                retry_after: None,
            };
            assert_eq!(problem_of(&failure), expected);
        }
    }
}
