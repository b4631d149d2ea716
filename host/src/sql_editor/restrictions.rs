//! Rejects statements that contain anything the editor does not run.
//!
//! These checks only give earlier and clearer errors. They are not a security boundary: SQL built at run time, plpgsql
//! bodies and deeply nested bodies are not checked. Of statements that are too large for a tree, only the names of
//! called functions are checked. The boundary is the privileges of `proj_<id>_owner`.

use pg_query::protobuf::{ObjectType, VariableSetKind};
use serde_json::Value;

use super::{
    errors::Rejection,
    syntax_tree::{SyntaxTree, kind_of, names, string_constant},
};

// Explanations and alternatives that several rejections share.
const ROLES: &str = "AtlasHub manages the roles and their passwords. Use API keys and table exposure instead.";
const TRANSACTIONS: &str = "Remove the statement. A script already runs in one transaction. To commit each of its \
     statements on its own, send `\"transaction\": false`.";
const TRANSACTION_MODES: &str = "AtlasHub starts the transactions. To choose whether one may write, use `readOnly` \
     (the switch “Read only” in the dashboard). Its other properties can't be changed.";
const SERVER: &str = "It affects the whole server, not only this project.";
const NOTIFICATIONS: &str = "The connection is closed after the statement, so no notification could arrive.";
const FILES: &str = "It accesses files or programs of the server. Use import and export instead.";

/// Statements that the configuration allows in addition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Permissions {
    pub(super) create_extension: bool,
}

/// Maximum depth to which bodies of functions that create functions are checked. Checking a body is recursive, so
/// without a limit a script could overflow the stack.
const MAX_BODY_DEPTH: usize = 8;

/// Checks every node of the tree, and the bodies of SQL functions up to [`MAX_BODY_DEPTH`].
pub(super) fn check(tree: &SyntaxTree, permissions: Permissions) -> Result<(), Rejection> {
    check_in_bodies(tree, permissions, 0)
}

/// Checks a tree that is nested in the bodies of `body_depth` functions.
fn check_in_bodies(tree: &SyntaxTree, permissions: Permissions, body_depth: usize) -> Result<(), Rejection> {
    let mut rejection = None;
    tree.walk(&mut |name, value| {
        if rejection.is_none() {
            rejection = check_node(name, value, permissions, body_depth);
        }
    });
    rejection.map_or(Ok(()), Err)
}

fn check_node(name: &str, value: &Value, permissions: Permissions, body_depth: usize) -> Option<Rejection> {
    let reject = |what: &str, instead| Some(Rejection::NotSupported { what: what.to_owned(), instead });
    match name {
        "CopyStmt" => check_copy(value),
        "DoStmt" => reject("DO", "Put the code into a function, or write it as one SQL statement."),
        "CreateExtensionStmt" if !permissions.create_extension => reject(
            "CREATE EXTENSION",
            "Set ATLASHUB_SQL_CREATE_EXTENSION=true to allow it for extensions that Postgres trusts.",
        ),
        "AlterSystemStmt" => reject("ALTER SYSTEM", SERVER),
        "LoadStmt" => reject("LOAD", "It loads a library of the server."),
        "TransactionStmt" => reject("transaction control statements", TRANSACTIONS),
        "VariableSetStmt" => check_variable(value),
        "CreateRoleStmt" => reject("CREATE ROLE", ROLES),
        "AlterRoleStmt" | "AlterRoleSetStmt" => reject("ALTER ROLE", ROLES),
        "DropRoleStmt" => reject("DROP ROLE", ROLES),
        "GrantRoleStmt" => reject("GRANT of a role to a role", ROLES),
        "DropOwnedStmt" => reject("DROP OWNED", ROLES),
        "ReassignOwnedStmt" => reject("REASSIGN OWNED", ROLES),
        "CreatedbStmt" => reject("CREATE DATABASE", "Create a project instead; every project has its own database."),
        "DropdbStmt" => reject("DROP DATABASE", "Delete the project instead."),
        "AlterDatabaseStmt" | "AlterDatabaseSetStmt" | "AlterDatabaseRefreshCollStmt" => {
            reject("ALTER DATABASE", SERVER)
        }
        "CreateTableSpaceStmt" => reject("CREATE TABLESPACE", SERVER),
        "DropTableSpaceStmt" => reject("DROP TABLESPACE", SERVER),
        "AlterTableSpaceOptionsStmt" => reject("ALTER TABLESPACE", SERVER),
        "ListenStmt" => reject("LISTEN", NOTIFICATIONS),
        "UnlistenStmt" => reject("UNLISTEN", NOTIFICATIONS),
        "RenameStmt" => check_rename(value),
        "FuncCall" | "funccall" => check_call(value),
        "CreateFunctionStmt" if body_depth < MAX_BODY_DEPTH => check_sql_body(value, permissions, body_depth + 1),
        _ => None,
    }
}

