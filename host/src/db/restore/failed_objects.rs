//! Objects that can't be created after the rows of an archive were loaded, and the choice to leave them out.

use tokio_postgres::error::SqlState;

use super::{
    RestoreError,
    archive_list::ListFile,
    contents::{entry, is_of, schemas, split_schema, without_owner},
    error::is_of_server,
    program::{Head, RestoreProgram},
    program_end::FailedEntry,
    translate::without_restrict,
};
use crate::db::{ExclusiveClient, dump::stderr::shorten};

/// Kinds of entries that can be left out. None of them contains rows of a table, or decides who may access one.
const KINDS: [&str; 8] = [
    "INDEX",
    "INDEX ATTACH",
    "CONSTRAINT",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "MATERIALIZED VIEW DATA",
    "TRIGGER",
    // A comment on an object that was left out.
    COMMENT,
];
const COMMENT: &str = "COMMENT";

/// The statement of `pg_restore` 17 and newer that older servers don't know.
const TIMEOUT_SETTING: &str = "SET transaction_timeout = 0;";

/// The consequence of an object that can't be created after the rows were loaded, for example a unique index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedObjects {
    /// The archive is not loaded. The error names the object.
    #[default]
    Fail,
    /// The object is left out and listed.
    LeaveOut,
}

/// An entry in the list of an archive.
pub(super) struct ListedObject<'a> {
    line: &'a str,
    /// Kind, schema and name: `INDEX public.items_name_idx`.
    pub(super) name: String,
    pub(super) can_be_left_out: bool,
}

/// Finds the entry with this id.
pub(super) fn find(list: &str, id: u32) -> Option<ListedObject<'_>> {
    let prefix = format!("{id}; ");
    let line = list.lines().find(|line| line.starts_with(&prefix))?;
    let entry = entry(line)?;
    let kind = KINDS.into_iter().filter(|kind| is_of(entry, &[*kind])).max_by_key(|kind| kind.len());
    let name = match kind {
        Some(COMMENT) | None => without_owner(entry).to_owned(),
        Some(kind) => {
            let object = without_owner(entry[kind.len()..].trim_start());
            match split_schema(object, &schemas(list)) {
                Some((schema, name)) => format!("{kind} {schema}.{name}"),
                None => format!("{kind} {object}"),
            }
        }
    };
    Some(ListedObject { line, name: shorten(&name), can_be_left_out: kind.is_some() })
}

/// Tries to create the entries again that `pg_restore` could not create, and returns descriptions of those that fail
/// again. The second attempt reveals Postgres's error code, and it succeeds if the reason was temporary.
///
/// # Errors
/// Returns `Failed` for an entry that can't be left out. Returns `Interrupted`, `DiskFull` or `Unreachable` for an
/// error that says nothing about the object. Also returns the errors of `pg_restore`, which extracts the statements.
pub(super) async fn create_again(
    program: &RestoreProgram,
    head: &Head,
    client: &ExclusiveClient,
    failed: &[FailedEntry],
) -> Result<Vec<String>, RestoreError> {
    let mut left_out = Vec::new();
    for FailedEntry { id, message } in failed {
        let object = match find(&head.list, *id) {
            Some(object) if object.can_be_left_out => object,
            Some(object) => return Err(RestoreError::from_program(format!("{}: {message}", object.name))),
            None => return Err(RestoreError::from_program(message.clone())),
        };
        let list =
            ListFile::write(&format!("{}\n", object.line)).map_err(|error| RestoreError::NotRun(error.into()))?;
        let statements = without_restrict(&program.statements(&list, head).await?);
        // This does not use `lines`, which would remove the carriage returns in literals.
        let statements: Vec<&str> = statements.split('\n').filter(|line| *line != TIMEOUT_SETTING).collect();
        if let Err(error) = client.batch_execute(&statements.join("\n")).await {
            let refusal = refusal_of(error, &object.name)?;
            left_out.push(format!("{}: {}", object.name, refusal.message));
        }
    }
    Ok(left_out)
}

/// Postgres's refusal to create an object.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: SqlState,
    pub(super) message: String,
}

/// Returns Postgres's refusal to create `object`.
///
/// # Errors
/// Returns `Unreachable`, `DiskFull` or `Interrupted` if the error is not about the object: the connection ended,
/// resources are exhausted, the system failed, or the statement was cancelled.
pub(super) fn refusal_of(error: tokio_postgres::Error, object: &str) -> Result<Refusal, RestoreError> {
    let refusal = error.as_db_error().map(|refusal| (refusal.code().clone(), shorten(refusal.message())));
    let Some((code, message)) = refusal else { return Err(RestoreError::Unreachable(error.into())) };
    if code.code().starts_with("57P") {
        return Err(RestoreError::Unreachable(error.into()));
    }
    if code == SqlState::DISK_FULL {
        return Err(RestoreError::DiskFull);
    }
    if is_of_server(&code) {
        return Err(RestoreError::Interrupted(format!("{object}: {message}")));
    }
    Ok(Refusal { code, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = ";     Format: CUSTOM\n\
        6; 2615 16390 SCHEMA - My Schema proj_x_owner\n\
        3301; 1259 16401 INDEX public items_name_idx proj_x_owner\n\
        3302; 0 0 INDEX ATTACH public parts_2026_idx proj_x_owner\n\
        3303; 2606 16402 CONSTRAINT My Schema my table my table_pkey proj_x_owner\n\
        3304; 0 16403 MATERIALIZED VIEW DATA public counted proj_x_owner\n\
        3305; 0 0 COMMENT public INDEX items_name_idx proj_x_owner\n\
        3306; 2618 16404 RULE public items nothing proj_x_owner\n\
        33; 1259 16405 TABLE public INDEX proj_x_owner\n";

    #[test]
    fn only_objects_without_rows_and_privileges_can_be_left_out() {
        for (id, name, can_be_left_out) in [
            (3301, "INDEX public.items_name_idx", true),
            (3302, "INDEX ATTACH public.parts_2026_idx", true),
            (3303, "CONSTRAINT My Schema.my table my table_pkey", true),
            (3304, "MATERIALIZED VIEW DATA public.counted", true),
            (3305, "COMMENT public INDEX items_name_idx", true),
            (3306, "RULE public items nothing", false),
            (33, "TABLE public INDEX", false),
        ] {
            let object = find(LIST, id).unwrap();
            assert_eq!((object.name.as_str(), object.can_be_left_out), (name, can_be_left_out));
        }
        assert!(find(LIST, 330).is_none());
    }
}
