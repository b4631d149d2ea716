//! Plans the columns and embedded tables that a request selects.

use std::collections::HashSet;

use crate::{
    data::{
        message::shortened,
        request::{Embed, SelectItem},
        schema::{Column, Table},
    },
    error::{ApiError, ApiResult},
};

use super::{
    ident::QuotedIdent,
    model::{ColumnRef, EmbedPlan, Output},
    resolve::{forbidden, readable_column},
};

/// Maximum length of a name. Postgres truncates longer names.
const MAX_NAME_BYTES: usize = 63;

/// Maximum number of times that one column can be selected, under different names.
const MAX_COLUMN_USES: usize = 4;

/// Plans an embedded table.
pub(super) trait PlanEmbed<'p> {
    fn plan_embed(&mut self, table: &'p Table, embed: &'p Embed) -> ApiResult<EmbedPlan<'p>>;
}

/// Rejects embedded tables, because a write returns only rows of its own table.
pub(super) struct NoEmbeds;

impl<'p> PlanEmbed<'p> for NoEmbeds {
    fn plan_embed(&mut self, _: &'p Table, embed: &'p Embed) -> ApiResult<EmbedPlan<'p>> {
        Err(ApiError::invalid(format!(
            "`{}` can't be embedded in the response of a write. Read it with GET.",
            shortened(&embed.table)
        )))
    }
}

/// Resolves the items of a `select`.
pub(super) fn plan_outputs<'p>(
    table: &'p Table,
    items: &'p [SelectItem],
    embeds: &mut impl PlanEmbed<'p>,
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
                if outputs.is_empty() && !table.can_select {
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
            SelectItem::Embed(embed) => outputs.push(Output::Embed(embeds.plan_embed(table, embed)?)),
        }
    }
    if let [SelectItem::All] = items {
        return Ok(outputs);
    }
    if let Some((column, uses)) = overused_column(&outputs) {
        return Err(ApiError::invalid(format!(
            "`select` contains column `{}` {uses} times; the maximum is {MAX_COLUMN_USES}.",
            column.name
        )));
    }
    match repeated_name(&outputs) {
        Some(name) => Err(ApiError::invalid(format!("`select` contains the name `{name}` twice."))
            .with_hint("Rename one of them, as in alias:column.")),
        None => Ok(outputs),
    }
}

/// Returns a column that is selected too often, and the number of its uses. Each use is another copy of its value.
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

/// Returns the first name that an earlier output has too.
fn repeated_name<'p>(outputs: &[Output<'p>]) -> Option<&'p str> {
    let mut names: HashSet<&'p str> = HashSet::with_capacity(outputs.len());
    outputs.iter().map(Output::name).find(|name| !names.insert(*name))
}

pub(super) fn output_name(alias: &str) -> ApiResult<QuotedIdent<'_>> {
    if alias.len() > MAX_NAME_BYTES {
        return Err(ApiError::invalid(format!(
            "The alias `{}` is longer than {MAX_NAME_BYTES} bytes.",
            shortened(alias)
        )));
    }
    Ok(QuotedIdent::new(alias))
}