fn check_copy(copy: &Value) -> Option<Rejection> {
    let what = if copy["is_program"] == true {
        "COPY … PROGRAM"
    } else if copy["filename"].as_str().is_some_and(|name| !name.is_empty()) {
        "COPY with a server file"
    } else {
        "COPY"
    };
    let instead = match what {
        "COPY" => "The editor has no stream to copy through. Use import and export instead.",
        _ => FILES,
    };
    Some(Rejection::NotSupported { what: what.to_owned(), instead })
}

/// The settings of the current transaction.
const TRANSACTION_SETTINGS: [&str; 3] = ["transaction_read_only", "transaction_isolation", "transaction_deferrable"];

fn check_variable(set: &Value) -> Option<Rejection> {
    let name = set["name"].as_str().unwrap_or_default();
    let kind = set["kind"].as_i64().and_then(|kind| VariableSetKind::try_from(kind as i32).ok());
    let verb = if kind == Some(VariableSetKind::VarReset) { "RESET" } else { "SET" };
    let what = match name {
        "role" => format!("{verb} ROLE"),
        "session_authorization" => format!("{verb} SESSION AUTHORIZATION"),
        // SET TRANSACTION, SET SESSION CHARACTERISTICS.
        "TRANSACTION" | "SESSION CHARACTERISTICS" => {
            return Some(Rejection::NotSupported { what: "SET TRANSACTION".to_owned(), instead: TRANSACTION_MODES });
        }
        // Postgres 15 would allow RESET to make a read-only transaction read-write.
        name if TRANSACTION_SETTINGS.contains(&name) => {
            return Some(Rejection::NotSupported { what: format!("{verb} {name}"), instead: TRANSACTION_MODES });
        }
        _ => return None,
    };
    Some(Rejection::NotSupported { what, instead: "The editor always runs as the project's owner role." })
}

fn check_rename(rename: &Value) -> Option<Rejection> {
    let object = rename["rename_type"].as_i64().and_then(|kind| ObjectType::try_from(kind as i32).ok())?;
    let (what, instead) = match object {
        ObjectType::ObjectRole => ("ALTER ROLE", ROLES),
        ObjectType::ObjectDatabase => ("ALTER DATABASE", SERVER),
        ObjectType::ObjectTablespace => ("ALTER TABLESPACE", SERVER),
        _ => return None,
    };
    Some(Rejection::NotSupported { what: what.to_owned(), instead })
}

fn check_call(call: &Value) -> Option<Rejection> {
    let names = names(&call["funcname"]);
    let name = *names.last()?;
    // A function in another schema belongs to the project and may have any name. The functions of the extension
    // `dblink` can be in any schema.
    if names.len() > 1 && names[names.len() - 2] != "pg_catalog" && !name.starts_with("dblink") {
        return None;
    }
    if is_rejected_function(name) {
        return Some(rejected_function(name));
    }
    let setting = (name == "set_config").then(|| string_constant(&call["args"][0])).flatten()?;
    let setting = setting.to_ascii_lowercase();
    let instead = match setting.as_str() {
        "role" | "session_authorization" => "The editor always runs as the project's owner role.",
        name if TRANSACTION_SETTINGS.contains(&name) => TRANSACTION_MODES,
        _ => return None,
    };
    Some(Rejection::NotSupported { what: format!("set_config('{setting}', …)"), instead })
}

