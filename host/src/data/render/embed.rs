//! Embedded tables.
//!
//! An object without arrays is a subquery in the list of outputs. An array must also report whether its limit left rows
//! out. So an array, or an object that contains one, is a lateral join with two columns: `json`, and `cut`, which
//! contains a bit for each array of the statement. The joins follow the page, so that arrays are built only for its
//! rows.

use crate::data::plan::{EmbedPlan, EmbedShape, ListPlan, Output, QuotedIdent};

use super::{
    filter::write_predicates,
    read::{write_order, write_outputs},
    writer::{Alias, Origin, SqlWriter},
};

/// An embedded table that is joined: the number in its aliases, and its plan.
type Joined<'a, 'p> = (usize, &'a EmbedPlan<'p>);

/// Writes the row as one JSON value. Returns the tables to join.
pub(super) fn write_joined_row<'a, 'p>(
    sql: &mut SqlWriter<'p>,
    alias: Alias,
    outputs: &'a [Output<'p>],
    embeds: &mut usize,
) -> Vec<Joined<'a, 'p>> {
    let mut joined = Vec::new();
    sql.push("(SELECT row_to_json(r.*) FROM (SELECT ");
    sql.joined(outputs, ", ", |sql, output| match output {
        Output::Embed(embed) if embed.has_lists() => {
            *embeds += 1;
            joined.push((*embeds, embed));
            write_join_alias(sql, *embeds);
            sql.push(".json AS ");
            sql.ident(embed.name);
        }
        output => write_outputs(sql, alias, std::slice::from_ref(output), embeds),
    });
    sql.push(") r) AS json");
    joined
}

/// Writes `, … AS cut`: the bits of the joined tables.
pub(super) fn write_cut<'p>(sql: &mut SqlWriter<'p>, joined: &[Joined<'_, 'p>]) {
    if joined.is_empty() {
        return;
    }
    sql.push(", ");
    sql.joined(joined, " | ", |sql, (number, _)| {
        sql.push("coalesce(");
        write_join_alias(sql, *number);
        sql.push(".cut, 0)");
    });
    sql.push(" AS cut");
}

/// Writes the joins. `parent` is the alias of the embedding table.
pub(super) fn write_joins<'p>(sql: &mut SqlWriter<'p>, parent: Alias, joined: &[Joined<'_, 'p>], embeds: &mut usize) {
    for (number, embed) in joined {
        sql.push(" LEFT JOIN LATERAL (");
        match &embed.shape {
            EmbedShape::Object => write_object_query(sql, parent, Alias(*number), embed, embeds),
            EmbedShape::Array(list) => write_list_query(sql, parent, Alias(*number), embed, list, embeds),
        }
        sql.push(") ");
        write_join_alias(sql, *number);
        sql.push(" ON true");
    }
}

/// Writes the columns that the row, the joins of its embedded tables and `more` need.
pub(super) fn write_needed_columns<'p>(
    sql: &mut SqlWriter<'p>,
    alias: Alias,
    outputs: &[Output<'p>],
    more: impl IntoIterator<Item = QuotedIdent<'p>>,
) {
    let mut needed: Vec<QuotedIdent<'p>> = Vec::new();
    let of_outputs = outputs.iter().flat_map(|output| match output {
        Output::Column { column, .. } => vec![column.ident],
        Output::Embed(embed) => embed.on.iter().map(|join| join.parent).collect(),
    });
    for ident in of_outputs.chain(more) {
        if !needed.contains(&ident) {
            needed.push(ident);
        }
    }
    sql.joined(needed, ", ", |sql, ident| sql.qualified(alias, ident));
}

/// Writes a table that is embedded as an object without arrays, as a subquery in the list of outputs.
pub(super) fn write_object<'p>(sql: &mut SqlWriter<'p>, parent: Alias, embed: &EmbedPlan<'p>, embeds: &mut usize) {
    *embeds += 1;
    let alias = Alias(*embeds);
    sql.push("(SELECT row_to_json(r.*) FROM (SELECT ");
    write_outputs(sql, alias, &embed.outputs, embeds);
    write_source(sql, parent, alias, embed);
    sql.push(" LIMIT 1) r) AS ");
    sql.ident(embed.name);
}

