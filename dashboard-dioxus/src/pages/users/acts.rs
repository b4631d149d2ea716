//! The menu of a user, and its dialogs.

use api_types::{ProjectUser, UpdateUser, UserRole};
use dioxus::prelude::*;

use super::{create::CreateUserDialog, delete::DeleteUser, forget_users, words::role_label};
use crate::{
    remote::{self, Failure, Method},
    ui::{Confirm, Dialog, FormError, IconName, Menu, MenuItem, messages},
};

/// The dialog that is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Open {
    Nothing,
    Create,
    ChangeRole(ProjectUser),
    Disable(ProjectUser),
    SignOut(ProjectUser),
    RemoveSecondFactor(ProjectUser),
    Delete(ProjectUser),
}

#[component]
pub(super) fn UserMenu(project: String, user: ProjectUser, open: Signal<Open>) -> Element {
    let ask = move |dialog: Open| open.clone().set(dialog);
    let (to_change, to_disable, to_sign_out, to_delete) = (user.clone(), user.clone(), user.clone(), user.clone());
    let is_disabled = user.disabled_at.is_some();
    rsx! {
        Menu { name: "Actions for {user.email}", icon: IconName::Dots, class: "btn-s",
            MenuItem { onselect: move |()| ask(Open::ChangeRole(to_change.clone())), "Change role" }
            MenuItem {
                acts: true,
                onselect: {
                    let (project, user) = (project.clone(), user.clone());
                    move |()| send_reset_link(project.clone(), user.clone())
                },
                "Send reset link"
            }
            MenuItem { onselect: move |()| ask(Open::SignOut(to_sign_out.clone())), "Sign out everywhere" }
            if is_disabled {
                MenuItem {
                    acts: true,
                    onselect: {
                        let (project, user) = (project.clone(), user.clone());
                        move |()| enable(project.clone(), user.clone())
                    },
                    "Enable user"
                }
            } else {
                MenuItem { onselect: move |()| ask(Open::Disable(to_disable.clone())), "Disable user" }
            }
            hr {}
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: move |()| ask(Open::Delete(to_delete.clone())),
                "Delete user"
            }
        }
    }
}

/// The button that disables or enables a user.
#[component]
pub(super) fn DisableButton(project: String, user: ProjectUser, open: Signal<Open>) -> Element {
    let is_disabled = user.disabled_at.is_some();
    rsx! {
        button {
            class: "btn btn-s",
            r#type: "button",
            // Enabling needs no confirmation.
            "data-act": is_disabled.then_some("true"),
            onclick: move |_| {
                if is_disabled {
                    enable(project.clone(), user.clone());
                } else {
                    open.clone().set(Open::Disable(user.clone()));
                }
            },
            if is_disabled { "Enable user" } else { "Disable user" }
        }
    }
}

/// The open dialog, if any.
#[component]
pub(super) fn UserDialog(project: String, open: Signal<Open>) -> Element {
    let close = move |()| open.clone().set(Open::Nothing);
    match open() {
        Open::Nothing => rsx! {},
        Open::Create => rsx! { CreateUserDialog { project, on_close: close } },
        Open::ChangeRole(user) => rsx! { ChangeRole { project, user, on_close: close } },
        Open::Disable(user) => rsx! { ConfirmAct { act: Act::Disable, project, user, on_close: close } },
        Open::SignOut(user) => rsx! { ConfirmAct { act: Act::SignOut, project, user, on_close: close } },
        Open::RemoveSecondFactor(user) => {
            rsx! { ConfirmAct { act: Act::RemoveSecondFactor, project, user, on_close: close } }
        }
        Open::Delete(user) => rsx! { DeleteUser { project, user, on_close: close } },
    }
}

pub(super) fn path_of(project: &str, user: &ProjectUser) -> String {
    format!("/projects/{project}/users/{}", user.id)
}

/// Mails the user a link to set a new password.
fn send_reset_link(project: String, user: ProjectUser) {
    spawn(async move {
        let path = format!("{}/send-reset-link", path_of(&project, &user));
        match remote::send::<_, serde_json::Value>(Method::Post, &path, &serde_json::json!({})).await {
            Ok(_) => messages::show(format!("A link was sent to {}", user.email)),
            Err(failure) => messages::show_failure(failure.message()),
        }
    });
}

