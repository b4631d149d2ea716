//! Parses filters and groups of filters.

use std::{borrow::Cow, sync::Arc};

use crate::{
    data::{array_literal, message::shortened},
    error::{ApiError, ApiResult, Code},
};

use super::scanner::Scanner;

/// Maximum number of filters in one request, including nested ones.
const MAX_FILTERS: usize = 100;
/// Maximum nesting depth of `or(…)` and `and(…)`.
const MAX_DEPTH: usize = 5;
/// Maximum number of values in the list of an `in`.
const MAX_LIST_VALUES: usize = 1000;

/// One condition of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Filter(Filter),
    Group(Group),
}

/// Conditions joined by AND or OR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub join: Join,
    pub negated: bool,
    pub conditions: Vec<Condition>,
}

/// The operator that joins the conditions of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    And,
    Or,
}

/// A filter: `operator.column=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub negated: bool,
    pub operator: Operator,
    pub column: String,
    /// For `in`, a Postgres array literal of the listed values.
    pub value: Arc<str>,
}

macro_rules! operators {
    ($($variant:ident $name:literal)*) => {
        /// The operator of a filter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operator { $($variant,)* }

        impl Operator {
            /// Every operator.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the operator's name in a request.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub(super) fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

operators! {
    Eq "eq" Neq "neq" Lt "lt" Lte "lte" Gt "gt" Gte "gte" Like "like" Ilike "ilike" In "in" Is "is"
    Cs "cs" Cd "cd" Ov "ov" Fts "fts"
}

/// Parses the filters of one request and enforces the limits.
pub(super) struct FilterParser {
    conditions: Vec<Condition>,
    count: usize,
}

/// Whether a parameter has the form of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParsedParameter {
    Filter,
    NotAFilter,
}

impl FilterParser {
    pub(super) fn new() -> Self {
        Self { conditions: Vec::new(), count: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    pub(super) fn finish(self) -> Vec<Condition> {
        self.conditions
    }

    /// Parses one parameter and keeps its condition.
    pub(super) fn parse_parameter(&mut self, key: &str, value: &str) -> ApiResult<ParsedParameter> {
        let (negated, rest) = strip_not(key);
        if let Some(join) = join_named(rest) {
            let group = self.parse_group(key, value, join, negated)?;
            self.conditions.push(group);
            return Ok(ParsedParameter::Filter);
        }
        let Some((operator, column)) = rest.split_once('.') else { return Ok(ParsedParameter::NotAFilter) };
        let Some(operator) = Operator::from_name(operator) else { return Err(unknown_operator(operator)) };
        if column.is_empty() {
            return Err(ApiError::invalid(format!(
                "The filter `{key}` has no column. Write it as operator.column=value."
            )));
        }
        self.count_filter()?;
        let value = match operator {
            Operator::In => array_literal::from_texts(&parse_list(column, value)?),
            _ => value.into(),
        };
        self.conditions.push(Condition::Filter(Filter { negated, operator, column: column.to_owned(), value }));
        Ok(ParsedParameter::Filter)
    }

    /// Parses the value of `or` or `and`. `key` is the parameter.
    pub(super) fn parse_group(&mut self, key: &str, value: &str, join: Join, negated: bool) -> ApiResult<Condition> {
        let mut scanner = Scanner::new(value);
        let group = self.group(&mut scanner, join, negated, 1)?;
        if !scanner.is_done() {
            return Err(invalid_filter(key, value, "there is text after the closing parenthesis"));
        }
        Ok(Condition::Group(group))
    }

    fn count_filter(&mut self) -> ApiResult<()> {
        self.count += 1;
        if self.count > MAX_FILTERS {
            return Err(ApiError::invalid(format!("A request can have at most {MAX_FILTERS} filters.")));
        }
        Ok(())
    }

    /// Parses `(item,item,…)`. The scanner must be at the parenthesis.
    fn group(&mut self, scanner: &mut Scanner<'_>, join: Join, negated: bool, depth: usize) -> ApiResult<Group> {
        let start = *scanner;
        let invalid = |reason: &str| invalid_filter(join.name(), start.rest(), reason);
        if depth > MAX_DEPTH {
            return Err(ApiError::invalid(format!("`or` and `and` can be nested at most {MAX_DEPTH} levels deep.")));
        }
        if !scanner.eat("(") {
            return Err(invalid("it must start with a parenthesis, as in or=(eq.a:1,gt.b:2)"));
        }
        let mut conditions = Vec::new();
        loop {
            scanner.skip_spaces();
            conditions.push(self.item(scanner, depth, &invalid)?);
            scanner.skip_spaces();
            if scanner.eat(")") {
                return Ok(Group { join, negated, conditions });
            }
            if !scanner.eat(",") {
                return Err(invalid(
                    "a comma or closing parenthesis is missing. Quote values that contain , ( ) or \"",
                ));
            }
        }
    }

    /// Parses `[not.]operator.column:value`, `[not.]or(…)` or `[not.]and(…)`.
    fn item(
        &mut self,
        scanner: &mut Scanner<'_>,
        depth: usize,
        invalid: &impl Fn(&str) -> ApiError,
    ) -> ApiResult<Condition> {
        let negated = scanner.eat("not.");
        for join in [Join::Or, Join::And] {
            let mut ahead = *scanner;
            if ahead.eat(join.name()) && ahead.peek() == Some('(') {
                *scanner = ahead;
                return Ok(Condition::Group(self.group(scanner, join, negated, depth + 1)?));
            }
        }
        let operator_name = scanner.take_until(|character| matches!(character, '.' | ',' | '(' | ')' | ':'));
        if !scanner.eat(".") {
            return Err(invalid("each condition must have the form operator.column:value"));
        }
        let operator = Operator::from_name(operator_name).ok_or_else(|| unknown_operator(operator_name))?;
        let column = match scanner.peek() {
            Some('"') => scanner.quoted().ok_or_else(|| invalid("a closing quote is missing"))?,
            _ => scanner.take_until(|character| matches!(character, ':' | ',' | '(' | ')')).to_owned(),
        };
        if column.is_empty() || !scanner.eat(":") {
            return Err(invalid("each condition must have the form operator.column:value"));
        }
        self.count_filter()?;
        let value: Arc<str> = match (operator, scanner.peek()) {
            (Operator::In, Some('(')) => {
                let listed = scanner.balanced();
                let inner = listed
                    .strip_prefix('(')
                    .and_then(|inner| inner.strip_suffix(')'))
                    .ok_or_else(|| invalid("the list of an `in` has no closing parenthesis"))?;
                array_literal::from_texts(&parse_list(&column, inner)?)
            }
            (Operator::In, _) => {
                return Err(invalid(
                    "inside `or` and `and`, the list of an `in` must be in parentheses, as in in.id:(1,2,3)",
                ));
            }
            (_, Some('"')) => scanner.quoted().ok_or_else(|| invalid("a closing quote is missing"))?.into(),
            _ => scanner.balanced().into(),
        };
        Ok(Condition::Filter(Filter { negated, operator, column, value }))
    }
}

impl Join {
    const fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
        }
    }
}

fn join_named(name: &str) -> Option<Join> {
    match name {
        "and" => Some(Join::And),
        "or" => Some(Join::Or),
        _ => None,
    }
}

fn strip_not(key: &str) -> (bool, &str) {
    match key.strip_prefix("not.") {
        Some(rest) => (true, rest),
        None => (false, key),
    }
}

/// Parses comma-separated values, each of which may be quoted. An empty string is an empty list.
fn parse_list<'v>(column: &str, value: &'v str) -> ApiResult<Vec<Cow<'v, str>>> {
    let mut scanner = Scanner::new(value);
    let mut values = Vec::new();
    if scanner.is_done() {
        return Ok(values);
    }
    loop {
        values.push(match scanner.peek() {
            Some('"') => {
                let Some(quoted) = scanner.quoted() else {
                    return Err(invalid_filter(&format!("in.{column}"), value, "a closing quote is missing"));
                };
                Cow::Owned(quoted)
            }
            _ => Cow::Borrowed(scanner.take_until(|character| character == ',')),
        });
        if values.len() > MAX_LIST_VALUES {
            return Err(ApiError::invalid(format!("`in.{column}` contains more than {MAX_LIST_VALUES} values.")));
        }
        if scanner.is_done() {
            return Ok(values);
        }
        if !scanner.eat(",") {
            return Err(invalid_filter(&format!("in.{column}"), value, "a comma must follow a quoted value"));
        }
    }
}

