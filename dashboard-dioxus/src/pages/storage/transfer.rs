//! Renaming, moving and copying an object. The store copies it; no bytes go through the browser.

use api_types::{Bucket, MoveObject, Page as ApiPage, StoredObject};
use dioxus::prelude::*;

use super::{
    paths,
    words::{folder_of, name_of},
};
use crate::{
    draft,
    remote::{self, Failure, Method, use_remote},
    ui::{Dialog, Field, messages},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only the last part of the path changes.
    Rename,
    Move,
    Copy,
}

/// An object, and the action on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Transferring {
    kind: Kind,
    object: StoredObject,
}

impl Transferring {
    pub(super) fn rename(object: StoredObject) -> Self {
        Self { kind: Kind::Rename, object }
    }

    pub(super) fn relocate(object: StoredObject) -> Self {
        Self { kind: Kind::Move, object }
    }

    pub(super) fn copy(object: StoredObject) -> Self {
        Self { kind: Kind::Copy, object }
    }

    /// Returns whether the object is still at its path afterwards.
    pub(super) fn keeps_object(&self) -> bool {
        self.kind == Kind::Copy
    }

    /// Returns the path of the object before the action.
    pub(super) fn path(&self) -> &str {
        &self.object.path
    }

    fn act(&self) -> &'static str {
        match self.kind {
            Kind::Rename => "Rename object",
            Kind::Move => "Move object",
            Kind::Copy => "Copy object",
        }
    }

    fn done(&self) -> &'static str {
        match self.kind {
            Kind::Rename => "Object renamed",
            Kind::Move => "Object moved",
            Kind::Copy => "Object copied",
        }
    }
}

#[component]
pub(super) fn TransferDialog(
    project: String,
    bucket: String,
    transferring: Transferring,
    on_done: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let list = paths::buckets(&project);
    let buckets = use_remote::<ApiPage<Bucket>>(use_signal(|| format!("{list}?limit=200")).into());
    let is_rename = transferring.kind == Kind::Rename;
    let path = transferring.object.path.clone();
    let form = draft::use_form(|| {
        let (kind, key) = (transferring.act(), &transferring.object.object_key);
        format!("transfer.{project}.{key}.{kind}")
    });
    let name = form.use_field("name", if is_rename { name_of(&path).to_owned() } else { path.clone() });
    let mut to_bucket = form.use_field("bucket", bucket.clone());
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    let mut error = use_signal(|| None::<String>);
    // The path and the bucket at which an object exists.
    let mut conflict = use_signal(|| None::<(String, String)>);
    let mut busy = use_signal(|| false);
    let act = transferring.act();
    let action = if transferring.keeps_object() { "copy" } else { "move" };
    let api_path = format!("{}/objects/{action}", paths::bucket(&project, &bucket));
    let (key, folder, done) =
        (transferring.object.object_key.clone(), folder_of(&path).to_owned(), transferring.done());
    let old_name = name_of(&path).to_owned();
    let path_of = {
        let old_name = old_name.clone();
        move |entered: &str| if is_rename { format!("{folder}{entered}") } else { new_path(entered, &old_name) }
    };
    let chosen = (path_of(&name.read()), to_bucket());
    let help = if is_rename { String::new() } else { result_in_words(&chosen.0, &old_name) };
    let submit = use_callback(move |replace: bool| {
        let (api_path, list, key) = (api_path.clone(), list.clone(), key.clone());
        let target = (path_of(&name.peek()), to_bucket.peek().clone());
        if is_rename && name.peek().contains('/') {
            error.set(Some("A name can't contain a slash. To put the object into another folder, move it.".to_owned()));
            return;
        }
        spawn(async move {
            busy.set(true);
            let (to, bucket) = target.clone();
            let request = MoveObject { object_key: key, to, to_bucket: Some(bucket), replace };
            let sent: Result<StoredObject, Failure> = remote::send(Method::Post, &api_path, &request).await;
            match sent {
                Ok(object) => {
                    form.forget();
                    remote::forget(&list);
                    let to = if is_rename { name_of(&object.path) } else { object.object_key.as_str() };
                    messages::show(format!("{done} to {to}"));
                    on_done.call(());
                }
                Err(failure) => {
                    conflict.set(Some(target).filter(|_| failure.code() == Some("object_exists") && !replace));
                    error.set(Some(failure.message()));
                }
            }
            busy.set(false);
        });
    });
    rsx! {
        Dialog {
            title: act,
            description: "{transferring.object.object_key}",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: cancel, "Cancel" }
                // Another path may also be in use, so each needs a decision of its own.
                if conflict().as_ref() == Some(&chosen) {
                    button {
                        class: "btn btn-danger btn-l",
                        r#type: "button",
                        "aria-disabled": busy(),
                        onclick: move |_| submit.call(true),
                        "Replace"
                    }
                }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "transfer", "aria-disabled": busy(), "{act}"
                }
            },
            form {
                id: "transfer",
                class: "stack",
                onsubmit: move |event| {
                    event.prevent_default();
                    submit.call(false);
                },
                if !is_rename {
                    div { class: "field",
                        label { r#for: "transfer-bucket", "Bucket" }
                        select {
                            id: "transfer-bucket",
                            class: "input",
                            onchange: move |event| to_bucket.set(event.value()),
                            option { value: "{bucket}", selected: *to_bucket.read() == bucket, "{bucket}" }
                            for other in buckets.value().map(|page| page.items).unwrap_or_default() {
                                if other.name != bucket {
                                    option {
                                        key: "{other.name}",
                                        value: "{other.name}",
                                        selected: *to_bucket.read() == other.name,
                                        "{other.name}"
                                    }
                                }
                            }
                        }
                    }
                }
                Field {
                    id: "transfer-name",
                    label: if is_rename { "New name" } else { "New path" },
                    value: name,
                    autofocus: true,
                    required: true,
                    error: error(),
                    help,
                }
            }
        }
    }
}

