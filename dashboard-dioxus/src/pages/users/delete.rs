//! The dialog "Delete user". It counts the rows that refer to the user before it can be confirmed.

use api_types::{ProjectUser, ProjectUserDetail};
use dioxus::prelude::*;

use super::{
    acts::path_of,
    forget_users,
    words::{consequences, is_deletion_refused},
};
use crate::{
    address,
    remote::{self, RemoteState, use_remote},
    ui::{Confirm, Mark, Shape, messages},
};

#[component]
pub(super) fn DeleteUser(project: String, user: ProjectUser, on_close: EventHandler<()>) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let path = path_of(&project, &user);
    let detail = use_remote::<ProjectUserDetail>(use_signal(|| path.clone()).into());
    let (is_counted, references, count_failure) = match detail.state() {
        RemoteState::Loading => (false, Vec::new(), None),
        RemoteState::Failed(failure) => (true, Vec::new(), Some(failure.message())),
        RemoteState::Ready(detail) => (true, detail.references, None),
    };
    let is_refused = is_deletion_refused(&references);
    let lines = consequences(&references);
    rsx! {
        Confirm {
            act: "Delete user",
            description: "The user's sessions end at once, and the user can't be restored.",
            typed: user.email.clone(),
            busy: busy() || !is_counted || is_refused,
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let (project, path) = (project.clone(), path.clone());
                spawn(async move {
                    busy.set(true);
                    match remote::delete(&path).await {
                        Ok(()) => {
                            messages::show("User deleted");
                            address::replace_parameter("user", None);
                            forget_users(&project);
                            on_close.call(());
                        }
                        Err(refused) => {
                            forget_users(&project);
                            failure.set(Some(refused.message()));
                        }
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
            if let Some(count_failure) = count_failure {
                p { class: "row", Mark { shape: Shape::Attention }
                    "Rows that refer to the user could not be counted. {count_failure}"
                }
            } else if !is_counted {
                p { class: "muted", role: "status", "Counting the rows that refer to the user…" }
            } else if lines.is_empty() {
                p { class: "muted", role: "status", "No row refers to the user." }
            } else {
                ul { class: "stack stack-2", "aria-label": "Rows that refer to the user",
                    // Two foreign keys of a table can have the same line.
                    for (index, line) in lines.into_iter().enumerate() {
                        li { key: "{index}", class: "row",
                            Mark { shape: if is_refused { Shape::Failed } else { Shape::Attention } }
                            "{line}"
                        }
                    }
                }
                if is_refused {
                    p { role: "alert",
                        "Delete or change these rows first, or give their foreign key an ON DELETE rule."
                    }
                }
            }
        }
    }
}
