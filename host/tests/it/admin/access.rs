//! Signing in through Cloudflare Access, with a team whose keys the test serves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Client, TestApp, eventually};

const AUDIENCE: &str = "audience-tag";
const OWNER: &str = "owner@example.com";

enum TeamKey {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl TeamKey {
    fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn ec() -> Self {
        Self::Ec(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = key.public_key();
                json!({
                    "kid": id, "kty": "RSA", "alg": "RS256", "use": "sig",
                    "n": encode(public.modulus().big_endian_without_leading_zero()),
                    "e": encode(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({"kid": id, "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    fn token(&self, id: &str, claims: &Value) -> String {
        self.token_with_header(&json!({"alg": self.algorithm(), "kid": id, "typ": "JWT"}), claims)
    }

    fn token_with_header(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        format!("{message}.{}", encode(self.sign(message.as_bytes())))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}

/// A server of a team's keys at `/cdn-cgi/access/certs`, which counts the requests.
struct Team {
    url: String,
    keys: Arc<Mutex<Option<Vec<Value>>>>,
    fetches: Arc<AtomicUsize>,
}

impl Team {
    async fn start(keys: Vec<Value>) -> Self {
        let keys = Arc::new(Mutex::new(Some(keys)));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (keys.clone(), fetches.clone());
        let router = axum::Router::new().fallback(move |uri: axum::http::Uri| {
            counted.fetch_add(1, Ordering::SeqCst);
            let keys = served.lock().clone().filter(|_| uri.path() == "/cdn-cgi/access/certs");
            async move {
                match keys {
                    Some(keys) => (StatusCode::OK, json!({ "keys": keys }).to_string()),
                    None => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
                }
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, keys, fetches }
    }

    fn serve(&self, keys: Option<Vec<Value>>) {
        *self.keys.lock() = keys;
    }

    async fn app(&self) -> TestApp {
        self.app_with_admin_token(ADMIN_TOKEN).await
    }

    /// Starts a platform. An empty `token` means that there is no admin token.
    async fn app_with_admin_token(&self, token: &str) -> TestApp {
        TestApp::builder()
            .var("CF_ACCESS_TEAM_DOMAIN", &self.url)
            .var("CF_ACCESS_AUD", AUDIENCE)
            .var("ATLASHUB_OWNER_EMAIL", OWNER)
            .var("DEV_ADMIN_TOKEN", token)
            .start()
            .await
    }

    fn claims(&self) -> Value {
        let now = now();
        json!({
            "iss": self.url, "aud": [AUDIENCE], "email": OWNER, "sub": "subject", "type": "app",
            "iat": now - 10, "nbf": now - 10, "exp": now + 600,
        })
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn client_with(app: &TestApp, assertion: &str) -> Client {
    Client::new(&*app.admin_url).with_header("cf-access-jwt-assertion", assertion)
}

async fn session(app: &TestApp, assertion: &str) -> (StatusCode, Value) {
    client_with(app, assertion).get("/admin/v1/session").await
}

#[tokio::test]
async fn only_valid_assertion_of_the_owner_is_accepted() {
    let (rsa, ec, stranger) = (TeamKey::rsa(), TeamKey::ec(), TeamKey::rsa());
    let team = Team::start(vec![rsa.jwk("rsa"), ec.jwk("ec")]).await;
    let app = team.app().await;
    let changed = |name: &str, value: Value| {
        let mut claims = team.claims();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = team.claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };

    let (status, body) = session(&app, &rsa.token("rsa", &team.claims())).await;
    assert_eq!((status, body["actor"].as_str()), (StatusCode::OK, Some(OWNER)), "{body}");
    assert!(body["expiresAt"].is_string(), "{body}");
    assert_eq!((&body["method"], &body["signOutUrl"]), (&json!("access"), &json!("/cdn-cgi/access/logout")));

    let ok = StatusCode::OK;
    let unauthorized = StatusCode::UNAUTHORIZED;
    let forbidden = StatusCode::FORBIDDEN;
    for (name, token, expected) in [
        ("ES256", ec.token("ec", &team.claims()), ok),
        ("aud as text", rsa.token("rsa", &changed("aud", AUDIENCE.into())), ok),
        ("several aud", rsa.token("rsa", &changed("aud", json!(["other", AUDIENCE]))), ok),
        ("owner in capitals", rsa.token("rsa", &changed("email", "Owner@Example.COM".into())), ok),
        ("no nbf", rsa.token("rsa", &without("nbf")), ok),
        ("just expired, within the leeway", rsa.token("rsa", &changed("exp", (now() - 1).into())), ok),
        ("another's signature", stranger.token("rsa", &team.claims()), unauthorized),
        ("another's key id", stranger.token("stranger", &team.claims()), unauthorized),
        ("EC key under the RSA key's id", ec.token("rsa", &team.claims()), unauthorized),
        ("RSA key under the EC key's id", rsa.token("ec", &team.claims()), unauthorized),
        ("wrong aud", rsa.token("rsa", &changed("aud", json!(["other"]))), unauthorized),
        ("no aud", rsa.token("rsa", &without("aud")), unauthorized),
        ("empty aud", rsa.token("rsa", &changed("aud", json!([]))), unauthorized),
        ("wrong iss", rsa.token("rsa", &changed("iss", "https://evil.test".into())), unauthorized),
        ("iss with more", rsa.token("rsa", &changed("iss", format!("{}/x", team.url).into())), unauthorized),
        ("no iss", rsa.token("rsa", &without("iss")), unauthorized),
        ("expired", rsa.token("rsa", &changed("exp", (now() - 60).into())), unauthorized),
        ("no exp", rsa.token("rsa", &without("exp")), unauthorized),
        ("exp as text", rsa.token("rsa", &changed("exp", "never".into())), unauthorized),
        ("not yet valid", rsa.token("rsa", &changed("nbf", (now() + 60).into())), unauthorized),
        ("no kid", rsa.token_with_header(&json!({"alg": "RS256"}), &team.claims()), unauthorized),
        (
            "another algorithm",
            rsa.token_with_header(&json!({"alg": "RS512", "kid": "rsa"}), &team.claims()),
            unauthorized,
        ),
        (
            "critical extension",
            rsa.token_with_header(
                &json!({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": false}),
                &team.claims(),
            ),
            unauthorized,
        ),
        ("another address", rsa.token("rsa", &changed("email", "guest@example.com".into())), forbidden),
        ("no address", rsa.token("rsa", &without("email")), forbidden),
        ("garbage", "a.b.c".to_owned(), unauthorized),
        ("empty", String::new(), unauthorized),
        ("very long", "a".repeat(20_000), unauthorized),
    ] {
        let (status, response) = session(&app, &token).await;
        assert_eq!(status, expected, "{name}: {response}");
    }
}

#[tokio::test]
async fn signature_algorithm_is_taken_from_the_key_not_the_token() {
    let rsa = TeamKey::rsa();
    let team = Team::start(vec![rsa.jwk("rsa")]).await;
    let app = team.app().await;
    assert_eq!(session(&app, &rsa.token("rsa", &team.claims())).await.0, StatusCode::OK);

    for alg in ["none", "None", "NONE", ""] {
        let unsigned = message(&json!({"alg": alg, "kid": "rsa"}), &team.claims());
        for token in [format!("{unsigned}."), unsigned.clone(), format!("{unsigned}.AA")] {
            assert_eq!(session(&app, &token).await.0, StatusCode::UNAUTHORIZED, "{alg}: {token}");
        }
    }
    // If the server took the public key for an HMAC secret, anyone could sign tokens.
    let TeamKey::Rsa(key) = &rsa else { unreachable!() };
    let jwk = rsa.jwk("rsa");
    let modulus = key.public_key().modulus().big_endian_without_leading_zero().to_vec();
    for secret in
        [key.public_key().as_ref().to_vec(), modulus, jwk["n"].as_str().unwrap().into(), jwk.to_string().into()]
    {
        let message = message(&json!({"alg": "HS256", "kid": "rsa"}), &team.claims());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        assert_eq!(session(&app, &format!("{message}.{}", encode(tag))).await.0, StatusCode::UNAUTHORIZED);
    }
    // A key inside the token is ignored.
    let own = TeamKey::rsa();
    let header = json!({"alg": "RS256", "kid": "rsa", "jwk": own.jwk("rsa"), "jku": team.url});
    assert_eq!(session(&app, &own.token_with_header(&header, &team.claims())).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn keys_are_fetched_after_a_rotation_but_not_for_each_unknown_key_id() {
    let (old, new) = (TeamKey::rsa(), TeamKey::rsa());
    let team = Team::start(vec![old.jwk("old")]).await;
    let app = team.app().await;
    assert_eq!(session(&app, &old.token("old", &team.claims())).await.0, StatusCode::OK);
    team.serve(Some(vec![new.jwk("new")]));
    assert_eq!(session(&app, &new.token("new", &team.claims())).await.0, StatusCode::OK);
    assert_eq!(session(&app, &old.token("old", &team.claims())).await.0, StatusCode::UNAUTHORIZED);
    let fetches = team.fetches.load(Ordering::SeqCst);
    for number in 0..20 {
        let token = new.token(&format!("made up {number}"), &team.claims());
        assert_eq!(session(&app, &token).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(team.fetches.load(Ordering::SeqCst), fetches);
    // Cached keys keep working while the team is unreachable.
    team.serve(None);
    assert_eq!(session(&app, &new.token("new", &team.claims())).await.0, StatusCode::OK);
}

#[tokio::test]
async fn unavailable_keys_return_503() {
    let key = TeamKey::rsa();
    let team = Team::start(vec![]).await;
    team.serve(None);
    let app = team.app().await;
    let (status, error) = session(&app, &key.token("key", &team.claims())).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")));
    assert!(!error.to_string().contains(&team.url), "{error}");
    team.serve(Some(vec![key.jwk("key")]));
    eventually("the keys are fetched", async || {
        (session(&app, &key.token("key", &team.claims())).await.0 == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn write_through_access_requires_own_origin_and_is_audited_as_owner() {
    let key = TeamKey::ec();
    let team = Team::start(vec![key.jwk("key")]).await;
    let app = team.app().await;
    let owner = client_with(&app, &key.token("key", &team.claims()));
    let create = json!({ "name": "By Access" });
    let (status, error) = owner.post("/admin/v1/projects", create.clone()).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::FORBIDDEN, Some("origin_not_allowed")));
    let elsewhere = owner.with_header("origin", "https://evil.test");
    assert_eq!(elsewhere.post("/admin/v1/projects", create.clone()).await.0, StatusCode::FORBIDDEN);
    let dashboard = owner.with_header("origin", &app.admin_url);
    assert_eq!(dashboard.post("/admin/v1/projects", create).await.0, StatusCode::CREATED);

    let (_, audit) = dashboard.get("/admin/v1/audit?action=project.create").await;
    let results: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|entry| (&entry["actor"], &entry["result"])).collect();
    assert_eq!(
        results,
        [(&json!(OWNER), &json!("success")), (&json!(OWNER), &json!("denied")), (&json!(OWNER), &json!("denied")),]
    );
}

#[tokio::test]
async fn unauthorized_names_the_method_of_signing_in() {
    let key = TeamKey::ec();
    let team = Team::start(vec![key.jwk("key")]).await;
    let with_both = team.app().await;
    let with_access = team.app_with_admin_token("").await;
    let with_token = TestApp::start().await;
    let stranger = TeamKey::ec().token("key", &team.claims());
    for (app, expected) in [(&with_both, "token"), (&with_access, "access"), (&with_token, "token")] {
        let anonymous = Client::new(&*app.admin_url);
        for client in [
            anonymous.clone(),
            anonymous.with_header("cookie", "atlashub_session=ended"),
            anonymous.with_header("x-dev-admin-token", "wrong"),
            client_with(app, &stranger),
        ] {
            let (status, error) = client.get("/admin/v1/session").await;
            let found = (status, error["error"]["details"]["signIn"].as_str());
            assert_eq!(found, (StatusCode::UNAUTHORIZED, Some(expected)), "{error}");
        }
    }
    let mut claims = team.claims();
    claims["email"] = "other@example.com".into();
    let (status, error) = session(&with_access, &key.token("key", &claims)).await;
    assert_eq!((status, &error["error"]["details"]), (StatusCode::FORBIDDEN, &Value::Null));
}
