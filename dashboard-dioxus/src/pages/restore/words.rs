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

/// Returns the address that removes what a restore keeps, or cancels its plan. The server refuses the request if the
/// restore is in another state than the one shown. The restore may have run or been rolled back meanwhile, for example
/// from another tab, and the request would then drop another database.
pub(super) fn removal_address(restore: &Restore) -> String {
    format!("/restores/{}?state={}", restore.id, restore.state)
}

pub(super) fn source_in_words(source: &RestoreSource) -> &'static str {
    match source {
        RestoreSource::Backup { .. } => "Backup",
        RestoreSource::Upload { .. } => "Uploaded archive",
    }
}

/// The schema of end-user login, whose tables the owner does not manage.
const AUTH_SCHEMA: &str = "auth";

/// Schema, name and number of rows of a table in an archive.
pub(in crate::pages) type ArchivedTable = (String, String, Option<i64>);

/// Returns whether a table belongs to end-user login.
pub(in crate::pages) fn is_of_login(table: &ArchivedTable) -> bool {
    table.0 == AUTH_SCHEMA
}

/// Returns the tables of a plan: first those of the app, then those of end-user login.
pub(super) fn tables_of(plan: &RestorePlan) -> Vec<ArchivedTable> {
    let tables = plan.tables.iter().map(|table| (table.schema.clone(), table.table.clone(), table.rows));
    own_tables_first(tables.collect())
}

/// Sorts tables of end-user login to the end.
pub(in crate::pages) fn own_tables_first(mut tables: Vec<ArchivedTable>) -> Vec<ArchivedTable> {
    tables.sort_by_key(is_of_login);
    tables
}

/// Returns a summary, for example `12 tables, 1 204 002 rows and 42 users`. The number of rows is left out if it is
/// unknown, and users are left out if the archive contains none.
pub(in crate::pages) fn content_in_words(tables: &[ArchivedTable]) -> String {
    let (login, own): (Vec<_>, Vec<_>) = tables.iter().partition(|table| is_of_login(table));
    let count = text::count(own.len() as i64, "table", "tables");
    let rows: Option<i64> = own.iter().map(|(.., rows)| *rows).sum();
    let users = login.iter().find(|(_, table, _)| table == "users").and_then(|(.., rows)| *rows).unwrap_or_default();
    let content = match rows {
        Some(rows) => format!("{count}, {}", text::count(rows, "row", "rows")),
        None => count,
    };
    if users == 0 { content } else { format!("{content} and {}", text::count(users, "user", "users")) }
}

/// Returns what a restore does or did with the content of its archive: the end of a sentence.
pub(super) fn effect_in_words(state: RestoreState, project: &str) -> String {
    match state {
        RestoreState::Planned | RestoreState::Loading | RestoreState::Checking | RestoreState::Swapping => {
            format!("replace everything in {project}")
        }
        RestoreState::Done => format!("replaced everything in {project}"),
        RestoreState::Failed | RestoreState::Cancelled => format!("have replaced nothing in {project}"),
        RestoreState::RolledBack => format!("replaced everything in {project}, until it was rolled back"),
    }
}

/// Smallest estimate of a number of rows that is shown. Postgres does not update the estimates of small tables often.
const MIN_ESTIMATE: i64 = 1_000;

/// Returns what the project's database contains now, for example `2 tables with about 1 200 rows`. The number of rows
/// is left out if a table has no estimate, or if the sum of the estimates is below [`MIN_ESTIMATE`].
pub(super) fn present_in_words(estimates: &[Option<i64>]) -> String {
    let tables = text::count(estimates.len() as i64, "table", "tables");
    match estimates.iter().copied().sum::<Option<i64>>() {
        Some(rows) if rows >= MIN_ESTIMATE => format!("{tables} with about {}", text::count(rows, "row", "rows")),
        _ => tables,
    }
}

/// Returns which database is kept after a restore or its rollback, and until when: the beginning and the end of a
/// sentence around the database's name.
pub(super) fn kept_in_words(state: RestoreState) -> (&'static str, &'static str) {
    match state {
        RestoreState::RolledBack => ("The restored database is kept as ", " until you remove it."),
        _ => (
            "The database from before the restore is kept as ",
            " until you remove it. “Roll back” makes it the project's database again.",
        ),
    }
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
        assert_eq!(content_in_words(&tables_of(&plan([Some(1), Some(2)]))), "2 tables, 3 rows");
        assert_eq!(content_in_words(&tables_of(&plan([Some(1), None]))), "2 tables");
        assert_eq!(present_in_words(&[Some(1_200), Some(0)]), "2 tables with about 1\u{202f}200 rows");
        for estimates in [[None, Some(1_200)], [Some(0), Some(20)], [Some(0), Some(0)]] {
            assert_eq!(present_in_words(&estimates), "2 tables");
        }
    }

    #[test]
    fn effect_of_a_restore_is_past_once_it_has_ended() {
        let effect = |state| effect_in_words(state, "shop");
        assert_eq!(effect(RestoreState::Planned), "replace everything in shop");
        assert_eq!(effect(RestoreState::Done), "replaced everything in shop");
        assert_eq!(effect(RestoreState::Failed), "have replaced nothing in shop");
    }

    #[test]
    fn tables_of_end_user_login_are_last_and_summarized_as_users() {
        let mut with_users = plan([Some(1), Some(2)]);
        for (table, rows) in [("users", 4), ("sessions", 9)] {
            let table = RestoreTable { schema: "auth".to_owned(), table: table.to_owned(), rows: Some(rows) };
            with_users.tables.insert(0, table);
        }
        let tables = tables_of(&with_users);
        assert_eq!(tables.iter().map(is_of_login).collect::<Vec<_>>(), [false, false, true, true]);
        assert_eq!(content_in_words(&tables), "2 tables, 3 rows and 4 users");
    }
}
