//! Access to rows: exposure, column grants, row-level security, separation of projects.

use atlashub::{
    data::{DataService, Identity},
    db::DbRole,
    http::Recipient,
};
use axum::extract::FromRef;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, until_status};

const USER: &str = "00000000-0000-4000-8000-000000000001";

/// Sends a request and checks status and code of the error. Returns the response's body.
async fn check(client: &Client, method: Method, path: &str, body: Option<Value>, expected: (u16, &str)) -> Value {
    let (status, response) = client.send(method, path, body).await;
    assert_eq!((status.as_u16(), response["error"]["code"].as_str().unwrap_or("")), expected, "{path}: {response}");
    response
}

#[tokio::test]
async fn publishable_key_accesses_only_exposed_tables() {
    let app = TestApp::start().await;
    let project = app.create_project("exposure").await;
    project
        .sql(
            "create table items (id int generated always as identity primary key, name text);
             create table hidden (id int primary key, item_id int references items);
             insert into items (name) values ('a');",
        )
        .await;
    let publishable = project.publishable();
    let row = || Some(json!({ "rows": [{ "name": "b" }] }));
    let response = check(&publishable, Method::GET, "/v1/db/items", None, (404, "unknown_table")).await;
    assert!(!response.to_string().contains("hidden"), "{response}");
    assert_eq!(publishable.get("/v1/db/tables").await.1, json!({ "tables": [] }));
    assert_eq!(project.secret().get("/v1/db/tables").await.1["tables"].as_array().unwrap().len(), 2);

    project.expose("items", "read", "none").await;
    // An unknown name makes the schema cache check for a newer schema.
    let body = until_status(StatusCode::OK, async || publishable.get("/v1/db/items").await).await;
    assert_eq!(body["rows"], json!([{ "id": 1, "name": "a" }]), "{body}");
    check(&publishable, Method::POST, "/v1/db/items", row(), (403, "forbidden")).await;
    check(
        &publishable,
        Method::PATCH,
        "/v1/db/items?eq.id=1",
        Some(json!({ "values": { "name": "x" } })),
        (403, "forbidden"),
    )
    .await;
    check(&publishable, Method::DELETE, "/v1/db/items?eq.id=1", None, (403, "forbidden")).await;
    check(&publishable, Method::GET, "/v1/db/hidden", None, (404, "unknown_table")).await;
    check(&publishable, Method::GET, "/v1/db/items?select=hidden(id)", None, (400, "unknown_relation")).await;
    let (_, tables) = publishable.get("/v1/db/tables").await;
    assert_eq!(tables["tables"].as_array().unwrap().len(), 1);
    assert_eq!(tables["tables"][0]["name"], "items");

    project.expose("items", "write", "none").await;
    let body = until_status(StatusCode::CREATED, async || publishable.post("/v1/db/items", row().unwrap()).await).await;
    assert_eq!(body["rows"], json!([{ "id": 2, "name": "b" }]), "{body}");
    project.expose("items", "none", "none").await;
    // Postgres enforces the grant, even if the schema cache is stale.
    let (status, _) = publishable.get("/v1/db/items").await;
    assert!(status == StatusCode::FORBIDDEN || status == StatusCode::NOT_FOUND, "{status}");
}

#[tokio::test]
async fn constraint_of_a_hidden_table_is_named_only_with_the_secret_key() {
    let app = TestApp::start().await;
    let project = app.create_project("referenced").await;
    project
        .sql(
            "create table items (id int primary key, name text unique);
             create table hidden (id int primary key, item_id int references items, mark text unique);
             insert into items values (1, 'a'); insert into hidden values (1, 1, 'b');
             create function copy() returns trigger language plpgsql security definer set search_path = public as $$
                 begin insert into hidden (id, mark) values (new.id, new.name); return new; end $$;
             create trigger copy before insert on items for each row execute function copy();",
        )
        .await;
    project.expose("items", "write", "none").await;
    let (publishable, secret) = (project.publishable(), project.secret());
    until_status(StatusCode::OK, async || publishable.get("/v1/db/items").await).await;
    let row = |name: &str| Some(json!({ "rows": [{ "id": 2, "name": name }] }));
    let nothing = json!({ "constraint": null, "columns": null });
    for (method, path, body, code, message, constraint) in [
        (
            Method::DELETE,
            "/v1/db/items?eq.id=1",
            None,
            "foreign_key_violation",
            "Other rows refer to this row.",
            "hidden_item_id_fkey",
        ),
        (
            Method::POST,
            "/v1/db/items",
            row("b"),
            "unique_violation",
            "A row with the same key exists.",
            "hidden_mark_key",
        ),
    ] {
        let response = check(&publishable, method.clone(), path, body.clone(), (409, code)).await;
        assert_eq!((&response["error"]["message"], &response["error"]["details"]), (&json!(message), &nothing));
        assert!(!response.to_string().contains("hidden"), "{response}");
        let response = check(&secret, method, path, body, (409, code)).await;
        assert_eq!(response["error"]["details"]["constraint"], constraint, "{response}");
    }
    // If the key can access the table, the error names the constraint and its columns.
    project.sql("alter table items disable trigger copy").await;
    let response = check(&publishable, Method::POST, "/v1/db/items", row("a"), (409, "unique_violation")).await;
    assert_eq!(response["error"]["details"], json!({ "constraint": "items_name_key", "columns": ["name"] }));
}

