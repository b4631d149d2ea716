//! Reads of one row by a unique key as signed-in users, several of which can be sent together.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::lookups::together;
use crate::{
    auth,
    support::{Client, TestApp, TestProject, eventually},
};

/// Each user sees only their own notes. The policy fails for users whose e-mail address begins with `failing`.
const NOTES: &str = "
    create table notes (id int primary key, owner uuid, body text);
    alter table notes enable row level security;
    create policy own on notes for select using (owner = auth.uid()
        and 1 / case when auth.jwt() ->> 'email' like 'failing%' then 0 else 1 end = 1);";

/// Starts a project in which note `i` belongs to the user at position `i` modulo the number of users.
async fn start(addresses: &[&str]) -> (TestApp, TestProject, Vec<Client>) {
    let (app, project) = auth::start("Shared reads").await;
    project.sql(NOTES).await;
    project.expose("notes", "none", "read").await;
    let mut users = Vec::new();
    for (position, address) in addresses.iter().enumerate() {
        let user = auth::sign_up(&project, address).await;
        let (id, count) = (user["user"]["id"].as_str().unwrap(), addresses.len());
        let sql = format!("insert into notes select {count} * i + {position}, '{id}' from generate_series(0, 49) i");
        project.sql(&sql).await;
        users.push(auth::signed_in(&project, &user));
    }
    (app, project, users)
}

#[tokio::test]
async fn lookups_of_one_user_share_statements_that_see_only_the_rows_of_that_user() {
    see_only_their_own_rows(&["ada@example.com"]).await;
}

#[tokio::test]
async fn lookups_of_different_users_share_transactions_and_see_only_the_rows_of_their_user() {
    see_only_their_own_rows(&["ada@example.com", "bob@example.com", "eve@example.com", "joe@example.com"]).await;
}

/// As each user, reads notes of all users, until some of the lookups were sent together.
async fn see_only_their_own_rows(addresses: &[&str]) {
    let (_app, project, users) = start(addresses).await;
    let mut connection = project.connect().await;
    eventually("lookups are sent together", async || {
        let lookups = (0..200).map(async |number: usize| {
            let (user, id) = (number % users.len(), number * 7 % 60);
            (user, id, users[user].get(&format!("/v1/db/notes?eq.id={id}&select=id")).await)
        });
        let (responses, is_shared) = together(&project, &mut connection, lookups).await;
        for (user, id, (status, body)) in responses {
            assert_eq!(status, StatusCode::OK, "{body}");
            let is_own = id < 50 * users.len() && id % users.len() == user;
            let expected = if is_own { json!([{ "id": id }]) } else { json!([]) };
            assert_eq!(body["rows"], expected, "row {id} as user {user}");
        }
        is_shared
    })
    .await;
}

#[tokio::test]
async fn failed_and_cancelled_lookups_of_a_user_affect_no_other_user() {
    let (_app, project, users) = start(&["ada@example.com", "failing@example.com", "eve@example.com"]).await;
    let mut connection = project.connect().await;
    let mut was_shared = false;
    let mut rounds = 0..;
    eventually("lookups are sent together", async || {
        let round: usize = rounds.next().unwrap();
        // The failing user takes part in every second round. After a failed batch, nothing is shared for two seconds.
        let lookups = (0..120_usize).map(async |number| {
            let user = number % users.len();
            let path = format!("/v1/db/notes?eq.id={number}&select=id");
            if user == 1 && round.is_multiple_of(2) {
                return;
            }
            if number % 10 == 0 {
                let request = users[user].request(Method::GET, &path).send();
                let _ = tokio::time::timeout(Duration::from_millis(number as u64 % 7), request).await;
                return;
            }
            let (status, body) = users[user].get(&path).await;
            match user {
                1 => assert!(status.is_client_error() || status.is_server_error(), "{body}"),
                _ => assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": number }])), "{body}"),
            }
        });
        was_shared |= together(&project, &mut connection, lookups).await.1;
        was_shared && round >= 10
    })
    .await;
}
