use crate::error::{ApiError, ApiResult};

use super::{query::shortened, text::Scanner};

/// Deepest embedding: a table within a table within the one asked for.
const MAX_EMBED_DEPTH: usize = 2;
/// Most embedded tables in one request.
const MAX_EMBEDS: usize = 20;

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

/// A table to follow a foreign key to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embed {
    pub table: String,
    pub alias: Option<String>,
    pub hint: Option<String>,
    pub items: Vec<SelectItem>,
}

/// `*`, `a,b`, `alias:col,"odd name",authors(id,name)`.
pub(super) fn parse_select(text: &str) -> ApiResult<Vec<SelectItem>> {
    let mut parser = SelectParser { scanner: Scanner::new(text), embeds: 0, whole: text };
    let items = parser.items(0)?;
    if !parser.scanner.is_done() {
        return Err(parser.wrong("there is a closing parenthesis too many"));
    }
    Ok(items)
}

/// `a,b`: names alone, as `onConflict` takes them.
pub(super) fn parse_names(parameter: &str, text: &str) -> ApiResult<Vec<String>> {
    let wrong = |why: &str| ApiError::invalid(format!("`{parameter}={}` can't be read: {why}.", shortened(text)));
    let mut scanner = Scanner::new(text);
    let mut names: Vec<String> = Vec::new();
    loop {
        let name = name(&mut scanner, |character| character == ',').map_err(wrong)?;
        if names.contains(&name) {
            return Err(wrong("it names a column twice"));
        }
        names.push(name);
        if scanner.is_done() {
            return Ok(names);
        }
        if !scanner.eat(",") {
            return Err(wrong("a comma must follow a quoted name"));
        }
    }
}

struct SelectParser<'a> {
    scanner: Scanner<'a>,
    embeds: usize,
    whole: &'a str,
}

impl SelectParser<'_> {
    fn items(&mut self, depth: usize) -> ApiResult<Vec<SelectItem>> {
        let mut items = Vec::new();
        loop {
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
                Some(_) => {
                    Err(self
                        .wrong("`!` stands between a table to embed and its columns, as in authors!author_id(name)"))
                }
            };
        }
        if depth == MAX_EMBED_DEPTH {
            return Err(ApiError::invalid(format!("Tables can be embedded {MAX_EMBED_DEPTH} deep, not deeper.")));
        }
        self.embeds += 1;
        if self.embeds > MAX_EMBEDS {
            return Err(ApiError::invalid(format!("A request can embed at most {MAX_EMBEDS} tables.")));
        }
        let items = self.items(depth + 1)?;
        if !self.scanner.eat(")") {
            return Err(self.wrong("a closing parenthesis is missing"));
        }
        Ok(SelectItem::Embed(Embed { table: name, alias, hint, items }))
    }

    fn name(&mut self) -> ApiResult<String> {
        let stop = |character| matches!(character, ',' | '(' | ')' | ':' | '!');
        name(&mut self.scanner, stop).map_err(|why| self.wrong(why))
    }

    fn wrong(&self, why: &str) -> ApiError {
        ApiError::invalid(format!("`select={}` can't be read: {why}.", shortened(self.whole)))
    }
}

/// A name as it is, with the spaces around it cut, or quoted.
pub(super) fn name(scanner: &mut Scanner<'_>, stop: impl Fn(char) -> bool) -> Result<String, &'static str> {
    scanner.skip_spaces();
    if scanner.peek() == Some('"') {
        let name = scanner.quoted().ok_or("a closing quote is missing")?;
        scanner.skip_spaces();
        return if name.is_empty() { Err("a name is missing") } else { Ok(name) };
    }
    match scanner.take_until(stop).trim_end() {
        "" => Err("a name is missing"),
        name => Ok(name.to_owned()),
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
    fn items() {
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
    fn refusals() {
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
        check("a)", "too many");
        check("\"a", "closing quote");
        check("a!b", "`!` stands between");
        check("a(b(c(d)))", "2 deep");
        check(&vec!["a(b)"; 21].join(","), "at most 20");
    }

    #[test]
    fn names() {
        assert_eq!(parse_names("onConflict", r#"a, "b,c""#).unwrap(), ["a", "b,c"]);
        for bad in ["", "a,", "a,a", "\"a\"b"] {
            assert!(parse_names("onConflict", bad).is_err(), "{bad}");
        }
    }
}
