//! Parses and classifies the submitted SQL, before any connection is opened.

use pg_query::protobuf::{DiscardMode, KeywordKind, ReindexObjectType, ScanToken, Token};
use serde_json::Value;

use super::{
    changed_tables::changed_tables,
    command_tag::command_tag,
    errors::Rejection,
    restrictions::{self, Permissions},
    syntax_tree::{SyntaxTree, kind_of},
};

/// Maximum length, in bytes, of SQL that is parsed into a tree. The tree takes about a hundred times the memory of the
/// SQL.
const MAX_TREE_TEXT_BYTES: usize = 128 * 1024;

/// The properties of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Name of the command: `SELECT`, `CREATE TABLE`, …. Empty if the statement is refused because it is too long or
    /// too deep.
    pub(super) command: String,
    pub(super) fetch_mode: FetchMode,
    /// Whether `EXPLAIN` supports it.
    pub(super) explainable: bool,
    /// Whether it changes nothing, as far as its text tells.
    pub(super) read_only: bool,
    /// Whether it can run in a transaction with others.
    pub(super) in_transaction: bool,
    /// Names of the tables that it changes. Empty if the SQL is too long or too deep.
    pub(super) tables: Vec<String>,
}

/// A statement that Postgres's grammar accepts.
pub(super) struct Analysis {
    pub(super) statement: Statement,
    /// `None` if the SQL is too long or too deep.
    pub(super) tree: Option<SyntaxTree>,
    /// The reason why the editor refuses to run the statement, if it refuses.
    pub(super) refusal: Option<Rejection>,
}

/// The method of fetching a statement's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchMode {
    /// Through a cursor, which stops when the result is full.
    Cursor,
    /// All at once. A change is completed even if only a part of its rows is returned.
    Whole,
}

/// Parses the SQL with Postgres's grammar. It is CPU-bound: don't call it on an async thread.
pub(super) fn parse_statement(sql: &str, permissions: Permissions) -> Result<Statement, Rejection> {
    let analysis = analyze(sql, permissions)?;
    match analysis.refusal {
        None => Ok(analysis.statement),
        Some(refusal) => Err(refusal),
    }
}

/// Like [`parse_statement`], but also describes a statement that the editor does not run.
pub(super) fn analyze(sql: &str, permissions: Permissions) -> Result<Analysis, Rejection> {
    let count = match pg_query::split_with_parser(sql) {
        Ok(statements) => statements.iter().filter(|text| !is_blank(text)).count(),
        Err(error) => return Err(Rejection::Syntax(parser_message(&error))),
    };
    match count {
        0 => return Err(Rejection::Empty),
        1 => {}
        several => return Err(Rejection::SeveralStatements(several)),
    }
    if sql.len() > MAX_TREE_TEXT_BYTES {
        return classify_tokens(sql);
    }
    // The decoder of the tree fails at 100 levels, about 50 nested expressions; the grammar has no such limit.
    match pg_query::parse(sql, 0) {
        Ok(parsed) => match serde_json::to_value(&parsed.protobuf) {
            Ok(tree) => classify_tree(SyntaxTree(tree), permissions),
            Err(_) => classify_tokens(sql),
        },
        Err(pg_query::Error::Parse(message)) => Err(Rejection::Syntax(message)),
        Err(_) => classify_tokens(sql),
    }
}

fn classify_tree(tree: SyntaxTree, permissions: Permissions) -> Result<Analysis, Rejection> {
    let refusal = restrictions::check(&tree, permissions).err();
    let Some((kind, node)) = tree.statement() else { return Err(Rejection::Empty) };
    let is_plain_select = kind == "SelectStmt" && !tree.writes_data() && !selects_into(node);
    let mut statement = Statement {
        command: command_tag(kind, node),
        fetch_mode: if is_plain_select { FetchMode::Cursor } else { FetchMode::Whole },
        explainable: matches!(
            kind,
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "CreateTableAsStmt"
        ),
        read_only: match kind {
            "SelectStmt" => is_plain_select && !tree.locks_rows(),
            "ExplainStmt" => !runs_explained(node) || !(tree.writes_data() || tree.locks_rows()),
            "VariableShowStmt" => true,
            _ => false,
        },
        in_transaction: can_run_in_transaction(kind, node),
        tables: Vec::new(),
    };
    if !statement.read_only {
        statement.tables = changed_tables(&tree);
    }
    Ok(Analysis { statement, tree: Some(tree), refusal })
}

