//! The table whose rows a result shows, found in the text of the statement.
//!
//! A result has an origin only if it is certain: the statement reads one table of the schema `public`, and the result
//! contains the unchanged columns of the table's key. The result of a statement that this module can't parse has none.

use std::rc::Rc;

use api_types::{TableDetail, TableKind};

use super::{
    execution::Column,
    split::{comment_length, dollar_quoted_length, has_escapes, quoted_length},
};
use crate::{address, value::Text};

/// Maximum number of rows that a filter selects. With more rows, the table opens without a filter.
const MAX_FILTERED_ROWS: usize = 100;

/// A table, and the positions of its key in a result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Origin {
    project: String,
    table: String,
    /// Columns of the key, and their positions in the result.
    key: Vec<(String, usize)>,
}

impl Origin {
    /// Returns the origin of a statement's result. `detail` is about the table that [`table_of`] found.
    pub(super) fn new(project: &str, sql: &str, columns: &[Column], detail: &TableDetail) -> Option<Self> {
        let selection = Selection::read(sql).filter(|selection| selection.table == detail.name)?;
        if detail.kind != TableKind::Table || detail.primary_key.is_empty() {
            return None;
        }
        let position = |name: &String| {
            let mut found = columns.iter().enumerate().filter(|(_, column)| column.name == *name);
            let (index, _) = found.next().filter(|_| selection.has(name))?;
            // If two columns have this name, one of them may have other values.
            found.next().is_none().then_some((name.clone(), index))
        };
        let key = detail.primary_key.iter().map(position).collect::<Option<Vec<_>>>()?;
        Some(Self { project: project.to_owned(), table: detail.name.clone(), key })
    }

    /// Returns the address of the table, with a filter that selects these rows if there is a simple one.
    pub(super) fn address(&self, rows: &[Rc<[Text]>]) -> String {
        let filter = self.filter(rows);
        let path = format!("/projects/{}/tables", self.project);
        address::with_parameters(&path, &[("table", Some(&self.table)), ("where", filter.as_deref())])
    }

    /// Returns the address of the form of a row.
    pub(super) fn row_address(&self, row: &[Text]) -> Option<String> {
        let values = self.key.iter().map(|(_, index)| row.get(*index)?.as_deref()).collect::<Option<Vec<_>>>()?;
        let key = match values.as_slice() {
            [value] => (*value).to_owned(),
            values => serde_json::to_string(values).unwrap_or_default(),
        };
        let path = format!("/projects/{}/tables", self.project);
        Some(address::with_parameters(&path, &[("table", Some(&self.table)), ("row", Some(&key))]))
    }

    /// Returns the filter that selects the rows, in the syntax of the API. `None` if no simple filter selects them.
    fn filter(&self, rows: &[Rc<[Text]>]) -> Option<String> {
        let [(column, index)] = self.key.as_slice() else { return None };
        if rows.is_empty() || rows.len() > MAX_FILTERED_ROWS {
            return None;
        }
        let values = rows.iter().map(|row| row.get(*index)?.as_deref()).collect::<Option<Vec<_>>>()?;
        if let [value] = values.as_slice() {
            return Some(format!("eq.{column}={value}"));
        }
        let is_plain = |value: &&str| !value.is_empty() && !value.contains([',', '"', '\\', '(', ')', ' ']);
        values.iter().all(is_plain).then(|| format!("in.{column}={}", values.join(",")))
    }
}

/// Returns the table of `public` that a statement reads from, if it reads from one and no other.
pub(super) fn table_of(sql: &str) -> Option<String> {
    Selection::read(sql).map(|selection| selection.table)
}

/// Returns the table that these columns of a result can be inserted into.
pub(super) fn table_with(sql: &str, columns: &[Column]) -> Option<String> {
    let selection = Selection::read(sql)?;
    columns.iter().all(|column| selection.has(&column.name)).then_some(selection.table)
}

/// The table and the columns that a simple `SELECT` or `TABLE` statement reads.
#[derive(Debug, PartialEq)]
struct Selection {
    table: String,
    has_all_columns: bool,
    /// Columns that are selected under their own name.
    columns: Vec<String>,
}

impl Selection {
    fn read(sql: &str) -> Option<Self> {
        let tokens = tokens(sql)?;
        if let [Token::Word(verb), table] = tokens.as_slice()
            && verb == "table"
        {
            return Some(Self { table: table.name()?.to_owned(), has_all_columns: true, columns: Vec::new() });
        }
        let (first, rest) = tokens.split_first()?;
        if !first.is_word("select") || rest.iter().any(|token| OTHER_ROWS.iter().any(|word| token.is_word(word))) {
            return None;
        }
        let from = rest.iter().position(|token| token.is_word("from"))?;
        let (items, source) = (rest.get(..from)?, rest.get(from + 1..)?);
        let table = table(source)?;
        let mut selection = Self { table, has_all_columns: false, columns: Vec::new() };
        for item in items.split(|token| *token == Token::Sign(',')) {
            match item {
                [Token::Sign('*')] | [_, Token::Sign('.'), Token::Sign('*')] => selection.has_all_columns = true,
                [column] | [_, Token::Sign('.'), column] => selection.columns.extend(column.name().map(str::to_owned)),
                _ => {}
            }
        }
        Some(selection)
    }

