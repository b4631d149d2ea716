//! Policies of tables that use the claims of the signed-in user.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{change_settings, sign_up, signed_in, start};
use crate::support::TestProject;

const NOTES: &str = "
    CREATE TABLE notes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        owner uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id) ON DELETE CASCADE,
        body text NOT NULL
    );
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes USING (owner = auth.uid()) WITH CHECK (owner = auth.uid());
    CREATE POLICY staff ON notes FOR SELECT USING (auth.jwt()->>'app_role' = 'admin');";

async fn bodies(client: &crate::support::Client) -> Vec<String> {
    let (status, body) = client.get("/v1/db/notes?select=body&order=id").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["rows"].as_array().unwrap().iter().map(|row| row["body"].as_str().unwrap().to_owned()).collect()
}

async fn add(client: &crate::support::Client, body: &str) {
    let (status, response) = client.post("/v1/db/notes", json!({ "rows": [{ "body": body }] })).await;
    assert_eq!(status, StatusCode::CREATED, "{response}");
}

#[tokio::test]
async fn signed_in_user_sees_only_the_rows_that_policies_allow() {
    let (_app, project) = start("Policies").await;
    project.sql(NOTES).await;
    let [ada, bob] = [sign_up(&project, "ada@example.com").await, sign_up(&project, "bob@example.com").await];
    let [ada_client, bob_client] = [signed_in(&project, &ada), signed_in(&project, &bob)];
    // The table is not exposed yet.
    let (status, refused) = ada_client.get("/v1/db/notes").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("Tables that this user can access"), "{message}");
    project.expose("notes", "none", "write").await;
    crate::support::eventually("the table is exposed", async || {
        (ada_client.get("/v1/db/notes").await.0 == StatusCode::OK).then_some(())
    })
    .await;
    add(&ada_client, "of Ada").await;
    add(&bob_client, "of Bob").await;
    assert_eq!(bodies(&ada_client).await, ["of Ada"]);
    assert_eq!(bodies(&bob_client).await, ["of Bob"]);
    assert_eq!(bodies(&project.secret()).await, ["of Ada", "of Bob"]);
    assert!(project.publishable().get("/v1/db/notes").await.0.is_client_error());
    // The secret key with a token has only the rights of the token.
    let token = ada["session"]["accessToken"].as_str().unwrap();
    let narrowed = project.secret().with_header("authorization", &format!("Bearer {token}"));
    assert_eq!(bodies(&narrowed).await, ["of Ada"]);
    let forged = json!({ "rows": [{ "body": "forged", "owner": ada["user"]["id"] }] });
    assert_eq!(bob_client.post("/v1/db/notes", forged).await.0, StatusCode::FORBIDDEN);
    let (_, changed) = bob_client.patch("/v1/db/notes?gte.id=0", json!({ "values": { "body": "changed" } })).await;
    assert_eq!(changed["count"], 1);
    assert_eq!(bodies(&ada_client).await, ["of Ada"]);
    // A new role applies from the next refresh.
    let path = project.path(&format!("/users/{}", bob["user"]["id"].as_str().unwrap()));
    assert_eq!(project.admin().patch(&path, json!({ "role": "admin" })).await.0, StatusCode::OK);
    let (_, refreshed) = super::refresh(&project, &bob["session"]["refreshToken"]).await;
    assert_eq!(bodies(&signed_in(&project, &refreshed)).await, ["of Ada", "changed"]);
}

