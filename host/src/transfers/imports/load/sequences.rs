//! Advances sequences after an import.

use postgres_protocol::escape::{escape_identifier as ident, escape_literal};

use super::statements::Statements;
use crate::{
    db::ExclusiveClient,
    plugins::TransferError,
    transfers::{imports::target::Target, postgres::refused},
};

/// Advances the sequences of imported columns to the largest value, or to the smallest if they count down, so that the
/// next row has an unused value. A sequence never moves back, and stays if the value is outside of its range.
pub(super) async fn advance(
    client: &ExclusiveClient,
    target: &Target,
    statements: &Statements,
) -> Result<(), TransferError> {
    let hides_rows = "SELECT pg_catalog.row_security_active($1::text)";
    let hides_rows: bool = client.query_one(hides_rows, &[&target.quoted]).await.map_err(refused)?.get(0);
    for probe in &statements.probes {
        let Some(column) = target.column(&probe.column) else { continue };
        let Some(sequence) = &column.sequence else { continue };
        let literal = escape_literal(sequence);
        let name = ident(&column.name);
        let mut values = format!("SELECT {name} AS value FROM {}", target.quoted);
        // Policies can hide rows from the owner, even those just imported. Postgres refuses to copy directly into such
        // a table, so the values are still in the temporary table.
        if hides_rows {
            values = format!("{values} UNION ALL {}", probe.all);
        }
        // A sequence that counts down has a negative increment. A sequence is a relation with one row, its state.
        let statement = format!(
            "SELECT setval({literal}::regclass, e.value)
             FROM pg_sequence q, {sequence} s,
                 LATERAL (SELECT CASE WHEN q.seqincrement > 0 THEN max(v.value) ELSE min(v.value) END::bigint AS value
                          FROM ({values}) v) e
             WHERE q.seqrelid = {literal}::regclass AND e.value BETWEEN q.seqmin AND q.seqmax
               AND (NOT s.is_called AND e.value = s.last_value
                    OR CASE WHEN q.seqincrement > 0 THEN e.value > s.last_value ELSE e.value < s.last_value END)"
        );
        client.execute(&statement, &[]).await.map_err(refused)?;
    }
    Ok(())
}
