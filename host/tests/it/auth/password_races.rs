//! Logins and other requests at the same time as a change of the password, or of the user.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::{
    PASSWORD, events, execute, log_in, magic_link, mails, query,
    second_factor::{begin, challenge, enrol, totp, verify},
    sign_up, signed_in, start,
};
use crate::support::{TestProject, code, eventually};

/// Opens a session. Like a login, it locks the user.
const OPEN_SESSION: &str = "
    UPDATE auth.users SET last_sign_in_at = now();
    INSERT INTO auth.sessions (id, user_id, expires_at)
    SELECT gen_random_uuid(), id, now() + interval '1 day' FROM auth.users";

/// Changes what a reset of the password changes.
const RESET: &str = "
    UPDATE auth.users SET updated_at = now();
    UPDATE auth.passwords SET hash = 'another', changed_at = clock_timestamp();
    DELETE FROM auth.sessions";

/// Query that returns whether a request waits for a lock.
const WAITING: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                      WHERE datname = current_database() AND wait_event_type = 'Lock')";

/// Makes the second statement that ends sessions fail.
const FAIL_SECOND_DELETION: &str = "
    CREATE SEQUENCE public.deletions;
    CREATE FUNCTION public.fail_second() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF nextval('public.deletions') = 2 THEN RAISE 'not now'; END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER fail_second BEFORE DELETE ON auth.sessions
    FOR EACH STATEMENT EXECUTE FUNCTION public.fail_second()";

/// Runs statements in a transaction, as superuser, and then sends a request. When the request waits for a lock of the
/// transaction, calls `observe` and commits. Returns both results.
async fn commit_during<T, U>(
    project: &TestProject,
    request: impl Future<Output = T>,
    statements: &str,
    observe: impl AsyncFnOnce() -> U,
) -> (T, U) {
    let mut connection = project.connect().await;
    let begin = sqlx::AssertSqlSafe(format!("BEGIN; {statements}"));
    sqlx::raw_sql(begin).execute(&mut connection).await.expect(statements);
    let commit = async {
        eventually("the request waits for a lock", async || query::<bool>(project, WAITING).await).await;
        let observed = observe().await;
        sqlx::raw_sql("COMMIT").execute(&mut connection).await.expect("commit");
        connection.close().await.expect("close");
        observed
    };
    tokio::join!(request, commit)
}

async fn sessions(project: &TestProject) -> i64 {
    query(project, "SELECT count(*) FROM auth.sessions").await
}

#[tokio::test]
async fn login_during_a_change_of_the_password_needs_the_new_one() {
    let (_app, project) = start("Replaced").await;
    sign_up(&project, "ada@example.com").await;
    let replace = "UPDATE auth.users SET updated_at = now(); UPDATE auth.passwords SET hash = 'another';
                   DELETE FROM auth.sessions";
    let login = log_in(&project, "ada@example.com", PASSWORD);
    let ((status, body), ()) = commit_during(&project, login, replace, async || ()).await;
    assert_eq!((status, code(&body)), (StatusCode::UNAUTHORIZED, "invalid_credentials"), "{body}");
    assert_eq!(sessions(&project).await, 0);
}

