//! Parameters of embedded tables: `kid.limit=5`, `kid.order=n.desc`, `kid.or=(…)`.

use std::borrow::Cow;

use crate::{
    data::message::{name_list, shortened},
    error::{ApiError, ApiResult},
};

use super::{
    filter::{Condition, FilterParser, Join, Operator},
    order::{OrderItem, parse_order},
    query::{parse_limit, parse_number},
    select::{Embed, SelectItem},
};

/// The parameters of an embedded table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbedOptions {
    pub limit: Option<u64>,
    pub offset: Option<u64>,
    pub order: Vec<OrderItem>,
    /// Groups of conditions. Single filters name the embedded table in their column: `gt.kid.n`.
    pub groups: Vec<Condition>,
}

/// A parameter of an embedded table.
pub(super) struct EmbedParameter<'q> {
    /// The names of the embedded tables from the outside in, joined by dots.
    path: String,
    option: EmbedOption,
    value: Cow<'q, str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EmbedOption {
    Limit,
    Offset,
    Order,
    Group { join: Join, negated: bool },
}

const OPTIONS: [(&str, EmbedOption); 7] = [
    (".limit", EmbedOption::Limit),
    (".offset", EmbedOption::Offset),
    (".order", EmbedOption::Order),
    (".not.or", EmbedOption::Group { join: Join::Or, negated: true }),
    (".not.and", EmbedOption::Group { join: Join::And, negated: true }),
    (".or", EmbedOption::Group { join: Join::Or, negated: false }),
    (".and", EmbedOption::Group { join: Join::And, negated: false }),
];

impl<'q> EmbedParameter<'q> {
    /// Parses a parameter of an embedded table. Returns `None` if `key` does not have that form. `eq.limit`, for
    /// example, is a filter.
    pub(super) fn from_pair(key: &str, value: &Cow<'q, str>) -> Option<Self> {
        let first = key.split('.').next()?;
        if first == "not" || Operator::from_name(first).is_some() {
            return None;
        }
        let (path, option) = OPTIONS.iter().find_map(|(suffix, option)| Some((key.strip_suffix(suffix)?, *option)))?;
        (!path.is_empty()).then(|| Self { path: path.to_owned(), option, value: value.clone() })
    }

    fn name(&self) -> String {
        let suffix = OPTIONS.iter().find(|(_, option)| *option == self.option).map_or("", |(suffix, _)| suffix);
        format!("{}{suffix}", self.path)
    }
}

/// Adds the parameters to the embedded tables that they name.
pub(super) fn apply_parameters(
    select: &mut [SelectItem],
    parameters: Vec<EmbedParameter<'_>>,
    filters: &mut FilterParser,
) -> ApiResult<()> {
    for parameter in parameters {
        let name = parameter.name();
        let Some(embed) = find_embed(select, &parameter.path) else {
            return Err(unknown_embed(&name, select));
        };
        let options = &mut embed.options;
        let repeated = match parameter.option {
            EmbedOption::Limit => options.limit.replace(parse_limit(&name, &parameter.value)?).is_some(),
            EmbedOption::Offset => options.offset.replace(parse_number(&name, &parameter.value)?).is_some(),
            EmbedOption::Order => {
                let order = parse_order(&name, &parameter.value)?;
                !std::mem::replace(&mut options.order, order).is_empty()
            }
            EmbedOption::Group { join, negated } => {
                options.groups.push(filters.parse_group(&name, &parameter.value, join, negated)?);
                false
            }
        };
        if repeated {
            return Err(ApiError::invalid(format!("The parameter `{}` is given twice.", shortened(&name))));
        }
    }
    Ok(())
}

fn find_embed<'s>(items: &'s mut [SelectItem], path: &str) -> Option<&'s mut Embed> {
    items.iter_mut().find_map(|item| match item {
        SelectItem::Embed(embed) => {
            if embed.name() == path {
                return Some(embed);
            }
            let rest = embed.strip_name(path)?;
            find_embed(&mut embed.items, rest)
        }
        SelectItem::All | SelectItem::Column { .. } => None,
    })
}

fn unknown_embed(parameter: &str, select: &[SelectItem]) -> ApiError {
    let paths = embed_paths(select);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    ApiError::invalid(format!(
        "Unknown parameter `{}`: `select` embeds no table of this name. Embedded tables: {}.",
        shortened(parameter),
        name_list(&paths)
    ))
    .with_hint(
        "Use the alias, if the embedded table has one; for a table in an embedded table, name both: `a.b.limit`.",
    )
}

/// Returns the paths of all embedded tables.
pub fn embed_paths(select: &[SelectItem]) -> Vec<String> {
    let mut paths = Vec::new();
    for item in select {
        if let SelectItem::Embed(embed) = item {
            paths.push(embed.name().to_owned());
            paths.extend(embed_paths(&embed.items).into_iter().map(|inner| format!("{}.{inner}", embed.name())));
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use crate::data::request::ReadRequest;

    #[test]
    fn parameters_of_embedded_tables_are_parsed() {
        let query = "select=id,kid(id,toys:toy(*)),x.y:other(id)&kid.limit=2&kid.offset=1&kid.order=n.desc\
                     &kid.toys.limit=0&x.y.limit=3&kid.not.or=(eq.n:1,eq.n:2)&kid.and=(eq.n:1)&eq.limit=1&gt.kid.n=1";
        let request = ReadRequest::parse(query).unwrap();
        let shown = format!("{:?}", request.select);
        for expected in [
            "EmbedOptions { limit: Some(2), offset: Some(1), order: [OrderItem { column: \"n\"",
            "EmbedOptions { limit: Some(0), offset: None, order: [], groups: [] }",
            "EmbedOptions { limit: Some(3)",
            "groups: [Group(Group { join: Or, negated: true",
        ] {
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
        assert_eq!(request.conditions.len(), 2);
    }

    #[test]
    fn invalid_parameters_of_embedded_tables_are_rejected() {
        let check = |query: &str, expected: &str| {
            let error = ReadRequest::parse(query).unwrap_err();
            assert!(error.message().contains(expected), "{query}: {}", error.message());
        };
        check(
            "select=id,kid(id,toy(id))&toy.limit=1",
            "Unknown parameter `toy.limit`: `select` embeds no table of this name. Embedded tables: kid, kid.toy.",
        );
        check("kid.limit=1", "Embedded tables: none.");
        check("select=k:kid(id)&kid.order=id", "Embedded tables: k.");
        check("select=kid(id)&kid.limit=x", "`kid.limit` must be a whole number");
        check("select=kid(id)&kid.order=", "Invalid `kid.order=`: a name is missing.");
        check("select=kid(id)&kid.or=eq.a:1", "must start with a parenthesis");
        check("select=kid(id)&kid.limit=1&kid.limit=2", "`kid.limit` is given twice");
        check("select=kid(id)&kid.gt.n=1", "Unknown operator `kid`");
    }
}
