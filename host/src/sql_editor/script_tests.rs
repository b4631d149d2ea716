//! Tests of splitting and describing scripts.

use api_types::DestroyAction;

use super::*;

fn parsed(sql: &str) -> Vec<ParsedStatement> {
    describe(sql, Permissions::default()).unwrap().statements
}

/// Returns the SQL of each statement.
fn texts(sql: &str) -> Vec<String> {
    let characters: Vec<char> = sql.chars().collect();
    let text =
        |statement: &ParsedStatement| characters[statement.start as usize..statement.end as usize].iter().collect();
    parsed(sql).iter().map(text).collect()
}

#[test]
fn scripts_are_split_between_statements() {
    let check = |sql: &str, expected: &[&str]| assert_eq!(texts(sql), expected, "{sql}");
    check("", &[]);
    check(" ;; -- nothing\n;", &[]);
    check("select 1", &["select 1"]);
    check("-- é\n select 1 ; /* b */ select 2 -- end", &["select 1", "select 2"]);
    check("select ';', $$;$$, \";\" from t; select 2;", &["select ';', $$;$$, \";\" from t", "select 2"]);
    check("select 'é😀'; select 2", &["select 'é😀'", "select 2"]);
    check(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT f()",
        &["CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END", "SELECT f()"],
    );
    // Scripts with syntax errors.
    check("select 1; selec 2; select 3", &["select 1", "selec 2", "select 3"]);
    check("select 1; select 'abc; select 2", &["select 1", "select 'abc; select 2"]);
}

#[test]
fn syntax_errors_have_their_position() {
    let check = |sql: &str, position: u32, line: u32, message: &str| {
        let errors: Vec<SyntaxError> = parsed(sql).into_iter().filter_map(|statement| statement.error).collect();
        let [error] = errors.as_slice() else { panic!("{sql}: {errors:?}") };
        assert_eq!(
            (error.position, error.line, error.message.as_str()),
            (Some(position), Some(line), message),
            "{sql}"
        );
    };
    check("select 1 frm t", 14, 1, "syntax error at or near \"t\"");
    check("selec 1", 1, 1, "syntax error at or near \"selec\"");
    check("select 'é';\nselect 2\nfrom from t", 27, 3, "syntax error at or near \"from\"");
    check("select (1", 10, 1, "syntax error at end of input");
    check("select a.b, 'abc", 13, 1, "unterminated quoted string at or near \"'abc\"");
}

#[test]
fn scripts_have_a_maximum_number_of_statements() {
    let script = |count: usize| "-- a\nselec 1;".repeat(count);
    let statements = parsed(&script(2000));
    let last = statements.last().and_then(|statement| statement.error.as_ref()).unwrap();
    assert_eq!((statements.len(), last.position, last.line), (2000, Some(1999 * 13 + 6), Some(2001)));
    let error = describe(&script(2001), Permissions::default()).unwrap_err();
    assert_eq!(error.message(), "The script contains 2001 statements. The maximum is 2000.");
}

#[test]
fn statements_are_classified() {
    let check = |sql: &str, command: &str, read_only: bool, in_transaction: bool| {
        let statements = parsed(sql);
        let [statement] = statements.as_slice() else { panic!("{sql}: {statements:?}") };
        assert_eq!(
            (statement.command.as_str(), statement.read_only, statement.in_transaction),
            (command, read_only, in_transaction),
            "{sql}"
        );
    };
    check("select 1", "SELECT", true, true);
    check("select * from t for update", "SELECT", false, true);
    check("select 1 into t", "SELECT", false, true);
    check("with x as (delete from t returning *) select * from x", "SELECT", false, true);
    check("show all", "SHOW", true, true);
    check("explain delete from t", "EXPLAIN", true, true);
    check("explain analyze delete from t", "EXPLAIN", false, true);
    check("explain analyze select 1", "EXPLAIN", true, true);
    check("insert into t default values", "INSERT", false, true);
    check("vacuum t", "VACUUM", false, false);
    check("analyze t", "ANALYZE", false, true);
    check("create index concurrently on t (a)", "CREATE INDEX", false, false);
    check("create index on t (a)", "CREATE INDEX", false, true);
    check("drop index concurrently i", "DROP INDEX", false, false);
    check("reindex table t", "REINDEX", false, true);
    check("reindex (concurrently) table t", "REINDEX", false, false);
    check("reindex schema public", "REINDEX", false, false);
    check("alter table t detach partition p concurrently", "ALTER TABLE", false, false);
    check("discard all", "DISCARD", false, false);
    check("begin", "TRANSACTION", false, false);
}