#[tokio::test]
async fn reset_ends_a_session_that_is_opened_meanwhile() {
    let (_app, project, mails) = mails::start("Reset").await;
    sign_up(&project, "ada@example.com").await;
    mails::next(&mails).await;
    mails::post(&project, "/v1/auth/recover", json!({ "email": "ada@example.com" })).await;
    let (_, _, token) = mails::next(&mails).await;
    let reset = mails::post(&project, "/v1/auth/reset", json!({ "token": token, "password": "another long one" }));
    let ((status, body), ()) = commit_during(&project, reset, OPEN_SESSION, async || ()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(sessions(&project).await, 1);
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
}

#[tokio::test]
async fn reset_with_a_second_factor_ends_a_session_that_is_opened_meanwhile() {
    let (_app, project, mails) = mails::start("Second factor").await;
    let enrolled = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    mails::next(&mails).await;
    mails::post(&project, "/v1/auth/recover", json!({ "email": "ada@example.com" })).await;
    let (_, _, token) = mails::next(&mails).await;
    let request = json!({ "token": token, "password": "another long one" });
    let waiting = challenge(&mails::post(&project, "/v1/auth/reset", request).await);
    let statements = format!("SELECT FROM auth.passwords FOR SHARE; {OPEN_SESSION}");
    let reset = verify(&project, &waiting, &enrolled.recovery_codes[0]);
    let ((status, body), ()) = commit_during(&project, reset, &statements, async || ()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(sessions(&project).await, 1);
}

#[tokio::test]
async fn second_factor_during_a_change_of_the_password_does_not_sign_in() {
    let (_app, project) = start("Old password").await;
    let enrolled = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    let waiting = begin(&project, "ada@example.com").await;
    let login = verify(&project, &waiting, &enrolled.recovery_codes[0]);
    let ((status, body), ()) = commit_during(&project, login, RESET, async || ()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert_eq!(sessions(&project).await, 0);
    // The code was not used.
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.recovery_codes").await, 10);
}

#[tokio::test]
async fn first_magic_link_ends_a_session_that_a_stranger_opens_meanwhile() {
    let (_app, project, mails) = magic_link::start_with_links("Magic link").await;
    sign_up(&project, "ada@example.com").await;
    mails::next(&mails).await;
    magic_link::ask(&project, "ada@example.com").await;
    let (_, _, token) = mails::next(&mails).await;
    let confirmed = magic_link::confirm(&project, &token);
    let ((status, body), ()) = commit_during(&project, confirmed, OPEN_SESSION, async || ()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(sessions(&project).await, 1);
}

async fn password(project: &TestProject) -> Option<String> {
    query(project, "SELECT (SELECT hash FROM auth.passwords)").await
}

#[tokio::test]
async fn reset_that_can_not_end_sessions_is_recorded_and_changes_nothing() {
    let (app, project, mails) = mails::start("Failed reset").await;
    sign_up(&project, "ada@example.com").await;
    mails::next(&mails).await;
    mails::post(&project, "/v1/auth/recover", json!({ "email": "ada@example.com" })).await;
    let (_, _, token) = mails::next(&mails).await;
    execute(&project, FAIL_SECOND_DELETION).await;
    let before = password(&project).await;
    let request = json!({ "token": token, "password": "another long one" });
    let (status, body) = mails::post(&project, "/v1/auth/reset", request.clone()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
    assert_eq!((password(&project).await, sessions(&project).await), (before, 1));
    let (status, body) = mails::post(&project, "/v1/auth/reset", request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let results: Vec<_> = events(&app, &project).await.into_iter().filter(|(event, _)| event == "auth.reset").collect();
    assert_eq!(results, ["failed", "success"].map(|result| ("auth.reset".to_owned(), result.to_owned())));
}

#[tokio::test]
async fn first_magic_link_that_can_not_end_sessions_is_recorded_and_changes_nothing() {
    let (app, project, mails) = magic_link::start_with_links("Failed link").await;
    sign_up(&project, "ada@example.com").await;
    mails::next(&mails).await;
    magic_link::ask(&project, "ada@example.com").await;
    let (_, _, token) = mails::next(&mails).await;
    execute(&project, FAIL_SECOND_DELETION).await;
    let before = password(&project).await;
    let (status, body) = magic_link::confirm(&project, &token).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
    assert_eq!((password(&project).await, sessions(&project).await), (before, 1));
    let (status, body) = magic_link::confirm(&project, &token).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!((password(&project).await, sessions(&project).await), (None, 1));
    let entries = events(&app, &project).await;
    for result in ["failed", "success"] {
        assert!(entries.contains(&("auth.magic_link".to_owned(), result.to_owned())), "{result}: {entries:?}");
    }
}

#[tokio::test]
async fn second_factor_of_a_reset_that_can_not_end_sessions_is_recorded_and_changes_nothing() {
    let (app, project, mails) = mails::start("Failed factor").await;
    let enrolled = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    mails::next(&mails).await;
    mails::post(&project, "/v1/auth/recover", json!({ "email": "ada@example.com" })).await;
    let (_, _, token) = mails::next(&mails).await;
    let request = json!({ "token": token, "password": "another long one" });
    let waiting = challenge(&mails::post(&project, "/v1/auth/reset", request).await);
    execute(&project, FAIL_SECOND_DELETION).await;
    let before = password(&project).await;
    let (status, body) = verify(&project, &waiting, &enrolled.recovery_codes[0]).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
    assert_eq!((password(&project).await, sessions(&project).await), (before, 1));
    // The challenge and the recovery code were not used.
    let (status, body) = verify(&project, &waiting, &enrolled.recovery_codes[0]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let entries = events(&app, &project).await;
    let last: Vec<_> =
        entries.iter().filter(|(event, _)| event == "auth.mfa_verify").map(|(_, result)| result).collect();
    assert_eq!(last, ["failed", "success"]);
}

#[tokio::test]
async fn reset_of_a_client_that_disconnects_is_recorded_and_changes_nothing() {
    let (app, project, mails) = mails::start("Disconnected").await;
    sign_up(&project, "ada@example.com").await;
    mails::next(&mails).await;
    mails::post(&project, "/v1/auth/recover", json!({ "email": "ada@example.com" })).await;
    let (_, _, token) = mails::next(&mails).await;
    let before = password(&project).await;
    let request = json!({ "token": token, "password": "another long one" });
    let client = project.publishable();
    let sending = tokio::spawn({
        let request = request.clone();
        async move { client.post("/v1/auth/reset", request).await }
    });
    let disconnect = sending.abort_handle();
    let disconnected = async || {
        disconnect.abort();
        eventually("no statement waits for the lock", async || !query::<bool>(&project, WAITING).await).await;
    };
    let (sent, ()) = commit_during(&project, sending, OPEN_SESSION, disconnected).await;
    assert!(sent.unwrap_err().is_cancelled());
    assert_eq!((password(&project).await, sessions(&project).await), (before, 2));
    let interrupted = "SELECT count(*) FROM audit_logs
                       WHERE action = 'auth.reset' AND result = 'failed' AND details @> '{\"interrupted\": true}'";
    let entries: i64 = sqlx::query_scalar(interrupted).fetch_one(app.app.platform()).await.expect("a number");
    assert_eq!(entries, 1);
    // The token can still be used.
    assert_eq!(mails::post(&project, "/v1/auth/reset", request).await.0, StatusCode::OK);
    assert_eq!(sessions(&project).await, 1);
}

#[tokio::test]
async fn new_password_is_not_set_before_the_other_sessions_end() {
    let (_app, project) = start("One change").await;
    let first = sign_up(&project, "ada@example.com").await;
    log_in(&project, "ada@example.com", PASSWORD).await;
    let hash = async || query::<String>(&project, "SELECT hash FROM auth.passwords").await;
    let before = hash().await;
    let client = signed_in(&project, &first);
    let change = client.patch("/v1/auth/me", json!({ "password": "another long one", "currentPassword": PASSWORD }));
    let other = "SELECT FROM auth.sessions ORDER BY created_at DESC LIMIT 1 FOR UPDATE";
    let ((status, body), meanwhile) = commit_during(&project, change, other, hash).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(meanwhile, before);
    assert_eq!(sessions(&project).await, 1);
}

#[tokio::test]
async fn reset_that_ends_the_session_meanwhile_keeps_its_password() {
    let (_app, project) = start("Two passwords").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    let change = json!({ "password": "another long one", "currentPassword": PASSWORD });
    let change = client.patch("/v1/auth/me", change);
    let ((status, body), ()) = commit_during(&project, change, RESET, async || ()).await;
    assert_eq!((status, code(&body)), (StatusCode::UNAUTHORIZED, "unauthorized"), "{body}");
    assert_eq!(query::<String>(&project, "SELECT hash FROM auth.passwords").await, "another");
}

#[tokio::test]
async fn password_is_checked_again_when_the_new_one_is_stored() {
    let (_app, project) = start("Same session").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    let change = json!({ "password": "another long one", "currentPassword": PASSWORD });
    let change = client.patch("/v1/auth/me", change);
    let other = "UPDATE auth.users SET updated_at = now(); UPDATE auth.passwords SET hash = 'another'";
    let ((status, body), ()) = commit_during(&project, change, other, async || ()).await;
    assert_eq!((status, code(&body)), (StatusCode::UNAUTHORIZED, "invalid_credentials"), "{body}");
    assert_eq!(query::<String>(&project, "SELECT hash FROM auth.passwords").await, "another");
}

#[tokio::test]
async fn ended_session_does_not_activate_a_second_factor() {
    let (_app, project) = start("Factor").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    let (_, enrolment) = client.post("/v1/auth/mfa/totp", json!({})).await;
    let given = totp(enrolment["secret"].as_str().unwrap(), 0);
    let confirm = client.post("/v1/auth/mfa/totp/confirm", json!({ "code": given }));
    let ((status, body), ()) = commit_during(&project, confirm, RESET, async || ()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    let active = "SELECT count(*) FROM auth.users WHERE second_factor_at IS NOT NULL";
    assert_eq!(query::<i64>(&project, active).await, 0);
}

#[tokio::test]
async fn old_password_does_not_remove_the_second_factor() {
    let (_app, project) = start("Removal").await;
    let enrolled = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    let client = signed_in(&project, &enrolled.session);
    let remove = client.delete_with("/v1/auth/mfa/totp", json!({ "password": PASSWORD }));
    let ((status, body), ()) = commit_during(&project, remove, RESET, async || ()).await;
    assert_eq!((status, code(&body)), (StatusCode::UNAUTHORIZED, "invalid_credentials"), "{body}");
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.totp_factors").await, 1);
}

#[tokio::test]
async fn session_that_is_opened_while_its_user_is_disabled_does_not_work_again_later() {
    let (_app, project) = start("Disabled").await;
    let body = sign_up(&project, "ada@example.com").await;
    let (admin, path) = (project.admin(), project.path(&format!("/users/{}", body["user"]["id"].as_str().unwrap())));
    let disable = admin.patch(&path, json!({ "disabled": true }));
    let ((status, user), ()) = commit_during(&project, disable, OPEN_SESSION, async || ()).await;
    assert_eq!((status, &user["sessions"]), (StatusCode::OK, &json!(0)), "{user}");
    assert_eq!(sessions(&project).await, 0);
    // A server that stopped too early may have left such a session open. Enabling the user ends it.
    execute(&project, OPEN_SESSION).await;
    let (status, user) = admin.patch(&path, json!({ "disabled": false })).await;
    assert_eq!((status, &user["sessions"]), (StatusCode::OK, &json!(0)), "{user}");
    // Enabling a user who is not disabled ends no session.
    execute(&project, OPEN_SESSION).await;
    assert_eq!(admin.patch(&path, json!({ "disabled": false })).await.1["sessions"], 1);
}

/// Stores a requested change of the address. Like the real request, it locks the session.
const REQUEST_NEW_ADDRESS: &str = "
    INSERT INTO auth.mailed_tokens (hash, user_id, purpose, email, expires_at)
    SELECT 'new', id, 'change_email', 'eve@example.com', now() + interval '1 hour' FROM auth.users;
    SELECT FROM auth.sessions FOR KEY SHARE";

#[tokio::test]
async fn signing_out_cancels_a_change_of_the_address_that_is_requested_meanwhile() {
    let (_app, project) = start("New address").await;
    let body = sign_up(&project, "ada@example.com").await;
    let (admin, path) = (project.admin(), project.path(&format!("/users/{}", body["user"]["id"].as_str().unwrap())));
    let path = format!("{path}/sign-out");
    let sign_out = admin.send(Method::POST, &path, None);
    let ((status, body), ()) = commit_during(&project, sign_out, REQUEST_NEW_ADDRESS, async || ()).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.mailed_tokens").await, 0);
}

#[tokio::test]
async fn session_that_ends_meanwhile_does_not_request_a_change_of_the_address() {
    let (_app, project, mails) = mails::start("Ended").await;
    let client = signed_in(&project, &sign_up(&project, "ada@example.com").await);
    mails::next(&mails).await;
    let change = client.patch("/v1/auth/me", json!({ "email": "eve@example.com" }));
    let ((status, body), ()) = commit_during(&project, change, "DELETE FROM auth.sessions", async || ()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    let tokens = "SELECT count(*) FROM auth.mailed_tokens WHERE purpose = 'change_email'";
    assert_eq!(query::<i64>(&project, tokens).await, 0);
}

/// Logs in, and lets Postgres end the statement of the logout because of a deadlock, twice. Returns the response to the
/// logout, and the number of deadlocks that it met.
async fn log_out_during_deadlocks(project: &TestProject) -> ((StatusCode, Value), usize) {
    let (_, body) = log_in(project, "ada@example.com", PASSWORD).await;
    let client = signed_in(project, &body);
    let mut connection = project.connect().await;
    // With this timeout, Postgres ends the statement of the request, and not the one of this connection.
    let begin = "BEGIN; SET LOCAL deadlock_timeout = '5s'; SELECT FROM auth.refresh_tokens FOR UPDATE; SAVEPOINT held";
    sqlx::raw_sql(begin).execute(&mut connection).await.expect(begin);
    let log_out = client.post("/v1/auth/logout", json!({}));
    let deadlocks = async {
        let mut met = 0;
        while met < 2 {
            // The request holds the lock of the session, and waits for the one of the token.
            let locked = "SELECT NOT EXISTS (SELECT FROM auth.sessions FOR UPDATE SKIP LOCKED)";
            eventually("the request locks the session", async || query::<bool>(project, locked).await).await;
            // On a busy machine, this statement may begin after the request has looked for deadlocks, which it does
            // once. Then Postgres ends this statement, and the request meets no further deadlock.
            if sqlx::raw_sql("SELECT FROM auth.sessions FOR UPDATE").execute(&mut connection).await.is_err() {
                break;
            }
            met += 1;
            sqlx::raw_sql("ROLLBACK TO held").execute(&mut connection).await.expect("rollback");
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.expect("rollback");
        connection.close().await.expect("close");
        met
    };
    tokio::join!(log_out, deadlocks)
}

#[tokio::test]
async fn request_whose_statement_ends_because_of_two_deadlocks_succeeds() {
    let (_app, project) = start("Deadlock").await;
    sign_up(&project, "ada@example.com").await;
    eventually("a request meets two deadlocks", async || {
        // Only one session is left to lock.
        execute(&project, "DELETE FROM auth.sessions").await;
        let ((status, body), deadlocks) = log_out_during_deadlocks(&project).await;
        assert!(deadlocks < 2 || status == StatusCode::NO_CONTENT, "{status} {body}");
        deadlocks == 2
    })
    .await;
    assert_eq!(sessions(&project).await, 0);
}
