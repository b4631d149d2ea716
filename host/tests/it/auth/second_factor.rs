//! The second factor: its setup, its use at login, and its removal. Recovery codes: `recovery_codes`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    PASSWORD, change_settings, events, execute, log_in,
    mails::{self, next, post},
    query, refresh, sign_up, signed_in, start,
};
use crate::support::{TestApp, TestProject, code};

const STEP_SECONDS: i64 = 30;

/// Returns the code that an authenticator app with this secret shows `steps` time steps from now.
pub fn totp(secret: &str, steps: i64) -> String {
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let step = chrono::Utc::now().timestamp() / STEP_SECONDS + steps;
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).expect("a key");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = (digest[19] & 15) as usize;
    let bits = u32::from_be_bytes(digest[offset..offset + 4].try_into().expect("four bytes"));
    format!("{:06}", (bits & 0x7fff_ffff) % 1_000_000)
}

/// Returns a code that is certainly wrong.
pub(super) fn wrong_code(secret: &str) -> String {
    let near: Vec<_> = (-2..=2).map(|steps| totp(secret, steps)).collect();
    (0..).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).expect("a code")
}

/// A user with an active second factor.
pub(super) struct Enrolled {
    pub session: Value,
    pub secret: String,
    /// The code that confirmed the factor.
    pub used_code: String,
    pub recovery_codes: Vec<String>,
}

