//! What the editor does not run, wherever in the statement it stands.
//!
//! This is a courtesy that tells early, and in words, what the editor is not for. It is no boundary: text
//! built at run time and plpgsql bodies are not looked into. The boundary is what `proj_<id>_owner` may do.

use pg_query::protobuf::{ObjectType, VariableSetKind};
use serde_json::Value;

use super::{
    statement::{Permissions, Unreadable},
    syntax_tree::{SyntaxTree, kind_of, names, string_constant},
};

const ROLES: &str = "AtlasHub owns the roles and their passwords; use API keys and table exposure instead.";
const TRANSACTIONS: &str = "Each run is one statement in a transaction of its own. Put changes that belong together into one statement with WITH.";
const SERVER: &str = "It concerns the whole server, not this project.";
const FILES: &str = "It reaches files or programs of the server. Use import and export instead.";

pub(super) fn check(tree: &SyntaxTree, permissions: Permissions) -> Result<(), Unreadable> {
    let mut refusal = None;
    tree.walk(&mut |name, value| {
        if refusal.is_none() {
            refusal = node(name, value, permissions);
        }
    });
    refusal.map_or(Ok(()), Err)
}

fn node(name: &str, value: &Value, permissions: Permissions) -> Option<Unreadable> {
    let refused = |what: &str, instead| Some(Unreadable::Refused { what: what.to_owned(), instead });
    match name {
        "CopyStmt" => copy(value),
        "DoStmt" => refused("DO", "Put the code into a function, or write it as one SQL statement."),
        "CreateExtensionStmt" if !permissions.create_extension => refused(
            "CREATE EXTENSION",
            "Set ATLASHUB_SQL_CREATE_EXTENSION=true to allow it for the extensions that Postgres trusts.",
        ),
        "AlterSystemStmt" => refused("ALTER SYSTEM", SERVER),
        "LoadStmt" => refused("LOAD", FILES),
        "TransactionStmt" => refused("Transaction control", TRANSACTIONS),
        "VariableSetStmt" => variable(value),
        "CreateRoleStmt" => refused("CREATE ROLE", ROLES),
        "AlterRoleStmt" | "AlterRoleSetStmt" => refused("ALTER ROLE", ROLES),
        "DropRoleStmt" => refused("DROP ROLE", ROLES),
        "GrantRoleStmt" => refused("Granting a role to a role", ROLES),
        "DropOwnedStmt" => refused("DROP OWNED", ROLES),
        "ReassignOwnedStmt" => refused("REASSIGN OWNED", ROLES),
        "CreatedbStmt" => refused("CREATE DATABASE", "Create a project instead; each has a database of its own."),
        "DropdbStmt" => refused("DROP DATABASE", "Delete the project instead."),
        "AlterDatabaseStmt" | "AlterDatabaseSetStmt" | "AlterDatabaseRefreshCollStmt" => {
            refused("ALTER DATABASE", SERVER)
        }
        "CreateTableSpaceStmt" => refused("CREATE TABLESPACE", SERVER),
        "DropTableSpaceStmt" => refused("DROP TABLESPACE", SERVER),
        "AlterTableSpaceOptionsStmt" => refused("ALTER TABLESPACE", SERVER),
        "ListenStmt" | "UnlistenStmt" => {
            refused("LISTEN", "The connection is closed after the statement, so nothing would ever arrive.")
        }
        "RenameStmt" => renamed(value),
        "FuncCall" | "funccall" => called(value),
        "CreateFunctionStmt" => sql_body(value, permissions),
        _ => None,
    }
}

fn copy(copy: &Value) -> Option<Unreadable> {
    let what = if copy["is_program"] == true {
        "COPY … PROGRAM"
    } else if copy["filename"].as_str().is_some_and(|name| !name.is_empty()) {
        "COPY with a server file"
    } else {
        "COPY"
    };
    let instead = match what {
        "COPY" => "There is no stream to copy through. Use import and export instead.",
        _ => FILES,
    };
    Some(Unreadable::Refused { what: what.to_owned(), instead })
}

