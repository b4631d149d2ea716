use crate::{
    data::{
        request::{Embed, SelectItem, shortened},
        schema::{ForeignKey, Schema, Table},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    ident::QuotedIdent,
    resolve::{ColumnRef, forbidden, listed, readable_column},
};

/// Postgres cuts longer names off.
const MAX_NAME_BYTES: usize = 63;

/// One member of each answered row.
#[derive(Debug, Clone)]
pub enum Output<'p> {
    Column { column: ColumnRef<'p>, name: QuotedIdent<'p> },
    Embed(EmbedPlan<'p>),
}

/// A table reached over a foreign key.
#[derive(Debug, Clone)]
pub struct EmbedPlan<'p> {
    pub name: QuotedIdent<'p>,
    pub table: QuotedIdent<'p>,
    pub outputs: Vec<Output<'p>>,
    /// Pairs of the embedded table's column and the embedding table's.
    pub on: Vec<(QuotedIdent<'p>, QuotedIdent<'p>)>,
    pub shape: EmbedShape<'p>,
}

#[derive(Debug, Clone)]
pub enum EmbedShape<'p> {
    /// At most one row: an object, or null.
    Object,
    /// An array of at most `limit`, in the order of the primary key as far as there is one.
    Array { order: Vec<QuotedIdent<'p>>, limit: u64 },
}

impl<'p> Output<'p> {
    /// The member's name in the JSON.
    pub fn name(&self) -> &'p str {
        match self {
            Self::Column { name, .. } => name.name(),
            Self::Embed(embed) => embed.name.name(),
        }
    }
}

/// Whether a select may embed other tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedding {
    /// With at most so many rows in an embedded array.
    Allowed { limit: u64 },
    /// A write answers its own table's rows.
    Refused,
}

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
                Embedding::Refused => {
                    return Err(ApiError::invalid(format!(
                        "`{}` can't be embedded in the answer of a write; read it with a GET.",
                        shortened(&embed.table)
                    )));
                }
            },
        }
    }
    if let [SelectItem::All] = items {
        return Ok(outputs);
    }
    match repeated_name(&outputs) {
        Some(name) => Err(ApiError::invalid(format!("`select` gives two members the name `{name}`."))
            .with_hint("Rename one, as in alias:column.")),
        None => Ok(outputs),
    }
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

/// A foreign key seen from the embedding table.
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
                "This key may not read the columns of `{}`, over which `{}` would be embedded.",
                key.name, target.name
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
        table: QuotedIdent::new(&target.name),
        outputs: plan_outputs(schema, target, &embed.items, Embedding::Allowed { limit: embed_limit })?,
        on: target_columns
            .iter()
            .zip(parent_columns)
            .map(|(target_column, parent_column)| (ident(target, *target_column), ident(parent, *parent_column)))
            .collect(),
        shape,
    })
}

/// The one foreign key between the two tables that fits the hint.
///
/// A hint names a referring column or the constraint. In a table that refers to itself a column follows the
/// reference, and the constraint leads back.
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
    let fits = |relation: &&Relation<'p>| {
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
    let fitting: Vec<&Relation<'p>> = relations.iter().filter(fits).collect();
    match fitting.as_slice() {
        [relation] => Ok(**relation),
        _ => {
            let choices: Vec<String> =
                relations.iter().map(|relation| choice(parent, target, relation, to_itself)).collect();
            let message = match (fitting.len(), hint) {
                (0, Some(hint)) => format!(
                    "No foreign key between `{}` and `{}` has the column or name `{}`.",
                    parent.name,
                    target.name,
                    shortened(hint)
                ),
                _ => format!("`{}` and `{}` are related in more than one way.", parent.name, target.name),
            };
            Err(ApiError::new(Code::UnknownRelation, message)
                .with_hint(format!("Write one of {}.", choices.join(", ")))
                .with_details(serde_json::json!({ "choices": choices })))
        }
    }
}

/// How to ask for this relation and no other.
fn choice(parent: &Table, target: &Table, relation: &Relation<'_>, to_itself: bool) -> String {
    let hint = match relation {
        Relation::Forward(key) if to_itself || key.columns.len() == 1 => &parent.columns[key.columns[0]].name,
        Relation::Forward(key) | Relation::Backward(key) => &key.name,
    };
    format!("{}!{hint}(…)", target.name)
}

fn unrelated(schema: &Schema, parent: &Table, wanted: &str) -> ApiError {
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
            "No foreign key leads from `{}` to a table `{}`; there are keys to {}.",
            parent.name,
            shortened(wanted),
            listed(&related, "none")
        ),
    );
    let joined = |between: &&str| {
        let reaches = |from: &str, to: &str| {
            schema.foreign_keys.iter().any(|key| key.table == from && key.references_table == to)
        };
        reaches(between, &parent.name) && reaches(between, wanted)
    };
    match related.iter().find(|between| joined(between)) {
        Some(between) => error.with_hint(format!("Go through the table between them: {between}({wanted}(…)).")),
        None => error,
    }
}
