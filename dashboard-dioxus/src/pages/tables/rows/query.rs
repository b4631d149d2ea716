//! Filters, order and page of rows in the address, and the request that reads them.

use api_types::TableDetail;

use super::View;
use crate::{address, value};

/// Selectable numbers of rows per page.
pub(super) const PAGE_SIZES: &[u32] = &[50, 100, 500, 1000];

/// The selection of rows in the address.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct RowQuery {
    /// Filters in the syntax of the API: `gte.price=10`.
    pub(super) filters: Vec<String>,
    /// Order in the syntax of the API: `price.desc,id`.
    pub(super) order: Option<String>,
    pub(super) limit: u32,
    pub(super) after: Option<String>,
    pub(super) offset: Option<String>,
}

impl RowQuery {
    /// Reads the address.
    pub(super) fn current() -> Self {
        Self {
            filters: address::parameters("where"),
            order: address::parameter("order").filter(|order| !order.is_empty()),
            limit: address::parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100).clamp(1, 1000),
            after: address::parameter("after"),
            offset: address::parameter("offset"),
        }
    }

    /// Returns whether these are not the first rows of the selection.
    pub(super) fn is_later_page(&self) -> bool {
        self.after.is_some() || self.offset.is_some()
    }

    /// Returns the path of the request.
    pub(super) fn path(&self, view: View, detail: &TableDetail, count: &str) -> String {
        let limit = self.limit.to_string();
        let default_order = default_order(detail);
        let order = self.order.as_deref().or(default_order.as_deref());
        let mut parameters = vec![
            ("limit", Some(limit.as_str())),
            ("order", order),
            ("after", self.after.as_deref()),
            ("offset", self.offset.as_deref().filter(|_| self.after.is_none())),
            ("count", Some(count)),
            ("maxCellBytes", Some("2048")),
        ];
        let filters: Vec<(String, &str)> = self.filters.iter().filter_map(|filter| name_and_value(filter)).collect();
        parameters.extend(filters.iter().map(|(name, value)| (name.as_str(), Some(*value))));
        view.path("rows", &parameters)
    }

    /// Returns the columns that rows are ordered by, each with whether the order is descending.
    pub(super) fn orders(&self) -> Vec<(String, bool)> {
        let order = self.order.as_deref().unwrap_or_default();
        split_quoted(order, ',').into_iter().filter(|part| !part.is_empty()).map(|part| parse_order(&part)).collect()
    }
}

/// Replaces the filters and shows the first page.
pub(super) fn set_filters(filters: Vec<String>) {
    address::replace_parameters(&[("where", filters), ("after", Vec::new()), ("offset", Vec::new())]);
}

/// Shows the first page.
pub(super) fn open_first_page() {
    address::replace_parameters(&[("after", Vec::new()), ("offset", Vec::new())]);
}

/// Writes an order in the syntax of the API.
pub(in crate::pages::tables) fn write_order(orders: &[(String, bool)]) -> String {
    let parts: Vec<String> = orders
        .iter()
        .map(|(column, descending)| format!("{}{}", quoted_if_needed(column), if *descending { ".desc" } else { "" }))
        .collect();
    parts.join(",")
}

/// Returns the default order: by the key. Pages in this order can be read by cursor, which is faster than by offset.
pub(super) fn default_order(detail: &TableDetail) -> Option<String> {
    let key = key_columns(detail)?;
    Some(write_order(&key.iter().map(|column| (column.clone(), false)).collect::<Vec<_>>()))
}

/// Returns the columns that identify a row: the primary key, or else a unique key whose columns can't be `NULL`.
pub(in crate::pages::tables) fn key_columns(detail: &TableDetail) -> Option<Vec<String>> {
    if !detail.primary_key.is_empty() {
        return Some(detail.primary_key.clone());
    }
    let is_filled = |name: &String| detail.columns.iter().any(|column| column.name == *name && !column.nullable);
    let key = detail.unique_keys.iter().find(|key| key.columns.iter().all(is_filled))?;
    Some(key.columns.clone())
}

fn parse_order(part: &str) -> (String, bool) {
    let part = part.trim();
    let (column, suffix) = match part.strip_prefix('"').and_then(|rest| rest.rfind('"').map(|end| (rest, end))) {
        Some((rest, end)) => {
            (rest.get(..end).unwrap_or_default().replace("\"\"", "\""), rest.get(end + 1..).unwrap_or_default())
        }
        None => match part.split_once('.') {
            Some((column, suffix)) => (column.to_owned(), suffix),
            None => (part.to_owned(), ""),
        },
    };
    (column, suffix.split('.').any(|word| word == "desc"))
}

