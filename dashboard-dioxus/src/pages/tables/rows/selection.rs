//! The rows that the filter selects, as a query for an export.

use super::query::{Filter, RowQuery, split_quoted};
use crate::value::quoted;

/// Returns a query for the rows that the address selects, in their order. `None` if a filter can't be translated to
/// SQL.
pub(super) fn query_of(table: &str, rows: &RowQuery) -> Option<String> {
    let conditions =
        rows.filters.iter().map(|filter| condition(&Filter::parse(filter)?)).collect::<Option<Vec<_>>>()?;
    let mut sql = format!("select * from public.{}", quoted(table));
    if !conditions.is_empty() {
        sql.push_str(&format!("\nwhere {}", conditions.join("\n  and ")));
    }
    let orders: Vec<String> = rows
        .orders()
        .into_iter()
        .map(|(column, descending)| format!("{}{}", quoted(&column), if descending { " desc" } else { "" }))
        .collect();
    if !orders.is_empty() {
        sql.push_str(&format!("\norder by {}", orders.join(", ")));
    }
    Some(sql)
}

fn condition(filter: &Filter) -> Option<String> {
    let column = quoted(&filter.column);
    let value = filter.value.as_str();
    let operator = match filter.operator.as_str() {
        "eq" => "=",
        "neq" => "<>",
        "gt" => ">",
        "gte" => ">=",
        "lt" => "<",
        "lte" => "<=",
        "like" => "like",
        "ilike" => "ilike",
        "cs" => "@>",
        "ov" => "&&",
        "is" | "not.is" => {
            let is = if filter.operator == "is" { "is" } else { "is not" };
            return matches!(value, "null" | "true" | "false").then(|| format!("{column} {is} {value}"));
        }
        "in" => {
            // Values in quotes may contain escapes.
            if value.contains(['"', '\\']) {
                return None;
            }
            let values: Vec<String> = split_quoted(value, ',').iter().map(|value| literal(value)).collect();
            return Some(format!("{column} in ({})", values.join(", ")));
        }
        _ => return None,
    };
    Some(format!("{column} {operator} {}", literal(value)))
}

/// Returns a text as an SQL literal. Postgres parses it as a value of the column's type.
fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(filters: &[&str], order: Option<&str>) -> Option<String> {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        query_of("a\"b", &RowQuery { filters, order: order.map(str::to_owned), ..RowQuery::default() })
    }

    #[test]
    fn filters_and_order_become_a_query() {
        let sql =
            query(&["gte.price=10", "ilike.title=%it's\\%", "not.is.note=null", "in.id=1,2"], Some("price.desc,id"));
        assert_eq!(
            sql.as_deref(),
            Some(
                "select * from public.\"a\"\"b\"\nwhere \"price\" >= '10'\n  and \"title\" ilike E'%it''s\\\\%'\n  and \
                 \"note\" is not null\n  and \"id\" in ('1', '2')\norder by \"price\" desc, \"id\""
            )
        );
    }

    #[test]
    fn filters_that_sql_cannot_express_give_no_query() {
        assert_eq!(query(&["or=(eq.id:1)"], None), None);
        assert_eq!(query(&["fts.title=a"], None), None);
        assert_eq!(query(&["is.a=1; drop table b"], None), None);
    }
}
