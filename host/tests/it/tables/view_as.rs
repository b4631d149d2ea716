//! The owner's reads of rows as another caller, with the parameter `as`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    auth::{change_settings, sign_up, signed_in, start},
    support::{Client, TestProject, code, until_status},
};

const NOTES: &str = "
    CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id uuid NOT NULL, body text NOT NULL);
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes USING (auth.uid() = user_id);";

/// Adds three notes of the first user, and one of the second.
async fn add_notes(project: &TestProject, ada: &str, bob: &str) {
    project
        .sql(&format!(
            "INSERT INTO notes (user_id, body) VALUES ('{ada}', 'Ada one'), ('{ada}', 'Ada two'), ('{bob}', 'Bob one'),
                 ('{ada}', 'Ada three')"
        ))
        .await;
}

fn id_of(signed_up: &Value) -> &str {
    signed_up["user"]["id"].as_str().expect("a user")
}

/// Reads notes as the owner. `query` contains the parameter `as`.
async fn notes(project: &TestProject, query: &str) -> (StatusCode, Value) {
    project.admin().get(&project.path(&format!("/tables/notes/rows?{query}"))).await
}

async fn bodies(project: &TestProject, query: &str) -> Vec<String> {
    let (status, response) = notes(project, query).await;
    assert_eq!(status, StatusCode::OK, "{query}: {response}");
    let rows = response["rows"].as_array().expect("rows");
    rows.iter().map(|row| row["body"].as_str().expect("a body").to_owned()).collect()
}

/// Waits until the client can read notes, because the exposure was just changed.
async fn can_read(client: &Client) {
    until_status(StatusCode::OK, async || client.get("/v1/db/notes").await).await;
}

#[tokio::test]
async fn rows_are_those_that_the_caller_can_read() {
    let (_app, project) = start("View as").await;
    project.sql(NOTES).await;
    let [ada, bob] = [sign_up(&project, "ada@example.com").await, sign_up(&project, "bob@example.com").await];
    add_notes(&project, id_of(&ada), id_of(&bob)).await;
    let as_ada = format!("as=user:{}", id_of(&ada));

    // A table that is not exposed is refused with the error of the public API.
    for (query, client) in [("as=publishable", project.publishable()), (as_ada.as_str(), signed_in(&project, &ada))] {
        let (status, refused) = notes(&project, query).await;
        let (_, expected) = client.get("/v1/db/notes").await;
        assert_eq!((status, code(&refused)), (StatusCode::NOT_FOUND, "unknown_table"), "{refused}");
        for member in ["code", "message", "hint"] {
            assert_eq!(refused["error"][member], expected["error"][member], "{member}");
        }
    }

    project.expose("notes", "read", "read").await;
    can_read(&signed_in(&project, &ada)).await;
    can_read(&project.publishable()).await;
    assert_eq!(bodies(&project, "as=publishable").await, [""; 0]);
    assert_eq!(bodies(&project, &format!("{as_ada}&order=id")).await, ["Ada one", "Ada two", "Ada three"]);
    assert_eq!(bodies(&project, &format!("as=user:{}", id_of(&bob))).await, ["Bob one"]);
    // Without `as`, the owner sees all rows.
    assert_eq!(bodies(&project, "order=id").await, ["Ada one", "Ada two", "Bob one", "Ada three"]);
    let (_, own) = signed_in(&project, &ada).get("/v1/db/notes?order=id.desc&count=exact").await;
    let (_, viewed) = notes(&project, &format!("{as_ada}&order=id.desc&count=exact")).await;
    assert_eq!(viewed, own);
    assert_eq!(viewed["page"]["total"], 3);
}

#[tokio::test]
async fn filters_order_cursors_and_cut_values_work_for_another_caller() {
    let (_app, project) = start("Parameters").await;
    project.sql(NOTES).await;
    let [ada, bob] = [sign_up(&project, "ada@example.com").await, sign_up(&project, "bob@example.com").await];
    add_notes(&project, id_of(&ada), id_of(&bob)).await;
    project.expose("notes", "none", "read").await;
    can_read(&signed_in(&project, &ada)).await;
    let as_ada = format!("as=user:{}", id_of(&ada));

    assert_eq!(bodies(&project, &format!("{as_ada}&like.body=%25two")).await, ["Ada two"]);
    assert_eq!(bodies(&project, &format!("{as_ada}&eq.body=Bob%20one")).await, [""; 0]);
    let descending = bodies(&project, &format!("order=id.desc&{as_ada}&select=body&limit=2")).await;
    assert_eq!(descending, ["Ada three", "Ada two"]);
    // A look-up by the key, too, finds only rows that the user can read.
    assert_eq!(bodies(&project, &format!("{as_ada}&eq.id=1")).await, ["Ada one"]);
    assert_eq!(bodies(&project, &format!("{as_ada}&eq.id=3")).await, [""; 0]);
    assert_eq!(bodies(&project, "eq.id=3").await, ["Bob one"]);

    let query = format!("{as_ada}&select=id,body&order=id&limit=2&count=exact&maxCellBytes=4");
    let (_, first) = notes(&project, &query).await;
    assert_eq!(first["page"]["total"], 3, "{first}");
    assert_eq!(first["page"]["cut"], json!([[0, "body", 7], [1, "body", 7]]), "{first}");
    let cursor = first["page"]["nextCursor"].as_str().expect("a cursor");
    let next = bodies(&project, &format!("{as_ada}&order=id&limit=2&after={cursor}")).await;
    assert_eq!(next, ["Ada three"]);

    let by_name = project.path(&format!("/table/rows?name=notes&{as_ada}&select=id&order=id"));
    let (_, named) = project.admin().get(&by_name).await;
    assert_eq!(named["rows"], json!([{ "id": 1 }, { "id": 2 }, { "id": 4 }]), "{named}");
}

