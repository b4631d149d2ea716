//! Upserts of files: which rows count as inserted and as updated, and which row of a key wins.

use serde_json::json;

use super::{
    imports::{counts, import, value},
    start,
};

#[tokio::test]
async fn upsert_into_a_partitioned_table_counts_inserted_and_updated_rows() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE events (id int, code text, name text, UNIQUE (id, code)) PARTITION BY RANGE (id);
             CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
             CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20);
             INSERT INTO events VALUES (1, 'a', 'old'), (11, 'a', 'old'), (2, NULL, 'old');
             CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN IF NEW.name = ''skip'' THEN RETURN NULL; END IF; RETURN NEW; END';
             CREATE TRIGGER skip BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION skip()",
        )
        .await;
    // A key with NULL equals no other, so its row is inserted. A trigger skips a row whose key exists.
    let file = "id,code,name\n1,a,new\n11,a,skip\n2,,new\n12,b,new\n1,a,newer\n";
    for (dry_run, on_error, bad) in [(true, "abort", ""), (false, "skip", "99,c,no partition\n")] {
        let request = json!({ "mode": "upsert", "conflict": ["id", "code"], "onError": on_error, "dryRun": dry_run });
        let done = import(&app, &project, "events", "csv", &format!("{file}{bad}"), request).await;
        let errors = i64::from(!bad.is_empty());
        let expected = [5 + errors, 2, 2, 1 + errors, errors];
        assert_eq!((&done["state"], counts(&done)), (&json!("done"), expected), "{done}");
    }
    let rows = "SELECT array_agg(concat_ws(' ', id, code, name) ORDER BY id, code, name DESC) FROM events";
    let expected = json!(["1 a newer", "2 old", "2 new", "11 a old", "12 b new"]);
    assert_eq!(value(&project, rows).await, expected);
}

#[tokio::test]
async fn rows_whose_keys_have_equal_nulls_are_updated() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TABLE events (id int, code text, name text, UNIQUE NULLS NOT DISTINCT (id, code))
               PARTITION BY RANGE (id);
             CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
             INSERT INTO events VALUES (1, NULL, 'old');
             CREATE TABLE staff (
               code int UNIQUE NULLS NOT DISTINCT, name text UNIQUE, boss text REFERENCES staff (name))",
        )
        .await;
    let request = json!({ "mode": "upsert", "conflict": ["id", "code"] });
    let file = "id,code,name\n1,,new\n1,,newer\n2,,first\n2,,last\n2,a,other\n";
    let done = import(&app, &project, "events", "csv", file, request).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [5, 2, 3, 0, 0]), "{done}");
    let rows = "SELECT array_agg(concat_ws(' ', id, code, name) ORDER BY id, code, name) FROM events";
    assert_eq!(value(&project, rows).await, json!(["1 newer", "2 a other", "2 last"]));

    // The first row waits for its boss, and the last row with the same key is moved before the first.
    let request = json!({ "mode": "upsert", "conflict": ["code"], "onError": "skip" });
    let file = "code,name,boss\n,first,boss\nx,bad,\n,last,\n9,boss,\n";
    let done = import(&app, &project, "staff", "csv", file, request).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [4, 2, 1, 1, 1]), "{done}");
    assert_eq!(value(&project, "SELECT name FROM staff WHERE code IS NULL").await, "last");
}

#[tokio::test]
async fn last_row_of_a_key_wins_although_an_earlier_one_waits_for_other_rows() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE staff (id int PRIMARY KEY, boss int REFERENCES staff, name text)").await;
    // Bad rows make the import move the others in several statements.
    let cases = [
        ("one waits", "1,9,first\nx,,bad\n1,,last\n9,,boss\n", [4, 2, 1, 1, 1], "last"),
        ("both wait", "1,9,first\n1,10,last\n9,10,boss\n10,,chief\n5,99,bad\n", [5, 3, 1, 1, 1], "last"),
        ("the last one is bad", "1,9,first\n1,99,bad\n9,,boss\n", [3, 2, 0, 1, 1], "first"),
    ];
    for (case, rows, expected, name) in cases {
        project.sql("TRUNCATE staff").await;
        let request = json!({ "mode": "upsert", "onError": "skip" });
        let done = import(&app, &project, "staff", "csv", &format!("id,boss,name\n{rows}"), request).await;
        assert_eq!((&done["state"], counts(&done)), (&json!("done"), expected), "{case}: {done}");
        assert_eq!(value(&project, "SELECT name FROM staff WHERE id = 1").await, name, "{case}");
    }
}

#[tokio::test]
async fn upsert_replaces_keys_that_are_equal_but_written_differently() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE EXTENSION citext;
             CREATE COLLATION ignores_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE words (k citext, n numeric, c text COLLATE ignores_case, v int, UNIQUE (k, n, c));
             CREATE TABLE parts (n numeric PRIMARY KEY, v int) PARTITION BY RANGE (n);
             CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        )
        .await;
    let request = |on_error: &str| json!({ "mode": "upsert", "conflict": ["k", "n", "c"], "onError": on_error });
    // A bad row makes the import move the others one by one, with the same result.
    for (on_error, bad) in [("abort", ""), ("skip", "x,bad,x,9\n")] {
        project.sql("TRUNCATE words; INSERT INTO words VALUES ('a', 1.0, 'c', 1), ('b', 2, 'd', 1)").await;
        let file = format!("k,n,c,v\nA,1.00,C,2\n{bad}e,3,f,1\nE,3.0,F,2\n");
        let done = import(&app, &project, "words", "csv", &file, request(on_error)).await;
        assert_eq!(done["state"], "done", "{done}");
        let rows = "SELECT array_agg(concat_ws(' ', k, n, c, v) ORDER BY n) FROM words";
        assert_eq!(value(&project, rows).await, json!(["A 1.00 C 2", "b 2 d 1", "E 3.0 F 2"]), "{on_error}");
    }
    project.sql("INSERT INTO parts VALUES (1.0, 1)").await;
    let request = json!({ "mode": "upsert", "conflict": ["n"] });
    let done = import(&app, &project, "parts", "csv", "n,v\n1.00,2\n3,3\n", request).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [2, 1, 1, 0, 0]), "{done}");
    let rows = "SELECT array_agg(concat_ws(' ', n, v) ORDER BY n) FROM parts";
    assert_eq!(value(&project, rows).await, json!(["1.00 2", "3 3"]));
}

#[tokio::test]
async fn upsert_does_not_set_keys_whose_values_can_not_differ() {
    let app = start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE DOMAIN code AS varchar(10);
             CREATE TYPE kind AS ENUM ('x', 'y');
             CREATE TABLE items (id int, code code, kind kind, name text, PRIMARY KEY (id, code, kind));
             INSERT INTO items VALUES (1, 'a', 'x', 'old');
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''the key is set''; END';
             CREATE TRIGGER refuse BEFORE UPDATE OF id, code, kind ON items FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    let request = json!({ "mode": "upsert", "conflict": ["id", "code", "kind"] });
    let done = import(&app, &project, "items", "csv", "id,code,kind,name\n1,a,x,new\n", request).await;
    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [1, 0, 1, 0, 0]), "{done}");
    assert_eq!(value(&project, "SELECT name FROM items").await, "new");
}
