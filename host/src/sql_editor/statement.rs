//! What the grammar says of the submitted text, before any connection is opened.

use pg_query::protobuf::{KeywordKind, ScanToken, Token};
use serde_json::Value;

use super::{command_tag::command_tag, refusals, syntax_tree::SyntaxTree};

/// Above this many bytes the whole tree is not built: it takes some hundred times the text's size.
const TREE_LIMIT: usize = 128 * 1024;

/// One statement that may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// As in Postgres's command tag: `SELECT`, `CREATE TABLE`, ….
    pub(super) command: String,
    pub(super) way: Way,
    /// `EXPLAIN` takes it.
    pub(super) explainable: bool,
}

/// How a statement's rows are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through a cursor, which stops where the answer is full.
    Cursor,
    /// At once: changes run to their end, whatever part of their rows is shown.
    Whole,
}

/// Why a text does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Nothing but blanks and comments.
    Empty,
    /// More than one statement.
    Several(usize),
    /// What it is, and what to do instead.
    Refused { what: String, instead: &'static str },
    /// The grammar's message; the server's own has the position too.
    Syntax(String),
}

/// What the project's owner lets the editor do besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Permissions {
    pub(super) create_extension: bool,
}

/// Reads the text with Postgres's own grammar. CPU-bound: call it off the async threads.
pub(super) fn read_statement(sql: &str, permissions: Permissions) -> Result<Statement, Unreadable> {
    let count = match pg_query::split_with_parser(sql) {
        Ok(statements) => statements.iter().filter(|text| !is_blank(text)).count(),
        Err(error) => return Err(Unreadable::Syntax(words(&error))),
    };
    match count {
        0 => return Err(Unreadable::Empty),
        1 => {}
        several => return Err(Unreadable::Several(several)),
    }
    if sql.len() > TREE_LIMIT {
        return read_tokens(sql);
    }
    // The tree's decoder gives up at a hundred levels, about fifty nested expressions; the grammar does not.
    match pg_query::parse(sql, 0) {
        Ok(parsed) => match serde_json::to_value(&parsed.protobuf) {
            Ok(tree) => read_tree(&SyntaxTree(tree), permissions),
            Err(_) => read_tokens(sql),
        },
        Err(pg_query::Error::Parse(message)) => Err(Unreadable::Syntax(message)),
        Err(_) => read_tokens(sql),
    }
}

fn read_tree(tree: &SyntaxTree, permissions: Permissions) -> Result<Statement, Unreadable> {
    refusals::check(tree, permissions)?;
    let Some((kind, node)) = tree.statement() else { return Err(Unreadable::Empty) };
    let plain_select = kind == "SelectStmt" && !tree.writes_data() && !selects_into(node);
    Ok(Statement {
        command: command_tag(kind, node),
        way: if plain_select { Way::Cursor } else { Way::Whole },
        explainable: matches!(
            kind,
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "CreateTableAsStmt"
        ),
    })
}

/// `SELECT … INTO`, also in the first member of a `UNION`.
fn selects_into(select: &Value) -> bool {
    !select["into_clause"].is_null() || (!select["larg"].is_null() && selects_into(&select["larg"]))
}

/// For texts whose tree is too large or too deep: queries and changes alone, told apart by their words.
fn read_tokens(sql: &str) -> Result<Statement, Unreadable> {
    let scanned = pg_query::scan(sql).map_err(|error| Unreadable::Syntax(words(&error)))?;
    let tokens: Vec<&ScanToken> =
        scanned.tokens.iter().filter(|token| !matches!(token.token(), Token::SqlComment | Token::CComment)).collect();
    let text = |token: &ScanToken| sql.get(token.start as usize..token.end as usize).unwrap_or_default();
    for (index, token) in tokens.iter().enumerate() {
        let called = tokens.get(index + 1).is_some_and(|next| next.token() == Token::Ascii40);
        let name = text(token).trim_matches('"').to_ascii_lowercase();
        let plain_word = token.token() == Token::Ident || token.keyword_kind() == KeywordKind::UnreservedKeyword;
        if called && plain_word && (refusals::is_refused_function(&name) || name == "set_config") {
            return Err(refusals::function(&name));
        }
    }
    let has = |wanted: &[Token]| tokens.iter().any(|token| wanted.contains(&token.token()));
    let first = tokens.iter().map(|token| token.token()).find(|token| *token != Token::Ascii40);
    let (command, way) = match first {
        Some(Token::Select | Token::Values | Token::Table) if !has(&[Token::Into]) => ("SELECT", Way::Cursor),
        Some(Token::Select | Token::With) => ("SELECT", Way::Whole),
        Some(Token::Insert) => ("INSERT", Way::Whole),
        Some(Token::Update) => ("UPDATE", Way::Whole),
        Some(Token::DeleteP) => ("DELETE", Way::Whole),
        Some(Token::Merge) => ("MERGE", Way::Whole),
        _ => {
            return Err(Unreadable::Refused {
                what: "A statement this long, or nested this deep,".to_owned(),
                instead: "Only queries and INSERT, UPDATE, DELETE and MERGE may be. Shorten it.",
            });
        }
    };
    Ok(Statement { command: command.to_owned(), way, explainable: true })
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == ';')
}

fn words(error: &pg_query::Error) -> String {
    match error {
        pg_query::Error::Parse(message) | pg_query::Error::Split(message) | pg_query::Error::Scan(message) => {
            message.clone()
        }
        pg_query::Error::Conversion(_) => "the text contains a NUL character".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
