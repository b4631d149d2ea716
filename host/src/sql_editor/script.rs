//! Splits a script into its statements, and describes each.

use api_types::{ParsedSql, ParsedStatement, RefusedStatement, SyntaxError};
use pg_query::protobuf::{ScanToken, Token};

use super::{
    destroys::CreatedObjects,
    errors::Rejection,
    restrictions::Permissions,
    statement::{Analysis, Statement, analyze, parser_message},
};
use crate::error::{ApiError, ApiResult};

/// Maximum number of statements in a script.
const MAX_STATEMENTS: usize = 2000;

/// Maximum length, in bytes, of a statement in which the position of a syntax error is searched for.
const MAX_SEARCHED_BYTES: usize = 128 * 1024;

/// A statement of a script.
pub(super) struct ScriptStatement<'s> {
    /// The SQL without blanks and comments around it, and without a semicolon.
    pub(super) sql: &'s str,
    /// Position of the first byte in the script.
    pub(super) start: usize,
    pub(super) analysis: Result<Analysis, Rejection>,
}

/// Returns the statements of a script. Each is analyzed when the iterator reaches it, so that only one tree is in
/// memory. It is CPU-bound: don't call it on an async thread.
///
/// # Errors
/// Fails if there are more than [`MAX_STATEMENTS`].
pub(super) fn statements(sql: &str, permissions: Permissions) -> ApiResult<impl Iterator<Item = ScriptStatement<'_>>> {
    let pieces: Vec<&str> = split(sql).into_iter().map(without_comments).filter(|piece| !piece.is_empty()).collect();
    if pieces.len() > MAX_STATEMENTS {
        return Err(ApiError::invalid(format!(
            "The script contains {} statements. The maximum is {MAX_STATEMENTS}.",
            pieces.len()
        )));
    }
    Ok(pieces.into_iter().filter_map(move |piece| {
        let start = piece.as_ptr() as usize - sql.as_ptr() as usize;
        match analyze(piece, permissions) {
            Err(Rejection::Empty) => None,
            analysis => Some(ScriptStatement { sql: piece, start, analysis }),
        }
    }))
}

/// Splits a script at semicolons between statements. If a statement has a syntax error, the others are usually still
/// found.
fn split(sql: &str) -> Vec<&str> {
    if let Ok(pieces) = pg_query::split_with_parser(sql) {
        return pieces;
    }
    match scan_tokens(sql) {
        Ok(tokens) => split_at_semicolons(sql, &tokens),
        // A string or comment is not terminated. The script before its statement can still be split.
        Err(error) => {
            let Some(position) = unterminated(sql, &parser_message(&error)) else { return vec![sql] };
            let tokens = scan_tokens(&sql[..position]).unwrap_or_default();
            let semicolon = tokens.iter().rev().find(|token| token.token() == Token::Ascii59);
            let boundary = semicolon.map_or(0, |token| token.end as usize);
            let beginning = &sql[..boundary];
            let tokens = scan_tokens(beginning).unwrap_or_default();
            let mut pieces = split_at_semicolons(beginning, &tokens);
            pieces.push(&sql[boundary..]);
            pieces
        }
    }
}

/// Returns the tokens of SQL. The scanner is not called for SQL without tokens, because it would return an
/// invalid pointer.
fn scan_tokens(sql: &str) -> Result<Vec<ScanToken>, pg_query::Error> {
    let is_blank = sql.bytes().all(|byte| byte.is_ascii_whitespace() || byte == b'\x0b');
    if is_blank { Ok(Vec::new()) } else { pg_query::scan_tokens(sql) }
}

/// Splits a script that does not parse. Semicolons in parentheses and in `BEGIN ATOMIC` bodies of functions don't end a
/// statement.
fn split_at_semicolons<'s>(sql: &'s str, tokens: &[ScanToken]) -> Vec<&'s str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let (mut parentheses, mut blocks) = (0_usize, 0_usize);
    for token in tokens {
        match token.token() {
            Token::Ascii40 => parentheses += 1,
            Token::Ascii41 => parentheses = parentheses.saturating_sub(1),
            Token::Atomic => blocks += 1,
            Token::Case if blocks > 0 => blocks += 1,
            Token::EndP => blocks = blocks.saturating_sub(1),
            Token::Ascii59 if parentheses == 0 && blocks == 0 => {
                pieces.extend(sql.get(start..token.start as usize));
                start = token.end as usize;
            }
            _ => {}
        }
    }
    pieces.extend(sql.get(start..));
    pieces
}

