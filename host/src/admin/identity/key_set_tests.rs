//! Tests of the cache of keys, with a key endpoint on loopback.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex as SyncMutex;
use serde_json::{Value, json};

use super::*;

/// A team's key endpoint on loopback. The test sets its response.
struct Team {
    url: String,
    response: Arc<SyncMutex<(u16, String)>>,
    fetches: Arc<AtomicUsize>,
}

impl Team {
    async fn start(keys: Value) -> Self {
        let response = Arc::new(SyncMutex::new((200, json!({ "keys": keys }).to_string())));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (shared_response, shared_fetches) = (response.clone(), fetches.clone());
        let respond = move || {
            shared_fetches.fetch_add(1, Ordering::SeqCst);
            let (status, body) = shared_response.lock().clone();
            async move { (axum::http::StatusCode::from_u16(status).unwrap(), body) }
        };
        let router = axum::Router::new().fallback(respond);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/certs", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, response, fetches }
    }

    fn serve(&self, status: u16, body: &str) {
        *self.response.lock() = (status, body.to_owned());
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

fn rsa(id: &str) -> Value {
    json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "e": "AQAB", "n": "sXch"})
}

fn ages(min_fetch_interval_ms: u64, fresh_ms: u64, usable_ms: u64) -> CacheAges {
    let ms = Duration::from_millis;
    CacheAges {
        min_fetch_interval: ms(min_fetch_interval_ms),
        retry_interval: ms(0),
        fresh: ms(fresh_ms),
        usable: ms(usable_ms),
    }
}

const LONG: u64 = 3_600_000;

#[tokio::test]
async fn rotated_key_is_fetched_and_unknown_ids_cause_no_fetches() {
    let team = Team::start(json!([rsa("one")])).await;
    let keys = KeySet::new(team.url.clone(), ages(LONG, LONG, LONG)).unwrap();
    assert!(keys.key("one").await.is_ok());
    assert!(keys.key("one").await.is_ok());
    assert_eq!(team.fetches(), 1);
    team.serve(200, &json!({ "keys": [rsa("two")] }).to_string());
    assert!(keys.key("two").await.is_ok());
    assert!(matches!(keys.key("one").await, Err(KeyError::Unknown)));
    for number in 0..20 {
        assert!(matches!(keys.key(&format!("made up {number}")).await, Err(KeyError::Unknown)));
    }
    assert_eq!(team.fetches(), 2);
}

#[tokio::test]
async fn concurrent_callers_share_one_fetch() {
    let team = Team::start(json!([rsa("one")])).await;
    let keys = KeySet::new(team.url.clone(), ages(LONG, LONG, LONG)).unwrap();
    let found = futures_util::future::join_all((0..20).map(|_| keys.key("one"))).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(team.fetches(), 1);
}

#[tokio::test]
async fn old_keys_are_refetched_and_used_during_an_outage() {
    let team = Team::start(json!([rsa("one")])).await;
    let keys = KeySet::new(team.url.clone(), ages(0, 0, LONG)).unwrap();
    assert!(keys.key("one").await.is_ok());
    assert!(keys.key("one").await.is_ok());
    assert_eq!(team.fetches(), 2);
    team.serve(500, "");
    assert!(keys.key("one").await.is_ok());
    assert!(matches!(keys.key("two").await, Err(KeyError::Unknown)));
    let keys = KeySet::new(team.url.clone(), ages(0, 0, 0)).unwrap();
    team.serve(200, &json!({ "keys": [rsa("one")] }).to_string());
    assert!(matches!(keys.key("one").await, Err(KeyError::Unavailable(_))), "too old to be used");
}

#[tokio::test]
async fn missing_keys_are_reported_as_unavailable() {
    let team = Team::start(json!([])).await;
    let keys = KeySet::new(team.url.clone(), ages(LONG, LONG, LONG)).unwrap();
    for (status, body) in [
        (200, json!({"keys": []}).to_string()),
        (200, "<html>".to_owned()),
        (200, format!("{{\"keys\": [{}{}]}}", rsa("one"), " ".repeat(MAX_BODY_BYTES))),
        (302, String::new()),
        (503, String::new()),
    ] {
        team.serve(status, &body);
        assert!(matches!(keys.key("one").await, Err(KeyError::Unavailable(_))), "{status}");
    }
    team.serve(200, &json!({"keys": [rsa("one")]}).to_string());
    assert!(keys.key("one").await.is_ok());
    let nowhere = KeySet::new("http://127.0.0.1:1/certs".to_owned(), CacheAges::default()).unwrap();
    assert!(matches!(nowhere.key("one").await, Err(KeyError::Unavailable(_))));
}

#[test]
fn only_signing_keys_of_known_algorithms_are_used() {
    let point = "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0";
    let ec = |id: &str, curve: &str| json!({"kty": "EC", "kid": id, "crv": curve, "x": point, "y": point});
    let mut encrypting = rsa("encrypting");
    encrypting["use"] = "enc".into();
    let mut other_algorithm = rsa("other");
    other_algorithm["alg"] = "RS512".into();
    let set = json!({"keys": [
        rsa("rsa"), ec("ec", "P-256"), ec("ec384", "P-384"), encrypting, other_algorithm,
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}, {"kty": "unheard of", "kid": "new"},
        {"kty": "RSA", "e": "AQAB", "n": "sXch"},
    ]});
    let keys = parse(set.to_string().as_bytes()).unwrap();
    let mut found: Vec<_> = keys.iter().map(|(id, key)| (id.as_str(), key.algorithm)).collect();
    found.sort_by_key(|(id, _)| *id);
    assert_eq!(found, [("ec", Algorithm::ES256), ("rsa", Algorithm::RS256)]);
}