#[tokio::test]
async fn column_grants_are_enforced() {
    let app = TestApp::start().await;
    let project = app.create_project("columns").await;
    project
        .sql(
            "create table people (id int primary key, name text, email text unique, note text default 'n');
             create table inbox (id int generated always as identity primary key, text text);
             insert into people values (1, 'a', 'a@b');",
        )
        .await;
    let anon = format!("proj_{}_anon", project.id);
    project
        .sql(&format!(
            "grant select (id, name), insert (id, name, email), update (name) on people to {anon}; grant insert on \
             inbox to {anon}"
        ))
        .await;
    let publishable = project.publishable();
    let (_, body) = publishable.get("/v1/db/people").await;
    assert_eq!(body["rows"], json!([{ "id": 1, "name": "a" }]));
    check(&publishable, Method::GET, "/v1/db/people?select=email", None, (403, "forbidden")).await;
    check(&publishable, Method::GET, "/v1/db/people?eq.email=a@b", None, (403, "forbidden")).await;
    check(&publishable, Method::GET, "/v1/db/people?order=email", None, (403, "forbidden")).await;
    let response = check(&publishable, Method::GET, "/v1/db/people?select=note", None, (400, "unknown_column")).await;
    assert!(response["error"]["message"].as_str().unwrap().ends_with("Columns: id, name, email."), "{response}");
    let (status, body) =
        publishable.post("/v1/db/people", json!({ "rows": [{ "id": 2, "name": "b", "email": "c@d" }] })).await;
    assert_eq!((status, &body["rows"]), (StatusCode::CREATED, &json!([{ "id": 2, "name": "b" }])), "{body}");
    check(
        &publishable,
        Method::POST,
        "/v1/db/people",
        Some(json!({ "rows": [{ "note": "x" }] })),
        (400, "unknown_column"),
    )
    .await;
    let (status, body) = publishable.patch("/v1/db/people?eq.id=1", json!({ "values": { "name": "z" } })).await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1, "name": "z" }])), "{body}");
    check(
        &publishable,
        Method::PATCH,
        "/v1/db/people?eq.id=1",
        Some(json!({ "values": { "email": "z" } })),
        (403, "forbidden"),
    )
    .await;
    check(&publishable, Method::DELETE, "/v1/db/people?eq.id=1", None, (403, "forbidden")).await;
    // With insert but without read, the response contains no rows, and `returning` says so.
    let (status, body) =
        publishable.post("/v1/db/inbox", json!({ "rows": [{ "text": "hello" }, { "text": "again" }] })).await;
    assert_eq!((status, body), (StatusCode::CREATED, json!({ "rows": [], "count": 2, "returning": "minimal" })));
    check(
        &publishable,
        Method::POST,
        "/v1/db/inbox?returning=representation",
        Some(json!({ "rows": [{ "text": "x" }] })),
        (403, "forbidden"),
    )
    .await;
    check(&publishable, Method::GET, "/v1/db/inbox", None, (403, "forbidden")).await;
}