pub(super) async fn enrol(project: &TestProject, session: Value) -> Enrolled {
    let client = signed_in(project, &session);
    let (status, enrolment) = client.post("/v1/auth/mfa/totp", json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{enrolment}");
    let secret = enrolment["secret"].as_str().unwrap().to_owned();
    let uri = enrolment["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/") && uri.contains(&format!("secret={secret}&")), "{uri}");
    let used_code = totp(&secret, 0);
    let (status, body) = client.post("/v1/auth/mfa/totp/confirm", json!({ "code": used_code })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let codes = body["recoveryCodes"].as_array().unwrap();
    let recovery_codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    Enrolled { session, secret, used_code, recovery_codes }
}

/// Makes the code of the current step usable again.
pub(super) async fn forget_used_codes(project: &TestProject) {
    execute(project, "UPDATE auth.totp_factors SET last_step = NULL").await;
}

/// Returns the challenge token of a response that asks for the second factor.
pub(super) fn challenge((status, body): &(StatusCode, Value)) -> String {
    assert_eq!((*status, code(body)), (StatusCode::FORBIDDEN, "mfa_required"), "{body}");
    assert_eq!(body["error"]["details"]["expiresIn"], 300);
    body["error"]["details"]["challengeToken"].as_str().unwrap().to_owned()
}

pub(super) async fn begin(project: &TestProject, email: &str) -> String {
    challenge(&log_in(project, email, PASSWORD).await)
}

pub(super) async fn verify(project: &TestProject, challenge: &str, code: &str) -> (StatusCode, Value) {
    post(project, "/v1/auth/mfa/verify", json!({ "challengeToken": challenge, "code": code })).await
}

fn claims(body: &Value) -> Value {
    let token = body["session"]["accessToken"].as_str().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

pub(super) fn level(body: &Value) -> String {
    claims(body)["aal"].as_str().unwrap().to_owned()
}

/// Returns the level and methods of a session with a second factor.
pub(super) fn strong(second: &str, first: &str) -> (String, Vec<String>) {
    ("aal2".to_owned(), vec![second.to_owned(), first.to_owned()])
}

pub(super) fn methods(body: &Value) -> Vec<String> {
    let amr = claims(body)["amr"].as_array().unwrap().clone();
    assert!(amr.iter().all(|used| used["timestamp"].as_i64().is_some_and(|time| time > 1_700_000_000)), "{amr:?}");
    amr.iter().map(|used| used["method"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn login_with_a_second_factor_takes_two_steps() {
    let (app, project) = start("Two steps").await;
    let first = sign_up(&project, "ada@example.com").await;
    let other = log_in(&project, "ada@example.com", PASSWORD).await.1;
    let (_, none) = signed_in(&project, &first).get("/v1/auth/mfa").await;
    assert_eq!(none, json!({ "confirmedAt": null, "recoveryCodesLeft": 0 }));
    let Enrolled { session, secret, recovery_codes, .. } = enrol(&project, first).await;
    assert_eq!(recovery_codes.len(), 10);
    let (_, factor) = signed_in(&project, &session).get("/v1/auth/mfa").await;
    assert!(factor["confirmedAt"].is_string() && factor["recoveryCodesLeft"] == 10, "{factor}");
    // The session that confirmed the factor gets the higher level with its next refresh. Other sessions end.
    assert_eq!(refresh(&project, &other["session"]["refreshToken"]).await.0, StatusCode::UNAUTHORIZED);
    let (status, refreshed) = refresh(&project, &session["session"]["refreshToken"]).await;
    assert_eq!(status, StatusCode::OK, "{refreshed}");
    assert_eq!((level(&refreshed), methods(&refreshed)), strong("totp", "password"));

    assert_eq!(log_in(&project, "ada@example.com", "wrong").await.0, StatusCode::UNAUTHORIZED);
    let token = begin(&project, "ada@example.com").await;
    // The code that confirmed the factor was used.
    let (status, error) = verify(&project, &token, &totp(&secret, 0)).await;
    assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_code"), "{error}");
    let (status, error) = verify(&project, "ah_mfa_unknown", &totp(&secret, 1)).await;
    assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_token"), "{error}");
    let next_code = totp(&secret, 1);
    let (status, body) = verify(&project, &token, &format!("{} {}", &next_code[..3], &next_code[3..])).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["user"]["id"], session["user"]["id"]);
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
    assert_eq!((level(&body), methods(&body)), strong("totp", "password"));
    // Neither the token nor the code works again.
    forget_used_codes(&project).await;
    assert_eq!(code(&verify(&project, &token, &totp(&secret, 0)).await.1), "invalid_token");
    let (_, again) = refresh(&project, &body["session"]["refreshToken"]).await;
    assert_eq!(level(&again), "aal2");
    let events = events(&app, &project).await;
    for (action, result) in [
        ("auth.mfa_enrol", "success"),
        ("auth.mfa_confirm", "success"),
        ("auth.mfa_challenge", "success"),
        ("auth.mfa_verify", "success"),
        ("auth.mfa_verify", "denied"),
    ] {
        assert!(events.contains(&(action.to_owned(), result.to_owned())), "{action} {result}: {events:?}");
    }
}

#[tokio::test]
async fn code_works_for_only_one_of_several_simultaneous_logins() {
    let (_app, project) = start("Once").await;
    let Enrolled { secret, .. } = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    forget_used_codes(&project).await;
    let mut tokens = Vec::new();
    for _ in 0..6 {
        tokens.push(begin(&project, "ada@example.com").await);
    }
    let given = totp(&secret, 0);
    let responses = futures_util::future::join_all(tokens.iter().map(|token| verify(&project, token, &given))).await;
    let signed_in = responses.iter().filter(|(status, _)| *status == StatusCode::OK).count();
    assert_eq!(signed_in, 1, "{responses:?}");
}

#[tokio::test]
async fn factor_is_inactive_until_confirmed_and_is_set_up_once() {
    let (app, project) = start("Pending").await;
    let session = sign_up(&project, "ada@example.com").await;
    let client = signed_in(&project, &session);
    let confirm = async |code: &str| client.post("/v1/auth/mfa/totp/confirm", json!({ "code": code })).await;
    let (status, error) = confirm("123456").await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "conflict"), "{error}");
    let (_, replaced) = client.post("/v1/auth/mfa/totp", json!({})).await;
    let (_, enrolment) = client.post("/v1/auth/mfa/totp", json!({})).await;
    let secret = enrolment["secret"].as_str().unwrap();
    assert_ne!(replaced["secret"], enrolment["secret"]);
    // A login still takes one step.
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::OK);
    for wrong in [wrong_code(secret), String::new(), "abcdef".to_owned()] {
        let (status, error) = confirm(&wrong).await;
        assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_code"), "{wrong}: {error}");
        // The user has no recovery codes yet.
        assert_eq!(error["error"]["hint"], "Wait for the next code of the authenticator app.");
    }
    assert_eq!(confirm(&totp(secret, 0)).await.0, StatusCode::OK);
    let (status, error) = confirm(&totp(secret, 1)).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "conflict"), "{error}");
    assert_eq!(client.post("/v1/auth/mfa/totp", json!({})).await.0, StatusCode::CONFLICT);
    // The refusal is recorded as `denied`, and not as a failure of the server.
    let events = events(&app, &project).await;
    assert_eq!(events.last(), Some(&("auth.mfa_enrol".to_owned(), "denied".to_owned())), "{events:?}");
}

