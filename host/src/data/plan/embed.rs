//! Plans embedded tables: the foreign key that relates them, and the selection of their rows.

use crate::{
    data::{
        message::{name_list, shortened},
        request::{Condition, Embed, Filter, SelectItem},
        schema::{ForeignKey, Schema, Table},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    filter::{plan_conditions, plan_filter},
    ident::{QuotedIdent, TableRef},
    model::{ColumnRef, EmbedPlan, EmbedShape, JoinColumns, ListPlan, OrderTerm, Predicate},
    output::{PlanEmbed, output_name, plan_outputs},
    read::{plan_order, primary_key_terms},
};

/// Plans the tables embedded in one table of a read.
pub(super) struct Embeds<'e, 'p> {
    pub(super) schema: &'p Schema,
    /// Maximum number of rows in an embedded array.
    pub(super) max_limit: u64,
    /// The path of the table, with a dot at its end; empty for the table of the request.
    pub(super) path: String,
    /// Filters on columns of embedded tables.
    pub(super) filters: Vec<ScopedFilter<'p>>,
    /// The paths of the embedded arrays that the request's plan contains so far.
    pub(super) lists: &'e mut Vec<String>,
}

/// A filter, and the path to its column from the table that is being planned: `kid.n`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScopedFilter<'p> {
    filter: &'p Filter,
    column: &'p str,
}

/// Separates the filters on columns of embedded tables from other conditions. If the table itself has a column whose
/// name is the whole path, such as `kid.n`, the filter applies to that column.
pub(super) fn split_conditions<'p>(
    table: &Table,
    select: &[SelectItem],
    conditions: &'p [Condition],
) -> (Vec<&'p Condition>, Vec<ScopedFilter<'p>>) {
    let (mut own, mut scoped) = (Vec::with_capacity(conditions.len()), Vec::new());
    for condition in conditions {
        match condition {
            Condition::Filter(filter) if is_of_embedded_table(table, select, &filter.column) => {
                scoped.push(ScopedFilter { filter, column: &filter.column });
            }
            condition => own.push(condition),
        }
    }
    (own, scoped)
}

fn is_of_embedded_table(table: &Table, select: &[SelectItem], column: &str) -> bool {
    column.contains('.')
        && table.column_position(column).is_none()
        && select.iter().any(|item| matches!(item, SelectItem::Embed(embed) if embed.strip_name(column).is_some()))
}

impl<'p> PlanEmbed<'p> for Embeds<'_, 'p> {
    fn plan_embed(&mut self, parent: &'p Table, embed: &'p Embed) -> ApiResult<EmbedPlan<'p>> {
        let schema = self.schema;
        let Some(target) = schema.table(&embed.table) else {
            return Err(unrelated(schema, parent, &embed.table));
        };
        let relation = find_relation(schema, parent, target, embed.hint.as_deref())?;
        let on = join_columns(parent, target, relation)?;
        let path = format!("{}{}", self.path, embed.name());
        let shape = match is_list(target, relation) {
            true => EmbedShape::Array(self.plan_list(target, embed, &path)?),
            false => {
                reject_list_options(embed, &path)?;
                EmbedShape::Object
            }
        };
        let (filter, inner) = self.plan_filters(target, embed)?;
        let mut embeds = Embeds {
            schema,
            max_limit: self.max_limit,
            path: format!("{path}."),
            filters: inner,
            lists: &mut *self.lists,
        };
        Ok(EmbedPlan {
            name: match &embed.alias {
                Some(alias) => output_name(alias)?,
                None => QuotedIdent::new(&target.name),
            },
            table: TableRef::new(target),
            outputs: plan_outputs(target, &embed.items, &mut embeds)?,
            on,
            filter,
            shape,
        })
    }
}

