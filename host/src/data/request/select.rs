//! Parses the parameter `select`, with embedded tables.

use crate::{
    data::message::shortened,
    error::{ApiError, ApiResult},
};

use super::{embed::EmbedOptions, scanner::Scanner};

/// Maximum depth of embedded tables.
const MAX_EMBED_DEPTH: usize = 2;
/// Maximum number of embedded tables in one request.
const MAX_EMBEDS: usize = 20;
/// Maximum number of items in one request, including those of embedded tables. Postgres allows 1664 entries in a target
/// list.
const MAX_ITEMS: usize = 1664;

/// One item of `select`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectItem {
    /// `*`
    All,
    /// `[alias:]column`
    Column { column: String, alias: Option<String> },
    /// `[alias:]table[!column or constraint](…)`
    Embed(Embed),
}

/// A table to embed along a foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embed {
    pub table: String,
    pub alias: Option<String>,
    /// The column or constraint that chooses the foreign key.
    pub hint: Option<String>,
    pub items: Vec<SelectItem>,
    pub options: EmbedOptions,
}

impl Embed {
    /// Returns the name of the member in the response.
    pub fn name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.table)
    }

    /// Returns the rest of a path after `name.`.
    pub fn strip_name<'n>(&self, path: &'n str) -> Option<&'n str> {
        path.strip_prefix(self.name())?.strip_prefix('.')
    }
}

/// Parses `*`, `a,b`, `alias:col,"odd name",authors(id,name)`.
pub(super) fn parse_select(text: &str) -> ApiResult<Vec<SelectItem>> {
    let mut parser = SelectParser { scanner: Scanner::new(text), embeds: 0, item_count: 0, text };
    let items = parser.items(0)?;
    if !parser.scanner.is_done() {
        let reason = match parser.scanner.peek() {
            Some(')') => "there is an extra closing parenthesis",
            _ => "a comma is missing between two items",
        };
        return Err(parser.invalid(reason));
    }
    Ok(items)
}

/// Parses a list of names, `a,b`, as in `onConflict`.
pub(super) fn parse_names(parameter: &str, text: &str) -> ApiResult<Vec<String>> {
    let invalid = |reason: &str| ApiError::invalid(format!("Invalid `{parameter}={}`: {reason}.", shortened(text)));
    let mut scanner = Scanner::new(text);
    let mut names: Vec<String> = Vec::new();
    loop {
        let name = scanner.name(|character| character == ',').map_err(invalid)?;
        if names.contains(&name) {
            return Err(invalid("it contains a column twice"));
        }
        names.push(name);
        if scanner.is_done() {
            return Ok(names);
        }
        if !scanner.eat(",") {
            return Err(invalid("a comma must follow a quoted name"));
        }
    }
}

struct SelectParser<'a> {
    scanner: Scanner<'a>,
    embeds: usize,
    item_count: usize,
    text: &'a str,
}