/// Returns whether the function accesses files of the server, sleeps, connects to another database, or affects other
/// sessions or the whole server.
pub(super) fn is_rejected_function(name: &str) -> bool {
    matches!(
        name,
        "pg_read_file"
            | "pg_read_binary_file"
            | "pg_stat_file"
            | "pg_current_logfile"
            | "lo_import"
            | "lo_export"
            | "pg_reload_conf"
            | "pg_rotate_logfile"
            | "pg_terminate_backend"
            | "pg_cancel_backend"
            | "pg_promote"
            | "pg_switch_wal"
            | "pg_backup_start"
            | "pg_backup_stop"
    ) || ["pg_sleep", "pg_ls_", "pg_file_", "dblink"].iter().any(|prefix| name.starts_with(prefix))
}

/// Returns the rejection of a function call.
pub(super) fn rejected_function(name: &str) -> Rejection {
    let instead = match name {
        name if name.starts_with("pg_sleep") => "A statement has a time limit. To run something later, use a job.",
        name if name.starts_with("dblink") => "The editor can access only this project's database.",
        "pg_terminate_backend" | "pg_cancel_backend" => "It affects other sessions.",
        "set_config" => "Use SET as a separate statement.",
        "pg_reload_conf" | "pg_rotate_logfile" | "pg_promote" | "pg_switch_wal" | "pg_backup_start"
        | "pg_backup_stop" => SERVER,
        _ => FILES,
    };
    Rejection::NotSupported { what: format!("the function {name}()"), instead }
}

/// Checks the statements in the body of `CREATE FUNCTION … LANGUAGE sql AS '…'`. (`BEGIN ATOMIC` bodies are part of
/// the tree.)
fn check_sql_body(function: &Value, permissions: Permissions, body_depth: usize) -> Option<Rejection> {
    let mut is_sql = false;
    let mut bodies = Vec::new();
    for option in function["options"].as_array()? {
        let (_, element) = kind_of(option)?;
        match element["defname"].as_str() {
            Some("language") => {
                is_sql = kind_of(&element["arg"])
                    .and_then(|(_, text)| text["sval"].as_str())
                    .is_some_and(|language| language.eq_ignore_ascii_case("sql"));
            }
            Some("as") => bodies = kind_of(&element["arg"]).map(|(_, list)| names(&list["items"])).unwrap_or_default(),
            _ => {}
        }
    }
    if !is_sql {
        return None;
    }
    let parsed = pg_query::parse(bodies.first()?, 0).ok()?;
    let tree = SyntaxTree(serde_json::to_value(&parsed.protobuf).ok()?);
    check_in_bodies(&tree, permissions, body_depth).err()
}

#[cfg(test)]
mod tests {
    use super::super::{restrictions::Permissions, statement::parse_statement};

    /// Returns the SQL of a function that creates a function, and so on. The innermost function runs `body`.
    fn nested_functions(depth: usize, body: &str) -> String {
        (0..depth).fold(body.to_owned(), |body, level| {
            format!("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $a{level}$ {body} $a{level}$")
        })
    }

    #[test]
    fn bodies_of_nested_functions_are_checked_without_overflowing_the_stack() {
        let parsed =
            |depth: usize| parse_statement(&nested_functions(depth, "SELECT pg_sleep(1)"), Permissions::default());
        assert!(parsed(2).is_err());
        assert_eq!(parsed(1500).unwrap().command, "CREATE FUNCTION");
    }
}