impl<'p> Embeds<'_, 'p> {
    fn plan_list(&mut self, target: &'p Table, embed: &'p Embed, path: &str) -> ApiResult<ListPlan<'p>> {
        let mut order = plan_order(target, &embed.options.order)?;
        let is_ordered_by = |order: &[OrderTerm<'p>], term: &OrderTerm<'p>| {
            order.iter().any(|other| other.column.ident == term.column.ident)
        };
        for term in primary_key_terms(target) {
            if !is_ordered_by(&order, &term) {
                order.push(term);
            }
        }
        self.lists.push(path.to_owned());
        Ok(ListPlan {
            order,
            limit: embed.options.limit.map_or(self.max_limit, |limit| limit.min(self.max_limit)),
            offset: embed.options.offset.unwrap_or(0),
            number: self.lists.len() - 1,
        })
    }

    /// Returns the conditions on the embedded table, and the filters on tables embedded in it.
    fn plan_filters(
        &self,
        target: &'p Table,
        embed: &'p Embed,
    ) -> ApiResult<(Vec<Predicate<'p>>, Vec<ScopedFilter<'p>>)> {
        let mut predicates = plan_conditions(target, &embed.options.groups)?;
        let mut inner = Vec::new();
        for scoped in &self.filters {
            let Some(column) = embed.strip_name(scoped.column) else { continue };
            if is_of_embedded_table(target, &embed.items, column) {
                inner.push(ScopedFilter { column, ..*scoped });
            } else {
                predicates.push(plan_filter(target, scoped.filter, column)?);
            }
        }
        Ok((predicates, inner))
    }
}

fn reject_list_options(embed: &Embed, path: &str) -> ApiResult<()> {
    let options = &embed.options;
    let used = [
        ("limit", options.limit.is_some()),
        ("offset", options.offset.is_some()),
        ("order", !options.order.is_empty()),
    ];
    match used.iter().find(|(_, is_used)| *is_used) {
        Some((option, _)) => Err(ApiError::invalid(format!(
            "`{path}.{option}` can't be used: at most one row of `{}` is embedded, as an object.",
            embed.table
        ))),
        None => Ok(()),
    }
}

/// A foreign key between the embedding and the embedded table.
#[derive(Clone, Copy)]
enum Relation<'p> {
    /// The embedding table refers to the embedded one.
    Forward(&'p ForeignKey),
    /// The embedded table refers to the embedding one.
    Backward(&'p ForeignKey),
}

/// Returns whether a row may have several related rows.
fn is_list(target: &Table, relation: Relation<'_>) -> bool {
    let Relation::Backward(key) = relation else { return false };
    let is_contained = |columns: &[usize]| columns.iter().all(|column| key.columns.contains(column));
    !target.unique_keys.iter().any(|unique| unique.identifies && is_contained(&unique.columns))
}

fn join_columns<'p>(parent: &'p Table, target: &'p Table, relation: Relation<'p>) -> ApiResult<Vec<JoinColumns<'p>>> {
    let (key, target_columns, parent_columns) = match relation {
        Relation::Forward(key) => (key, &key.references_columns, &key.columns),
        Relation::Backward(key) => (key, &key.columns, &key.references_columns),
    };
    let unreadable =
        |table: &Table, columns: &[usize]| columns.iter().any(|position| !table.columns[*position].can_select);
    if unreadable(target, target_columns) || unreadable(parent, parent_columns) {
        return Err(ApiError::new(
            Code::Forbidden,
            format!(
                "To embed `{}`, this key would have to read the columns of foreign key `{}`, which it may not.",
                target.name, key.name
            ),
        ));
    }
    Ok(target_columns
        .iter()
        .zip(parent_columns)
        .zip(&key.operators)
        .map(|((target_column, parent_column), operator)| JoinColumns {
            embedded: ColumnRef::at(target, *target_column).ident,
            parent: ColumnRef::at(parent, *parent_column).ident,
            operator,
            embedded_is_referenced: matches!(relation, Relation::Forward(_)),
        })
        .collect())
}

