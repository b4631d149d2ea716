//! The log contains no secrets and no values at any level.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{ADMIN_TOKEN, Client, Postgres, ProgramVars};

/// A value that every provoked error of Postgres quotes.
const MARKER: &str = "marker-of-a-value";

/// Makes Postgres report errors of many kinds whose message, detail or hint quotes the marker.
async fn provoke_errors(admin: &Client, client: &Client, project: &str) {
    let sql = format!("/admin/v1/projects/{project}/sql");
    let statements = [
        "CREATE TABLE checked (id int PRIMARY KEY, n int, body text NOT NULL UNIQUE CHECK (body <> 'marker-of-a-value'),
            parent text REFERENCES items (name), EXCLUDE (body WITH =))",
        "CREATE FUNCTION complain() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
            RAISE WARNING 'marker-of-a-value';
            RAISE EXCEPTION 'marker-of-a-value' USING DETAIL = 'marker-of-a-value', HINT = 'marker-of-a-value',
                ERRCODE = '57P03'; END $$",
        "CREATE VIEW complaining AS SELECT complain() AS a",
        "CREATE VIEW mistyped AS SELECT id, body::int AS n FROM items",
        "CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            EXECUTE format('SELECT %L::int', NEW.body); RETURN NEW; END $$",
        "CREATE TABLE stumbling (id int, body text)",
        "CREATE TRIGGER t BEFORE INSERT ON stumbling FOR EACH ROW EXECUTE FUNCTION stumble()",
    ];
    let name = "ALTER TABLE items ADD name text UNIQUE";
    for statement in std::iter::once(name).chain(statements) {
        let (status, body) = admin.post(&sql, json!({ "sql": statement })).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    for rows in [
        json!([{ "id": 9, "body": MARKER, "name": MARKER }]),
        json!([{ "id": 10, "body": MARKER, "name": MARKER }]),
        json!([{ "id": MARKER }]),
        json!([{ "id": MARKER }, { "id": MARKER, "body": "a" }]),
    ] {
        client.post("/v1/db/items", json!({ "rows": rows })).await;
    }
    for row in [
        json!({ "id": 1, "body": MARKER }),
        json!({ "id": 2, "body": "a", "parent": format!("{MARKER} without a row") }),
        json!({ "id": 3, "parent": MARKER }),
        json!({ "id": 4, "n": MARKER, "body": "b" }),
        json!({ "id": 5, "n": 1, "body": format!("{MARKER}s") }),
        json!({ "id": 6, "n": 1, "body": format!("{MARKER}s") }),
    ] {
        client.post("/v1/db/checked", json!({ "rows": [row] })).await;
        admin.post(&format!("/admin/v1/projects/{project}/tables/checked/rows"), json!({ "rows": [row] })).await;
    }
    client.post("/v1/db/stumbling", json!({ "rows": [{ "id": 1, "body": MARKER }] })).await;
    client.patch("/v1/db/items?eq.id=1", json!({ "values": { "name": MARKER } })).await;
    for path in ["complaining", "mistyped", "items?eq.id=marker-of-a-value", "items?gt.name=a&after=marker-of-a-value"]
    {
        client.get(&format!("/v1/db/{path}")).await;
    }
    for statement in [
        "SELECT 'marker-of-a-value'::int",
        "SELECT complain()",
        "INSERT INTO items (id, name) VALUES (20, 'marker-of-a-value')",
        "SELECT \"marker-of-a-value\"",
        "marker-of-a-value",
    ] {
        let (status, _) = admin.post(&sql, json!({ "sql": statement })).await;
        assert!(!status.is_success(), "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_or_value_is_logged_at_any_level() {
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url).set("ATLASHUB_LOG", "trace");
    let serving = vars.serve(&[]);
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let (status, project) = admin.post("/admin/v1/projects", json!({ "name": "Quiet" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let id = project["project"]["id"].as_str().unwrap();
    let (secret, publishable) = (project["secretKey"].as_str().unwrap(), project["publishableKey"].as_str().unwrap());
    let sql = json!({ "sql": "CREATE TABLE items (id int PRIMARY KEY, body text DEFAULT 'value-in-a-statement')" });
    assert_eq!(admin.post(&format!("/admin/v1/projects/{id}/sql"), sql).await.0, StatusCode::OK);
    let client = Client::new(&*serving.public_url).with_header("x-api-key", secret);
    let rows = json!({ "rows": [{ "id": 1, "body": "value-in-a-row" }] });
    assert_eq!(client.post("/v1/db/items", rows.clone()).await.0, StatusCode::CREATED);
    assert_eq!(client.post("/v1/db/items", rows).await.0, StatusCode::CONFLICT);
    assert_eq!(client.get("/v1/db/items?eq.body=value-in-a-filter").await.0, StatusCode::OK);
    assert_eq!(client.get("/v1/db/items?eq.id=value-of-a-wrong-type").await.0, StatusCode::BAD_REQUEST);
    provoke_errors(&admin, &client, id).await;
    let upload = json!({ "bucket": "uploads", "path": "a.txt", "contentType": "text/plain" });
    assert_eq!(client.post("/v1/storage/signed-upload", upload).await.0, StatusCode::OK);
    let token = client.with_header("authorization", "Bearer token-of-somebody");
    assert_eq!(token.get("/v1/db/items").await.0, StatusCode::UNAUTHORIZED);
    let guess = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", "guessed-admin-token");
    assert_eq!(guess.get("/admin/v1/projects").await.0, StatusCode::UNAUTHORIZED);

    let log = serving.end();
    assert!(log.iter().any(|line| line.contains("request completed")), "nothing was logged at debug");
    let secrets = [
        secret,
        publishable,
        ADMIN_TOKEN,
        "guessed-admin-token",
        "token-of-somebody",
        "password-of-the-tests",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "value-in-a-statement",
        "value-in-a-row",
        "value-in-a-filter",
        "value-of-a-wrong-type",
        MARKER,
        "X-Amz-Signature",
        "SCRAM-SHA-256$",
    ];
    for line in &log {
        for secret in secrets {
            assert!(!line.contains(secret), "the log contains `{secret}`: {line}");
        }
    }
}
