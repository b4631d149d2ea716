//! Renders values that may be cut, and single values.

use crate::data::plan::{CellPlan, CutForm, Output, ReadPlan};

use super::{
    filter::write_where,
    read::write_member,
    writer::{Alias, Rendered, SqlWriter, StatementKind},
};

/// Writes a column for each member of a row's JSON. Values that may be long are written in their [`CutForm`].
///
/// If a `text` value is cut, Postgres reads only its beginning from the disk, and knows its length without reading it.
pub(super) fn write_cut_members<'p>(sql: &mut SqlWriter<'p>, plan: &ReadPlan<'p>, max_bytes: u64) {
    let mut embeds = 0;
    sql.joined(&plan.outputs, ", ", |sql, output| {
        let Some(form) = output.cut_form() else { return write_member(sql, output, &mut embeds) };
        match (form, output) {
            (CutForm::Text, Output::Column { column, .. }) => {
                let value = |sql: &mut SqlWriter<'p>| {
                    sql.qualified(Alias::ROOT, column.ident);
                    sql.push("::pg_catalog.text");
                };
                write_cut_text(sql, max_bytes, value);
            }
            (CutForm::Bytes, Output::Column { column, .. }) => {
                let value = |sql: &mut SqlWriter<'p>| {
                    sql.qualified(Alias::ROOT, column.ident);
                    sql.push("::pg_catalog.bytea");
                };
                write_cut_bytes(sql, max_bytes, value);
            }
            _ => {
                sql.push("(SELECT ");
                write_cut_text(sql, max_bytes, |sql| sql.push("x.v"));
                // `OFFSET 0` prevents Postgres from building the text once for each use.
                sql.push(" FROM (SELECT ");
                match output {
                    Output::Column { column, .. } if form == CutForm::Json => {
                        sql.push("pg_catalog.to_json(");
                        sql.qualified(Alias::ROOT, column.ident);
                        sql.push(")::pg_catalog.text AS v");
                    }
                    Output::Column { column, .. } => {
                        sql.qualified(Alias::ROOT, column.ident);
                        sql.push("::pg_catalog.text AS v");
                    }
                    // A plan has no embedded tables if it cuts values.
                    Output::Embed(_) => {}
                }
                sql.push(" OFFSET 0) x)");
            }
        }
    });
}

fn write_cut_text<'p>(sql: &mut SqlWriter<'p>, max_bytes: u64, value: impl Fn(&mut SqlWriter<'p>)) {
    sql.push("CASE WHEN pg_catalog.octet_length(");
    value(sql);
    sql.push(") > ");
    sql.number(max_bytes);
    sql.push(" THEN pg_catalog.octet_length(");
    value(sql);
    sql.push(")::pg_catalog.text || ':'::pg_catalog.text || pg_catalog.\"left\"(");
    value(sql);
    sql.push(", ");
    // This number of characters is enough, because a character has at least one byte.
    sql.number(max_bytes);
    sql.push(") ELSE '='::pg_catalog.text || ");
    value(sql);
    sql.push(" END");
}

/// Like [`write_cut_text`], for bytes. Each byte becomes two hexadecimal digits.
fn write_cut_bytes<'p>(sql: &mut SqlWriter<'p>, max_bytes: u64, value: impl Fn(&mut SqlWriter<'p>)) {
    sql.push("CASE WHEN pg_catalog.octet_length(");
    value(sql);
    sql.push(")::int8 * 2 + 2 > ");
    sql.number(max_bytes);
    sql.push(" THEN (pg_catalog.octet_length(");
    value(sql);
    sql.push(
        ")::int8 * 2 + 2)::pg_catalog.text || ':'::pg_catalog.text || \
              pg_catalog.encode(pg_catalog.\"substring\"(",
    );
    value(sql);
    sql.push(", 1, ");
    sql.number(max_bytes.div_ceil(2));
    sql.push("), 'hex'::pg_catalog.text) ELSE '='::pg_catalog.text || ");
    value(sql);
    sql.push("::pg_catalog.text END");
}

/// The part of a value that a statement reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellPart {
    /// Whether the value is null, and its number of bytes. There is a result row for each row that the filter selects,
    /// at most two.
    Size,
    /// The value's bytes in order, in rows of up to [`PIECE_BYTES`].
    Pieces,
}

/// Maximum number of bytes of a value in one row.
const PIECE_BYTES: u64 = 1 << 20;

/// Renders a read of one value: the bytes of a `bytea`, or Postgres's text in UTF-8 for other types.
pub fn render_cell<'p>(plan: &CellPlan<'p>, part: CellPart) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    match part {
        CellPart::Size => sql.push("SELECT x.v IS NULL, coalesce(pg_catalog.octet_length(x.v), 0)::int8 FROM ("),
        CellPart::Pieces => {
            sql.push("SELECT pg_catalog.\"substring\"(x.v, i.n * ");
            sql.number(PIECE_BYTES);
            sql.push(" + 1, ");
            sql.number(PIECE_BYTES);
            sql.push(") FROM (");
        }
    }
    sql.push("SELECT ");
    if plan.column.column.base_type.as_str() == "pg_catalog.bytea" {
        sql.qualified(Alias::ROOT, plan.column.ident);
        sql.push("::pg_catalog.bytea");
    } else {
        sql.push("pg_catalog.convert_to(");
        sql.qualified(Alias::ROOT, plan.column.ident);
        sql.push("::pg_catalog.text, 'UTF8')");
    }
    sql.push(" AS v FROM ");
    sql.table(plan.table);
    sql.push(" AS t");
    write_where(&mut sql, Alias::ROOT, &plan.filter);
    match part {
        CellPart::Size => sql.push(" LIMIT 2 OFFSET 0) x"),
        CellPart::Pieces => {
            sql.push(" LIMIT 1 OFFSET 0) x, pg_catalog.generate_series(0, pg_catalog.octet_length(x.v) / ");
            sql.number(PIECE_BYTES);
            sql.push(") i(n) ORDER BY i.n");
        }
    }
    sql.finish(StatementKind { cacheable: false, heavy: true, ..StatementKind::READ })
}
