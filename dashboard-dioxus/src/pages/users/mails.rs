//! The fields for the project's own texts of mails. AtlasHub's text is used for a mail whose fields are empty.

use api_types::{MailText, MailTexts};
use dioxus::prelude::*;
use serde::{Deserialize, Serialize};

/// The fields of one mail as typed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mail {
    subject: String,
    text: String,
    html: String,
}

impl From<&Option<MailText>> for Mail {
    fn from(mail: &Option<MailText>) -> Self {
        mail.as_ref().map_or_else(Self::default, |mail| Self {
            subject: mail.subject.clone(),
            text: mail.text.clone(),
            html: mail.html.clone().unwrap_or_default(),
        })
    }
}

impl Mail {
    fn to_text(&self, label: &str) -> Result<Option<MailText>, String> {
        if self.subject.trim().is_empty() && self.text.trim().is_empty() && self.html.trim().is_empty() {
            return Ok(None);
        }
        if self.subject.trim().is_empty() || self.text.trim().is_empty() {
            return Err(format!(
                "The mail “{label}” needs a subject and a text. Leave all fields empty to use AtlasHub's mail."
            ));
        }
        Ok(Some(MailText {
            subject: self.subject.trim().to_owned(),
            text: self.text.clone(),
            html: Some(self.html.clone()).filter(|html| !html.trim().is_empty()),
        }))
    }
}

/// The fields of all mails as typed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mails {
    verify: Mail,
    reset: Mail,
    change_email: Mail,
    email_taken: Mail,
    magic_link: Mail,
}

const VERIFY: &str = "Verify the e-mail address";
const RESET: &str = "Reset the password";
const CHANGE_EMAIL: &str = "Confirm a new e-mail address";
const MAGIC_LINK: &str = "Sign in with a link";
const EMAIL_TAKEN: &str = "Someone signed up with your e-mail address";

impl From<&MailTexts> for Mails {
    fn from(texts: &MailTexts) -> Self {
        Self {
            verify: Mail::from(&texts.verify),
            reset: Mail::from(&texts.reset),
            change_email: Mail::from(&texts.change_email),
            email_taken: Mail::from(&texts.email_taken),
            magic_link: Mail::from(&texts.magic_link),
        }
    }
}

impl Mails {
    /// Returns the mails to store. Fails with a message if a mail is incomplete.
    pub(super) fn to_texts(&self) -> Result<MailTexts, String> {
        Ok(MailTexts {
            verify: self.verify.to_text(VERIFY)?,
            reset: self.reset.to_text(RESET)?,
            change_email: self.change_email.to_text(CHANGE_EMAIL)?,
            email_taken: self.email_taken.to_text(EMAIL_TAKEN)?,
            magic_link: self.magic_link.to_text(MAGIC_LINK)?,
        })
    }

    /// Returns each mail with its label.
    fn labelled(&self) -> [(&'static str, &Mail); 5] {
        [
            (VERIFY, &self.verify),
            (RESET, &self.reset),
            (CHANGE_EMAIL, &self.change_email),
            (EMAIL_TAKEN, &self.email_taken),
            (MAGIC_LINK, &self.magic_link),
        ]
    }

    fn with(&self, label: &str, mail: Mail) -> Self {
        let mut mails = self.clone();
        match label {
            VERIFY => mails.verify = mail,
            RESET => mails.reset = mail,
            CHANGE_EMAIL => mails.change_email = mail,
            MAGIC_LINK => mails.magic_link = mail,
            _ => mails.email_taken = mail,
        }
        mails
    }
}

#[component]
pub(super) fn MailFields(mails: Mails, on_change: EventHandler<Mails>) -> Element {
    rsx! {
        details { class: "field",
            summary { "Mail texts" }
            p { class: "help",
                "Leave the fields of a mail empty to use AtlasHub's own text. In your text, "
                code { "{{{{link}}}}" }
                ", "
                code { "{{{{email}}}}" }
                " and "
                code { "{{{{project}}}}" }
                " stand for the link, the e-mail address of the user and the name of the project."
            }
            for (index, (label, mail)) in mails.labelled().into_iter().enumerate() {
                MailField {
                    key: "{label}",
                    id: "mail-{index}",
                    label,
                    mail: mail.clone(),
                    on_change: {
                        let mails = mails.clone();
                        move |mail| on_change.call(mails.with(label, mail))
                    },
                }
            }
        }
    }
}

#[component]
fn MailField(id: String, label: &'static str, mail: Mail, on_change: EventHandler<Mail>) -> Element {
    let (subject, text, html) = (mail.clone(), mail.clone(), mail.clone());
    rsx! {
        fieldset { class: "stack stack-2", role: "group", "aria-label": "{label}",
            legend { class: "strong", "{label}" }
            input {
                class: "input",
                "aria-label": "Subject of “{label}”",
                placeholder: "Subject",
                value: "{mail.subject}",
                oninput: move |event| on_change.call(Mail { subject: event.value(), ..subject.clone() }),
            }
            textarea {
                id,
                class: "input mono",
                rows: 4,
                "aria-label": "Text of “{label}”",
                placeholder: "Plain text",
                value: "{mail.text}",
                oninput: move |event| on_change.call(Mail { text: event.value(), ..text.clone() }),
            }
            textarea {
                class: "input mono",
                rows: 4,
                "aria-label": "HTML of “{label}”",
                placeholder: "HTML (optional)",
                value: "{mail.html}",
                oninput: move |event| on_change.call(Mail { html: event.value(), ..html.clone() }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_keep_the_default_mail() {
        assert_eq!(Mails::default().to_texts().unwrap(), MailTexts::default());
    }

    #[test]
    fn mail_with_only_a_subject_is_refused() {
        let mail = Mail { subject: "Hello".to_owned(), ..Mail::default() };
        assert!(Mails::default().with(RESET, mail).to_texts().unwrap_err().contains(RESET));
    }
}