#[tokio::test]
async fn pending_login_ends_by_expiry_a_password_change_or_disabling_the_user() {
    let (_app, project) = start("Waiting").await;
    let Enrolled { session, recovery_codes, .. } = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    let expired = begin(&project, "ada@example.com").await;
    execute(&project, "UPDATE auth.mfa_challenges SET expires_at = now() - interval '1 s'").await;
    assert_eq!(code(&verify(&project, &expired, &recovery_codes[0]).await.1), "invalid_token");

    let before = begin(&project, "ada@example.com").await;
    let change = json!({ "password": "another long one", "currentPassword": PASSWORD });
    assert_eq!(signed_in(&project, &session).patch("/v1/auth/me", change).await.0, StatusCode::OK);
    assert_eq!(code(&verify(&project, &before, &recovery_codes[0]).await.1), "invalid_token");

    let waiting = challenge(&log_in(&project, "ada@example.com", "another long one").await);
    let path = project.path(&format!("/users/{}", session["user"]["id"].as_str().unwrap()));
    assert_eq!(project.admin().patch(&path, json!({ "disabled": true })).await.0, StatusCode::OK);
    assert_eq!(code(&verify(&project, &waiting, &recovery_codes[0]).await.1), "invalid_token");
    // The response to a disabled user does not reveal the second factor.
    let (status, error) = log_in(&project, "ada@example.com", "another long one").await;
    assert_eq!((status, code(&error)), (StatusCode::UNAUTHORIZED, "invalid_credentials"), "{error}");
    // A login that was cancelled does not continue when the user is enabled again.
    assert_eq!(project.admin().patch(&path, json!({ "disabled": false })).await.0, StatusCode::OK);
    assert_eq!(code(&verify(&project, &waiting, &recovery_codes[0]).await.1), "invalid_token");
}