/// Writes the query of an object that contains arrays.
fn write_object_query<'p>(
    sql: &mut SqlWriter<'p>,
    parent: Alias,
    alias: Alias,
    embed: &EmbedPlan<'p>,
    embeds: &mut usize,
) {
    sql.push("SELECT ");
    let joined = write_joined_row(sql, alias, &embed.outputs, embeds);
    write_cut(sql, &joined);
    sql.push(" FROM (SELECT ");
    write_needed_columns(sql, alias, &embed.outputs, []);
    write_source(sql, parent, alias, embed);
    sql.push(" LIMIT 1) AS ");
    sql.alias(alias);
    write_joins(sql, alias, &joined, embeds);
}

/// Writes the query of an array. It reads one row more than the limit.
fn write_list_query<'p>(
    sql: &mut SqlWriter<'p>,
    parent: Alias,
    alias: Alias,
    embed: &EmbedPlan<'p>,
    list: &ListPlan<'p>,
    embeds: &mut usize,
) {
    let has_inner_lists = embed.outputs.iter().any(Output::has_lists);
    sql.push("SELECT coalesce(json_agg(r.json) FILTER (WHERE r.number <= ");
    sql.number(list.limit);
    sql.push("), '[]') AS json, CASE WHEN count(*) > ");
    sql.number(list.limit);
    sql.push(" THEN ");
    // An 8-byte integer, like the total.
    sql.number(1 << list.number);
    sql.push("::int8 ELSE 0 END");
    if has_inner_lists {
        sql.push(" | coalesce(bit_or(r.cut) FILTER (WHERE r.number <= ");
        sql.number(list.limit);
        sql.push("), 0)");
    }
    sql.push(" AS cut FROM (SELECT ");
    let joined = write_joined_row(sql, alias, &embed.outputs, embeds);
    sql.push(", row_number() OVER () AS number");
    write_cut(sql, &joined);
    sql.push(" FROM (SELECT ");
    write_needed_columns(sql, alias, &embed.outputs, []);
    write_source(sql, parent, alias, embed);
    write_order(sql, alias, &list.order);
    sql.push(" LIMIT ");
    sql.number(list.limit + 1);
    if list.offset > 0 {
        sql.push(" OFFSET ");
        sql.untyped_param(Some(list.offset.to_string().into()), Origin::Offset);
        sql.push("::int8");
    }
    sql.push(") AS ");
    sql.alias(alias);
    write_joins(sql, alias, &joined, embeds);
    sql.push(") r");
}

/// Writes ` FROM` with the embedded table, and ` WHERE` with the conditions.
fn write_source<'p>(sql: &mut SqlWriter<'p>, parent: Alias, alias: Alias, embed: &EmbedPlan<'p>) {
    sql.push(" FROM ");
    sql.table(embed.table);
    sql.push(" AS ");
    sql.alias(alias);
    sql.push(" WHERE ");
    sql.joined(&embed.on, " AND ", |sql, join| {
        let (embedded, parent) = ((alias, join.embedded), (parent, join.parent));
        // An operator outside of `pg_catalog` may compare two types, so the order of its operands matters.
        let swapped = join.operator.is_qualified() && !join.embedded_is_referenced;
        let (left, right) = if swapped { (parent, embedded) } else { (embedded, parent) };
        sql.qualified(left.0, left.1);
        sql.named_operator(join.operator);
        sql.qualified(right.0, right.1);
    });
    if !embed.filter.is_empty() {
        sql.push(" AND ");
        write_predicates(sql, alias, &embed.filter);
    }
}

fn write_join_alias(sql: &mut SqlWriter<'_>, number: usize) {
    sql.push("e");
    sql.number(number as u64);
}