fn invalid_filter(key: &str, value: &str, reason: &str) -> ApiError {
    ApiError::invalid(format!("Invalid `{}={}`: {reason}.", shortened(key), shortened(value)))
}

fn unknown_operator(name: &str) -> ApiError {
    let names: Vec<&str> = Operator::ALL.iter().map(|operator| operator.name()).collect();
    ApiError::new(
        Code::UnknownOperator,
        format!("Unknown operator `{}`. Supported: {}.", shortened(name), names.join(", ")),
    )
    .with_hint(
        "Write a filter as operator.column=value, on an embedded table operator.table.column=value. To negate it, put \
         `not.` before the operator.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(key: &str, value: &str) -> Result<String, String> {
        let mut parser = FilterParser::new();
        match parser.parse_parameter(key, value) {
            Ok(ParsedParameter::Filter) => Ok(parser.finish().iter().map(show).collect::<Vec<_>>().join(" ")),
            Ok(ParsedParameter::NotAFilter) => Err("not a filter".to_owned()),
            Err(error) => Err(error.message().to_owned()),
        }
    }

    fn show(condition: &Condition) -> String {
        match condition {
            Condition::Filter(filter) => format!(
                "{}{}<{}>{}",
                if filter.negated { "!" } else { "" },
                filter.operator.name(),
                filter.column,
                filter.value
            ),
            Condition::Group(group) => format!(
                "{}{}[{}]",
                if group.negated { "!" } else { "" },
                group.join.name(),
                group.conditions.iter().map(show).collect::<Vec<_>>().join(" ")
            ),
        }
    }

    #[test]
    fn filters_are_parsed() {
        let check = |key: &str, value: &str, expected: &str| {
            assert_eq!(parse(key, value).unwrap(), expected, "{key}={value}");
        };
        check("eq.id", "1", "eq<id>1");
        check("not.gte.a.b", "x,y", "!gte<a.b>x,y");
        check("eq.not.eq.x", "1", "eq<not.eq.x>1");
        check("like.name", "%\"a(%", "like<name>%\"a(%");
        check("in.id", "1,2,3", r#"in<id>{"1","2","3"}"#);
        check("in.name", r#""a,b",c"#, r#"in<name>{"a,b","c"}"#);
        check("in.name", r#""a\"b""c",d\e"#, r#"in<name>{"a\"b\"c","d\\e"}"#);
        check("in.name", "", "in<name>{}");
        check("in.name", "\"\"", r#"in<name>{""}"#);
        check("in.name", "a,", r#"in<name>{"a",""}"#);
        check("or", "(eq.a:1,gt.b:2)", "or[eq<a>1 gt<b>2]");
        check("not.or", "(eq.a:1, not.gt.b:2)", "!or[eq<a>1 !gt<b>2]");
        check("and", "(eq.a:1)", "and[eq<a>1]");
        check(
            "or",
            "(and(eq.a:1,is.b:null),not.or(in.c:(1,2),eq.d:\"x,(y)\"))",
            r#"or[and[eq<a>1 is<b>null] !or[in<c>{"1","2"} eq<d>x,(y)]]"#,
        );
        check("or", r#"(eq."odd:name,":v,cs.tags:{a,b})"#, "or[eq<odd:name,>v cs<tags>{a,b}]");
        check("or", "(eq.a:,eq.order:b:c)", "or[eq<a> eq<order>b:c]");
        check("or", "(eq.or:1,eq.at:2024-01-01T00:00:00Z)", "or[eq<or>1 eq<at>2024-01-01T00:00:00Z]");
    }

    #[test]
    fn invalid_filters_are_rejected() {
        let check = |key: &str, value: &str, expected: &str| {
            let message = parse(key, value).unwrap_err();
            assert!(message.contains(expected), "{key}={value}: {message}");
        };
        check("price", "1", "not a filter");
        check("equals.id", "1", "Unknown operator `equals`. Supported: eq, neq");
        check("not.equals.id", "1", "Unknown operator `equals`");
        check("eq.", "1", "has no column");
        check("in.name", "\"a", "closing quote");
        check("in.name", "\"a\"b", "comma must follow");
        check("or", "eq.a:1", "must start with a parenthesis");
        check("or", "()", "operator.column:value");
        check("or", "(eq.a:1", "comma or closing parenthesis is missing");
        check("or", "(eq.a:1))", "after the closing parenthesis");
        check("or", "(eq.a=1)", "operator.column:value");
        check("or", "(eq.a:1,)", "operator.column:value");
        check("or", "(xx.a:1)", "Unknown operator `xx`");
        check("or", "(in.a:1,2)", "must be in parentheses");
        check("or", "(or(or(or(or(or(eq.a:1))))))", "nested at most 5");
        check("in.id", &vec!["1"; 1001].join(","), "more than 1000");
        let filters = format!("({})", vec!["eq.a:1"; 101].join(","));
        check("or", &filters, "at most 100 filters");
    }
}