#[tokio::test]
async fn claims_are_those_of_an_access_token() {
    let (_app, project) = start("Claims of a view").await;
    project
        .sql("CREATE VIEW whoami WITH (security_invoker) AS SELECT auth.jwt() AS claims, current_user::text AS role")
        .await;
    project.expose("whoami", "read", "read").await;
    let user = sign_up(&project, "ada@example.com").await;
    let client = signed_in(&project, &user);
    let mut public = until_status(StatusCode::OK, async || client.get("/v1/db/whoami").await).await;
    let viewed_as = |viewer: String| {
        let (admin, path) = (project.admin(), project.path(&format!("/tables/whoami/rows?as={viewer}")));
        async move { admin.get(&path).await.1 }
    };
    let mut viewed = viewed_as(format!("user:{}", id_of(&user))).await;
    assert_eq!(viewed["rows"][0]["claims"]["sub"], user["user"]["id"], "{viewed}");
    for response in [&mut viewed, &mut public] {
        let claims = response["rows"][0]["claims"].as_object_mut().expect("claims");
        for differing in ["iat", "exp"] {
            assert!(claims.remove(differing).is_some_and(|time| time.is_i64()), "{differing}");
        }
        // A read as a user has no session, and so no method by which a session was opened.
        claims.remove("session_id");
        claims.remove("amr");
    }
    assert_eq!(viewed["rows"], public["rows"]);
    let publishable = project.publishable();
    let anonymous = until_status(StatusCode::OK, async || publishable.get("/v1/db/whoami").await).await;
    assert_eq!(viewed_as("publishable".to_owned()).await["rows"], anonymous["rows"]);
}

#[tokio::test]
async fn callers_that_do_not_exist_are_refused() {
    let (_app, project) = start("Refusals").await;
    project.sql(NOTES).await;
    project.expose("notes", "none", "read").await;
    let ada = sign_up(&project, "ada@example.com").await;
    can_read(&signed_in(&project, &ada)).await;
    let check = async |query: &str, status: StatusCode, expected: &str| {
        let (found, response) = notes(&project, query).await;
        assert_eq!((found, code(&response)), (status, expected), "{query}: {response}");
        response["error"]["message"].as_str().expect("a message").to_owned()
    };
    let unknown = format!("as=user:{}", uuid::Uuid::nil());
    check(&unknown, StatusCode::NOT_FOUND, "not_found").await;
    for invalid in ["as=", "as=owner", "as=user:", "as=user:ada@example.com", "as=publishable&as=publishable"] {
        check(invalid, StatusCode::BAD_REQUEST, "invalid_request").await;
    }
    // The public API has no such parameter.
    let (status, refused) = project.secret().get("/v1/db/notes?as=publishable").await;
    assert_eq!((status, code(&refused)), (StatusCode::BAD_REQUEST, "invalid_request"), "{refused}");

    let as_ada = format!("as=user:{}", id_of(&ada));
    assert_eq!(bodies(&project, &as_ada).await, [""; 0]);
    let path = project.path(&format!("/users/{}", id_of(&ada)));
    assert_eq!(project.admin().patch(&path, json!({ "disabled": true })).await.0, StatusCode::OK);
    let message = check(&as_ada, StatusCode::UNPROCESSABLE_ENTITY, "unprocessable").await;
    assert!(message.contains("disabled"), "{message}");
    change_settings(&project, json!({ "enabled": false })).await;
    check(&as_ada, StatusCode::NOT_FOUND, "auth_disabled").await;
}

#[tokio::test]
async fn only_lists_of_rows_are_read_as_another_caller() {
    let (_app, project) = start("Only reads").await;
    project.sql(NOTES).await;
    project.expose("notes", "write", "write").await;
    let user = uuid::Uuid::nil();
    project.sql(&format!("INSERT INTO notes (user_id, body) VALUES ('{user}', 'kept')")).await;
    let change = json!({ "op": "delete", "key": { "id": 1 } });
    let requests = [
        (Method::POST, "rows?as=publishable", Some(json!({ "rows": [{ "user_id": user, "body": "new" }] }))),
        (Method::PATCH, "rows?eq.id=1&as=publishable", Some(json!({ "values": { "body": "changed" } }))),
        (Method::DELETE, "rows?eq.id=1&as=publishable", None),
        (Method::POST, "changes?as=publishable", Some(json!({ "changes": [change] }))),
        (Method::GET, "cell?column=body&eq.id=1&as=publishable", None),
    ];
    for (method, rest, body) in requests {
        let path = project.path(&format!("/tables/notes/{rest}"));
        let (status, refused) = project.admin().send(method.clone(), &path, body).await;
        let expected = (StatusCode::BAD_REQUEST, "invalid_request");
        assert_eq!((status, code(&refused)), expected, "{method} {rest}: {refused}");
        let message = refused["error"]["message"].as_str().expect("a message");
        assert!(message.contains("Unknown parameter `as`"), "{method} {rest}: {message}");
    }
    assert_eq!(bodies(&project, "order=id").await, ["kept"]);
}
