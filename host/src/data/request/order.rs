//! Parses the parameter `order`.

use crate::{
    data::message::shortened,
    error::{ApiError, ApiResult},
};

use super::scanner::Scanner;

/// Maximum number of columns in `order`.
const MAX_ORDER_COLUMNS: usize = 16;

/// One column of `order`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    pub column: String,
    pub direction: Direction,
    /// `None` means Postgres's default: last if ascending, first if descending.
    pub nulls: Option<Nulls>,
}

/// The direction in which a column is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Asc,
    Desc,
}

impl Direction {
    /// Returns the position of nulls by default, as in Postgres.
    pub const fn default_nulls(self) -> Nulls {
        match self {
            Self::Asc => Nulls::Last,
            Self::Desc => Nulls::First,
        }
    }
}

/// The position of nulls in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    First,
    Last,
}

/// Parses `a.asc,b.desc.nullslast,"odd.name"`, the value of the parameter `name`.
pub(super) fn parse_order(name: &str, text: &str) -> ApiResult<Vec<OrderItem>> {
    let invalid = |reason: &str| {
        ApiError::invalid(format!("Invalid `{name}={}`: {reason}.", shortened(text))).with_hint(
            "Write each column as column.asc or column.desc, optionally followed by .nullsfirst or .nullslast.",
        )
    };
    let mut scanner = Scanner::new(text);
    let mut items: Vec<OrderItem> = Vec::new();
    loop {
        scanner.skip_spaces();
        let quoted = scanner.peek() == Some('"');
        let item = if quoted {
            let column = scanner.name(|_| true).map_err(invalid)?;
            let suffix = scanner.take_until(|character| character == ',').trim_end();
            match split_suffix(suffix) {
                ("", direction, nulls) => OrderItem { column, direction, nulls },
                _ => {
                    return Err(invalid(
                        "after a quoted name, only .asc, .desc, .nullsfirst, .nullslast or a comma is allowed",
                    ));
                }
            }
        } else {
            let whole = scanner.name(|character| character == ',').map_err(invalid)?;
            let (column, direction, nulls) = split_suffix(&whole);
            if column.is_empty() {
                return Err(invalid("a name is missing"));
            }
            OrderItem { column: column.to_owned(), direction, nulls }
        };
        if items.iter().any(|other| other.column == item.column) {
            return Err(invalid("it contains a column twice"));
        }
        items.push(item);
        if items.len() > MAX_ORDER_COLUMNS {
            return Err(ApiError::invalid(format!("`{name}` contains more than {MAX_ORDER_COLUMNS} columns.")));
        }
        if !scanner.eat(",") {
            return Ok(items);
        }
    }
}

/// Splits off `.asc` or `.desc`, followed by `.nullsfirst` or `.nullslast`.
fn split_suffix(text: &str) -> (&str, Direction, Option<Nulls>) {
    let (rest, nulls) = if let Some(rest) = text.strip_suffix(".nullsfirst") {
        (rest, Some(Nulls::First))
    } else if let Some(rest) = text.strip_suffix(".nullslast") {
        (rest, Some(Nulls::Last))
    } else {
        (text, None)
    };
    if let Some(column) = rest.strip_suffix(".asc") {
        (column, Direction::Asc, nulls)
    } else if let Some(column) = rest.strip_suffix(".desc") {
        (column, Direction::Desc, nulls)
    } else {
        (rest, Direction::Asc, nulls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_items_are_parsed() {
        let check = |input: &str, expected: &str| {
            let shown: Vec<String> = parse_order("order", input)
                .unwrap()
                .iter()
                .map(|item| format!("<{}> {:?} {:?}", item.column, item.direction, item.nulls))
                .collect();
            assert_eq!(shown.join(", "), expected, "{input}");
        };
        check("a", "<a> Asc None");
        check("a.asc,b.desc.nullslast", "<a> Asc None, <b> Desc Some(Last)");
        check("a.nullsfirst, b c.desc", "<a> Asc Some(First), <b c> Desc None");
        check(r#""a.desc".desc,"b,c""#, "<a.desc> Desc None, <b,c> Asc None");
        check("a.b.desc", "<a.b> Desc None");
        check("a.up", "<a.up> Asc None");
    }

    #[test]
    fn invalid_orders_are_rejected() {
        for bad in ["", "a,", ",a", ".desc", "\"a", "\"a\"x", "a,a.desc", "\"\""] {
            assert!(parse_order("order", bad).is_err(), "{bad}");
        }
        let columns: Vec<String> = (0..17).map(|number| format!("c{number}")).collect();
        assert!(parse_order("order", &columns.join(",")).is_err());
    }
}
