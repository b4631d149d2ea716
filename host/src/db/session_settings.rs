//! Settings of the sessions in projects' databases: AtlasHub sets them, and removes those that a project's SQL stored.
//!
//! Any role can store settings for itself (`ALTER ROLE … SET`), and a stored setting can lock the role out: a read-only
//! default, a library that can't be loaded, another role. So each login sends its settings, which take precedence over
//! stored settings, and then looks for stored settings. If it finds any, the platform removes them and logs in again.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

/// Returns the command-line options of a session. They set the settings with which a role could lock itself out or
/// change the meaning of statements.
pub(super) fn session_options(statement_timeout: Duration) -> String {
    format!(
        "{ALWAYS} -c search_path=public -c statement_timeout={} -c idle_in_transaction_session_timeout=60000 \
         -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c bytea_output=hex -c extra_float_digits=1 \
         -c jit=off -c client_min_messages=notice",
        statement_timeout.as_millis()
    )
}

/// Options of every session of a project's role, including those of `pg_dump`. Without them, a stored setting could
/// make the login fail or the session unusable.
pub(super) const ALWAYS: &str = "-c role=none -c local_preload_libraries= -c default_transaction_read_only=off \
     -c default_transaction_isolation=read\\ committed -c default_transaction_deferrable=off";

/// Returns the names of the settings that are stored for the session's role. The session uses their values, unless
/// [`session_options`] sets others.
pub(super) async fn stored_settings(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    const STORED: &str = "SELECT pg_catalog.split_part(setting, '=', 1) \
         FROM pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) AS setting \
         WHERE setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user) \
           AND setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))";
    // One round trip, and nothing stays prepared.
    let messages = client.simple_query(STORED).await?;
    let names = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(names.map(str::to_owned).collect())
}