/// Returns the foreign key between the two tables that matches the hint. Without a hint, every foreign key matches.
/// Fails unless exactly one matches; the error lists the possible hints.
///
/// A hint is the name of a referring column or of the constraint. If a table refers to itself, the column stands for
/// the referenced row, and the constraint for the referring rows.
fn find_relation<'p>(
    schema: &'p Schema,
    parent: &Table,
    target: &Table,
    hint: Option<&str>,
) -> ApiResult<Relation<'p>> {
    let to_itself = parent.name == target.name;
    let mut relations: Vec<Relation<'p>> = Vec::new();
    for key in &schema.foreign_keys {
        if key.table == parent.name && key.references_table == target.name {
            relations.push(Relation::Forward(key));
        }
        if key.table == target.name && key.references_table == parent.name {
            relations.push(Relation::Backward(key));
        }
    }
    if relations.is_empty() {
        return Err(unrelated(schema, parent, &target.name));
    }
    let matches_hint = |relation: &&Relation<'p>| {
        let Some(hint) = hint else { return true };
        let (key, referring) = match relation {
            Relation::Forward(key) => (key, parent),
            Relation::Backward(key) => (key, target),
        };
        let by_column = key.columns.iter().any(|position| referring.columns[*position].name == hint);
        match relation {
            Relation::Forward(_) if to_itself => by_column,
            Relation::Backward(_) if to_itself => key.name == hint,
            _ => by_column || key.name == hint,
        }
    };
    let matching: Vec<&Relation<'p>> = relations.iter().filter(matches_hint).collect();
    match matching.as_slice() {
        [relation] => Ok(**relation),
        _ => {
            let choices: Vec<String> =
                relations.iter().map(|relation| unambiguous_item(parent, target, relation, &relations)).collect();
            let message = match (matching.len(), hint) {
                (0, Some(hint)) => format!(
                    "No foreign key between `{}` and `{}` has the name or column `{}`.",
                    parent.name,
                    target.name,
                    shortened(hint)
                ),
                _ if to_itself => {
                    format!("`{}` refers to itself, so its rows can be embedded in two directions.", target.name)
                }
                _ => format!("`{}` and `{}` are related by more than one foreign key.", parent.name, target.name),
            };
            Err(ApiError::new(Code::UnknownRelation, message)
                .with_hint(format!("Use one of {}.", choices.join(", ")))
                .with_details(serde_json::json!({ "choices": choices })))
        }
    }
}

/// Returns the `select` item that chooses this relation among `relations`, those of the two tables.
fn unambiguous_item(parent: &Table, target: &Table, relation: &Relation<'_>, relations: &[Relation<'_>]) -> String {
    let to_itself = parent.name == target.name;
    let has_own_column = |key: &ForeignKey| {
        let name = &parent.columns[key.columns[0]].name;
        let has_column = |other: &&Relation<'_>| match other {
            Relation::Forward(other) => other.columns.contains(&key.columns[0]),
            Relation::Backward(other) => other.columns.iter().any(|position| target.columns[*position].name == *name),
        };
        key.columns.len() == 1 && relations.iter().filter(has_column).count() == 1
    };
    let hint = match relation {
        Relation::Forward(key) if to_itself || has_own_column(key) => &parent.columns[key.columns[0]].name,
        Relation::Forward(key) | Relation::Backward(key) => &key.name,
    };
    format!("{}!{hint}(…)", target.name)
}

fn unrelated(schema: &Schema, parent: &Table, embedded: &str) -> ApiError {
    let mut related: Vec<&str> = schema
        .foreign_keys
        .iter()
        .filter_map(|key| match () {
            () if key.table == parent.name => Some(key.references_table.as_str()),
            () if key.references_table == parent.name => Some(key.table.as_str()),
            () => None,
        })
        .collect();
    related.sort_unstable();
    related.dedup();
    let error = ApiError::new(
        Code::UnknownRelation,
        format!(
            "No foreign key connects `{}` to a table `{}`. Tables related to `{}`: {}.",
            parent.name,
            shortened(embedded),
            parent.name,
            name_list(&related)
        ),
    );
    let is_join_table = |table: &&str| {
        let refers_to =
            |to: &str| schema.foreign_keys.iter().any(|key| key.table == **table && key.references_table == to);
        refers_to(&parent.name) && refers_to(embedded)
    };
    match related.iter().find(|table| is_join_table(table)) {
        Some(table) => error.with_hint(format!("Embed through the join table: {table}({embedded}(…)).")),
        None => error,
    }
}