/// Returns the SQL without the comments, blanks and semicolons at its beginning and end.
fn without_comments(piece: &str) -> &str {
    let Ok(tokens) = scan_tokens(piece) else { return piece.trim() };
    let mut tokens =
        tokens.iter().filter(|token| !matches!(token.token(), Token::SqlComment | Token::CComment | Token::Ascii59));
    let Some(first) = tokens.next() else { return "" };
    let end = tokens.next_back().map_or(first.end, |last| last.end);
    piece.get(first.start as usize..end as usize).unwrap_or(piece)
}

/// Describes the statements of a script for clients.
///
/// # Errors
/// Fails if there are more than [`MAX_STATEMENTS`].
pub(super) fn describe(sql: &str, permissions: Permissions) -> ApiResult<ParsedSql> {
    let mut characters = CharacterPositions::new(sql);
    let mut created = CreatedObjects::default();
    let describe = |statement: ScriptStatement<'_>| {
        let start = characters.at(statement.start);
        let (analysis, error) = match statement.analysis {
            Ok(analysis) => (Some(analysis), None),
            Err(rejection) => (None, Some(syntax_error(&characters, statement.sql, rejection))),
        };
        let end = characters.at(statement.start + statement.sql.len());
        let destroys = match analysis.as_ref().and_then(|analysis| analysis.tree.as_ref()) {
            Some(tree) => created.destroyed_by(tree),
            None => Vec::new(),
        };
        let refused = analysis.as_ref().and_then(|analysis| analysis.refusal.clone()).map(|refusal| {
            let error = refusal.into_api_error();
            RefusedStatement { message: error.message().to_owned(), hint: error.hint().unwrap_or_default().to_owned() }
        });
        let known: Option<Statement> = analysis.map(|analysis| analysis.statement);
        ParsedStatement {
            start,
            end,
            explainable: known.as_ref().is_some_and(|statement| statement.explainable),
            read_only: known.as_ref().is_some_and(|statement| statement.read_only),
            in_transaction: known.as_ref().is_none_or(|statement| statement.in_transaction),
            command: known.map(|statement| statement.command).unwrap_or_default(),
            destroys,
            refused,
            error,
        }
    };
    Ok(ParsedSql { statements: statements(sql, permissions)?.map(describe).collect() })
}

/// Describes the syntax error of a statement. `start` is at its first byte.
pub(super) fn syntax_error(start: &CharacterPositions<'_>, statement: &str, rejection: Rejection) -> SyntaxError {
    let message = match rejection {
        Rejection::Syntax(message) => message,
        // If another statement of the script has a syntax error, `split` can leave several statements together.
        other => other.into_api_error().message().to_owned(),
    };
    let mut characters = *start;
    let position = error_position(statement, &message).map(|position| characters.at(start.bytes + position) + 1);
    let line = position.map(|_| 1 + characters.line_breaks as u32);
    SyntaxError { message, position, line }
}

/// Returns the byte at which the parser found an error. Its interface returns only the message.
fn error_position(sql: &str, message: &str) -> Option<usize> {
    if message.ends_with("at end of input") {
        return Some(sql.len());
    }
    let Ok(tokens) = scan_tokens(sql) else { return unterminated(sql, message) };
    if sql.len() > MAX_SEARCHED_BYTES {
        return None;
    }
    // The parser reports the first token that can't follow those before it. A shorter beginning of the SQL is valid,
    // or fails only at its end.
    let is_faulty = |count: usize| {
        let end = tokens.get(count).map_or(sql.len(), |token| token.end as usize);
        pg_query::split_with_parser(&sql[..end]).is_err_and(|error| !parser_message(&error).ends_with("end of input"))
    };
    let (mut low, mut high) = (0, tokens.len());
    while low < high {
        let middle = (low + high) / 2;
        if is_faulty(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    tokens.get(low).map(|token| token.start as usize)
}

/// Returns the byte at which an unterminated string, name or comment starts. The message repeats the SQL from there.
fn unterminated(sql: &str, message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("at or near \"")?;
    let rest = rest.strip_suffix('"')?;
    sql.ends_with(rest).then(|| sql.len() - rest.len()).filter(|position| sql.is_char_boundary(*position))
}

/// Converts ascending positions from bytes to characters.
#[derive(Clone, Copy)]
pub(super) struct CharacterPositions<'s> {
    sql: &'s str,
    bytes: usize,
    characters: usize,
    /// Number of line breaks before the byte of the last call.
    line_breaks: usize,
}

impl<'s> CharacterPositions<'s> {
    pub(super) fn new(sql: &'s str) -> Self {
        Self { sql, bytes: 0, characters: 0, line_breaks: 0 }
    }

    /// Returns the number of characters before a byte. The byte must not be before that of the previous call.
    pub(super) fn at(&mut self, byte: usize) -> u32 {
        let text = self.sql.get(self.bytes..byte).unwrap_or_default();
        self.characters += text.chars().count();
        self.line_breaks += text.matches('\n').count();
        self.bytes = byte;
        self.characters as u32
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