#[test]
fn refused_statements_have_a_reason() {
    let statements = parsed("begin; select 1; select pg_sleep(1)");
    let refused: Vec<bool> = statements.iter().map(|statement| statement.refused.is_some()).collect();
    assert_eq!(refused, [true, false, true]);
    let refused = statements[2].refused.as_ref().unwrap();
    assert_eq!(refused.message, "The SQL editor does not run the function pg_sleep().");
    assert!(!refused.hint.is_empty());
}

#[test]
fn refused_statements_without_a_tree_have_no_syntax_error() {
    let check = |sql: &str, command: &str, message: &str| {
        let statements = parsed(sql);
        let [statement] = statements.as_slice() else { panic!("{} statements", statements.len()) };
        assert_eq!((statement.command.as_str(), &statement.error), (command, &None));
        assert!(statement.refused.as_ref().unwrap().message.contains(message), "{:?}", statement.refused);
    };
    let text = "x".repeat(200_000);
    check(&format!("select pg_sleep(1), '{text}'"), "SELECT", "the function pg_sleep()");
    check(&format!("create view v as select '{text}' as text"), "", "that is this long");
    check(&format!("select pg_sleep(1) + {}", vec!["1"; 500].join(" + ")), "SELECT", "the function pg_sleep()");
}

#[test]
fn destroyed_objects_are_found_by_the_grammar() {
    let check = |sql: &str, expected: &[(DestroyAction, &str, &str)]| {
        let found: Vec<(DestroyAction, String, String)> = parsed(sql)
            .into_iter()
            .flat_map(|statement| statement.destroys)
            .map(|destroyed| {
                let schema = destroyed.schema.map(|schema| format!("{schema}.")).unwrap_or_default();
                let column = destroyed.column.map(|column| format!(".{column}")).unwrap_or_default();
                (destroyed.action, destroyed.kind, format!("{schema}{}{column}", destroyed.name))
            })
            .collect();
        let expected: Vec<(DestroyAction, String, String)> =
            expected.iter().map(|(action, kind, name)| (*action, (*kind).to_owned(), (*name).to_owned())).collect();
        assert_eq!(found, expected, "{sql}");
    };
    use DestroyAction::{DeleteAll, Drop, DropColumn, Truncate, UpdateAll};
    check("drop table a, s.b cascade", &[(Drop, "table", "a"), (Drop, "table", "s.b")]);
    check("drop view if exists v", &[(Drop, "view", "v")]);
    check("drop materialized view v", &[(Drop, "materialized view", "v")]);
    check("drop schema s", &[(Drop, "schema", "s")]);
    check("drop type s.t", &[(Drop, "type", "s.t")]);
    check("drop function f(int)", &[(Drop, "function", "f")]);
    check("drop policy p on s.t", &[(Drop, "policy", "p")]);
    check("truncate a, b", &[(Truncate, "table", "a"), (Truncate, "table", "b")]);
    check(
        "alter table s.t drop column c, add d int, drop e",
        &[(DropColumn, "table", "s.t.c"), (DropColumn, "table", "s.t.e")],
    );
    check("delete from t", &[(DeleteAll, "table", "t")]);
    check("update t set a = 1", &[(UpdateAll, "table", "t")]);
    check("with x as (delete from t returning *) select * from x", &[(DeleteAll, "table", "t")]);
    // Statements that destroy nothing.
    check("-- drop table x\nselect 'drop table x', $$ truncate x $$", &[]);
    check("delete from t where id = 1; update t set a = 1 where b", &[]);
    check("create function f() returns void language sql begin atomic delete from t; end", &[]);
    check("alter table t add c int", &[]);
    // Objects that the same script creates.
    check("create table x (a int); insert into x values (1); delete from x; drop table public.x", &[]);
    check("create table s.x (a int); drop table x", &[(Drop, "table", "x")]);
    check("create table if not exists x (a int); drop table x", &[(Drop, "table", "x")]);
    check("drop table x; create table x (a int); alter table x drop column a", &[(Drop, "table", "x")]);
    check("create schema s; drop schema s", &[]);
    check("create type t as (a int); drop type t; create domain d as int; drop domain public.d", &[]);
}

