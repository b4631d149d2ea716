//! Changes that a project's SQL makes to its session do not affect the next request.

use atlashub::{
    data::{DataService, Identity},
    db::DbRole,
    http::Recipient,
};
use axum::extract::FromRef;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{FaultProxy, Postgres, TestApp, TestProject};

/// SQL that creates views of the state left in a session: `peeked` reads it in a function of the project, `shown` with
/// Postgres's own functions.
const PROBES: &str = "
    CREATE SEQUENCE hits;
    CREATE TABLE plain (id int PRIMARY KEY, a text);
    INSERT INTO plain VALUES (1, 'genuine');
    CREATE FUNCTION peek() RETURNS json LANGUAGE plpgsql AS $$
      DECLARE last bigint; found text;
      BEGIN
        BEGIN last := lastval(); EXCEPTION WHEN OTHERS THEN last := NULL; END;
        BEGIN EXECUTE 'SELECT a FROM plain' INTO found; EXCEPTION WHEN OTHERS THEN found := SQLERRM; END;
        RETURN json_build_object(
          'settings', (SELECT json_agg(name ORDER BY name) FROM pg_settings WHERE source = 'session'),
          'claims', nullif(current_setting('request.jwt.claims', true), ''), 'timezone', current_setting('timezone'),
          'role', current_setting('role'), 'prepared', (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),
          'cursors', (SELECT count(*) FROM pg_cursors WHERE is_holdable),
          'channels', (SELECT count(*) FROM pg_listening_channels()),
          'locks', (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
          'last', last, 'found', found);
      END $$;
    CREATE VIEW peeked AS SELECT peek() AS state, pg_backend_pid() AS pid;
    CREATE VIEW shown AS SELECT current_setting('timezone') AS timezone, auth.uid() AS uid,
        current_setting('search_path') AS path, current_setting('bytea_output') AS form;
    CREATE FUNCTION tokyo(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS $$ BEGIN
        PERFORM nextval('hits'); PERFORM set_config('timezone', 'Asia/Tokyo', false); RETURN value; END $$;
    CREATE FUNCTION tokyo_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM tokyo(''); RETURN coalesce(NEW, OLD); END $$;";

async fn rows(project: &TestProject, path: &str) -> Value {
    let (status, body) = project.secret().get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body["rows"].clone()
}

fn as_new() -> Value {
    json!([{ "timezone": "UTC", "uid": null, "path": "public", "form": "hex" }])
}

async fn start(name: &str) -> (TestApp, TestProject) {
    let app = TestApp::start().await;
    let project = app.create_project(name).await;
    project.sql(PROBES).await;
    (app, project)
}

#[tokio::test]
async fn session_state_of_every_kind_is_gone_at_the_next_request() {
    let (_app, project) = start("state").await;
    let kinds = [
        ("setting", "PERFORM set_config('timezone', 'Asia/Tokyo', false)"),
        ("search_path", "PERFORM set_config('search_path', 'pg_catalog', false)"),
        ("timeout", "PERFORM set_config('statement_timeout', '1ms', false)"),
        ("bytea", "PERFORM set_config('bytea_output', 'escape', false)"),
        ("read_only", "PERFORM set_config('default_transaction_read_only', 'on', false)"),
        ("set", "SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 0"),
        (
            "claims",
            "PERFORM set_config('request.jwt.claims', '{\"sub\":\"7b0f8a4e-36c1-4c0b-9d4e-0a1c2e3f4a5b\"}', false)",
        ),
        ("role", "PERFORM set_config('role', session_user, false)"),
        ("session", "EXECUTE format('SET SESSION AUTHORIZATION %I', session_user)"),
        ("prepare", "EXECUTE 'PREPARE mine AS SELECT 1'"),
        ("deallocate", "EXECUTE 'DEALLOCATE ALL'"),
        (
            "name_clash",
            "EXECUTE 'DEALLOCATE ALL'; FOR i IN 0..3000 LOOP
                EXECUTE format('PREPARE s%s AS SELECT json_build_object(''a'', ''forged'')', i); END LOOP",
        ),
        ("cursor", "EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT 1'"),
        ("listen", "EXECUTE 'LISTEN news'"),
        ("lock", "PERFORM pg_advisory_lock(42); PERFORM pg_advisory_lock_shared(43)"),
        ("sequence", "PERFORM nextval('hits')"),
        ("temporary", "CREATE TEMPORARY TABLE plain (id int, a text); INSERT INTO plain VALUES (1, 'forged')"),
    ];
    for (kind, code) in kinds {
        // Only the owner may use the sequence and create temporary tables.
        let definer = if ["sequence", "temporary"].contains(&kind) { "SECURITY DEFINER" } else { "" };
        project
            .sql(&format!(
                "CREATE FUNCTION change_{kind}() RETURNS int LANGUAGE plpgsql {definer} AS $$ BEGIN
                   {code}; RETURN pg_backend_pid(); END $$;
                 CREATE VIEW change_{kind} AS SELECT change_{kind}() AS pid;"
            ))
            .await;
    }
    let new = rows(&project, "/v1/db/peeked").await[0].clone();
    for (kind, _) in kinds {
        rows(&project, "/v1/db/plain?select=a&eq.id=1").await;
        let path = format!("/v1/db/change_{kind}");
        let (_, peeked) = (rows(&project, &path).await, rows(&project, "/v1/db/peeked").await);
        assert_eq!(peeked[0]["state"], new["state"], "{kind}");
        assert_eq!(rows(&project, "/v1/db/shown").await, as_new(), "{kind}");
        assert_eq!(rows(&project, "/v1/db/plain?select=a&eq.id=1").await, json!([{ "a": "genuine" }]), "{kind}");
        // Concurrent requests are not affected either.
        let beside = join_all((0..20).map(|number| {
            let path = if number % 4 == 0 { path.as_str() } else { "/v1/db/shown" };
            rows(&project, path)
        }));
        for (number, rows) in beside.await.into_iter().enumerate().filter(|(number, _)| number % 4 != 0) {
            assert_eq!(rows, as_new(), "{kind}: {number}");
        }
    }
}

#[tokio::test]
async fn reset_session_is_used_again() {
    let (_app, project) = start("reuse").await;
    project.sql("CREATE VIEW changed AS SELECT tokyo('') AS a, pg_backend_pid() AS pid").await;
    let changed = rows(&project, "/v1/db/changed").await;
    let peeked = rows(&project, "/v1/db/peeked").await;
    assert_eq!((&peeked[0]["pid"], &peeked[0]["state"]["timezone"]), (&changed[0]["pid"], &json!("UTC")));
}

#[tokio::test]
async fn statements_that_run_no_code_of_the_project_send_no_reset() {
    const RESET: &str = "DISCARD SEQUENCES";
    let direct = Postgres::shared().platform_database().await;
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = FaultProxy::start(address.parse().unwrap()).await;
    let app = TestApp::builder().database_url(&direct.replace(&address, &proxy.address().to_string())).start().await;
    let project = app.create_project("fast").await;
    project
        .sql(
            "CREATE TYPE mood AS ENUM ('calm'); CREATE DOMAIN title AS text CHECK (length(value) < 50);
             CREATE TABLE authors (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name title NOT NULL);
             CREATE TABLE books (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamptz DEFAULT now(), n serial,
                 author bigint REFERENCES authors ON DELETE CASCADE, mood mood DEFAULT 'calm', tags text[] DEFAULT '{}',
                 price numeric(10, 2) CHECK (price > 0), low text GENERATED ALWAYS AS ('a' || 'b') STORED);
             CREATE INDEX ON books (lower(low)); CREATE VIEW cheap AS SELECT * FROM books WHERE price < 10;
             ALTER TABLE books ENABLE ROW LEVEL SECURITY;
             CREATE POLICY p ON books USING (mood = 'calm' OR auth.uid() IS NOT NULL);",
        )
        .await;
    project.expose("books", "write", "write").await;
    project.expose("authors", "write", "write").await;
    proxy.corrupt(RESET);
    for client in [project.secret(), project.publishable()] {
        for path in ["books", "books?eq.mood=calm&select=id,authors(name)", "authors?order=name&count=exact"] {
            let (status, body) = client.get(&format!("/v1/db/{path}")).await;
            assert_eq!(status, StatusCode::OK, "{path}: {body}");
        }
        for (table, row) in [("authors", json!({ "name": "A" })), ("books", json!({ "price": 5, "author": 1 }))] {
            let (status, body) = client.post(&format!("/v1/db/{table}"), json!({ "rows": [row] })).await;
            assert_eq!(status, StatusCode::CREATED, "{table}: {body}");
        }
        assert_eq!(client.patch("/v1/db/books?gt.n=0", json!({ "values": { "price": 6 } })).await.0, StatusCode::OK);
    }
    rows(&project, "/v1/db/cheap").await;
    assert_eq!(proxy.clear(), [RESET], "a session was reset unnecessarily");
    project.sql("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW ones AS SELECT one()").await;
    proxy.corrupt(RESET);
    rows(&project, "/v1/db/ones").await;
    assert!(proxy.clear().is_empty());
}

#[tokio::test]
async fn code_of_the_project_is_detected_in_every_kind_of_object() {
    let (_app, project) = start("objects").await;
    project
        .sql(
            "CREATE TABLE with_default (id int PRIMARY KEY, a text DEFAULT tokyo('x'));
             CREATE TABLE with_trigger (id int PRIMARY KEY, a text);
             CREATE TRIGGER t BEFORE INSERT ON with_trigger FOR EACH ROW EXECUTE FUNCTION tokyo_trigger();
             CREATE TABLE with_deferred (id int PRIMARY KEY, a text);
             CREATE CONSTRAINT TRIGGER t AFTER INSERT ON with_deferred DEFERRABLE INITIALLY DEFERRED
               FOR EACH ROW EXECUTE FUNCTION tokyo_trigger();
             CREATE TABLE with_generated (id int PRIMARY KEY, a text, b text GENERATED ALWAYS AS (tokyo(a)) STORED);
             CREATE TABLE with_check (id int PRIMARY KEY, a text CHECK (tokyo(a) <> 'no'));
             CREATE TABLE with_index (id int PRIMARY KEY, a text); CREATE INDEX ON with_index (tokyo(a));
             CREATE DOMAIN word AS text CHECK (tokyo(value) <> 'no');
             CREATE TABLE with_domain (id int PRIMARY KEY, a word);
             CREATE TABLE with_array (id int PRIMARY KEY, a word[]);
             CREATE TABLE with_partitions (id int, a text) PARTITION BY RANGE (id);
             CREATE TABLE partition PARTITION OF with_partitions FOR VALUES FROM (0) TO (100);
             CREATE TRIGGER t BEFORE INSERT ON partition FOR EACH ROW EXECUTE FUNCTION tokyo_trigger();
             CREATE TABLE with_rule (id int PRIMARY KEY, a text);
             CREATE RULE r AS ON INSERT TO with_rule DO ALSO SELECT tokyo('x');
             CREATE TABLE parent (id int PRIMARY KEY, a text);
             CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE);
             CREATE TRIGGER t AFTER DELETE ON child FOR EACH ROW EXECUTE FUNCTION tokyo_trigger();
             INSERT INTO parent VALUES (1, 'x'); INSERT INTO child VALUES (1, 1);
             CREATE TABLE guarded (id int PRIMARY KEY, a text); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
             INSERT INTO guarded VALUES (1, 'x');
             CREATE POLICY p ON guarded USING (tokyo(a) = 'x');
             CREATE TABLE guarded_by_another (id int PRIMARY KEY, a text);
             ALTER TABLE guarded_by_another ENABLE ROW LEVEL SECURITY; INSERT INTO guarded_by_another VALUES (1, 'x');
             CREATE POLICY p ON guarded_by_another USING (EXISTS (SELECT FROM guarded));
             CREATE VIEW with_function AS SELECT tokyo('x') AS a;
             CREATE VIEW on_a_view AS SELECT * FROM with_function;
             CREATE VIEW with_set_config AS
               SELECT set_config('timezone', 'Asia/Tokyo', false) AS a, nextval('hits') AS b;
             CREATE VIEW with_query AS
               SELECT query_to_xml('SELECT tokyo(''x'')', true, false, '')::text AS a;
             CREATE TYPE mood AS ENUM ('calm');
             CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
               RETURN to_json(tokyo($1::text)); END $$;
             CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
             CREATE TABLE with_cast (id int PRIMARY KEY, mood mood); INSERT INTO with_cast VALUES (1, 'calm');
             CREATE FUNCTION tokyo_first(state text, value text) RETURNS text LANGUAGE sql AS
               'SELECT tokyo(coalesce($1, $2))';
             CREATE AGGREGATE first_of (text) (SFUNC = tokyo_first, STYPE = text);
             CREATE VIEW with_aggregate AS SELECT first_of(a) AS a FROM plain;",
        )
        .await;
    for table in ["guarded", "guarded_by_another"] {
        project.expose(table, "read", "read").await;
    }
    let secret = project.secret();
    let mut hits = hits_of(&project).await;
    let writes = [
        "with_default",
        "with_trigger",
        "with_deferred",
        "with_generated",
        "with_check",
        "with_index",
        "with_domain",
        "with_array",
        "with_partitions",
        "with_rule",
    ];
    for table in writes {
        let row = match table {
            "with_default" => json!({ "id": 1 }),
            "with_array" => json!({ "id": 1, "a": ["x"] }),
            _ => json!({ "id": 1, "a": "x" }),
        };
        let (status, body) = secret.post(&format!("/v1/db/{table}"), json!({ "rows": [row] })).await;
        assert_eq!(status, StatusCode::CREATED, "{table}: {body}");
        hits = check_clean(&project, table, hits).await;
    }
    assert_eq!(secret.delete("/v1/db/parent?eq.id=1").await.0, StatusCode::OK);
    hits = check_clean(&project, "parent", hits).await;
    for table in ["with_function", "on_a_view", "with_set_config", "with_query", "with_cast", "with_aggregate"] {
        rows(&project, &format!("/v1/db/{table}")).await;
        hits = check_clean(&project, table, hits).await;
    }
    for table in ["guarded", "guarded_by_another"] {
        let (status, body) = project.publishable().get(&format!("/v1/db/{table}")).await;
        assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1, "a": "x" }])), "{table}");
        hits = check_clean(&project, table, hits).await;
    }
    // Functions and operators of the project can replace Postgres's own.
    project
        .sql(
            "CREATE FUNCTION public.row_to_json(plain) RETURNS json LANGUAGE plpgsql AS $$ BEGIN
               RETURN json_build_object('a', tokyo('x')); END $$;
             CREATE TABLE words (a varchar PRIMARY KEY); INSERT INTO words VALUES ('x');
             CREATE FUNCTION same(varchar, varchar) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
               RETURN tokyo($1) = $2::text; END $$;
             CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = same);",
        )
        .await;
    rows(&project, "/v1/db/words?eq.a=x").await;
    check_clean(&project, "words", 0).await;
    let (status, body) = secret.patch("/v1/db/plain?eq.id=1", json!({ "values": { "a": "y" } })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    check_clean(&project, "plain", 0).await;
}

