use crate::error::{ApiError, ApiResult};

use super::{query::shortened, select::name, text::Scanner};

/// Most columns in one `order`.
const MAX_ORDER: usize = 16;

/// One column of `order`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    pub column: String,
    pub direction: Direction,
    /// `None` is Postgres's default: last when ascending, first when descending.
    pub nulls: Option<Nulls>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Asc,
    Desc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    First,
    Last,
}

/// `a.asc,b.desc.nullslast,"odd.name"`.
pub(super) fn parse_order(text: &str) -> ApiResult<Vec<OrderItem>> {
    let wrong = |why: &str| {
        ApiError::invalid(format!("`order={}` can't be read: {why}.", shortened(text)))
            .with_hint("Order is written column.asc or column.desc, with .nullsfirst or .nullslast after it if wanted.")
    };
    let mut scanner = Scanner::new(text);
    let mut items: Vec<OrderItem> = Vec::new();
    loop {
        scanner.skip_spaces();
        let quoted = scanner.peek() == Some('"');
        let item = if quoted {
            let column = name(&mut scanner, |_| true).map_err(wrong)?;
            let suffix = scanner.take_until(|character| character == ',').trim_end();
            match split_suffix(suffix) {
                ("", direction, nulls) => OrderItem { column, direction, nulls },
                _ => return Err(wrong("after a quoted name come .asc, .desc, .nullsfirst, .nullslast or a comma")),
            }
        } else {
            let whole = name(&mut scanner, |character| character == ',').map_err(wrong)?;
            let (column, direction, nulls) = split_suffix(&whole);
            if column.is_empty() {
                return Err(wrong("a name is missing"));
            }
            OrderItem { column: column.to_owned(), direction, nulls }
        };
        if items.iter().any(|seen| seen.column == item.column) {
            return Err(wrong("it names a column twice"));
        }
        items.push(item);
        if items.len() > MAX_ORDER {
            return Err(ApiError::invalid(format!("`order` names more than {MAX_ORDER} columns.")));
        }
        if !scanner.eat(",") {
            return Ok(items);
        }
    }
}

/// Cuts `.asc`, `.desc`, `.nullsfirst`, `.nullslast` off the end, in that order.
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
    fn items() {
        let check = |input: &str, expected: &str| {
            let shown: Vec<String> = parse_order(input)
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
    fn refusals() {
        for bad in ["", "a,", ",a", ".desc", "\"a", "\"a\"x", "a,a.desc", "\"\""] {
            assert!(parse_order(bad).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..17).map(|number| format!("c{number}")).collect();
        assert!(parse_order(&many.join(",")).is_err());
    }
}