#[test]
fn only_the_created_object_is_destroyed_without_confirmation() {
    let check = |sql: &str, expected: &[(&str, &str)]| {
        let found: Vec<(String, String)> = parsed(sql)
            .into_iter()
            .flat_map(|statement| statement.destroys)
            .map(|destroyed| {
                let schema = destroyed.schema.map(|schema| format!("{schema}.")).unwrap_or_default();
                (destroyed.kind, format!("{schema}{}", destroyed.name))
            })
            .collect();
        let expected: Vec<(String, String)> =
            expected.iter().map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned())).collect();
        assert_eq!(found, expected, "{sql}");
    };
    // Temporary objects hide others only from names without a schema, and only until they are dropped.
    check("create temp table t (a int); drop table public.t", &[("table", "public.t")]);
    check("create temp table t (a int); delete from public.t", &[("table", "public.t")]);
    check("create temp table t as select 1; truncate public.t", &[("table", "public.t")]);
    check("select 1 into temp t; truncate public.t", &[("table", "public.t")]);
    check("create temp view v as select 1; drop view public.v", &[("view", "public.v")]);
    check("create temp sequence s; drop sequence public.s", &[("sequence", "public.s")]);
    // A view that uses a temporary relation is temporary.
    for used in ["select * from t", "select 1 where exists (select from t)", "select * from pg_temp.t"] {
        let sql = format!("create temp table if not exists t (a int); create view v as {used};");
        check(&format!("{sql} drop view public.v"), &[("view", "public.v")]);
        check(&format!("{sql} create view w as select * from v; drop view public.w"), &[("view", "public.w")]);
        check(&format!("{sql} drop view v"), &[]);
    }
    check("create temp table t (a int); create view v as select * from public.t; drop view public.v", &[]);
    check("create temp table t (a int); delete from t; drop table pg_temp.t", &[]);
    check("create table pg_temp.t (a int); drop table t", &[]);
    check("create temp table t (a int); drop table t; drop table t", &[("table", "t")]);
    check("create temp table t (a int); discard temp; drop table t", &[("table", "t")]);
    check("create temp table t (a int) on commit drop; drop table t", &[("table", "t")]);
    check("create temp table t on commit drop as select 1; drop table t", &[("table", "t")]);
    let views = "create temp table t (a int); create temp view v as select a from t;";
    check(&format!("{views} drop table t cascade; drop view v"), &[("view", "v")]);
    check(&format!("{views} alter table t drop column a cascade; drop view v"), &[("view", "v")]);
    check(&format!("{views} drop view v; drop table t"), &[]);
    // Another object can get the name of a renamed or moved object.
    check(
        "create table a (i int); alter table a rename to b; alter table c rename to a; drop table a",
        &[("table", "a")],
    );
    check("create table a (i int); alter table a set schema s; drop table a", &[("table", "a")]);
    check("create table a (i int); alter table a rename column i to j; drop table a", &[]);
    // Objects of another class can have the same name.
    check("create function t() returns int language sql return 1; drop table t", &[("table", "t")]);
    check("create schema t; drop table t", &[("table", "t")]);
    check("create type t as enum ('a'); drop table t", &[("table", "t")]);
    check("create table t (a int); drop schema t", &[("schema", "t")]);
    check("create function f(a text) returns int language sql return 1; drop function f(int)", &[("function", "f")]);
    // An index is in the schema of its table.
    check("create index i on s.t (a); drop index i", &[("index", "i")]);
    check("create index i on s.t (a); drop index s.i", &[]);
    check("create temp table t (a int); create index i on t (a); drop index public.i", &[("index", "public.i")]);
    // With another search path, a name without a schema can be in any schema.
    check("set search_path = s; create table t (a int); drop table public.t", &[("table", "public.t")]);
    check("create table t (a int); set search_path = s; drop table t", &[("table", "t")]);
    check("create table t (a int); set \"Search_Path\" = s; drop table t", &[("table", "t")]);
    for call in ["'search_path', 's', false", "'Search_' || 'path', 's', false", "is_local => false, a => 'b'"] {
        let sql = format!("create table t (a int); select pg_catalog.set_config({call}); drop table t");
        check(&sql, &[("table", "t")]);
    }
    check("create table t (a int); select set_config('work_mem', '1MB', false); drop table t", &[]);
    check(
        "create table t (a int); update pg_settings set setting = 's' where name = 'search_path'; drop table t",
        &[("table", "t")],
    );
    check("create table s.t (a int); set search_path = s; drop table s.t", &[]);
}

#[test]
fn only_a_truncate_with_cascade_removes_rows_of_referring_tables() {
    let cascades = |sql: &str| -> Vec<bool> {
        parsed(sql).into_iter().flat_map(|statement| statement.destroys).map(|destroyed| destroyed.cascade).collect()
    };
    assert_eq!(cascades("truncate a, b cascade"), [true, true]);
    assert_eq!(cascades("truncate a; truncate b restrict; drop table c cascade"), [false, false, false]);
}
