use super::*;

fn read(sql: &str) -> Result<Statement, Unreadable> {
    read_statement(sql, Permissions::default())
}

fn refusal(sql: &str) -> String {
    match read(sql) {
        Err(Unreadable::Refused { what, .. }) => what,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn statements_are_told_apart_by_the_grammar() {
    for (sql, expected) in [
        ("", Err(Unreadable::Empty)),
        (" ; ;; ", Err(Unreadable::Empty)),
        ("-- nothing\n/* at all */", Err(Unreadable::Empty)),
        ("SELECT 1; SELECT 2", Err(Unreadable::Several(2))),
        ("SELECT 1; SELECT 2; DROP TABLE x;", Err(Unreadable::Several(3))),
        ("SELECT ';' -- ; \n", Ok("SELECT")),
        ("SELECT $$;$$, ';''' ;", Ok("SELECT")),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END", Ok("CREATE FUNCTION")),
    ] {
        match expected {
            Ok(command) => assert_eq!(read(sql).unwrap().command, command, "{sql}"),
            Err(error) => assert_eq!(read(sql).unwrap_err(), error, "{sql}"),
        }
    }
    assert!(matches!(read("SELEC 1"), Err(Unreadable::Syntax(_))));
    assert!(matches!(read("SELECT 1; SELEC 2"), Err(Unreadable::Syntax(_))));
    assert!(matches!(read("SELECT '\0'"), Err(Unreadable::Syntax(_))));
}

#[test]
fn only_plain_queries_go_through_a_cursor() {
    for (sql, way) in [
        ("SELECT 1", Way::Cursor),
        ("(SELECT 1) UNION ALL SELECT 2 ORDER BY 1", Way::Cursor),
        ("VALUES (1), (2)", Way::Cursor),
        ("TABLE items", Way::Cursor),
        ("WITH a AS (SELECT 1) SELECT * FROM a", Way::Cursor),
        ("SELECT * FROM items FOR UPDATE", Way::Cursor),
        ("WITH a AS (DELETE FROM items RETURNING *) SELECT * FROM a", Way::Whole),
        ("WITH a AS (INSERT INTO items DEFAULT VALUES RETURNING *) SELECT * FROM a", Way::Whole),
        ("SELECT 1 INTO copied", Way::Whole),
        ("SELECT 1 AS a INTO copied UNION SELECT 2", Way::Whole),
        ("UPDATE items SET a = 1 RETURNING *", Way::Whole),
        ("EXPLAIN SELECT 1", Way::Whole),
        ("SHOW timezone", Way::Whole),
    ] {
        assert_eq!(read(sql).unwrap().way, way, "{sql}");
    }
}

#[test]
fn commands_are_named_as_postgres_does() {
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
    ] {
        assert_eq!(read(sql).unwrap().command, command, "{sql}");
    }
}

#[test]
fn what_the_editor_is_not_for_is_refused_wherever_it_stands() {
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
        ("BEGIN", "Transaction control"),
        ("COMMIT", "Transaction control"),
        ("ROLLBACK", "Transaction control"),
        ("SAVEPOINT a", "Transaction control"),
        ("SET TRANSACTION READ WRITE", "SET TRANSACTION"),
        ("CREATE ROLE x", "CREATE ROLE"),
        ("CREATE USER x", "CREATE ROLE"),
        ("ALTER ROLE CURRENT_USER PASSWORD 'x'", "ALTER ROLE"),
        ("ALTER USER x RENAME TO y", "ALTER ROLE"),
        ("ALTER ROLE x SET work_mem = '1GB'", "ALTER ROLE"),
        ("DROP ROLE x", "DROP ROLE"),
        ("GRANT a TO b", "Granting a role to a role"),
        ("DROP OWNED BY CURRENT_USER", "DROP OWNED"),
        ("REASSIGN OWNED BY a TO b", "REASSIGN OWNED"),
        ("CREATE DATABASE x", "CREATE DATABASE"),
        ("DROP DATABASE x", "DROP DATABASE"),
        ("ALTER DATABASE x RENAME TO y", "ALTER DATABASE"),
        ("ALTER DATABASE x SET work_mem = '1GB'", "ALTER DATABASE"),
        ("CREATE TABLESPACE x LOCATION '/tmp'", "CREATE TABLESPACE"),
        ("DROP TABLESPACE x", "DROP TABLESPACE"),
        ("LISTEN x", "LISTEN"),
        ("SELECT pg_sleep(1)", "The function pg_sleep()"),
        ("SELECT PG_SLEEP(1)", "The function pg_sleep()"),
        ("SELECT pg_catalog.pg_sleep_for('1s')", "The function pg_sleep_for()"),
        ("SELECT * FROM pg_ls_dir('.')", "The function pg_ls_dir()"),
        ("SELECT pg_read_file('/etc/passwd')", "The function pg_read_file()"),
        ("SELECT lo_import('/etc/passwd')", "The function lo_import()"),
        ("SELECT pg_terminate_backend(1)", "The function pg_terminate_backend()"),
        ("SELECT * FROM dblink('', '') AS t(a int)", "The function dblink()"),
        ("SELECT public.dblink_connect('')", "The function dblink_connect()"),
        // Wherever it stands.
        ("WITH a AS (SELECT pg_sleep(1)) SELECT * FROM a", "The function pg_sleep()"),
        ("SELECT 1 LIMIT (SELECT 1 FROM pg_sleep(9))", "The function pg_sleep()"),
        ("SELECT 1 OFFSET length(pg_read_file('a'))", "The function pg_read_file()"),
        ("SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL) FROM a", "The function pg_sleep()"),
        ("SELECT 1 FROM a JOIN LATERAL pg_sleep(1) ON true", "The function pg_sleep()"),
        ("INSERT INTO a VALUES (pg_sleep(1))", "The function pg_sleep()"),
        ("INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = pg_sleep(1)", "The function pg_sleep()"),
        ("DELETE FROM a RETURNING pg_sleep(1)", "The function pg_sleep()"),
        ("CREATE TABLE a (b text DEFAULT pg_read_file('x'))", "The function pg_read_file()"),
        ("CREATE VIEW a AS SELECT pg_sleep(1)", "The function pg_sleep()"),
        ("EXPLAIN ANALYZE SELECT pg_sleep(1)", "The function pg_sleep()"),
        ("PREPARE a AS SELECT pg_sleep(1)", "The function pg_sleep()"),
        ("CALL pg_sleep(1)", "The function pg_sleep()"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(1)'", "The function pg_sleep()"),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT pg_sleep(1); END",
            "The function pg_sleep()",
        ),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ COPY a TO PROGRAM 'id' $$", "COPY … PROGRAM"),
        ("CREATE SCHEMA s CREATE VIEW v AS SELECT pg_sleep(1)", "The function pg_sleep()"),
    ] {
        assert_eq!(refusal(sql), what, "{sql}");
    }
}