/// Returns whether an `EXPLAIN` may run its statement: it has the option `ANALYZE`, whatever the option's value.
fn runs_explained(explain: &Value) -> bool {
    let options = explain["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    options.iter().filter_map(kind_of).any(|(_, option)| option["defname"] == "analyze")
}

/// Returns whether Postgres accepts the statement inside a transaction block.
fn can_run_in_transaction(kind: &str, node: &Value) -> bool {
    let has_option = |list: &Value, name: &str| {
        let options = list.as_array().map(Vec::as_slice).unwrap_or_default();
        options.iter().filter_map(kind_of).any(|(_, option)| option["defname"] == name)
    };
    match kind {
        "VacuumStmt" => node["is_vacuumcmd"] != true,
        "IndexStmt" | "DropStmt" => node["concurrent"] != true,
        "ReindexStmt" => {
            let is_of_one_table = node["kind"].as_i64().is_some_and(|kind| {
                [ReindexObjectType::ReindexObjectIndex, ReindexObjectType::ReindexObjectTable]
                    .iter()
                    .any(|one| i64::from(*one as i32) == kind)
            });
            is_of_one_table && !has_option(&node["params"], "concurrently")
        }
        "ClusterStmt" => !node["relation"].is_null(),
        "AlterTableStmt" => {
            let commands = node["cmds"].as_array().map(Vec::as_slice).unwrap_or_default();
            !commands.iter().filter_map(kind_of).any(|(_, command)| {
                kind_of(&command["def"])
                    .is_some_and(|(kind, part)| kind == "PartitionCmd" && part["concurrent"] == true)
            })
        }
        "DiscardStmt" => node["target"].as_i64() != Some(i64::from(DiscardMode::DiscardAll as i32)),
        "CreatedbStmt"
        | "DropdbStmt"
        | "CreateTableSpaceStmt"
        | "DropTableSpaceStmt"
        | "AlterSystemStmt"
        | "CreateSubscriptionStmt"
        | "AlterSubscriptionStmt"
        | "DropSubscriptionStmt"
        | "TransactionStmt" => false,
        _ => true,
    }
}

/// Returns whether a query is a `SELECT … INTO`, including in the first member of a `UNION`.
fn selects_into(select: &Value) -> bool {
    !select["into_clause"].is_null() || (!select["larg"].is_null() && selects_into(&select["larg"]))
}

/// Classifies SQL whose tree is too large or too deep, by its tokens. Refuses all statements except queries, `INSERT`,
/// `UPDATE`, `DELETE` and `MERGE`. Refuses these too if they call a function that the SQL editor rejects.
fn classify_tokens(sql: &str) -> Result<Analysis, Rejection> {
    let scanned = pg_query::scan(sql).map_err(|error| Rejection::Syntax(parser_message(&error)))?;
    let tokens: Vec<&ScanToken> =
        scanned.tokens.iter().filter(|token| !matches!(token.token(), Token::SqlComment | Token::CComment)).collect();
    let text = |token: &ScanToken| sql.get(token.start as usize..token.end as usize).unwrap_or_default();
    let rejected_call = tokens.iter().enumerate().find_map(|(index, token)| {
        let is_call = tokens.get(index + 1).is_some_and(|next| next.token() == Token::Ascii40);
        let name = text(token).trim_matches('"').to_ascii_lowercase();
        let is_name = token.token() == Token::Ident || token.keyword_kind() == KeywordKind::UnreservedKeyword;
        let is_rejected = is_call && is_name && (restrictions::is_rejected_function(&name) || name == "set_config");
        is_rejected.then(|| restrictions::rejected_function(&name))
    });
    let contains = |any_of: &[Token]| tokens.iter().any(|token| any_of.contains(&token.token()));
    let first = tokens.iter().map(|token| token.token()).find(|token| *token != Token::Ascii40);
    let (command, fetch_mode) = match first {
        Some(Token::Select | Token::Values | Token::Table) if !contains(&[Token::Into]) => {
            ("SELECT", FetchMode::Cursor)
        }
        Some(Token::Select | Token::With) => ("SELECT", FetchMode::Whole),
        Some(Token::Insert) => ("INSERT", FetchMode::Whole),
        Some(Token::Update) => ("UPDATE", FetchMode::Whole),
        Some(Token::DeleteP) => ("DELETE", FetchMode::Whole),
        Some(Token::Merge) => ("MERGE", FetchMode::Whole),
        _ => ("", FetchMode::Whole),
    };
    let is_supported = !command.is_empty();
    let refusal = rejected_call.or_else(|| (!is_supported).then(too_long_or_deep));
    let statement = Statement {
        command: command.to_owned(),
        fetch_mode,
        explainable: is_supported,
        // `SELECT … FOR UPDATE` also uses a cursor, but locks rows.
        read_only: fetch_mode == FetchMode::Cursor && !contains(&[Token::For]),
        in_transaction: true,
        tables: Vec::new(),
    };
    Ok(Analysis { statement, tree: None, refusal })
}

fn too_long_or_deep() -> Rejection {
    Rejection::NotSupported {
        what: "a statement of this kind that is this long or nested this deep".to_owned(),
        instead: "Shorten it. Only queries, INSERT, UPDATE, DELETE and MERGE may be this long or deep.",
    }
}

pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == ';')
}

pub(super) fn parser_message(error: &pg_query::Error) -> String {
    match error {
        pg_query::Error::Parse(message) | pg_query::Error::Split(message) | pg_query::Error::Scan(message) => {
            message.clone()
        }
        pg_query::Error::Conversion(_) => "the SQL contains a NUL character".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
