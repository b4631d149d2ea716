//! The values typed into the settings form, and the changes to send.

use api_types::{AuthSettings, UpdateAuthSettings};
use serde::{Deserialize, Serialize};

use super::mails::Mails;

/// The fields of the form as typed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Typed {
    pub(super) enabled: bool,
    pub(super) allow_signup: bool,
    pub(super) require_verified_email: bool,
    pub(super) allow_magic_link: bool,
    pub(super) check_session: bool,
    pub(super) access_token_seconds: String,
    pub(super) refresh_token_days: String,
    pub(super) password_min_length: String,
    pub(super) site_url: String,
    pub(super) issuer: String,
    pub(super) verify_path: String,
    pub(super) reset_path: String,
    pub(super) magic_link_path: String,
    pub(super) mails: Mails,
}

impl From<&AuthSettings> for Typed {
    fn from(settings: &AuthSettings) -> Self {
        Self {
            enabled: settings.enabled,
            allow_signup: settings.allow_signup,
            require_verified_email: settings.require_verified_email,
            allow_magic_link: settings.allow_magic_link,
            check_session: settings.check_session,
            access_token_seconds: settings.access_token_seconds.to_string(),
            refresh_token_days: settings.refresh_token_days.to_string(),
            password_min_length: settings.password_min_length.to_string(),
            site_url: settings.site_url.clone().unwrap_or_default(),
            issuer: settings.issuer.clone(),
            verify_path: settings.verify_path.clone(),
            reset_path: settings.reset_path.clone(),
            magic_link_path: settings.magic_link_path.clone(),
            mails: Mails::from(&settings.mail_texts),
        }
    }
}

impl Typed {
    /// Returns the changes from `saved`. Fails with a message if a field is invalid.
    pub(super) fn changes(&self, saved: &AuthSettings) -> Result<UpdateAuthSettings, String> {
        let site_url = self.site_url.trim();
        let issuer = self.issuer.trim();
        let mails = self.mails.to_texts()?;
        let changed = |text: &str, saved: &str| (text != saved).then(|| text.to_owned());
        Ok(UpdateAuthSettings {
            enabled: (self.enabled != saved.enabled).then_some(self.enabled),
            allow_signup: (self.allow_signup != saved.allow_signup).then_some(self.allow_signup),
            require_verified_email: (self.require_verified_email != saved.require_verified_email)
                .then_some(self.require_verified_email),
            allow_magic_link: (self.allow_magic_link != saved.allow_magic_link).then_some(self.allow_magic_link),
            check_session: (self.check_session != saved.check_session).then_some(self.check_session),
            access_token_seconds: number("Access token lifetime", &self.access_token_seconds)
                .map(|seconds| (seconds != saved.access_token_seconds).then_some(seconds))?,
            refresh_token_days: number("Lifetime of an unused session", &self.refresh_token_days)
                .map(|days| (days != saved.refresh_token_days).then_some(days))?,
            password_min_length: number("Minimum password length", &self.password_min_length)
                .map(|length| (length != saved.password_min_length).then_some(length))?,
            site_url: changed(site_url, saved.site_url.as_deref().unwrap_or_default())
                .map(|url| Some(url).filter(|url| !url.is_empty())),
            issuer: changed(issuer, &saved.issuer).map(|issuer| Some(issuer).filter(|issuer| !issuer.is_empty())),
            verify_path: changed(self.verify_path.trim(), &saved.verify_path),
            reset_path: changed(self.reset_path.trim(), &saved.reset_path),
            magic_link_path: changed(self.magic_link_path.trim(), &saved.magic_link_path),
            mail_texts: (mails != saved.mail_texts).then_some(mails),
        })
    }
}

fn number(label: &str, text: &str) -> Result<i32, String> {
    text.trim().parse().map_err(|_| format!("“{label}” must be a whole number."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> AuthSettings {
        AuthSettings {
            enabled: true,
            allow_signup: true,
            require_verified_email: false,
            access_token_seconds: 900,
            refresh_token_days: 30,
            password_min_length: 8,
            allow_magic_link: false,
            check_session: false,
            site_url: None,
            issuer: "https://api.example.com/v1/auth/p".to_owned(),
            verify_path: "/verify".to_owned(),
            reset_path: "/reset".to_owned(),
            magic_link_path: "/link".to_owned(),
            mail_texts: api_types::MailTexts::default(),
            mail_configured: false,
        }
    }

    #[test]
    fn only_changed_fields_are_sent() {
        let saved = settings();
        let mut typed = Typed::from(&saved);
        assert_eq!(serde_json::to_value(typed.changes(&saved).unwrap()).unwrap(), serde_json::json!({}));
        typed.allow_signup = false;
        typed.allow_magic_link = true;
        typed.site_url = " https://app.example.com ".to_owned();
        let changes = serde_json::to_value(typed.changes(&saved).unwrap()).unwrap();
        let site = "https://app.example.com";
        assert_eq!(changes, serde_json::json!({"allowSignup": false, "allowMagicLink": true, "siteUrl": site}));
    }

    #[test]
    fn setting_that_another_client_has_changed_is_not_sent() {
        let before = settings();
        let typed = Typed { password_min_length: "10".to_owned(), ..Typed::from(&before) };
        let saved = AuthSettings { allow_signup: false, refresh_token_days: 7, ..settings() };
        let typed = crate::draft::rebase(&typed, &Typed::from(&before), &Typed::from(&saved));
        let changes = serde_json::to_value(typed.changes(&saved).unwrap()).unwrap();
        assert_eq!(changes, serde_json::json!({"passwordMinLength": 10}));
    }

    #[test]
    fn text_that_is_not_a_number_is_refused_with_its_label() {
        let mut typed = Typed::from(&settings());
        typed.refresh_token_days = "a week".to_owned();
        assert!(typed.changes(&settings()).unwrap_err().contains("Lifetime of an unused session"));
    }
}
