//! Recovery codes of the second factor, and the limit on wrong codes.

use reqwest::StatusCode;
use serde_json::json;

use super::{
    PASSWORD, execute, query,
    second_factor::{
        Enrolled, begin, challenge, enrol, forget_used_codes, level, methods, strong, totp, verify, wrong_code,
    },
    sign_up, signed_in, start,
};
use crate::support::{TestApp, code, eventually};

#[tokio::test]
async fn recovery_code_replaces_the_app_once_and_only_hashes_are_stored() {
    let (_app, project) = start("Recovery codes").await;
    let Enrolled { secret, recovery_codes, .. } = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    let token = begin(&project, "ada@example.com").await;
    let (status, body) = verify(&project, &token, &recovery_codes[0].to_uppercase()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!((level(&body), methods(&body)), strong("recovery_code", "password"));
    let token = begin(&project, "ada@example.com").await;
    assert_eq!(code(&verify(&project, &token, &recovery_codes[0]).await.1), "invalid_code");
    assert_eq!(verify(&project, &token, &recovery_codes[1].replace('-', "")).await.0, StatusCode::OK);
    let (_, factor) = signed_in(&project, &body).get("/v1/auth/mfa").await;
    assert_eq!(factor["recoveryCodesLeft"], 8);
    // These tables contain neither the codes nor the secret.
    let dump = "SELECT (SELECT string_agg(t::text, ' ') FROM auth.totp_factors t)
                    || (SELECT string_agg(t::text, ' ') FROM auth.recovery_codes t)
                    || (SELECT string_agg(t::text, ' ') FROM auth.users t)";
    let text: String = query(&project, dump).await;
    let key = hex::encode(data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap());
    assert!(!text.contains(&secret) && !text.contains(&key) && !text.contains(&recovery_codes[2]), "{text}");
}

#[tokio::test]
async fn new_recovery_codes_require_a_code_of_the_app() {
    let (_app, project) = start("New recovery codes").await;
    let user = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    let client = signed_in(&project, &user.session);
    let replace = async |code: &str| client.post("/v1/auth/mfa/recovery-codes", json!({ "code": code })).await;
    // A code of the app works only once, and a recovery code is not enough.
    for refused in [user.used_code.clone(), wrong_code(&user.secret), user.recovery_codes[0].clone()] {
        let (status, error) = replace(&refused).await;
        assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_code"), "{error}");
    }
    let (status, body) = replace(&totp(&user.secret, 1)).await;
    assert_eq!((status, body["recoveryCodes"].as_array().map(Vec::len)), (StatusCode::OK, Some(10)), "{body}");
    assert_eq!(client.get("/v1/auth/mfa").await.1["recoveryCodesLeft"], 10);
    let token = begin(&project, "ada@example.com").await;
    assert_eq!(code(&verify(&project, &token, &user.recovery_codes[0]).await.1), "invalid_code");
    let (status, signed_in_again) = verify(&project, &token, body["recoveryCodes"][0].as_str().unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{signed_in_again}");
    let (status, _) = client.post("/v1/auth/mfa/recovery-codes", json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let without = signed_in(&project, &sign_up(&project, "bea@example.com").await);
    let (status, error) = without.post("/v1/auth/mfa/recovery-codes", json!({ "code": "123456" })).await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "not_found"), "{error}");
}

#[tokio::test]
async fn wrong_codes_are_limited_and_recovery_codes_still_work() {
    let (_app, project) = start("Guesses").await;
    let Enrolled { secret, recovery_codes, .. } = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    forget_used_codes(&project).await;
    let wrong = wrong_code(&secret);
    for _ in 0..2 {
        let token = begin(&project, "ada@example.com").await;
        for _ in 0..5 {
            assert_eq!(code(&verify(&project, &token, &wrong).await.1), "invalid_code");
        }
        // A token allows five attempts.
        assert_eq!(code(&verify(&project, &token, &totp(&secret, 0)).await.1), "invalid_token");
    }
    // A user has ten attempts, across all tokens.
    let token = begin(&project, "ada@example.com").await;
    let (status, error) = verify(&project, &token, &totp(&secret, 0)).await;
    assert_eq!((status, code(&error)), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"), "{error}");
    // Recovery codes can't be guessed, so they have no limit per user.
    assert_eq!(verify(&project, &token, &recovery_codes[0]).await.0, StatusCode::OK);
    // Another user is not affected. After two minutes, the first user can give codes again.
    let other = enrol(&project, sign_up(&project, "bea@example.com").await).await;
    assert_eq!(verify(&project, &begin(&project, "bea@example.com").await, &totp(&other.secret, 1)).await.0, 200);
    execute(&project, "UPDATE auth.totp_factors SET attempts_full_at = attempts_full_at - interval '2 min'").await;
    let token = begin(&project, "ada@example.com").await;
    assert_eq!(verify(&project, &token, &totp(&secret, 0)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn login_with_two_recovery_codes_at_the_same_time_opens_one_session() {
    let (app, project) = start("Two codes").await;
    let Enrolled { recovery_codes, .. } = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    let sessions = "SELECT count(*) FROM auth.sessions";
    let before: i64 = query(&project, sessions).await;
    let token = begin(&project, "ada@example.com").await;
    // On one node, the second statement could wait for the first one on the same connection, without a lock.
    let node = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let there = node.public().with_header("x-api-key", &project.publishable_key);
    // The lock stops both requests after they have counted an attempt with the challenge, and before either has used
    // its code.
    let mut locker = project.connect().await;
    sqlx::raw_sql("BEGIN; SELECT FROM auth.users FOR UPDATE").execute(&mut locker).await.unwrap();
    let unlock = async {
        eventually("both requests wait for the lock", async || {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'",
            )
            .bind(format!("proj_{}_auth", project.id))
            .fetch_one(app.app.platform())
            .await
            .unwrap();
            waiting == 2
        })
        .await;
        sqlx::raw_sql("ROLLBACK").execute(&mut locker).await.unwrap();
    };
    let second = json!({ "challengeToken": token, "code": recovery_codes[1] });
    let (first, second, ()) =
        tokio::join!(verify(&project, &token, &recovery_codes[0]), there.post("/v1/auth/mfa/verify", second), unlock);
    let refused = if first.0 == StatusCode::OK { &second } else { &first };
    assert_eq!([first.0, second.0].iter().filter(|status| **status == StatusCode::OK).count(), 1);
    assert_eq!((refused.0, code(&refused.1)), (StatusCode::UNAUTHORIZED, "invalid_code"), "{refused:?}");
    assert_eq!(query::<i64>(&project, sessions).await, before + 1);
    // The refused code was not used.
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.recovery_codes").await, 9);
}

#[tokio::test]
async fn second_factor_whose_secret_cannot_be_decrypted_needs_a_recovery_code() {
    let (app, project) = start("Moved").await;
    let Enrolled { secret, recovery_codes, .. } = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    // Without its data keys, a platform can't decrypt the secret, just like the secret of another platform.
    sqlx::query("DELETE FROM data_keys").execute(app.app.platform()).await.unwrap();
    let node = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .master_keys(&app.services.master_key, None)
        .start()
        .await;
    let client = node.public().with_header("x-api-key", &project.publishable_key);
    let login = json!({ "email": "ada@example.com", "password": PASSWORD });
    let token = challenge(&client.post("/v1/auth/login", login).await);
    let verify =
        async |code: &str| client.post("/v1/auth/mfa/verify", json!({ "challengeToken": token, "code": code })).await;
    let (status, error) = verify(&totp(&secret, 1)).await;
    assert_eq!((status, code(&error)), (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"), "{error}");
    assert_eq!(verify(&recovery_codes[0]).await.0, StatusCode::OK);
}