#[tokio::test]
async fn nothing_of_a_user_leaks_to_the_next_request() {
    let (_app, project) = start("Leaks").await;
    project.sql(NOTES).await;
    project
        .sql(
            "CREATE VIEW slow WITH (security_invoker) AS SELECT n.body, pg_sleep(0.3)::text AS waited FROM notes n;
             CREATE VIEW whoami WITH (security_invoker) AS SELECT auth.uid()::text AS id;
             CREATE FUNCTION fail() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
             CREATE VIEW failing WITH (security_invoker) AS SELECT fail() AS x",
        )
        .await;
    for view in ["slow", "whoami", "failing"] {
        project.expose(view, if view == "whoami" { "read" } else { "none" }, "read").await;
    }
    project.expose("notes", "none", "write").await;
    let mut users = Vec::new();
    for number in 0..4 {
        let body = sign_up(&project, &format!("user{number}@example.com")).await;
        let client = signed_in(&project, &body);
        crate::support::eventually("the table is exposed", async || {
            (client.get("/v1/db/notes").await.0 == StatusCode::OK).then_some(())
        })
        .await;
        add(&client, &format!("of {number}")).await;
        users.push((body["user"]["id"].clone(), client));
    }
    let requests = (0..300_usize).map(|number| {
        let (id, client) = users[number % users.len()].clone();
        let anonymous = project.publishable();
        async move {
            match number % 6 {
                0 => {
                    // The client cancels the request.
                    let request = client.request(reqwest::Method::GET, "/v1/db/slow").send();
                    let _ = tokio::time::timeout(Duration::from_millis(20), request).await;
                }
                1 => assert!(client.get("/v1/db/failing").await.0.is_client_error()),
                2 => {
                    let (_, body) = anonymous.get("/v1/db/whoami").await;
                    assert_eq!(body["rows"], json!([{ "id": null }]), "{body}");
                }
                3 => {
                    let (_, body) = client.get("/v1/db/whoami").await;
                    assert_eq!(body["rows"], json!([{ "id": id }]), "{body}");
                }
                4 => {
                    // Postgres refuses the row after the claims were set.
                    let forged = json!({ "rows": [{ "body": "forged", "owner": uuid::Uuid::nil() }] });
                    assert_eq!(client.post("/v1/db/notes", forged).await.0, StatusCode::FORBIDDEN);
                }
                _ => assert_eq!(bodies(&client).await, [format!("of {}", number % 4)]),
            }
        }
    });
    join_all(requests).await;
}

#[tokio::test]
async fn claims_are_data_and_never_sql() {
    let (_app, project) = start("Claims as data").await;
    project.sql(NOTES).await;
    project.expose("notes", "none", "write").await;
    let request = json!({
        "email": "o'brien'--drop_table_notes@example.com",
        "password": super::PASSWORD, "data": { "x\"'; DROP TABLE notes; --": "'; RESET ROLE; --" },
    });
    let (status, body) = project.publishable().post("/v1/auth/signup", request).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let client = signed_in(&project, &body);
    crate::support::eventually("the table is exposed", async || {
        (client.get("/v1/db/notes").await.0 == StatusCode::OK).then_some(())
    })
    .await;
    add(&client, "mine").await;
    assert_eq!(bodies(&client).await, ["mine"]);
}

/// Requests a signed upload as the signed-in user. Returns the response's status and body.
async fn upload(project: &TestProject, body: &Value, bucket: &str) -> (StatusCode, Value) {
    let request = json!({ "bucket": bucket, "path": "a.txt", "contentType": "text/plain", "maxSize": 100 });
    signed_in(project, body).post("/v1/storage/signed-upload", request).await
}

#[tokio::test]
async fn signed_urls_follow_the_exposure_to_signed_in_users() {
    let (_app, project) = start("Files").await;
    let user = sign_up(&project, "a@example.com").await;
    assert_eq!(upload(&project, &user, "uploads").await.0, StatusCode::FORBIDDEN);
    let exposure = json!({ "signedIn": "both" });
    let (status, body) = project.admin().patch(&project.path("/buckets/uploads"), exposure).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, signed) = upload(&project, &user, "uploads").await;
    assert_eq!(status, StatusCode::OK, "{signed}");
    let url = signed["uploadUrl"].as_str().unwrap();
    let sent = reqwest::Client::builder().no_proxy().build().unwrap().put(url).header("content-type", "text/plain");
    assert!(sent.body("hello").send().await.unwrap().status().is_success());
    let path = "/v1/storage/signed-download?bucket=uploads&objectKey=uploads/a.txt";
    let (status, download) = signed_in(&project, &user).get(path).await;
    assert_eq!(status, StatusCode::OK, "{download}");
    assert!(project.publishable().get(path).await.0.is_client_error());
    assert_eq!(upload(&project, &user, "private").await.0, StatusCode::FORBIDDEN);
    change_settings(&project, json!({ "enabled": false })).await;
    assert_eq!(signed_in(&project, &user).get(path).await.0, StatusCode::UNAUTHORIZED);
}