#[tokio::test]
async fn factor_is_removed_with_password_or_code_and_by_the_owner() {
    let (app, project) = start("Removal").await;
    let enrolled = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    let client = signed_in(&project, &enrolled.session);
    let remove = async |body: Value| client.delete_with("/v1/auth/mfa/totp", body).await;
    for (body, status, expected) in [
        (json!({}), StatusCode::BAD_REQUEST, "invalid_request"),
        (json!({ "password": PASSWORD, "code": "123456" }), StatusCode::BAD_REQUEST, "invalid_request"),
        (json!({ "password": "wrong" }), StatusCode::UNAUTHORIZED, "invalid_credentials"),
        (json!({ "code": wrong_code(&enrolled.secret) }), StatusCode::UNAUTHORIZED, "invalid_code"),
        (json!({ "code": "aaaa-aaaa-aaaa-aaaa" }), StatusCode::UNAUTHORIZED, "invalid_code"),
    ] {
        let (received, error) = remove(body.clone()).await;
        assert_eq!((received, code(&error)), (status, expected), "{body}: {error}");
    }
    assert_eq!(remove(json!({ "password": PASSWORD })).await.0, StatusCode::NO_CONTENT);
    assert_eq!(remove(json!({ "password": PASSWORD })).await.0, StatusCode::NOT_FOUND);
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::OK);
    let (_, refreshed) = refresh(&project, &enrolled.session["session"]["refreshToken"]).await;
    assert_eq!(level(&refreshed), "aal1");
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.recovery_codes").await, 0);

    let enrolled = enrol(&project, refreshed).await;
    let client = signed_in(&project, &enrolled.session);
    let (status, error) = client.delete_with("/v1/auth/mfa/totp", json!({ "code": totp(&enrolled.secret, 1) })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{error}");

    let user = enrolled.session["user"]["id"].as_str().unwrap().to_owned();
    let path = project.path(&format!("/users/{user}/second-factor"));
    assert_eq!(project.admin().delete(&path).await.0, StatusCode::NOT_FOUND);
    enrol(&project, enrolled.session).await;
    let (_, detail) = project.admin().get(&project.path(&format!("/users/{user}"))).await;
    assert!(detail["secondFactorAt"].is_string(), "{detail}");
    let waiting = begin(&project, "ada@example.com").await;
    assert_eq!(project.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
    let (_, detail) = project.admin().get(&project.path(&format!("/users/{user}"))).await;
    assert_eq!(detail["secondFactorAt"], json!(null));
    assert_eq!(code(&verify(&project, &waiting, "123456").await.1), "invalid_token");
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::OK);
    let query = format!("/admin/v1/audit?projectId={}&action=user.remove_second_factor", project.id);
    let (_, entries) = app.admin().get(&query).await;
    assert!(
        entries["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["target"] == user && entry["details"]["email"] == "ada@example.com"),
        "{entries}"
    );
}

#[tokio::test]
async fn mailed_links_require_the_second_factor_too() {
    let (app, project, mails) = mails::start("Links").await;
    change_settings(&project, json!({ "allowMagicLink": true })).await;
    let session = sign_up(&project, "ada@example.com").await;
    let (_, _, verification) = next(&mails).await;
    let Enrolled { session, secret, recovery_codes, .. } = enrol(&project, session).await;
    forget_used_codes(&project).await;

    let verified = post(&project, "/v1/auth/verify", json!({ "token": verification })).await;
    assert_eq!(verify(&project, &challenge(&verified), &recovery_codes[0]).await.0, StatusCode::OK);

    post(&project, "/v1/auth/magic-link", json!({ "email": "ada@example.com" })).await;
    let (_, _, link) = next(&mails).await;
    let confirmed = post(&project, "/v1/auth/magic-link/confirm", json!({ "token": link })).await;
    let (status, body) = verify(&project, &challenge(&confirmed), &totp(&secret, 0)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(methods(&body), ["totp", "magiclink"]);

    // A reset changes nothing before the second factor is proved.
    post(&project, "/v1/auth/recover", json!({ "email": "ada@example.com" })).await;
    let (_, _, token) = next(&mails).await;
    let request = json!({ "token": token, "password": "another long one" });
    let reset = post(&project, "/v1/auth/reset", request.clone()).await;
    let waiting = challenge(&reset);
    // The token was used to verify the address.
    let last: Vec<_> = events(&app, &project).await.into_iter().rev().take(2).collect();
    let expected = ["auth.mfa_challenge", "auth.verify"].map(|event| (event.to_owned(), "success".to_owned()));
    assert_eq!(last, expected);
    assert_eq!(post(&project, "/v1/auth/reset", request).await.0, StatusCode::UNAUTHORIZED);
    begin(&project, "ada@example.com").await;
    assert_eq!(signed_in(&project, &session).get("/v1/auth/me").await.0, StatusCode::OK);
    let (status, body) = verify(&project, &waiting, &recovery_codes[1]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(methods(&body), ["recovery_code", "recovery"]);
    assert_eq!(signed_in(&project, &session).get("/v1/auth/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(signed_in(&project, &body).get("/v1/auth/me").await.0, StatusCode::OK);
    assert_eq!(log_in(&project, "ada@example.com", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    challenge(&log_in(&project, "ada@example.com", "another long one").await);
}

#[tokio::test]
async fn policies_can_require_the_second_factor() {
    let (_app, project) = start("Policies").await;
    project
        .sql(
            "CREATE TABLE secrets (id int PRIMARY KEY);
             INSERT INTO secrets VALUES (1);
             ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
             CREATE POLICY strong ON secrets FOR SELECT USING (auth.jwt()->>'aal' = 'aal2')",
        )
        .await;
    project.expose("secrets", "none", "read").await;
    let rows = async |session: &Value| {
        let (status, body) = signed_in(&project, session).get("/v1/db/secrets").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["rows"].as_array().unwrap().len()
    };
    let session = sign_up(&project, "ada@example.com").await;
    assert_eq!(rows(&session).await, 0);
    let Enrolled { secret, .. } = enrol(&project, session).await;
    let token = begin(&project, "ada@example.com").await;
    let (_, strong) = verify(&project, &token, &totp(&secret, 1)).await;
    assert_eq!(rows(&strong).await, 1);
}

#[tokio::test]
async fn secret_survives_a_new_master_key_and_a_restore() {
    use atlashub::secrets::{MasterKey, Sealer};
    let (app, project) = start("Rotation").await;
    let Enrolled { secret, .. } = enrol(&project, sign_up(&project, "ada@example.com").await).await;
    let new = MasterKey::generate();
    let sealer = Sealer::new(&new, Some(&app.services.master_key));
    assert!(atlashub::app::reseal_all(app.app.platform(), &sealer).await.unwrap().resealed > 0);
    let url = app.services.database_url.expose();
    let node = TestApp::builder().database_url(url).master_keys(&new, None).start().await;
    super::schema::pretend_restore(&project).await;
    forget_used_codes(&project).await;
    let client = node.public().with_header("x-api-key", &project.publishable_key);
    let login = json!({ "email": "ada@example.com", "password": PASSWORD });
    let token = challenge(&client.post("/v1/auth/login", login).await);
    let request = json!({ "challengeToken": token, "code": totp(&secret, 0) });
    let (status, body) = client.post("/v1/auth/mfa/verify", request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}