#[test]
fn ordinary_work_is_not_refused() {
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
        assert!(read(sql).is_ok(), "{sql}: {:?}", read(sql));
    }
    let allowed = read_statement("CREATE EXTENSION citext", Permissions { create_extension: true });
    assert_eq!(allowed.unwrap().command, "CREATE EXTENSION");
}

#[test]
fn a_statement_too_deep_for_the_tree_is_read_by_its_words() {
    let sum = format!("SELECT {}", vec!["1"; 500].join(" + "));
    assert_eq!(read(&sum).unwrap(), Statement { command: "SELECT".into(), way: Way::Cursor, explainable: true });
    assert_eq!(refusal(&format!("{sum} + length(pg_read_file('x'))")), "The function pg_read_file()");
    assert_eq!(refusal(&format!("{sum} + pg_catalog.\"pg_sleep\" (1)")), "The function pg_sleep()");
    assert!(refusal(&format!("CREATE VIEW a AS {sum}")).contains("nested this deep"));
    let written = format!("WITH a AS (DELETE FROM b) {sum}");
    assert_eq!(read(&written).unwrap().way, Way::Whole);
}

#[test]
fn a_long_insert_is_read_by_its_words() {
    let rows = vec!["(1, 'some text of a row')"; 20_000].join(", ");
    let insert = format!("/* seed */ INSERT INTO a VALUES {rows}");
    assert_eq!(read(&insert).unwrap().command, "INSERT");
    assert_eq!(read(&format!("{insert}; SELECT 1")).unwrap_err(), Unreadable::Several(2));
    assert_eq!(refusal(&format!("{insert}, (1, pg_read_file('x'))")), "The function pg_read_file()");
    // Brackets and operators by the hundred thousand neither overflow the stack nor the decoder.
    let brackets = format!("SELECT {}1{}", "(".repeat(200_000), ")".repeat(200_000));
    assert!(matches!(read(&brackets), Ok(_) | Err(Unreadable::Syntax(_))));
    let operators = format!("SELECT 1{}", "+1".repeat(400_000));
    assert!(matches!(read(&operators), Ok(_) | Err(Unreadable::Syntax(_))));
}