fn enable(project: String, user: ProjectUser) {
    spawn(async move {
        let change = UpdateUser { disabled: Some(false), ..UpdateUser::default() };
        match remote::send::<_, ProjectUser>(Method::Patch, &path_of(&project, &user), &change).await {
            Ok(_) => messages::show(format!("{} may sign in again", user.email)),
            Err(failure) => messages::show_failure(failure.message()),
        }
        forget_users(&project);
    });
}

#[component]
fn ChangeRole(project: String, user: ProjectUser, on_close: EventHandler<()>) -> Element {
    let mut role = use_signal(|| user.role);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let path = path_of(&project, &user);
    let save = move |event: FormEvent| {
        event.prevent_default();
        let (path, project) = (path.clone(), project.clone());
        spawn(async move {
            busy.set(true);
            let change = UpdateUser { role: Some(role()), ..UpdateUser::default() };
            match remote::send::<_, ProjectUser>(Method::Patch, &path, &change).await {
                Ok(_) => {
                    messages::show("Role changed");
                    forget_users(&project);
                    on_close.call(());
                }
                Err(refused) => failure.set(Some(refused.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "Change role",
            description: "{user.email}: access tokens carry the new role from the next refresh.",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "change-role", "aria-disabled": busy(),
                    "Change role"
                }
            },
            form { id: "change-role", class: "stack", onsubmit: save,
                RoleField { role: role(), on_change: move |chosen| role.set(chosen) }
                if let Some(failure) = failure() {
                    FormError { text: failure }
                }
            }
        }
    }
}

/// The radio buttons of the role.
#[component]
pub(super) fn RoleField(role: UserRole, on_change: EventHandler<UserRole>) -> Element {
    rsx! {
        fieldset { class: "field", role: "radiogroup", "aria-label": "Role",
            span { class: "lab", "Role" }
            p { class: "help",
                "A role has an effect only where your policies or your app check it. Policies read it as "
                code { "auth.jwt()->>'app_role'" }
                ". People who sign up are members."
            }
            for choice in [UserRole::Member, UserRole::Admin, UserRole::Owner] {
                label { key: "{choice:?}", class: "check",
                    input {
                        class: "box",
                        r#type: "radio",
                        name: "user-role",
                        checked: role == choice,
                        onchange: move |_| on_change.call(choice),
                    }
                    "{role_label(choice)}"
                }
            }
        }
    }
}

/// An action that needs only a confirmation.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Disable,
    SignOut,
    RemoveSecondFactor,
}

impl Act {
    const fn label(self) -> &'static str {
        match self {
            Self::Disable => "Disable user",
            Self::SignOut => "Sign out everywhere",
            Self::RemoveSecondFactor => "Remove second factor",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Disable => "User disabled",
            Self::SignOut => "Signed out everywhere",
            Self::RemoveSecondFactor => "Second factor removed",
        }
    }

    const fn consequence(self) -> &'static str {
        match self {
            Self::Disable => {
                "The user is signed out everywhere and can't sign in until you enable the user again. Access tokens \
                 keep working until they expire, unless the session is checked on every request."
            }
            Self::SignOut => {
                "All sessions end, and the user has to sign in again. Access tokens keep working until they expire, \
                 unless the session is checked on every request."
            }
            Self::RemoveSecondFactor => {
                "From now on, the password or a mailed link alone is enough to sign in, and the recovery codes stop \
                working. Make sure that it is the user who asks for this."
            }
        }
    }

    async fn run(self, path: &str) -> Result<(), Failure> {
        match self {
            Self::Disable => {
                let change = UpdateUser { disabled: Some(true), ..UpdateUser::default() };
                remote::send::<_, ProjectUser>(Method::Patch, path, &change).await.map(drop)
            }
            Self::SignOut => {
                let path = format!("{path}/sign-out");
                remote::send::<_, serde_json::Value>(Method::Post, &path, &serde_json::json!({})).await.map(drop)
            }
            Self::RemoveSecondFactor => remote::delete(&format!("{path}/second-factor")).await,
        }
    }
}

#[component]
fn ConfirmAct(act: Act, project: String, user: ProjectUser, on_close: EventHandler<()>) -> Element {
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    rsx! {
        Confirm {
            act: act.label(),
            description: "{user.email}: {act.consequence()}",
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let (project, path) = (project.clone(), path_of(&project, &user));
                spawn(async move {
                    busy.set(true);
                    match act.run(&path).await {
                        Ok(()) => {
                            messages::show(act.done());
                            forget_users(&project);
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| on_close.call(()),
        }
    }
}