fn variable(set: &Value) -> Option<Unreadable> {
    let name = set["name"].as_str().unwrap_or_default();
    let kind = set["kind"].as_i64().and_then(|kind| VariableSetKind::try_from(kind as i32).ok());
    let verb = if kind == Some(VariableSetKind::VarReset) { "RESET" } else { "SET" };
    let what = match name {
        "role" => format!("{verb} ROLE"),
        "session_authorization" => format!("{verb} SESSION AUTHORIZATION"),
        // SET TRANSACTION, SET SESSION CHARACTERISTICS.
        "TRANSACTION" | "SESSION CHARACTERISTICS" => {
            return Some(Unreadable::Refused { what: "SET TRANSACTION".to_owned(), instead: TRANSACTIONS });
        }
        _ => return None,
    };
    Some(Unreadable::Refused { what, instead: "The editor always runs as the project's owner role." })
}

fn renamed(rename: &Value) -> Option<Unreadable> {
    let object = rename["rename_type"].as_i64().and_then(|kind| ObjectType::try_from(kind as i32).ok())?;
    let (what, instead) = match object {
        ObjectType::ObjectRole => ("ALTER ROLE", ROLES),
        ObjectType::ObjectDatabase => ("ALTER DATABASE", SERVER),
        ObjectType::ObjectTablespace => ("ALTER TABLESPACE", SERVER),
        _ => return None,
    };
    Some(Unreadable::Refused { what: what.to_owned(), instead })
}

fn called(call: &Value) -> Option<Unreadable> {
    let names = names(&call["funcname"]);
    let name = *names.last()?;
    // A function of the owner's own may have any name.
    if names.len() > 1 && names[names.len() - 2] != "pg_catalog" && !name.starts_with("dblink") {
        return None;
    }
    if is_refused_function(name) {
        return Some(function(name));
    }
    let setting = (name == "set_config").then(|| string_constant(&call["args"][0])).flatten()?;
    matches!(setting.to_ascii_lowercase().as_str(), "role" | "session_authorization").then(|| Unreadable::Refused {
        what: format!("set_config('{}', …)", setting.to_ascii_lowercase()),
        instead: "The editor always runs as the project's owner role.",
    })
}

/// Functions that read server files, sleep, or act on other sessions.
pub(super) fn is_refused_function(name: &str) -> bool {
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

pub(super) fn function(name: &str) -> Unreadable {
    let instead = match name {
        name if name.starts_with("pg_sleep") => "A statement has five seconds; use a job to do things later.",
        name if name.starts_with("dblink") => "The editor reaches this project's database alone.",
        "pg_terminate_backend" | "pg_cancel_backend" => "It acts on other sessions.",
        "set_config" => "Use SET in a statement of its own.",
        "pg_reload_conf" | "pg_rotate_logfile" | "pg_promote" | "pg_switch_wal" => SERVER,
        _ => FILES,
    };
    Unreadable::Refused { what: format!("The function {name}()"), instead }
}

/// `CREATE FUNCTION … LANGUAGE sql AS '…'`: its statements, too. (`BEGIN ATOMIC` bodies are in the tree.)
fn sql_body(function: &Value, permissions: Permissions) -> Option<Unreadable> {
    let mut language_sql = false;
    let mut bodies = Vec::new();
    for option in function["options"].as_array()? {
        let (_, element) = kind_of(option)?;
        match element["defname"].as_str() {
            Some("language") => {
                language_sql = kind_of(&element["arg"])
                    .and_then(|(_, text)| text["sval"].as_str())
                    .is_some_and(|language| language.eq_ignore_ascii_case("sql"));
            }
            Some("as") => bodies = kind_of(&element["arg"]).map(|(_, list)| names(&list["items"])).unwrap_or_default(),
            _ => {}
        }
    }
    if !language_sql {
        return None;
    }
    let parsed = pg_query::parse(bodies.first()?, 0).ok()?;
    let tree = SyntaxTree(serde_json::to_value(&parsed.protobuf).ok()?);
    check(&tree, permissions).err()
}
