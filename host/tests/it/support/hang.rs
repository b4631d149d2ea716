//! Statements that hang at a chosen step, so that a process can be killed or a run cancelled there.

use sqlx::{AssertSqlSafe, PgConnection};

use super::eventually;

/// A trigger that makes some changes of a table hang.
pub struct Hang {
    table: &'static str,
}

impl Hang {
    /// Makes changes of the table hang. `event` is `INSERT` or `UPDATE`, and `condition` selects rows by `OLD` and
    /// `NEW`.
    pub async fn at(connection: &mut PgConnection, event: &str, table: &'static str, condition: &str) -> Self {
        Self::create(connection, table, &format!("TRIGGER hang BEFORE {event} ON {table}"), condition).await
    }

    /// Makes `COMMIT` hang in transactions that insert rows which satisfy the condition, even if the transactions
    /// execute `SET CONSTRAINTS ALL IMMEDIATE`.
    pub async fn at_commit(connection: &mut PgConnection, table: &'static str, condition: &str) -> Self {
        let trigger = format!("CONSTRAINT TRIGGER hang AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED");
        let hang = Self::create(connection, table, &trigger, condition).await;
        let sql = format!(
            "CREATE FUNCTION defer_hang() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN SET CONSTRAINTS hang DEFERRED; RETURN NULL; END $$;
             CREATE TRIGGER defer_hang BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION defer_hang()"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
        hang
    }

    async fn create(connection: &mut PgConnection, table: &'static str, trigger: &str, condition: &str) -> Self {
        let sql = format!(
            "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_catalog.pg_sleep(600); RETURN NEW; END $$;
             CREATE {trigger} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION hang()"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
        Self { table }
    }

    /// Waits until a statement hangs.
    pub async fn reached(&self, connection: &mut PgConnection) {
        until_sleeping(connection).await;
    }

    /// Ends the sessions of statements that hang, as Postgres does for clients that are gone, and lets further
    /// statements pass.
    pub async fn end(self, connection: &mut PgConnection) {
        end_sleeping(connection).await;
        let sql = format!(
            "DROP TRIGGER hang ON {0}; DROP FUNCTION hang(); DROP FUNCTION IF EXISTS defer_hang() CASCADE",
            self.table
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
    }
}

/// A query of 20 MB that hangs before its last rows. Needs [`create_hanging_query`].
pub const HANGING_QUERY: &str = "SELECT repeat(md5(g::text), 100), CASE WHEN g = 6000 THEN hang_in_query() END
    FROM generate_series(1, 6500) g";

/// Creates the function of [`HANGING_QUERY`] in a project's database.
pub async fn create_hanging_query(connection: &mut PgConnection) {
    let sql = "CREATE FUNCTION hang_in_query() RETURNS text LANGUAGE plpgsql AS
                   $$ BEGIN PERFORM pg_catalog.pg_sleep(600); RETURN ''; END $$;
               GRANT EXECUTE ON FUNCTION hang_in_query() TO PUBLIC";
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

/// Ends the leases of all active runs, as time does after their process was killed. With a short lease instead, runs
/// would also fail on a busy machine.
pub async fn expire_leases(platform: &mut PgConnection) {
    let sql = "UPDATE cron_job_runs SET lease_until = clock_timestamp() WHERE status = 'running'";
    sqlx::query(sql).execute(platform).await.unwrap();
}

/// Waits until a statement of this database calls `pg_sleep`.
pub async fn until_sleeping(connection: &mut PgConnection) {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity
                              WHERE wait_event = 'PgSleep' AND datname = current_database())";
    eventually("a statement that hangs", async || {
        sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut *connection).await.unwrap()
    })
    .await;
}

/// Waits until this number of statements of this database wait for a lock of the table.
pub async fn until_waiting_for(connection: &mut PgConnection, table: &str, count: i64) {
    // The object id of a table is the same in all databases that were cloned from one template.
    let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass($1)
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    eventually(&format!("{count} statements wait for {table}"), async || {
        sqlx::query_scalar::<_, i64>(sql).bind(table).fetch_one(&mut *connection).await.unwrap() == count
    })
    .await;
}

/// Ends the sessions of this database that call `pg_sleep`.
pub async fn end_sleeping(connection: &mut PgConnection) {
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE wait_event = 'PgSleep' AND datname = current_database()",
    )
    .execute(connection)
    .await
    .unwrap();
}