/// Splits at a separator outside of double quotes.
fn split_quoted(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for character in text.chars() {
        if character == '"' {
            is_quoted = !is_quoted;
        }
        if character == separator && !is_quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

/// Quotes a column's name if it contains characters that the API's syntax uses.
pub(super) fn quoted_if_needed(name: &str) -> String {
    let is_plain = name.chars().all(|character| character.is_alphanumeric() || character == '_');
    if is_plain && !name.is_empty() { name.to_owned() } else { value::quoted(name) }
}

/// Writes a filter in the syntax of the API: `gte.price=10`. `=` and `%` in the column's name are percent-encoded.
pub(in crate::pages::tables) fn filter_text(operator: &str, column: &str, value: &str) -> String {
    format!("{operator}.{}={value}", column.replace('%', "%25").replace('=', "%3D"))
}

/// Returns the parameter of a filter: its name and value.
pub(super) fn name_and_value(filter: &str) -> Option<(String, &str)> {
    let (name, value) = filter.split_once('=')?;
    Some((name.replace("%3D", "=").replace("%25", "%"), value))
}

/// A condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    /// The API's name of the operator, or [`CONTAINS`].
    pub(super) operator: String,
    pub(super) column: String,
    pub(super) value: String,
}

/// The operator of the dialog that finds a part of a text. The API has patterns for this: `ilike.title=%50\%%`.
const CONTAINS: &str = "contains";

/// Operators: the name, the text on a chip, and the text in the dialog.
pub(super) const OPERATORS: [(&str, &str, &str); 15] = [
    ("eq", "=", "is"),
    ("neq", "≠", "is not"),
    ("gt", ">", "is greater than"),
    ("gte", "≥", "is at least"),
    ("lt", "<", "is less than"),
    ("lte", "≤", "is at most"),
    (CONTAINS, "contains", "contains"),
    ("like", "like", "matches the pattern"),
    ("ilike", "ilike", "matches the pattern in any case"),
    ("in", "in", "is one of"),
    ("is", "is", "is NULL, true or false"),
    ("not.is", "is not", "is not NULL, true or false"),
    ("cs", "has", "contains all of"),
    ("ov", "has any", "contains any of"),
    ("fts", "matches", "matches the search"),
];

/// Returns the operators that make sense for a type.
pub(super) fn operators_for(data_type: &str) -> Vec<&'static str> {
    let mut operators = vec!["eq", "neq"];
    if value::is_text(data_type) {
        operators.extend([CONTAINS, "like", "ilike", "gt", "gte", "lt", "lte", "in", "fts"]);
    } else if data_type.ends_with("[]") || data_type.ends_with("range") {
        operators.extend(["cs", "ov"]);
    } else if data_type == "jsonb" {
        operators.push("cs");
    } else if data_type == "boolean" {
        operators.truncate(1);
    } else if data_type != "json" {
        operators.extend(["gt", "gte", "lt", "lte", "in"]);
    }
    operators.extend(["is", "not.is"]);
    operators
}

impl Filter {
    /// Parses `operator.column=value`. Returns `None` for groups and other filters that the dialog can't edit.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, value) = name_and_value(text)?;
        let (negation, rest) = match name.strip_prefix("not.") {
            Some(rest) => ("not.", rest),
            None => ("", name.as_str()),
        };
        let (operator, column) = rest.split_once('.')?;
        let column = match column.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => column.to_owned(),
        };
        let operator = format!("{negation}{operator}");
        if operator == CONTAINS {
            return None;
        }
        if let Some(value) = contained_text(value).filter(|_| operator == "ilike") {
            return Some(Self { operator: CONTAINS.to_owned(), column, value });
        }
        OPERATORS.iter().any(|(known, ..)| *known == operator).then_some(Self {
            operator,
            column,
            value: value.to_owned(),
        })
    }

    pub(super) fn write(&self) -> String {
        if self.operator == CONTAINS {
            return filter_text("ilike", &self.column, &containing(&self.value));
        }
        filter_text(&self.operator, &self.column, &self.value)
    }

    /// Returns the text of a chip: `price ≥ 10`.
    pub(super) fn words(&self) -> String {
        format!("{} {} {}", self.column, self.sign(), self.shown_value())
    }

    pub(super) fn sign(&self) -> &'static str {
        OPERATORS.iter().find(|(name, ..)| *name == self.operator).map_or("", |(_, sign, _)| sign)
    }

    /// Returns the value as the owner typed it.
    pub(super) fn shown_value(&self) -> String {
        match self.operator.as_str() {
            "is" | "not.is" if self.value == "null" => "NULL".to_owned(),
            _ => self.value.clone(),
        }
    }
}

/// Returns the pattern that finds the texts which contain `text`.
pub(super) fn containing(text: &str) -> String {
    format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}

/// Returns the text that the values matching a pattern contain. `None` if the pattern matches in another way.
fn contained_text(pattern: &str) -> Option<String> {
    let inner = pattern.strip_prefix('%')?.strip_suffix('%')?;
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' | '_' => return None,
            // A backslash at the end escapes the `%` after it.
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_written() {
        for (text, words) in [
            ("gte.price=10", "price ≥ 10"),
            ("not.is.published=null", "published is not NULL"),
            ("ilike.title=%hand%", "title contains hand"),
            ("ilike.title=%50\\%\\_\\\\%", "title contains 50%_\\"),
            ("ilike.title=%%", "title contains "),
            ("ilike.title=hand", "title ilike hand"),
            ("ilike.title=50%", "title ilike 50%"),
            ("ilike.title=%a_b%", "title ilike %a_b%"),
            ("ilike.title=%50\\%", "title ilike %50\\%"),
            ("eq.a.b=c=d", "a.b = c=d"),
            ("eq.a%3Db%25=100%", "a=b% = 100%"),
        ] {
            let filter = Filter::parse(text);
            assert_eq!(filter.as_ref().map(Filter::words).as_deref(), Some(words), "{text}");
            assert_eq!(filter.map(|filter| filter.write()).as_deref(), Some(text));
        }
        assert_eq!(Filter::parse("or=(eq.id:1)"), None);
        assert_eq!(Filter::parse("contains.title=hand"), None, "no operator of the API");
    }

    #[test]
    fn orders_are_read_and_written() {
        for (text, orders) in [
            ("price.desc,id", vec![("price", true), ("id", false)]),
            ("\"a,b.c\".desc", vec![("a,b.c", true)]),
            ("", vec![]),
        ] {
            let query = RowQuery { order: Some(text.to_owned()), ..RowQuery::default() };
            let orders: Vec<(String, bool)> = orders.into_iter().map(|(name, desc)| (name.to_owned(), desc)).collect();
            assert_eq!(query.orders(), orders, "{text}");
            assert_eq!(write_order(&orders), text);
        }
    }
}
