//! Texts about imports.

use api_types::{Import, ImportFormat, ImportState};

use crate::{text, ui::Shape};

/// Returns the number of rows that an import wrote, or that a dry run would write.
pub(super) const fn written(import: &Import) -> i64 {
    import.rows_inserted + import.rows_updated
}

/// Returns the number of rows that were not imported because of an error or a trigger.
pub(super) fn refused(import: &Import) -> i64 {
    import.rows_skipped.max(import.error_count)
}

/// Returns the mark and the words for the state of an import.
pub(super) fn state_of(import: &Import) -> (Shape, &'static str) {
    match import.state {
        ImportState::AwaitingUpload => (Shape::Queued, "Waiting for its file"),
        ImportState::Uploaded => (Shape::Queued, "Not imported"),
        ImportState::Running if import.dry_run => (Shape::Running, "Dry run"),
        ImportState::Running => (Shape::Running, "Importing"),
        ImportState::Done if import.dry_run && refused(import) > 0 => (Shape::Attention, "Dry run found errors"),
        ImportState::Done if import.dry_run => (Shape::Queued, "Dry run done"),
        ImportState::Done if written(import) == 0 => (Shape::Attention, "No rows imported"),
        ImportState::Done if refused(import) > 0 => (Shape::Attention, "Imported in part"),
        ImportState::Done => (Shape::Succeeded, "Imported"),
        ImportState::Failed if import.dry_run && refused(import) > 0 => (Shape::Attention, "Dry run found errors"),
        ImportState::Failed if import.dry_run => (Shape::Failed, "Dry run failed"),
        ImportState::Failed => (Shape::Failed, "Failed"),
        ImportState::Cancelled => (Shape::Cancelled, "Cancelled"),
    }
}

/// Returns the result of a run as a heading.
pub(super) fn outcome_in_words(import: &Import) -> String {
    let rows = |count: i64| text::count(count, "row", "rows");
    let (written, refused) = (written(import), refused(import));
    match (import.state, import.dry_run) {
        (ImportState::Done | ImportState::Failed, true) if refused > 0 => {
            format!("Dry run: {} can't be imported", rows(refused))
        }
        (ImportState::Failed, true) => "The dry run failed".to_owned(),
        (ImportState::Done, true) if written == 0 => "Dry run: no row would be imported".to_owned(),
        (ImportState::Done, true) => format!("Dry run: {} would be imported", rows(written)),
        (ImportState::Done, false) if written == 0 => "No row was imported".to_owned(),
        (ImportState::Done, false) if refused > 0 => format!("Imported {}, refused {}", rows(written), rows(refused)),
        (ImportState::Done, false) => format!("Imported {}", rows(written)),
        (ImportState::Cancelled, _) => "Cancelled. Nothing was imported".to_owned(),
        (ImportState::Running, true) => "Dry run".to_owned(),
        (ImportState::Running, false) => "Importing".to_owned(),
        _ => "Nothing was imported".to_owned(),
    }
}

/// Returns the numbers of rows, for example `5 rows read, 3 inserted, 1 updated, 1 refused`.
pub(super) fn counts_in_words(import: &Import) -> String {
    format!(
        "{} read, {} inserted, {} updated, {} refused",
        text::count(import.rows_read, "row", "rows"),
        text::number(import.rows_inserted),
        text::number(import.rows_updated),
        text::number(refused(import)),
    )
}

/// Returns an error message without the row itself, which Postgres appends to some messages.
pub(super) fn problem_in_words(message: &str) -> String {
    let end = message.find(": Failing row contains").unwrap_or(message.len());
    message.get(..end).unwrap_or(message).to_owned()
}

pub(super) const fn format_in_words(format: ImportFormat) -> &'static str {
    match format {
        ImportFormat::Csv => "CSV",
        ImportFormat::Json => "JSON",
        ImportFormat::Ndjson => "NDJSON",
    }
}

pub(super) fn file_name(import: &Import) -> String {
    import.file_name.clone().unwrap_or_else(|| "File".to_owned())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn import(state: ImportState, dry_run: bool, [inserted, updated, skipped]: [i64; 3]) -> Import {
        Import {
            id: String::new(),
            project_id: String::new(),
            table: "books".to_owned(),
            format: ImportFormat::Csv,
            file_name: None,
            size_bytes: 1,
            state,
            run_id: None,
            dry_run,
            rows_read: inserted + updated + skipped,
            rows_inserted: inserted,
            rows_updated: updated,
            rows_skipped: skipped,
            errors: Vec::new(),
            error_count: skipped,
            error_text: None,
            created_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            finished_at: None,
        }
    }

    #[test]
    fn only_an_import_of_every_row_is_shown_as_a_success() {
        for (dry_run, numbers, words) in [
            (false, [0, 0, 0], "No row was imported"),
            (false, [2, 1, 0], "Imported 3 rows"),
            (false, [2, 0, 1], "Imported 2 rows, refused 1 row"),
            (true, [1, 0, 0], "Dry run: 1 row would be imported"),
            (true, [0, 0, 0], "Dry run: no row would be imported"),
            (true, [1, 0, 2], "Dry run: 2 rows can't be imported"),
        ] {
            let import = import(ImportState::Done, dry_run, numbers);
            assert_eq!(outcome_in_words(&import), words);
            assert!(numbers == [2, 1, 0] || state_of(&import).0 != Shape::Succeeded);
        }
    }

    #[test]
    fn dry_run_that_failed_found_errors_only_if_rows_were_refused() {
        let state = |numbers| state_of(&import(ImportState::Failed, true, numbers)).1;
        assert_eq!(state([0, 0, 2]), "Dry run found errors");
        assert_eq!(state([0, 0, 0]), "Dry run failed");
    }

    #[test]
    fn problems_do_not_repeat_the_row() {
        let message = "null value in column \"a\" violates not-null constraint: Failing row contains (1, null).";
        assert_eq!(problem_in_words(message), "null value in column \"a\" violates not-null constraint");
        assert_eq!(problem_in_words("invalid input"), "invalid input");
    }

    #[test]
    fn counts_have_all_four_numbers() {
        let import = import(ImportState::Done, false, [3, 1, 1]);
        assert_eq!(counts_in_words(&import), "5 rows read, 3 inserted, 1 updated, 1 refused");
    }
}
