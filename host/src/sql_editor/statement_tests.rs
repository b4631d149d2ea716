//! Tests of parsing and classifying statements.

use super::*;

fn parse(sql: &str) -> Result<Statement, Rejection> {
    parse_statement(sql, Permissions::default())
}

fn rejected_part(sql: &str) -> String {
    match parse(sql) {
        Err(Rejection::NotSupported { what, .. }) => what,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn statements_are_counted_by_the_grammar() {
    for (sql, expected) in [
        ("", Err(Rejection::Empty)),
        (" ; ;; ", Err(Rejection::Empty)),
        ("-- nothing\n/* at all */", Err(Rejection::Empty)),
        ("SELECT 1; SELECT 2", Err(Rejection::SeveralStatements(2))),
        ("SELECT 1; SELECT 2; DROP TABLE x;", Err(Rejection::SeveralStatements(3))),
        ("SELECT ';' -- ; \n", Ok("SELECT")),
        ("SELECT $$;$$, ';''' ;", Ok("SELECT")),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END", Ok("CREATE FUNCTION")),
    ] {
        match expected {
            Ok(command) => assert_eq!(parse(sql).unwrap().command, command, "{sql}"),
            Err(error) => assert_eq!(parse(sql).unwrap_err(), error, "{sql}"),
        }
    }
    assert!(matches!(parse("SELEC 1"), Err(Rejection::Syntax(_))));
    assert!(matches!(parse("SELECT 1; SELEC 2"), Err(Rejection::Syntax(_))));
    assert!(matches!(parse("SELECT '\0'"), Err(Rejection::Syntax(_))));
}

#[test]
fn only_plain_queries_use_a_cursor() {
    for (sql, fetch_mode) in [
        ("SELECT 1", FetchMode::Cursor),
        ("(SELECT 1) UNION ALL SELECT 2 ORDER BY 1", FetchMode::Cursor),
        ("VALUES (1), (2)", FetchMode::Cursor),
        ("TABLE items", FetchMode::Cursor),
        ("WITH a AS (SELECT 1) SELECT * FROM a", FetchMode::Cursor),
        ("SELECT * FROM items FOR UPDATE", FetchMode::Cursor),
        ("WITH a AS (DELETE FROM items RETURNING *) SELECT * FROM a", FetchMode::Whole),
        ("WITH a AS (INSERT INTO items DEFAULT VALUES RETURNING *) SELECT * FROM a", FetchMode::Whole),
        ("SELECT 1 INTO copied", FetchMode::Whole),
        ("SELECT 1 AS a INTO copied UNION SELECT 2", FetchMode::Whole),
        ("UPDATE items SET a = 1 RETURNING *", FetchMode::Whole),
        ("EXPLAIN SELECT 1", FetchMode::Whole),
        ("SHOW timezone", FetchMode::Whole),
    ] {
        assert_eq!(parse(sql).unwrap().fetch_mode, fetch_mode, "{sql}");
    }
}

#[test]
fn commands_have_postgres_names() {
    for (sql, command) in [
        ("INSERT INTO a VALUES (1)", "INSERT"),
        ("CREATE TABLE a (b int)", "CREATE TABLE"),
        ("CREATE TABLE a AS SELECT 1", "CREATE TABLE AS"),
        ("CREATE MATERIALIZED VIEW a AS SELECT 1", "CREATE MATERIALIZED VIEW"),
        ("CREATE VIEW a AS SELECT 1", "CREATE VIEW"),
        ("CREATE INDEX ON a (b)", "CREATE INDEX"),
        ("CREATE SCHEMA s", "CREATE SCHEMA"),
        ("CREATE TYPE t AS ENUM ('a')", "CREATE TYPE"),
        ("CREATE POLICY p ON a USING (true)", "CREATE POLICY"),
        ("ALTER TABLE a ADD c int", "ALTER TABLE"),
        ("ALTER TABLE a RENAME b TO c", "ALTER TABLE"),
        ("ALTER TABLE a RENAME TO c", "ALTER TABLE"),
        ("ALTER VIEW a RENAME TO c", "ALTER VIEW"),
        ("DROP TABLE a", "DROP TABLE"),
        ("DROP MATERIALIZED VIEW a", "DROP MATERIALIZED VIEW"),
        ("DROP FUNCTION f()", "DROP FUNCTION"),
        ("TRUNCATE a", "TRUNCATE TABLE"),
        ("GRANT SELECT ON a TO b", "GRANT"),
        ("REVOKE SELECT ON a FROM b", "REVOKE"),
        ("COMMENT ON TABLE a IS 'x'", "COMMENT"),
        ("VACUUM a", "VACUUM"),
        ("ANALYZE a", "ANALYZE"),
        ("SET search_path = a", "SET"),
        ("RESET search_path", "RESET"),
        ("SHOW search_path", "SHOW"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("CALL p()", "CALL"),
        ("NOTIFY changes", "NOTIFY"),
        ("MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN DO NOTHING", "MERGE"),
        ("CREATE STATISTICS s ON b, c FROM a", "CREATE STATISTICS"),
        ("ALTER STATISTICS s SET STATISTICS 100", "ALTER STATISTICS"),
        ("DROP STATISTICS s", "DROP STATISTICS"),
        ("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS"),
        ("CREATE OPERATOR CLASS o FOR TYPE int USING btree AS OPERATOR 1 <", "CREATE OPERATOR CLASS"),
        ("DROP OPERATOR CLASS o USING btree", "DROP OPERATOR CLASS"),
        ("CREATE OPERATOR FAMILY o USING btree", "CREATE OPERATOR FAMILY"),
        ("ALTER OPERATOR FAMILY o USING btree DROP OPERATOR 1 (int, int)", "ALTER OPERATOR FAMILY"),
        ("ALTER TYPE t RENAME ATTRIBUTE b TO c", "ALTER TYPE"),
        ("ALTER TYPE t ADD ATTRIBUTE b int", "ALTER TYPE"),
        ("ALTER DOMAIN d RENAME CONSTRAINT b TO c", "ALTER DOMAIN"),
        ("ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR word", "ALTER TEXT SEARCH CONFIGURATION"),
        ("ALTER TEXT SEARCH DICTIONARY d (a = 'b')", "ALTER TEXT SEARCH DICTIONARY"),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w", "CREATE SERVER"),
        ("DROP SERVER s", "DROP SERVER"),
        ("CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION f()", "CREATE EVENT TRIGGER"),
        ("CHECKPOINT", "CHECKPOINT"),
        ("CLOSE ALL", "CLOSE CURSOR"),
    ] {
        assert_eq!(parse(sql).unwrap().command, command, "{sql}");
    }
}

#[test]
fn unsupported_parts_are_rejected_anywhere_in_a_statement() {
    for (sql, what) in [
        ("COPY a TO PROGRAM 'id'", "COPY … PROGRAM"),
        ("COPY a FROM '/etc/passwd'", "COPY with a server file"),
        ("COPY a TO STDOUT", "COPY"),
        ("COPY a FROM STDIN", "COPY"),
        ("DO $$ BEGIN END $$", "DO"),
        ("CREATE EXTENSION citext", "CREATE EXTENSION"),
        ("ALTER SYSTEM SET work_mem = '1GB'", "ALTER SYSTEM"),
        ("LOAD 'auto_explain'", "LOAD"),
        ("SET ROLE postgres", "SET ROLE"),
        ("SET LOCAL ROLE postgres", "SET ROLE"),
        ("RESET ROLE", "RESET ROLE"),
        ("SET SESSION AUTHORIZATION postgres", "SET SESSION AUTHORIZATION"),
        ("RESET SESSION AUTHORIZATION", "RESET SESSION AUTHORIZATION"),
        ("SELECT set_config('role', 'postgres', false)", "set_config('role', …)"),
        ("SELECT pg_catalog.set_config('ROLE'::text, 'x', true)", "set_config('role', …)"),
        ("SELECT set_config(setting_name => 'role', new_value => 'x', is_local => true)", "set_config('role', …)"),
        ("BEGIN", "transaction control statements"),
        ("COMMIT", "transaction control statements"),
        ("ROLLBACK", "transaction control statements"),
        ("SAVEPOINT a", "transaction control statements"),
        ("SET TRANSACTION READ WRITE", "SET TRANSACTION"),
        ("SET LOCAL transaction_read_only = off", "SET transaction_read_only"),
        ("RESET transaction_read_only", "RESET transaction_read_only"),
        ("SELECT set_config('transaction_read_only', NULL, true)", "set_config('transaction_read_only', …)"),
        ("CREATE ROLE x", "CREATE ROLE"),
        ("CREATE USER x", "CREATE ROLE"),
        ("ALTER ROLE CURRENT_USER PASSWORD 'x'", "ALTER ROLE"),
        ("ALTER USER x RENAME TO y", "ALTER ROLE"),
        ("ALTER ROLE x SET work_mem = '1GB'", "ALTER ROLE"),
        ("DROP ROLE x", "DROP ROLE"),
        ("GRANT a TO b", "GRANT of a role to a role"),
        ("DROP OWNED BY CURRENT_USER", "DROP OWNED"),
        ("REASSIGN OWNED BY a TO b", "REASSIGN OWNED"),
        ("CREATE DATABASE x", "CREATE DATABASE"),
        ("DROP DATABASE x", "DROP DATABASE"),
        ("ALTER DATABASE x RENAME TO y", "ALTER DATABASE"),
        ("ALTER DATABASE x SET work_mem = '1GB'", "ALTER DATABASE"),
        ("CREATE TABLESPACE x LOCATION '/tmp'", "CREATE TABLESPACE"),
        ("DROP TABLESPACE x", "DROP TABLESPACE"),
        ("LISTEN x", "LISTEN"),
        ("UNLISTEN x", "UNLISTEN"),
        ("SELECT pg_sleep(1)", "the function pg_sleep()"),
        ("SELECT PG_SLEEP(1)", "the function pg_sleep()"),
        ("SELECT pg_catalog.pg_sleep_for('1s')", "the function pg_sleep_for()"),
        ("SELECT * FROM pg_ls_dir('.')", "the function pg_ls_dir()"),
        ("SELECT pg_read_file('/etc/passwd')", "the function pg_read_file()"),
        ("SELECT lo_import('/etc/passwd')", "the function lo_import()"),
        ("SELECT pg_terminate_backend(1)", "the function pg_terminate_backend()"),
        ("SELECT * FROM dblink('', '') AS t(a int)", "the function dblink()"),
        ("SELECT public.dblink_connect('')", "the function dblink_connect()"),
        // Rejected functions in any part of a statement.
        ("WITH a AS (SELECT pg_sleep(1)) SELECT * FROM a", "the function pg_sleep()"),
        ("SELECT 1 LIMIT (SELECT 1 FROM pg_sleep(9))", "the function pg_sleep()"),
        ("SELECT 1 OFFSET length(pg_read_file('a'))", "the function pg_read_file()"),
        ("SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL) FROM a", "the function pg_sleep()"),
        ("SELECT 1 FROM a JOIN LATERAL pg_sleep(1) ON true", "the function pg_sleep()"),
        ("INSERT INTO a VALUES (pg_sleep(1))", "the function pg_sleep()"),
        ("INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = pg_sleep(1)", "the function pg_sleep()"),
        ("DELETE FROM a RETURNING pg_sleep(1)", "the function pg_sleep()"),
        ("CREATE TABLE a (b text DEFAULT pg_read_file('x'))", "the function pg_read_file()"),
        ("CREATE VIEW a AS SELECT pg_sleep(1)", "the function pg_sleep()"),
        ("EXPLAIN ANALYZE SELECT pg_sleep(1)", "the function pg_sleep()"),
        ("PREPARE a AS SELECT pg_sleep(1)", "the function pg_sleep()"),
        ("CALL pg_sleep(1)", "the function pg_sleep()"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(1)'", "the function pg_sleep()"),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT pg_sleep(1); END",
            "the function pg_sleep()",
        ),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ COPY a TO PROGRAM 'id' $$", "COPY … PROGRAM"),
        ("CREATE SCHEMA s CREATE VIEW v AS SELECT pg_sleep(1)", "the function pg_sleep()"),
    ] {
        assert_eq!(rejected_part(sql), what, "{sql}");
    }
}

#[test]
fn hints_of_rejected_transaction_settings_name_the_option_of_the_request() {
    for sql in [
        "SET transaction_read_only = off",
        "RESET transaction_read_only",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', true)",
    ] {
        let Err(Rejection::NotSupported { instead, .. }) = parse(sql) else { panic!("{sql} is accepted") };
        assert!(instead.contains("`readOnly`") && !instead.contains("Remove the statement"), "{sql}: {instead}");
    }
}

#[test]
fn ordinary_statements_are_accepted() {
    for sql in [
        "SELECT set_config('app.user', 'x', true)",
        "SET statement_timeout = 0",
        "SET search_path = app, public",
        "RESET ALL",
        "SELECT 'pg_sleep(1)', \"pg_sleep\" FROM a",
        "SELECT app.pg_sleep(1)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "ALTER TABLE a OWNER TO b",
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY",
        "GRANT SELECT ON a TO b",
        "VACUUM (ANALYZE) a",
        "CREATE INDEX CONCURRENTLY ON a (b)",
        "EXPLAIN (ANALYZE, BUFFERS) SELECT 1",
        "NOTIFY changes, 'x'",
    ] {
        assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql));
    }
    let allowed = parse_statement("CREATE EXTENSION citext", Permissions { create_extension: true });
    assert_eq!(allowed.unwrap().command, "CREATE EXTENSION");
}

#[test]
fn too_deep_statement_is_classified_by_tokens() {
    let sum = format!("SELECT {}", vec!["1"; 500].join(" + "));
    assert_eq!(
        parse(&sum).unwrap(),
        Statement {
            command: "SELECT".into(),
            fetch_mode: FetchMode::Cursor,
            explainable: true,
            read_only: true,
            in_transaction: true,
            tables: Vec::new(),
        }
    );
    assert_eq!(rejected_part(&format!("{sum} + length(pg_read_file('x'))")), "the function pg_read_file()");
    assert_eq!(rejected_part(&format!("{sum} + pg_catalog.\"pg_sleep\" (1)")), "the function pg_sleep()");
    assert!(rejected_part(&format!("CREATE VIEW a AS {sum}")).contains("nested this deep"));
    let written = format!("WITH a AS (DELETE FROM b) {sum}");
    assert_eq!(parse(&written).unwrap().fetch_mode, FetchMode::Whole);
}

#[test]
fn long_insert_is_classified_by_tokens() {
    let rows = vec!["(1, 'some text of a row')"; 20_000].join(", ");
    let insert = format!("/* seed */ INSERT INTO a VALUES {rows}");
    assert_eq!(parse(&insert).unwrap().command, "INSERT");
    assert_eq!(parse(&format!("{insert}; SELECT 1")).unwrap_err(), Rejection::SeveralStatements(2));
    assert_eq!(rejected_part(&format!("{insert}, (1, pg_read_file('x'))")), "the function pg_read_file()");
    // Hundreds of thousands of brackets or operators do not overflow the stack or the decoder.
    let brackets = format!("SELECT {}1{}", "(".repeat(200_000), ")".repeat(200_000));
    assert!(matches!(parse(&brackets), Ok(_) | Err(Rejection::Syntax(_))));
    let operators = format!("SELECT 1{}", "+1".repeat(400_000));
    assert!(matches!(parse(&operators), Ok(_) | Err(Rejection::Syntax(_))));
}