#[tokio::test]
async fn row_level_security_policies_are_enforced() {
    let app = TestApp::start().await;
    let project = app.create_project("policies").await;
    project
        .sql(
            "create table todos (id int generated always as identity primary key, user_id uuid default auth.uid(),
            text text, shared boolean default false);
             alter table todos enable row level security;
             create policy own on todos using (user_id = auth.uid()) with check (user_id = auth.uid());
             create policy shared on todos for select using (shared);",
        )
        .await;
    project.expose("todos", "write", "write").await;
    let secret = project.secret();
    let rows = json!({ "rows": [{ "user_id": USER, "text": "mine" }, { "user_id": null, "text": "for all",
        "shared": true }] });
    assert_eq!(secret.post("/v1/db/todos", rows).await.0, StatusCode::CREATED);
    assert_eq!(
        secret.get("/v1/db/todos?select=text&order=id").await.1["rows"],
        json!([{ "text": "mine" }, { "text": "for all" }])
    );
    let publishable = project.publishable();
    assert_eq!(publishable.get("/v1/db/todos?select=text").await.1["rows"], json!([{ "text": "for all" }]));
    let refused = Some(json!({ "rows": [{ "text": "x" }] }));
    let response = check(&publishable, Method::POST, "/v1/db/todos", refused, (403, "forbidden")).await;
    assert!(response["error"]["message"].as_str().unwrap().contains("row-level security"), "{response}");
    assert_eq!(publishable.delete("/v1/db/todos?gt.id=0").await.1, json!({ "count": 0 }));

    // The identity of a signed-in user, as `RowsCaller` derives it from the gate's `Caller`.
    let service = DataService::from_ref(&app.app);
    let claims = json!({ "sub": USER, "role": "member" }).to_string();
    let recipient = Recipient::Project(&project.id);
    let user = Identity { project: &project.id, role: DbRole::User, claims: Some(&claims), recipient };
    let body =
        |response: atlashub::data::RowsResponse| serde_json::from_slice::<Value>(&response.body.to_vec()).unwrap();
    let read = body(service.read(user, "todos", "select=text&order=id&count=estimated").await.unwrap());
    assert_eq!(read["rows"], json!([{ "text": "mine" }, { "text": "for all" }]));
    let inserted = service.insert(user, "todos", "select=user_id", br#"{"rows":[{"text":"new"}]}"#).await.unwrap();
    assert_eq!(body(inserted)["rows"], json!([{ "user_id": USER }]));
    let error = service
        .insert(user, "todos", "", format!("{{\"rows\":[{{\"user_id\":\"{}\"}}]}}", USER.replace('1', "2")).as_bytes())
        .await;
    assert_eq!(error.unwrap_err().code().as_str(), "forbidden");
    let deleted = service.delete(user, "todos", "gt.id=0&maxAffected=1").await.unwrap_err();
    assert_eq!(deleted.code().as_str(), "max_affected_exceeded");
    let deleted = service.delete(user, "todos", "gt.id=0&maxAffected=2").await.unwrap();
    assert_eq!(body(deleted), json!({ "count": 2 }));
    assert_eq!(secret.get("/v1/db/todos?select=text").await.1["rows"], json!([{ "text": "for all" }]));
    // The claims of a request do not affect the next one.
    let other = Identity { claims: Some("{}"), ..user };
    let read = body(service.read(other, "todos", "select=text").await.unwrap());
    assert_eq!(read["rows"], json!([{ "text": "for all" }]));
}

#[tokio::test]
async fn projects_do_not_see_each_others_tables() {
    let app = TestApp::start().await;
    let (one, two) = (app.create_project("one").await, app.create_project("two").await);
    one.sql("create table items (id int primary key, one text)").await;
    two.sql("create table items (id int primary key, two text)").await;
    two.sql("create table only_two (id int primary key)").await;
    one.secret().post("/v1/db/items", json!({ "rows": [{ "id": 1, "one": "x" }] })).await;
    assert_eq!(two.secret().get("/v1/db/items").await.1["rows"], json!([]));
    check(&one.secret(), Method::GET, "/v1/db/items?select=two", None, (400, "unknown_column")).await;
    check(&one.secret(), Method::GET, "/v1/db/only_two", None, (404, "unknown_table")).await;
}

#[tokio::test]
async fn exposed_view_that_loses_security_invoker_is_not_served_to_the_publishable_key() {
    let app = TestApp::start().await;
    let project = app.create_project("views").await;
    project
        .sql(
            "CREATE TABLE notes (id int PRIMARY KEY, public boolean); INSERT INTO notes VALUES (1, true), (2, false);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY shown ON notes USING (public);
             CREATE VIEW list WITH (security_invoker) AS SELECT id FROM notes;",
        )
        .await;
    project.expose("notes", "read", "none").await;
    project.expose("list", "read", "none").await;
    let publishable = project.publishable();
    let body = until_status(StatusCode::OK, async || publishable.get("/v1/db/list").await).await;
    assert_eq!(body["rows"], json!([{ "id": 1 }]), "{body}");
    // Postgres keeps the privileges of a view that is replaced, but not its options.
    project.sql("CREATE OR REPLACE VIEW list AS SELECT id FROM notes").await;
    let body = until_status(StatusCode::NOT_FOUND, async || publishable.get("/v1/db/list").await).await;
    assert_eq!(body["error"]["code"], "unknown_table", "{body}");
    assert!(body["error"]["hint"].as_str().unwrap().contains("security_invoker"), "{body}");
    let (status, body) = project.secret().get("/v1/db/list").await;
    assert_eq!((status, body["rows"].as_array().unwrap().len()), (StatusCode::OK, 2), "{body}");
    project.sql("ALTER VIEW list SET (security_invoker)").await;
    until_status(StatusCode::OK, async || publishable.get("/v1/db/list").await).await;
}
