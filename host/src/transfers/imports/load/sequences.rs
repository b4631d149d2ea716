use crate::{
    db::ExclusiveClient,
    plugins::TransferError,
    transfers::{
        imports::{
            plan::Plan,
            target::{Target, ident},
        },
        postgres::refused,
    },
};

/// Advances the sequences of imported columns to the largest value, or to the smallest if they count down, so that the
/// next row has an unused value. A sequence never moves back.
pub(super) async fn advance(client: &ExclusiveClient, target: &Target, plan: &Plan) -> Result<(), TransferError> {
    for planned in &plan.columns {
        let Some(column) = target.column(&planned.target) else { continue };
        let Some(sequence) = &column.sequence else { continue };
        let literal = postgres_protocol::escape::escape_literal(sequence);
        let (name, table) = (ident(&column.name), &target.quoted);
        // A sequence that counts down has a negative increment. A sequence is a relation with one row, its state.
        let statement = format!(
            "SELECT setval({literal}::regclass, e.value)
             FROM pg_sequence q, {sequence} s,
                 LATERAL (SELECT CASE WHEN q.seqincrement > 0 THEN max({name}) ELSE min({name}) END::bigint AS value
                          FROM {table}) e
             WHERE q.seqrelid = {literal}::regclass AND e.value BETWEEN q.seqmin AND q.seqmax
               AND (NOT s.is_called AND e.value = s.last_value
                    OR CASE WHEN q.seqincrement > 0 THEN e.value > s.last_value ELSE e.value < s.last_value END)"
        );
        client.execute(&statement, &[]).await.map_err(refused)?;
    }
    Ok(())
}