    fn has(&self, column: &str) -> bool {
        self.has_all_columns || self.columns.iter().any(|other| other == column)
    }
}

/// Keywords of statements whose results are not rows of one table.
const OTHER_ROWS: [&str; 10] =
    ["join", "group", "having", "union", "intersect", "except", "distinct", "into", "returning", "tablesample"];

/// Words that may follow a table and its alias.
const AFTER_TABLE: [&str; 6] = ["where", "order", "limit", "offset", "fetch", "for"];

/// Returns the table after `FROM`. `None` if there is more than one, or something else.
fn table(source: &[Token]) -> Option<String> {
    let (table, rest) = match source {
        [Token::Word(schema), Token::Sign('.'), table, rest @ ..] if schema == "public" => (table, rest),
        [_, Token::Sign('.'), ..] => return None,
        [table, rest @ ..] => (table, rest),
        [] => return None,
    };
    let ends = |rest: &[Token]| rest.first().is_none_or(|token| AFTER_TABLE.iter().any(|word| token.is_word(word)));
    let is_alone = match rest {
        rest if ends(rest) => true,
        [word, alias, rest @ ..] if word.is_word("as") => alias.name().is_some() && ends(rest),
        [alias, rest @ ..] => alias.name().is_some() && ends(rest),
        [] => true,
    };
    is_alone.then(|| table.name().map(str::to_owned)).flatten()
}

/// A part of a statement outside of parentheses.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A word without quotes, in lower case.
    Word(String),
    Quoted(String),
    Sign(char),
    /// A string, a number, or a pair of parentheses with its content.
    Other,
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) | Self::Quoted(name) => Some(name),
            _ => None,
        }
    }
}

/// Returns the parts of a statement. `None` if its parentheses don't match.
fn tokens(sql: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(rest) = sql.get(position..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next()?;
        let bytes = rest.as_bytes();
        let before = position.checked_sub(1).and_then(|before| sql.as_bytes().get(before));
        let is_name = |character: char| character.is_alphanumeric() || matches!(character, '_' | '$');
        let (length, token) = match first {
            _ if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), None),
            _ if rest.starts_with("/*") => (comment_length(bytes), None),
            '\'' => (quoted_length(bytes, b'\'', has_escapes(sql.as_bytes(), position)), Some(Token::Other)),
            '"' => {
                let length = quoted_length(bytes, b'"', false);
                let name = rest.get(1..length - 1).filter(|name| !name.is_empty());
                (length, name.map(|name| Token::Quoted(name.replace("\"\"", "\""))))
            }
            '$' => (dollar_quoted_length(bytes, before), Some(Token::Other)),
            '(' | ')' => {
                depth = if first == '(' { depth + 1 } else { depth.checked_sub(1)? };
                (1, (first == ')' && depth == 0).then_some(Token::Other))
            }
            _ if first.is_whitespace() => (first.len_utf8(), None),
            _ if first.is_numeric() => {
                (rest.find(|c| !is_name(c) && c != '.').unwrap_or(rest.len()), Some(Token::Other))
            }
            _ if is_name(first) => {
                let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
                (length, Some(Token::Word(rest.get(..length)?.to_lowercase())))
            }
            _ => (first.len_utf8(), Some(Token::Sign(first))),
        };
        tokens.extend(token.filter(|_| depth == 0));
        position += length.max(1);
    }
    (depth == 0).then_some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_a_simple_select_is_found() {
        for (sql, expected) in [
            ("select * from books", Some("books")),
            ("-- all\nSELECT id, title FROM public.Books b where price > (select 1 from x) order by 1", Some("books")),
            ("select b.* from \"My Books\" as b limit 5", Some("My Books")),
            ("select * from \"5\"\" disks\"", Some("5\" disks")),
            ("table books", Some("books")),
            ("select * from books, authors", None),
            ("select * from books join authors using (id)", None),
            ("select * from generate_series(1, 3)", None),
            ("select * from other.books", None),
            ("select distinct on (id) * from books", None),
            ("select count(*) from books group by id", None),
            ("select * from (select 1) x", None),
            ("with b as (select 1) select * from b", None),
            ("select ')' from books", Some("books")),
            ("delete from books", None),
        ] {
            assert_eq!(table_of(sql).as_deref(), expected, "{sql}");
        }
    }

    #[test]
    fn only_columns_under_their_own_name_count() {
        let has_id = |sql: &str| Selection::read(sql).is_some_and(|selection| selection.has("id"));
        for (sql, expected) in [
            ("select * from books", true),
            ("select title, b.id from books b", true),
            ("select 5 as id from books", false),
            ("select id + 1 from books", false),
            ("select author id from books", false),
        ] {
            assert_eq!(has_id(sql), expected, "{sql}");
        }
    }

    #[test]
    fn rows_are_filtered_by_their_key() {
        let origin = Origin { project: "p".to_owned(), table: "t".to_owned(), key: vec![("id".to_owned(), 1)] };
        let row = |id: &str| -> Rc<[Text]> { [None, Some(id.into())].into() };
        for (rows, expected) in [
            (vec![row("7")], Some("eq.id=7")),
            (vec![row("7"), row("8")], Some("in.id=7,8")),
            (vec![row("a,b"), row("8")], None),
            (vec![], None),
            (vec![row("1"); 101], None),
        ] {
            assert_eq!(origin.filter(&rows).as_deref(), expected);
        }
    }
}