impl SelectParser<'_> {
    fn items(&mut self, depth: usize) -> ApiResult<Vec<SelectItem>> {
        let mut items = Vec::new();
        loop {
            self.item_count += 1;
            if self.item_count > MAX_ITEMS {
                return Err(ApiError::invalid(format!("`select` can have at most {MAX_ITEMS} items.")));
            }
            items.push(self.item(depth)?);
            self.scanner.skip_spaces();
            if !self.scanner.eat(",") {
                return Ok(items);
            }
        }
    }

    fn item(&mut self, depth: usize) -> ApiResult<SelectItem> {
        self.scanner.skip_spaces();
        if self.scanner.eat("*") {
            return Ok(SelectItem::All);
        }
        let mut name = self.name()?;
        let mut alias = None;
        if self.scanner.eat(":") {
            alias = Some(std::mem::replace(&mut name, self.name()?));
        }
        let hint = if self.scanner.eat("!") { Some(self.name()?) } else { None };
        if !self.scanner.eat("(") {
            return match hint {
                None => Ok(SelectItem::Column { column: name, alias }),
                Some(_) => Err(self.invalid(
                    "`!` is only allowed between an embedded table and its columns, as in authors!author_id(name)",
                )),
            };
        }
        if depth == MAX_EMBED_DEPTH {
            return Err(ApiError::invalid(format!("Tables can be embedded at most {MAX_EMBED_DEPTH} levels deep.")));
        }
        self.embeds += 1;
        if self.embeds > MAX_EMBEDS {
            return Err(ApiError::invalid(format!("A request can embed at most {MAX_EMBEDS} tables.")));
        }
        let items = self.items(depth + 1)?;
        if !self.scanner.eat(")") {
            return Err(self.invalid("a comma or closing parenthesis is missing"));
        }
        Ok(SelectItem::Embed(Embed { table: name, alias, hint, items, options: EmbedOptions::default() }))
    }

    fn name(&mut self) -> ApiResult<String> {
        let stop = |character| matches!(character, ',' | '(' | ')' | ':' | '!');
        self.scanner.name(stop).map_err(|reason| self.invalid(reason))
    }

    fn invalid(&self, reason: &str) -> ApiError {
        ApiError::invalid(format!("Invalid `select={}`: {reason}.", shortened(self.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(items: &[SelectItem]) -> String {
        let shown: Vec<String> = items
            .iter()
            .map(|item| match item {
                SelectItem::All => "*".to_owned(),
                SelectItem::Column { column, alias: None } => format!("<{column}>"),
                SelectItem::Column { column, alias: Some(alias) } => format!("<{column}>as<{alias}>"),
                SelectItem::Embed(embed) => {
                    format!("{:?} {:?} <{}>[{}]", embed.alias, embed.hint, embed.table, show(&embed.items))
                }
            })
            .collect();
        shown.join(" ")
    }

    #[test]
    fn select_items_are_parsed() {
        let check = |input: &str, expected: &str| assert_eq!(show(&parse_select(input).unwrap()), expected, "{input}");
        check("*", "*");
        check("a,b", "<a> <b>");
        check(" a , b c ", "<a> <b c>");
        check("label:name", "<name>as<label>");
        check(r#""a,b","x""y":"é:""#, r#"<a,b> <é:>as<x"y>"#);
        check("*,authors(id,name)", "* None None <authors>[<id> <name>]");
        check("w:authors!author_id(*)", r#"Some("w") Some("author_id") <authors>[*]"#);
        check("a(b(c),d)", "None None <a>[None None <b>[<c>] <d>]");
        check("a.b", "<a.b>");
    }

    #[test]
    fn invalid_selects_are_rejected() {
        let check = |input: &str, expected: &str| {
            let error = parse_select(input).unwrap_err();
            assert!(error.message().contains(expected), "{input}: {}", error.message());
        };
        check("", "a name is missing");
        check("a,,b", "a name is missing");
        check("a,", "a name is missing");
        check("a:", "a name is missing");
        check("a()", "a name is missing");
        check("a(b", "closing parenthesis is missing");
        check("a(\"b\"c)", "a comma or closing parenthesis is missing");
        for text in ["\"a\"b", "*a", "a(b)c", "a:b:c"] {
            check(text, "a comma is missing between two items");
        }
        check("a)", "extra closing parenthesis");
        check("\"a", "closing quote");
        check("a!b", "`!` is only allowed between");
        check("a(b(c(d)))", "2 levels deep");
        check(&vec!["a(b)"; 21].join(","), "at most 20");
        check(&vec!["a"; 1665].join(","), "at most 1664 items");
    }

    #[test]
    fn name_lists_are_parsed() {
        assert_eq!(parse_names("onConflict", r#"a, "b,c""#).unwrap(), ["a", "b,c"]);
        for bad in ["", "a,", "a,a", "\"a\"b"] {
            assert!(parse_names("onConflict", bad).is_err(), "{bad}");
        }
    }
}