async fn hits_of(project: &TestProject) -> i64 {
    let mut connection = project.connect().await;
    sqlx::query_scalar("SELECT last_value + is_called::int FROM hits").fetch_one(&mut connection).await.unwrap()
}

/// Checks that the code of the object ran and left no session state behind. Returns how often the code of all objects
/// has run.
async fn check_clean(project: &TestProject, object: &str, hits: i64) -> i64 {
    for _ in 0..2 {
        assert_eq!(rows(project, "/v1/db/shown").await, as_new(), "{object}");
    }
    let peeked = rows(project, "/v1/db/peeked").await;
    assert_eq!(peeked[0]["state"]["timezone"], "UTC", "{object}");
    let hits_now = hits_of(project).await;
    assert!(hits_now > hits, "{object}: its code did not run");
    hits_now
}

#[tokio::test]
async fn users_and_publishable_keys_see_no_other_callers_session() {
    let (app, project) = start("users").await;
    project
        .sql(
            "CREATE FUNCTION impersonate() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
               PERFORM set_config('request.jwt.claims', '{\"sub\":\"7b0f8a4e-36c1-4c0b-9d4e-0a1c2e3f4a5b\"}', false);
               PERFORM set_config('timezone', 'Asia/Tokyo', false); RETURN 'done'; END $$;
             CREATE VIEW leak WITH (security_invoker) AS SELECT impersonate() AS a;
             ALTER VIEW shown SET (security_invoker); ALTER VIEW peeked SET (security_invoker);
             ALTER TABLE plain ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON plain USING (auth.uid() IS NOT NULL);",
        )
        .await;
    for view in ["leak", "shown", "peeked", "plain"] {
        project.expose(view, "read", "read").await;
    }
    let service = DataService::from_ref(&app.app);
    let claims = json!({ "sub": "00000000-0000-4000-8000-000000000001" }).to_string();
    let recipient = Recipient::Project(&project.id);
    let user = Identity { project: &project.id, role: DbRole::User, claims: Some(&claims), recipient };
    let read = async |view: &str| {
        let response = service.read(user, view, "").await.unwrap();
        serde_json::from_slice::<Value>(&response.body.to_vec()).unwrap()["rows"][0].clone()
    };
    for _ in 0..3 {
        assert_eq!(project.publishable().get("/v1/db/leak").await.0, StatusCode::OK);
        let (_, plain) = project.publishable().get("/v1/db/plain").await;
        assert_eq!(plain["rows"], json!([]), "a request without a token has a user");
        assert_eq!(project.publishable().get("/v1/db/shown").await.1["rows"], as_new());
        assert_eq!(read("leak").await, json!({ "a": "done" }));
        let shown = read("shown").await;
        assert_eq!(
            (&shown["uid"], &shown["timezone"]),
            (&json!("00000000-0000-4000-8000-000000000001"), &json!("UTC"))
        );
        assert_eq!(read("peeked").await["state"]["timezone"], "UTC");
    }
}

#[tokio::test]
async fn table_that_begins_to_run_code_gets_new_connections() {
    let (_app, project) = start("later").await;
    assert_eq!(rows(&project, "/v1/db/shown").await, as_new());
    let secret = project.secret();
    let insert = async |id: i32| {
        let (status, body) = secret.post("/v1/db/plain", json!({ "rows": [{ "id": id, "a": "x" }] })).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
    };
    insert(2).await;
    project.sql("CREATE TRIGGER t BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION tokyo_trigger()").await;
    for id in 3..20 {
        insert(id).await;
    }
    crate::support::eventually("sessions that ran the new trigger are gone", async || {
        insert(rand_id()).await;
        let shown = join_all((0..10).map(|_| rows(&project, "/v1/db/shown"))).await;
        shown.iter().all(|shown| *shown == as_new()).then_some(())
    })
    .await;
    insert(rand_id()).await;
    assert_eq!(rows(&project, "/v1/db/shown").await, as_new());
}

fn rand_id() -> i32 {
    i32::from_be_bytes(uuid::Uuid::new_v4().as_bytes()[..4].try_into().unwrap())
}
