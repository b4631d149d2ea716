//! E-mail addresses of a channel to which a message could not be sent, although the mail server was reached. Each of
//! them becomes a delivery of its own, so that retries and refusals do not affect the other addresses.

use sqlx::PgConnection;
use uuid::Uuid;

use super::queries::AttemptResult;

/// The result of an attempt for one e-mail address.
pub(super) struct RecipientResult<'a> {
    pub address: &'a str,
    pub result: AttemptResult<'a>,
}

/// Adds deliveries to single e-mail addresses, as copies of the delivery that was attempted. Notifications are not
/// merged into them, because the other addresses would not get those notifications.
pub(super) async fn insert_deliveries(
    connection: &mut PgConnection,
    delivery: Uuid,
    results: &[RecipientResult<'_>],
) -> Result<(), sqlx::Error> {
    let column = |of: fn(&AttemptResult<'_>) -> String| -> Vec<String> {
        results.iter().map(|recipient| of(&recipient.result)).collect()
    };
    sqlx::query(
        "INSERT INTO notification_deliveries (id, channel_id, fold_key, notification, occurrences, first_at, last_at,
                                              state, due_at, attempts, error, finished_at, recipient)
         SELECT gen_random_uuid(), d.channel_id, d.fold_key || E'\\n' || r.address, d.notification, d.occurrences,
                d.first_at, d.last_at, r.state, now() + make_interval(secs => r.seconds), d.attempts, r.error,
                CASE WHEN r.state = 'pending' THEN NULL ELSE now() END, r.address
         FROM notification_deliveries d,
              unnest($2::text[], $3::text[], $4::text[], $5::float8[]) AS r (address, state, error, seconds)
         WHERE d.id = $1",
    )
    .bind(delivery)
    .bind(results.iter().map(|recipient| recipient.address).collect::<Vec<_>>())
    .bind(column(|result| result.state.as_str().to_owned()))
    .bind(column(|result| result.error.unwrap_or_default().to_owned()))
    .bind(results.iter().map(|recipient| recipient.result.retry_seconds).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}
