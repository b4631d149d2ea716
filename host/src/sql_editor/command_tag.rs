//! Names the command of a statement, as Postgres's command tags do.

use pg_query::protobuf::ObjectType;
use serde_json::Value;

/// Returns the name of a statement's command, for example `CREATE TABLE`. It resembles the command tag that Postgres
/// sends, without counts. It is derived from the parse tree, because the client library does not expose the server's
/// tag.
pub(super) fn command_tag(kind: &str, node: &Value) -> String {
    let object = |field: &str| {
        node[field]
            .as_i64()
            .and_then(|number| ObjectType::try_from(number as i32).ok())
            .map_or_else(String::new, object_name)
    };
    match kind {
        "SelectStmt" | "PlassignStmt" => "SELECT".to_owned(),
        "CreateStmt" => "CREATE TABLE".to_owned(),
        "CreateForeignTableStmt" => "CREATE FOREIGN TABLE".to_owned(),
        "CreateTableAsStmt" => format!(
            "CREATE {}",
            if object("objtype") == "MATERIALIZED VIEW" { "MATERIALIZED VIEW" } else { "TABLE AS" }
        ),
        "ViewStmt" => "CREATE VIEW".to_owned(),
        "IndexStmt" => "CREATE INDEX".to_owned(),
        "CreateSeqStmt" => "CREATE SEQUENCE".to_owned(),
        "AlterSeqStmt" => "ALTER SEQUENCE".to_owned(),
        "CreateTrigStmt" => "CREATE TRIGGER".to_owned(),
        "CreateFunctionStmt" => {
            if node["is_procedure"] == true { "CREATE PROCEDURE" } else { "CREATE FUNCTION" }.to_owned()
        }
        "CompositeTypeStmt" | "CreateEnumStmt" | "CreateRangeStmt" => "CREATE TYPE".to_owned(),
        "AlterEnumStmt" | "AlterTypeStmt" => "ALTER TYPE".to_owned(),
        "RuleStmt" => "CREATE RULE".to_owned(),
        "CreatePlangStmt" => "CREATE LANGUAGE".to_owned(),
        "DefineStmt" => format!("CREATE {}", object("kind")),
        "AlterTableStmt" => format!("ALTER {}", object("objtype")),
        "AlterTableMoveAllStmt" => "ALTER TABLE".to_owned(),
        "AlterFunctionStmt" => format!("ALTER {}", object("objtype")),
        "AlterOwnerStmt" | "AlterObjectSchemaStmt" | "AlterObjectDependsStmt" => {
            format!("ALTER {}", object("object_type"))
        }
        "RenameStmt" => {
            let renamed = object("rename_type");
            // Renaming a column or constraint alters its table.
            match renamed.as_str() {
                "COLUMN" | "TABLE CONSTRAINT" => format!("ALTER {}", object("relation_type")),
                "ATTRIBUTE" => "ALTER TYPE".to_owned(),
                "DOMCONSTRAINT" => "ALTER DOMAIN".to_owned(),
                _ => format!("ALTER {renamed}"),
            }
        }
        "DropStmt" => format!("DROP {}", object("remove_type")),
        "TruncateStmt" => "TRUNCATE TABLE".to_owned(),
        "GrantStmt" => if node["is_grant"] == true { "GRANT" } else { "REVOKE" }.to_owned(),
        "AlterDefaultPrivilegesStmt" => "ALTER DEFAULT PRIVILEGES".to_owned(),
        "RefreshMatViewStmt" => "REFRESH MATERIALIZED VIEW".to_owned(),
        "VacuumStmt" => if node["is_vacuumcmd"] == true { "VACUUM" } else { "ANALYZE" }.to_owned(),
        "VariableSetStmt" => {
            // These kinds are VAR_RESET and VAR_RESET_ALL.
            if node["kind"].as_i64().is_some_and(|kind| kind >= 5) { "RESET" } else { "SET" }.to_owned()
        }
        "VariableShowStmt" => "SHOW".to_owned(),
        "LockStmt" => "LOCK TABLE".to_owned(),
        "ConstraintsSetStmt" => "SET CONSTRAINTS".to_owned(),
        "CreateStatsStmt" => "CREATE STATISTICS".to_owned(),
        "AlterStatsStmt" => "ALTER STATISTICS".to_owned(),
        "CreateOpClassStmt" => "CREATE OPERATOR CLASS".to_owned(),
        "CreateOpFamilyStmt" => "CREATE OPERATOR FAMILY".to_owned(),
        "AlterOpFamilyStmt" => "ALTER OPERATOR FAMILY".to_owned(),
        "CreateEventTrigStmt" => "CREATE EVENT TRIGGER".to_owned(),
        "AlterEventTrigStmt" => "ALTER EVENT TRIGGER".to_owned(),
        "CreateFdwStmt" => "CREATE FOREIGN DATA WRAPPER".to_owned(),
        "AlterFdwStmt" => "ALTER FOREIGN DATA WRAPPER".to_owned(),
        "CreateForeignServerStmt" => "CREATE SERVER".to_owned(),
        "AlterForeignServerStmt" => "ALTER SERVER".to_owned(),
        "AlterTsdictionaryStmt" => "ALTER TEXT SEARCH DICTIONARY".to_owned(),
        "AlterTsconfigurationStmt" => "ALTER TEXT SEARCH CONFIGURATION".to_owned(),
        "AlterExtensionContentsStmt" => "ALTER EXTENSION".to_owned(),
        "CreateAmStmt" => "CREATE ACCESS METHOD".to_owned(),
        "SecLabelStmt" => "SECURITY LABEL".to_owned(),
        "CheckPointStmt" => "CHECKPOINT".to_owned(),
        "ClosePortalStmt" => "CLOSE CURSOR".to_owned(),
        other => words_of(other.strip_suffix("Stmt").unwrap_or(other)),
    }
}

/// Returns the name of a kind of object in SQL, for example `MATERIALIZED VIEW`.
pub(super) fn object_name(object: ObjectType) -> String {
    match object {
        ObjectType::ObjectMatview => "MATERIALIZED VIEW".to_owned(),
        ObjectType::ObjectTabconstraint => "TABLE CONSTRAINT".to_owned(),
        ObjectType::ObjectTsconfiguration => "TEXT SEARCH CONFIGURATION".to_owned(),
        ObjectType::ObjectTsdictionary => "TEXT SEARCH DICTIONARY".to_owned(),
        ObjectType::ObjectTsparser => "TEXT SEARCH PARSER".to_owned(),
        ObjectType::ObjectTstemplate => "TEXT SEARCH TEMPLATE".to_owned(),
        ObjectType::ObjectOpclass => "OPERATOR CLASS".to_owned(),
        ObjectType::ObjectOpfamily => "OPERATOR FAMILY".to_owned(),
        ObjectType::ObjectStatisticExt => "STATISTICS".to_owned(),
        ObjectType::ObjectFdw => "FOREIGN DATA WRAPPER".to_owned(),
        ObjectType::ObjectForeignServer => "SERVER".to_owned(),
        other => other.as_str_name().trim_start_matches("OBJECT_").replace('_', " "),
    }
}

/// Converts `CreateSchema` to `CREATE SCHEMA`.
fn words_of(name: &str) -> String {
    let mut tag = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !tag.is_empty() {
            tag.push(' ');
        }
        tag.push(c.to_ascii_uppercase());
    }
    tag
}
