//! Lets an archive's functions be called while its rows are loaded.

use super::RestoreError;
use crate::db::ExclusiveClient;

/// Selects the functions that set no `search_path`. Leaves out functions of extensions, functions in C and functions
/// with a parsed body, which don't need it.
const FUNCTIONS: &str = "SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND p.prokind IN ('f', 'w')
      AND l.lanname NOT IN ('internal', 'c') AND p.prosqlbody IS NULL
      AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                      WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid
                        AND e.deptype = 'e')";

/// Functions whose `search_path` was set. Each is a name with the types of its arguments, quoted by Postgres.
pub(super) struct ChangedFunctions(Vec<String>);

/// Sets the `search_path` of functions that have none to that of a project's sessions. `pg_restore` loads with an empty
/// one, so a check constraint, generated column, index or materialized view fails if its function names tables without
/// a schema. Call this function as the role that owns the functions, before rows are loaded.
pub(super) async fn set_for_functions(client: &ExclusiveClient) -> Result<ChangedFunctions, RestoreError> {
    let functions = client.query(FUNCTIONS, &[]).await.map_err(failed)?;
    let functions = ChangedFunctions(functions.iter().map(|row| row.get::<_, String>(0)).collect());
    client.batch_execute(&functions.statements("SET search_path = public")).await.map_err(failed)?;
    Ok(functions)
}

impl ChangedFunctions {
    /// Returns the statements that remove the `search_path` again, so that the functions have the settings of the
    /// archive.
    pub(super) fn reset_statements(&self) -> String {
        self.statements("RESET search_path")
    }

    fn statements(&self, change: &str) -> String {
        self.0.iter().map(|function| format!("ALTER FUNCTION {function} {change};\n")).collect()
    }
}

fn failed(error: tokio_postgres::Error) -> RestoreError {
    RestoreError::from_statement("the search_path of its functions can't be set", error)
}
