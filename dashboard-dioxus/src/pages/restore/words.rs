//! Texts about restores.

use api_types::{Restore, RestorePlan, RestoreSource, RestoreState};

use crate::{text, ui::Shape};

/// Returns the mark and the word for the state of a restore.
pub(super) fn state_of(state: RestoreState) -> (Shape, &'static str) {
    match state {
        RestoreState::Planned => (Shape::Queued, "Planned"),
        RestoreState::Loading => (Shape::Running, "Loading"),
        RestoreState::Checking => (Shape::Running, "Checking"),
        RestoreState::Swapping => (Shape::Running, "Swapping"),
        RestoreState::Done => (Shape::Succeeded, "Restored"),
        RestoreState::Failed => (Shape::Failed, "Failed"),
        RestoreState::Cancelled => (Shape::Cancelled, "Cancelled"),
        RestoreState::RolledBack => (Shape::Skipped, "Rolled back"),
    }
}

/// Returns whether a run is executing the restore.
pub(super) const fn is_active(state: RestoreState) -> bool {
    matches!(state, RestoreState::Loading | RestoreState::Checking | RestoreState::Swapping)
}

pub(super) fn source_in_words(source: &RestoreSource) -> &'static str {
    match source {
        RestoreSource::Backup { .. } => "Backup",
        RestoreSource::Upload { .. } => "Uploaded archive",
    }
}

/// The schema of end-user login, whose tables the owner does not manage.
const AUTH_SCHEMA: &str = "auth";

/// Returns a summary, for example `12 tables, 1 204 002 rows and 42 users`. The number of rows is left out if it is
/// unknown, and users are left out if the archive contains none.
pub(super) fn content_in_words(plan: &RestorePlan) -> String {
    let (auth, own): (Vec<_>, Vec<_>) = plan.tables.iter().partition(|table| table.schema == AUTH_SCHEMA);
    let tables = text::count(own.len() as i64, "table", "tables");
    let rows: Option<i64> = own.iter().map(|table| table.rows).sum();
    let users = auth.iter().find(|table| table.table == "users").and_then(|table| table.rows).unwrap_or_default();
    let content = match rows {
        Some(rows) => format!("{tables}, {}", text::count(rows, "row", "rows")),
        None => tables,
    };
    if users == 0 { content } else { format!("{content} and {}", text::count(users, "user", "users")) }
}

/// Returns whether the previous database can be swapped back in.
pub(super) fn can_roll_back(restore: &Restore) -> bool {
    restore.state == RestoreState::Done && restore.previous_database.is_some()
}

#[cfg(test)]
mod tests {
    use api_types::RestoreTable;

    use super::*;

    fn plan(rows: [Option<i64>; 2]) -> RestorePlan {
        let table = |rows| RestoreTable { schema: "public".to_owned(), table: "notes".to_owned(), rows };
        let tables = rows.map(table).to_vec();
        RestorePlan {
            tables,
            size_bytes: 10,
            server_version: None,
            encrypted: false,
            objects: None,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn rows_are_left_out_unless_all_are_known() {
        assert_eq!(content_in_words(&plan([Some(1), Some(2)])), "2 tables, 3 rows");
        assert_eq!(content_in_words(&plan([Some(1), None])), "2 tables");
    }
    #[test]
    fn tables_of_end_user_login_are_summarized_as_users() {
        let mut with_users = plan([Some(1), Some(2)]);
        for (table, rows) in [("users", 4), ("sessions", 9)] {
            with_users.tables.push(RestoreTable {
                schema: "auth".to_owned(),
                table: table.to_owned(),
                rows: Some(rows),
            });
        }
        assert_eq!(content_in_words(&with_users), "2 tables, 3 rows and 4 users");
    }
}