/// Returns the new path of an object. A path that ends with a slash is a folder, in which the object keeps its name.
fn new_path(entered: &str, old_name: &str) -> String {
    if entered.ends_with('/') { format!("{entered}{old_name}") } else { entered.to_owned() }
}

/// Returns a sentence about the folder and the name in a new path. The last part of a path is the name of the object,
/// even if it looks like a folder because it has no extension.
fn result_in_words(path: &str, old_name: &str) -> String {
    let place = match folder_of(path) {
        "" => "at the top of the bucket".to_owned(),
        folder => format!("in the folder {folder}"),
    };
    match name_of(path) {
        "" => format!("A path that ends with a slash is a folder, in which the object keeps the name {old_name}."),
        name if name == old_name => format!("The object keeps the name {name}, {place}."),
        name => {
            format!("The object gets the name {name}, {place}. To keep the name {old_name}, end the path with a slash.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_that_ends_with_a_slash_keeps_the_name() {
        assert_eq!(new_path("2026/autumn/", "a.png"), "2026/autumn/a.png");
        assert_eq!(new_path("2026/autumn", "a.png"), "2026/autumn");
        assert_eq!(new_path("", "a.png"), "");
    }

    #[test]
    fn help_names_the_folder_and_the_name() {
        let check = |path, expected| assert_eq!(result_in_words(path, "a.png"), expected, "{path}");
        check("a.png", "The object keeps the name a.png, at the top of the bucket.");
        check("2026/autumn/a.png", "The object keeps the name a.png, in the folder 2026/autumn/.");
        check(
            "2026/autumn",
            "The object gets the name autumn, in the folder 2026/. To keep the name a.png, end the path with a slash.",
        );
        check("", "A path that ends with a slash is a folder, in which the object keeps the name a.png.");
    }
}
