use crate::{
    data::{
        message::{name_list, shortened},
        request::{Embed, SelectItem},
        schema::{Column, ForeignKey, Schema, Table},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    ident::{QuotedIdent, TableRef},
    model::{ColumnRef, EmbedPlan, EmbedShape, Output},
    resolve::{forbidden, readable_column},
};

/// Postgres truncates longer names.
const MAX_NAME_BYTES: usize = 63;

/// Maximum number of times that one column can be selected, under different names.
const MAX_COLUMN_USES: usize = 4;

/// Whether a select may embed other tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedding {
    /// `limit` is the maximum number of rows in an embedded array.
    Allowed { limit: u64 },
    /// The request is a write, which returns rows of its own table only.
    NotAllowed,
}

/// Resolves the items of a `select`.
pub(super) fn plan_outputs<'p>(
    schema: &'p Schema,
    table: &'p Table,
    items: &'p [SelectItem],
    embedding: Embedding,
) -> ApiResult<Vec<Output<'p>>> {
    let mut outputs: Vec<Output<'p>> = Vec::with_capacity(table.columns.len());
    for item in items {
        match item {
            SelectItem::All => {
                let readable = table.columns.iter().enumerate().filter(|(_, column)| column.can_select);
                outputs.extend(readable.map(|(position, column)| Output::Column {
                    column: ColumnRef::at(table, position),
                    name: QuotedIdent::new(&column.name),
                }));
                if outputs.is_empty() {
                    return Err(forbidden(table, "read"));
                }
            }
            SelectItem::Column { column, alias } => {
                let (_, column) = readable_column(table, column)?;
                let name = match alias {
                    Some(alias) => output_name(alias)?,
                    None => column.ident,
                };
                outputs.push(Output::Column { column, name });
            }
            SelectItem::Embed(embed) => match embedding {
                Embedding::Allowed { limit } => outputs.push(Output::Embed(plan_embed(schema, table, embed, limit)?)),
                Embedding::NotAllowed => {
                    return Err(ApiError::invalid(format!(
                        "`{}` can't be embedded in the response of a write. Read it with GET.",
                        shortened(&embed.table)
                    )));
                }
            },
        }
    }
    if let [SelectItem::All] = items {
        return Ok(outputs);
    }
    if let Some((column, uses)) = overused_column(&outputs) {
        return Err(ApiError::invalid(format!(
            "`select` contains column `{}` {uses} times; at most {MAX_COLUMN_USES} are possible.",
            column.name
        )));
    }
    match repeated_name(&outputs) {
        Some(name) => Err(ApiError::invalid(format!("`select` contains the name `{name}` twice."))
            .with_hint("Rename one of them, as in alias:column.")),
        None => Ok(outputs),
    }
}

/// Returns a column that is selected too often, and how often. Each use is another copy of its value.
fn overused_column<'p>(outputs: &[Output<'p>]) -> Option<(&'p Column, usize)> {
    let mut columns: Vec<&'p Column> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Column { column, .. } => Some(column.column),
            Output::Embed(_) => None,
        })
        .collect();
    columns.sort_unstable_by_key(|column| std::ptr::from_ref(*column));
    let uses = columns.chunk_by(|left, right| std::ptr::eq(*left, *right));
    uses.filter(|uses| uses.len() > MAX_COLUMN_USES).map(|uses| (uses[0], uses.len())).next()
}

fn repeated_name<'p>(outputs: &[Output<'p>]) -> Option<&'p str> {
    let mut names: Vec<&str> = outputs.iter().map(Output::name).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

fn output_name(alias: &str) -> ApiResult<QuotedIdent<'_>> {
    if alias.len() > MAX_NAME_BYTES {
        return Err(ApiError::invalid(format!(
            "The alias `{}` is longer than {MAX_NAME_BYTES} bytes.",
            shortened(alias)
        )));
    }
    Ok(QuotedIdent::new(alias))
}

/// A foreign key between the embedding and the embedded table.
#[derive(Clone, Copy)]
enum Relation<'p> {
    /// The embedding table refers to the embedded one.
    Forward(&'p ForeignKey),
    /// The embedded table refers to the embedding one.
    Backward(&'p ForeignKey),
}

fn plan_embed<'p>(
    schema: &'p Schema,
    parent: &'p Table,
    embed: &'p Embed,
    embed_limit: u64,
) -> ApiResult<EmbedPlan<'p>> {
    let Some(target) = schema.table(&embed.table) else {
        return Err(unrelated(schema, parent, &embed.table));
    };
    let relation = find_relation(schema, parent, target, embed.hint.as_deref())?;
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
    let ident = |table: &'p Table, position: usize| ColumnRef::at(table, position).ident;
    let one_row = match relation {
        Relation::Forward(_) => true,
        Relation::Backward(key) => {
            target.unique_keys.iter().any(|unique| unique.columns.iter().all(|column| key.columns.contains(column)))
        }
    };
    let shape = if one_row {
        EmbedShape::Object
    } else {
        let primary = target.primary_key().map_or(&[][..], |primary| &primary.columns);
        let readable = primary.iter().filter(|position| target.columns[**position].can_select);
        EmbedShape::Array { order: readable.map(|position| ident(target, *position)).collect(), limit: embed_limit }
    };
    Ok(EmbedPlan {
        name: match &embed.alias {
            Some(alias) => output_name(alias)?,
            None => QuotedIdent::new(&target.name),
        },
        table: TableRef::new(target),
        outputs: plan_outputs(schema, target, &embed.items, Embedding::Allowed { limit: embed_limit })?,
        on: target_columns
            .iter()
            .zip(parent_columns)
            .map(|(target_column, parent_column)| (ident(target, *target_column), ident(parent, *parent_column)))
            .collect(),
        shape,
    })
}

/// Returns the foreign key between the two tables that matches the hint.
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
                relations.iter().map(|relation| unambiguous_item(parent, target, relation, to_itself)).collect();
            let message = match (matching.len(), hint) {
                (0, Some(hint)) => format!(
                    "No foreign key between `{}` and `{}` has the name or column `{}`.",
                    parent.name,
                    target.name,
                    shortened(hint)
                ),
                _ => format!("`{}` and `{}` are related by more than one foreign key.", parent.name, target.name),
            };
            Err(ApiError::new(Code::UnknownRelation, message)
                .with_hint(format!("Use one of {}.", choices.join(", ")))
                .with_details(serde_json::json!({ "choices": choices })))
        }
    }
}

/// Returns the `select` item that chooses this relation.
fn unambiguous_item(parent: &Table, target: &Table, relation: &Relation<'_>, to_itself: bool) -> String {
    let hint = match relation {
        Relation::Forward(key) if to_itself || key.columns.len() == 1 => &parent.columns[key.columns[0]].name,
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
