//! The dialog "New user".

use api_types::{AuthSettings, CreateUser, ProjectUser, UserRole};
use dioxus::prelude::*;

use super::{super::not_saved::NotSaved, acts::RoleField, forget_users};
use crate::{
    draft,
    remote::{self, Failure, Method, use_remote},
    ui::{Dialog, Field, FormError, messages},
};

#[component]
pub(super) fn CreateUserDialog(project: String, on_close: EventHandler<()>) -> Element {
    let settings = use_remote::<AuthSettings>(use_signal(|| format!("/projects/{project}/auth")).into());
    let settings = settings.value();
    let min_length = settings.as_ref().map(|settings| settings.password_min_length);
    let has_mail = settings.as_ref().is_none_or(|settings| settings.mail_configured);
    let has_site = settings.as_ref().is_none_or(|settings| settings.site_url.is_some());
    // The password has no draft, because it is secret.
    let form = draft::use_form(|| format!("new-user.{project}"));
    let email = form.use_field("email", String::new());
    let mut role = form.use_field("role", UserRole::Member);
    let mut password = use_signal(String::new);
    let is_dirty = !email.read().is_empty() || !password.read().is_empty() || role() != UserRole::Member;
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    let mut email_error = use_signal(|| None::<String>);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let create = move |event: FormEvent| {
        event.prevent_default();
        let address = email.peek().trim().to_owned();
        email_error.set(address.is_empty().then(|| "Enter an e-mail address.".to_owned()));
        if busy() || address.is_empty() {
            return;
        }
        let project = project.clone();
        spawn(async move {
            busy.set(true);
            failure.set(None);
            let password = Some(password.peek().clone()).filter(|password| !password.is_empty());
            let user = CreateUser { email: address, password, role: role(), data: None };
            let path = format!("/projects/{project}/users");
            match remote::send::<_, ProjectUser>(Method::Post, &path, &user).await {
                Ok(_) => {
                    form.forget();
                    messages::show("User created");
                    forget_users(&project);
                    on_close.call(());
                }
                Err(refused) if refused.code() == Some("email_taken") => {
                    email_error.set(Some("Another user has this e-mail address.".to_owned()));
                }
                Err(refused) if is_about_email(&refused) => {
                    let message = "This is not an e-mail address. Enter one such as `ada@example.com`.";
                    email_error.set(Some(message.to_owned()));
                }
                Err(refused) => {
                    forget_users(&project);
                    failure.set(Some(not_created(&refused)));
                }
            }
            busy.set(false);
        });
    };
    rsx! {
        Dialog {
            title: "New user",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                NotSaved { is_dirty }
                button { class: "btn btn-l", r#type: "button", onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "new-user", "aria-disabled": busy(),
                    "Create user"
                }
            },
            form { id: "new-user", class: "stack", onsubmit: create,
                Field {
                    id: "user-email",
                    label: "E-mail",
                    value: email,
                    required: true,
                    autofocus: true,
                    error: email_error(),
                }
                div { class: "field",
                    label { r#for: "user-password", "Password" }
                    input {
                        id: "user-password",
                        class: "input",
                        r#type: "password",
                        autocomplete: "new-password",
                        "aria-describedby": "user-password-help",
                        value: "{password}",
                        oninput: move |event| password.set(event.value()),
                    }
                    p { class: "help", id: "user-password-help",
                        if let Some(min_length) = min_length {
                            "At least {min_length} characters. "
                        }
                        if has_mail && !has_site {
                            "Without a password, the user can't sign in: no links are mailed until you enter the \
                                address of the app under Settings."
                        } else if has_mail {
                            "Leave the password empty to let the user set one through a mailed link: create the user, \
                                then choose “Send reset link”."
                        } else {
                            "Without a password, the user can't sign in: the server sends no mail, because \
                                ATLASHUB_SMTP_URL and ATLASHUB_SMTP_FROM are not set."
                        }
                    }
                }
                RoleField { role: role(), on_change: move |chosen| role.set(chosen) }
                if let Some(failure) = failure() {
                    FormError { text: failure }
                }
            }
        }
    }
}

/// Returns whether the server refused the e-mail address itself.
fn is_about_email(failure: &Failure) -> bool {
    failure.code() == Some("invalid_request") && failure.message().starts_with("`email` is not")
}

fn not_created(failure: &Failure) -> String {
    if failure.is_outcome_unknown() {
        return "The server did not respond. Check in the list whether the user was created.".to_owned();
    }
    failure.message()
}
