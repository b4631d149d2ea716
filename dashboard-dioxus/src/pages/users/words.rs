//! Texts about users.

use api_types::{ProjectUser, UserReference, UserReferenceAction, UserRole};

use crate::{text, ui::Shape};

pub(super) fn role_label(role: UserRole) -> &'static str {
    match role {
        UserRole::Owner => "Owner",
        UserRole::Admin => "Admin",
        UserRole::Member => "Member",
    }
}

/// Returns the mark and the label that say whether a user may sign in.
pub(super) fn state_of(user: &ProjectUser) -> (Shape, &'static str) {
    match user.disabled_at {
        Some(_) => (Shape::Cancelled, "Disabled"),
        None => (Shape::Succeeded, "Active"),
    }
}

/// Returns the effects of deleting a user on the rows that refer to the user: one sentence for each foreign key, except
/// those without such rows.
pub(super) fn consequences(references: &[UserReference]) -> Vec<String> {
    references
        .iter()
        .filter(|reference| reference.rows > 0 || !reference.counted)
        .map(|reference| {
            let table = &reference.table;
            if !reference.counted {
                return uncounted(table, reference.on_delete);
            }
            let rows = text::count(reference.rows, "row", "rows");
            match reference.on_delete {
                UserReferenceAction::Cascade => format!("{rows} of {table}: deleted, too."),
                UserReferenceAction::SetNull => format!("{rows} of {table}: kept, without a user."),
                UserReferenceAction::SetDefault => format!("{rows} of {table}: kept, with the default user."),
                UserReferenceAction::NoAction | UserReferenceAction::Restrict => {
                    let refer = if reference.rows == 1 { "refers" } else { "refer" };
                    format!("{rows} of {table} {refer} to the user, so the deletion is refused.")
                }
            }
        })
        .collect()
}

/// Returns the effect of deleting a user on a table whose rows were not counted.
fn uncounted(table: &str, on_delete: UserReferenceAction) -> String {
    let effect = match on_delete {
        UserReferenceAction::Cascade => "are deleted, too",
        UserReferenceAction::SetNull => "are kept, without a user",
        UserReferenceAction::SetDefault => "are kept, with the default user",
        UserReferenceAction::NoAction | UserReferenceAction::Restrict => "make the deletion fail",
    };
    format!("Rows of {table} could not be counted in time. Those that refer to the user {effect}.")
}

/// Returns whether rows that refer to a user prevent the deletion.
pub(super) fn is_deletion_refused(references: &[UserReference]) -> bool {
    references.iter().any(|reference| {
        reference.rows > 0
            && matches!(reference.on_delete, UserReferenceAction::NoAction | UserReferenceAction::Restrict)
    })
}

/// Returns the text for a login event of the audit log.
pub(super) fn event_in_words(action: &str) -> String {
    known_event(action).map_or_else(|| action.trim_start_matches("auth.").replace(['.', '_'], " "), str::to_owned)
}

fn known_event(action: &str) -> Option<&'static str> {
    Some(match action.strip_prefix("auth.")? {
        "signup" => "signed up",
        "login" => "signed in",
        "refresh_reuse" => "used an old refresh token, so the session ended",
        "magic_link_request" => "requested a sign-in link",
        "magic_link" => "signed in with a mailed link",
        "mfa_challenge" => "was asked for the second factor",
        "mfa_verify" => "signed in with the second factor",
        "mfa_enrol" => "started to set up a second factor",
        "mfa_confirm" => "set up a second factor",
        "mfa_recovery_codes" => "replaced the recovery codes of the second factor",
        "mfa_remove" => "removed the second factor",
        "logout" => "signed out",
        "verify" => "verified the e-mail address",
        "update_user" => "changed the account",
        "recover" => "requested a password reset link",
        "reset" => "reset the password",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(rows: i64, on_delete: UserReferenceAction) -> UserReference {
        UserReference { table: "notes".to_owned(), columns: vec!["owner".to_owned()], rows, counted: true, on_delete }
    }

    #[test]
    fn every_login_event_of_the_host_is_described() {
        let source = include_str!("../../../../host/src/admin/audit/actions.rs");
        let (_, list) = source.split_once("const OTHER_ACTIONS: &[&str] = &[").expect("the list of events");
        let (list, _) = list.split_once("];").expect("the end of the list");
        let events: Vec<&str> = list.split('"').filter(|text| text.starts_with("auth.")).collect();
        assert!(events.len() > 10, "{events:?}");
        for event in events {
            assert!(known_event(event).is_some(), "{event} has no description");
        }
        assert_eq!(event_in_words("auth.new_event"), "new event");
    }

    #[test]
    fn consequences_leave_out_tables_without_rows() {
        let references = [reference(0, UserReferenceAction::Cascade), reference(2, UserReferenceAction::Cascade)];
        assert_eq!(consequences(&references), ["2 rows of notes: deleted, too."]);
    }

    #[test]
    fn consequences_contain_tables_whose_rows_were_not_counted() {
        let unknown = UserReference { counted: false, ..reference(0, UserReferenceAction::Restrict) };
        let expected =
            "Rows of notes could not be counted in time. Those that refer to the user make the deletion fail.";
        assert_eq!(consequences(std::slice::from_ref(&unknown)), [expected]);
        assert!(!is_deletion_refused(&[unknown]));
    }

    #[test]
    fn deletion_is_refused_only_if_a_foreign_key_with_rows_has_no_delete_rule() {
        assert!(!is_deletion_refused(&[reference(0, UserReferenceAction::NoAction)]));
        assert!(!is_deletion_refused(&[reference(3, UserReferenceAction::SetNull)]));
        assert!(is_deletion_refused(&[reference(1, UserReferenceAction::NoAction)]));
    }
}
