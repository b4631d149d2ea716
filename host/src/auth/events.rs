//! Login events in the audit log.

use api_types::{AuditResult, User};
use sqlx::PgPool;

use super::request::ClientFacts;
use crate::{
    db::audit::{self, NewAuditEntry},
    error::{ApiError, ApiResult},
};

/// Actor of an event without a known user.
pub(super) const ANONYMOUS: &str = "anonymous";
/// Maximum number of characters that are recorded of an e-mail address, which may be any string that a client sent.
const MAX_EMAIL_CHARS: usize = 254;

/// Returns the entry of an event, as a success. Without a known user, the actor is [`ANONYMOUS`].
pub(super) fn event(action: &str, project: &str, user: Option<&str>, client: &ClientFacts) -> NewAuditEntry {
    NewAuditEntry {
        project_id: Some(project.to_owned()),
        target: user.map(str::to_owned),
        address: Some(client.address.to_string()),
        request_id: client.request_id.clone(),
        ..NewAuditEntry::new(user.unwrap_or(ANONYMOUS), action)
    }
}

/// Returns the entry of a user's event, as a success and with the user's e-mail address.
pub(super) fn user_event(action: &str, project: &str, user: &User, client: &ClientFacts) -> NewAuditEntry {
    with_email(event(action, project, Some(&user.id), client), &user.email)
}

/// Adds an e-mail address: that of the user, or the one that the client sent, which may belong to nobody. Replaces NUL
/// characters, which Postgres can't store.
pub(super) fn with_email(mut entry: NewAuditEntry, email: &str) -> NewAuditEntry {
    set_email(&mut entry, email);
    entry
}

fn set_email(entry: &mut NewAuditEntry, email: &str) {
    entry.details["email"] = email.replace('\0', "\u{fffd}").chars().take(MAX_EMAIL_CHARS).collect::<String>().into();
}

/// Sets the user and the e-mail address of an event that began without a known user.
pub(super) fn set_user(entry: &mut NewAuditEntry, user: &User) {
    entry.actor.clone_from(&user.id);
    entry.target = Some(user.id.clone());
    set_email(entry, &user.email);
}

/// Sets the result and the status of an event that is refused, and adds the code of the error.
pub(super) fn set_refused(entry: &mut NewAuditEntry, error: &ApiError) {
    entry.result = AuditResult::Denied;
    entry.status = Some(error.status().as_u16());
    if let Some(details) = entry.details.as_object_mut() {
        details.insert("error".to_owned(), error.code().as_str().into());
    }
}

/// Adds the outcome to the entry of [`audit::recorded`] if the request was refused. Returns the refusal as
/// `Ok(Err(_))`, because `recorded` sets the result `failed` for an `Err`, which is right for faults of the server.
pub(super) fn separate_refusal<T>(entry: &mut NewAuditEntry, outcome: ApiResult<T>) -> ApiResult<ApiResult<T>> {
    match outcome {
        Err(error) if error.status().is_client_error() => {
            set_refused(entry, &error);
            Ok(Err(error))
        }
        outcome => outcome.map(Ok),
    }
}

/// Records that an event was refused, with the code of the error.
pub(super) async fn record_refusal(platform: &PgPool, mut entry: NewAuditEntry, error: &ApiError) {
    set_refused(&mut entry, error);
    audit::record_or_log(platform, &entry).await;
}
