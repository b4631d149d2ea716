//! Attacks: forged tokens, foreign sessions, requests for a higher role, simultaneous sign-ups and stored secrets.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PASSWORD, enable, query, sign_up, signed_in, start};
use crate::support::{TestProject, code};

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

async fn me(project: &TestProject, token: &str) -> StatusCode {
    project.publishable().with_header("authorization", &format!("Bearer {token}")).get("/v1/auth/me").await.0
}

#[tokio::test]
async fn changed_and_forged_tokens_are_refused() {
    let (app, project) = start("Forged").await;
    let other = app.create_project("Other").await;
    enable(&other).await;
    let body = sign_up(&project, "a@example.com").await;
    let token = body["session"]["accessToken"].as_str().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims) = (decode(parts[0]), decode(parts[1]));
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    let jwks = app.public().get(&format!("/v1/auth/jwks/{}", project.id)).await.1;
    let mut forged = Vec::new();
    for changed in [
        with("app_role", json!("owner")),
        with("sub", json!("00000000-0000-4000-8000-000000000000")),
        with("role", json!("service_role")),
        with("exp", json!(claims["exp"].as_i64().unwrap() + 1)),
    ] {
        forged.push(format!("{}.{}.{}", parts[0], encode(&changed), parts[2]));
    }
    for alg in ["none", "None", "HS256", "ES384", "RS256"] {
        let mut changed = header.clone();
        changed["alg"] = json!(alg);
        forged.push(format!("{}.{}.{}", encode(&changed), parts[1], parts[2]));
        forged.push(format!("{}.{}.", encode(&changed), parts[1]));
    }
    // A token that is signed with the public key as an HMAC secret.
    let mut hs256 = Header::new(Algorithm::HS256);
    hs256.kid = header["kid"].as_str().map(str::to_owned);
    for secret in [jwks["keys"][0]["x"].to_string(), jwks["keys"][0].to_string(), String::new()] {
        let key = EncodingKey::from_secret(secret.as_bytes());
        forged.push(jsonwebtoken::encode(&hs256, &claims, &key).unwrap());
    }
    // A token that contains its own key.
    let mut embedded = header.clone();
    embedded["jwk"] = jwks["keys"][0].clone();
    embedded["jku"] = json!("https://evil.example.com/jwks.json");
    forged.push(format!("{}.{}.{}", encode(&embedded), parts[1], parts[2]));
    forged.extend([format!("{token}."), format!("{token}.x"), parts[1].to_owned(), "..".to_owned()]);
    for token in forged {
        assert_eq!(me(&project, &token).await, StatusCode::UNAUTHORIZED, "{token}");
    }
    assert_eq!(me(&other, token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(me(&project, token).await, StatusCode::OK);
}

#[tokio::test]
async fn login_never_reuses_a_session_that_the_client_names() {
    let (_app, project) = start("Fixation").await;
    let attacker = sign_up(&project, "attacker@example.com").await;
    sign_up(&project, "victim@example.com").await;
    let session_of = |body: &Value| {
        decode(body["session"]["accessToken"].as_str().unwrap().split('.').nth(1).unwrap())["session_id"].clone()
    };
    let request = json!({ "email": "victim@example.com", "password": PASSWORD });
    let (status, victim) = signed_in(&project, &attacker).post("/v1/auth/login", request.clone()).await;
    assert_eq!(status, StatusCode::OK, "{victim}");
    assert_ne!(session_of(&victim), session_of(&attacker));
    assert_eq!(victim["user"]["email"], "victim@example.com");
    let mut fixed = request;
    fixed["sessionId"] = session_of(&attacker);
    assert_eq!(project.publishable().post("/v1/auth/login", fixed).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn users_cannot_give_themselves_another_role() {
    let (_app, project) = start("Rights").await;
    for (field, value) in [
        ("role", json!("owner")),
        ("id", json!("00000000-0000-4000-8000-000000000000")),
        ("emailVerifiedAt", json!("2026-01-01T00:00:00Z")),
        ("app_role", json!("owner")),
    ] {
        let mut request = json!({ "email": "a@example.com", "password": PASSWORD });
        request[field] = value;
        let (status, _) = project.publishable().post("/v1/auth/signup", request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{field}");
    }
    // In `data`, such names have no effect.
    let data = json!({ "role": "owner", "sub": "x", "app_role": "owner", "email_verified_at": "now" });
    let request = json!({ "email": "a@example.com", "password": PASSWORD, "data": data });
    let (_, body) = project.publishable().post("/v1/auth/signup", request).await;
    assert_eq!((&body["user"]["role"], &body["user"]["emailVerifiedAt"]), (&json!("member"), &json!(null)), "{body}");
    let token = body["session"]["accessToken"].as_str().unwrap();
    assert_eq!(decode(token.split('.').nth(1).unwrap())["app_role"], "member");
}

#[tokio::test]
async fn one_of_concurrent_sign_ups_gets_the_address() {
    let (_app, project) = start("Race").await;
    let tries = (0..8).map(|number| {
        let email = if number % 2 == 0 { "ada@example.com" } else { "ADA@Example.com" };
        let client = project.publishable();
        async move { client.post("/v1/auth/signup", json!({ "email": email, "password": PASSWORD })).await }
    });
    let responses = futures_util::future::join_all(tries).await;
    let created = responses.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
    let taken = responses.iter().filter(|(_, body)| code(body) == "email_taken").count();
    assert_eq!((created, taken), (1, 7), "{responses:?}");
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.users").await, 1);
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.passwords").await, 1);
}

#[tokio::test]
async fn stored_secrets_are_hashes() {
    let (app, project) = start("At rest").await;
    let body = sign_up(&project, "a@example.com").await;
    let hash: String = query(&project, "SELECT hash FROM auth.passwords").await;
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let dump = "SELECT string_agg(t::text, ' ') FROM (SELECT * FROM auth.refresh_tokens, auth.sessions, auth.users) t";
    let text: String = query(&project, dump).await;
    let secret = body["session"]["refreshToken"].as_str().unwrap();
    assert!(!text.contains(secret) && !text.contains(&secret[7..]), "{text}");
    let (_, entries) = app.admin().get(&format!("/admin/v1/audit?projectId={}", project.id)).await;
    assert!(!entries.to_string().contains(&secret[7..]));
}
