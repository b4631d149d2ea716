//! The gate of the public surface: request ids, limits, CORS, user tokens.

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject, eventually};

#[tokio::test]
async fn responses_name_a_request_id_of_the_server() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/v1/db/tables", "/nothing"] {
        let response = app.public().request(Method::GET, path).header("x-request-id", "mine").send().await.unwrap();
        let header = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_ne!(header, "mine");
        let body: Value = response.json().await.unwrap();
        if let Some(id) = body["error"]["requestId"].as_str() {
            assert_eq!(id, header);
        }
    }
}

#[tokio::test]
async fn requests_above_the_rate_limit_return_429_with_retry_after() {
    let app = TestApp::builder().var("ATLASHUB_RATE_LIMIT_PUBLISHABLE", "1").start().await;
    let project = app.create_project("Rate").await;
    // Two requests are possible at once, and one more every second. So some of these 30 are refused, even on a
    // busy machine.
    let requests = (0..30).map(|_| project.publishable().request(Method::GET, "/v1/db/tables").send());
    let mut statuses = Vec::new();
    for response in join_all(requests).await {
        let response = response.unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        }
        statuses.push(response.status());
    }
    let count = |expected: StatusCode| statuses.iter().filter(|status| **status == expected).count();
    assert!(count(StatusCode::OK) >= 2 && count(StatusCode::TOO_MANY_REQUESTS) > 0, "{statuses:?}");
    // The secret key has its own limit.
    assert_eq!(project.secret().get("/v1/db/tables").await.0, StatusCode::OK);
}

#[tokio::test]
async fn guessing_keys_is_rate_limited() {
    let app = TestApp::start().await;
    let client = app.public().with_header("x-api-key", &format!("ah_sec_{}", "a".repeat(43)));
    // Forty guesses are possible at once, and twenty more every second.
    let guesses = join_all((0..200).map(|_| client.get("/v1/db/tables"))).await;
    assert!(guesses.iter().any(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn body_above_limit_returns_413_and_wrong_content_type_415() {
    let app = TestApp::builder().var("ATLASHUB_BODY_LIMIT_BYTES", "2048").start().await;
    let project = app.create_project("Bodies").await;
    project.sql("CREATE TABLE t (a text)").await;
    let (status, error) = project.secret().post("/v1/db/t", json!({ "rows": [{ "a": "x".repeat(4096) }] })).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("body_too_large")));
    let send = |kind: &'static str, body: &'static str| {
        project.secret().request(Method::POST, "/v1/db/t").header("content-type", kind).body(body).send()
    };
    assert_eq!(send("text/plain", "{}").await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send("application/json", "{").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        send("application/json; charset=utf-8", r#"{"rows":[{"a":"b"}]}"#).await.unwrap().status(),
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn slow_statement_is_stopped_with_504() {
    let app = TestApp::builder().var("ATLASHUB_REQUEST_TIMEOUT_SECONDS", "1").start().await;
    let project = app.create_project("Slow").await;
    project.sql("CREATE VIEW slow AS SELECT 1 AS a FROM pg_sleep(30)").await;
    let (status, error) = project.secret().get("/v1/db/slow").await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::GATEWAY_TIMEOUT, Some("timeout")), "{error}");
    project.sql("CREATE TABLE quick (a int)").await;
    // On a busy machine, a second may be too short for this table too.
    eventually("the other table is read", async || project.secret().get("/v1/db/quick").await.0 == StatusCode::OK)
        .await;
}

#[tokio::test]
async fn unsupported_methods_of_health_checks_return_an_error_body() {
    let app = TestApp::start().await;
    for client in [app.public(), app.admin()] {
        for path in ["/healthz", "/readyz"] {
            let (status, error) = client.post(path, json!({})).await;
            assert_eq!(
                (status, error["error"]["code"].as_str()),
                (StatusCode::METHOD_NOT_ALLOWED, Some("method_not_allowed")),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn options_need_no_key() {
    let app = TestApp::start().await;
    for path in ["/v1/db/items", "/v1/auth/login", "/v1/storage/signed-upload"] {
        let options = || app.public().request(Method::OPTIONS, path);
        let response = options().send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
        assert!(!response.headers().contains_key("access-control-allow-origin"), "{path}");
        let response = options().header("origin", "https://app.example").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
        assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example", "{path}");
        assert_eq!(response.headers()["access-control-allow-methods"], "GET, POST, PATCH, DELETE", "{path}");
    }
}

#[tokio::test]
async fn preflight_allows_any_origin_and_requests_are_checked() {
    let app = TestApp::start().await;
    let project = app.create_project("Origins").await;
    let preflight = app
        .public()
        .request(Method::OPTIONS, "/v1/db/items")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-api-key, content-type")
        .send()
        .await
        .unwrap();
    assert!(preflight.status().is_success());
    assert_eq!(preflight.headers()["access-control-allow-headers"], "x-api-key, content-type");
    let get = async |origin: &str| {
        project.publishable().request(Method::GET, "/v1/db/tables").header("origin", origin).send().await.unwrap()
    };
    assert_eq!(get("https://app.example.com").await.status(), StatusCode::FORBIDDEN);
    for (wrong, ok) in
        [("https://app.example.com/", false), ("app.example.com", false), ("https://app.example.com", true)]
    {
        let (status, body) = app.admin().patch(&project.path(""), json!({ "corsOrigins": [wrong] })).await;
        assert_eq!(status.is_success(), ok, "{body}");
    }
    let allowed = get("https://app.example.com").await;
    assert_eq!(allowed.status(), StatusCode::OK);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example.com");
    assert_eq!(get("https://evil.example.com").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn refused_origin_can_read_the_error_but_no_data() {
    let app = TestApp::start().await;
    let project = app.create_project("Refused origins").await;
    project.sql("CREATE TABLE notes (id int PRIMARY KEY); ALTER TABLE notes ENABLE ROW LEVEL SECURITY").await;
    project.expose("notes", "write", "none").await;
    let origin = "https://app.example.com";
    let wrong_key = app.public().with_header("x-api-key", &format!("ah_pub_{}", "a".repeat(43)));
    for (client, status, code) in [
        (project.publishable(), StatusCode::FORBIDDEN, "origin_not_allowed"),
        (wrong_key, StatusCode::UNAUTHORIZED, "unauthorized"),
        (app.public(), StatusCode::UNAUTHORIZED, "unauthorized"),
    ] {
        let response = client.request(Method::GET, "/v1/db/notes").header("origin", origin).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], origin);
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["error"]["code"], body.as_object().unwrap().len()), (&json!(code), 1), "{body}");
    }
    let browser = project.publishable().with_header("origin", origin);
    let insert = json!({ "rows": [{ "id": 1 }] });
    assert_eq!(browser.post("/v1/db/notes", insert).await.0, StatusCode::FORBIDDEN);
    let (_, notes) = project.secret().get("/v1/db/notes").await;
    assert_eq!(notes["rows"], json!([]), "{notes}");
}

#[tokio::test]
async fn requests_with_x_retry_count_pass_cors() {
    let app = TestApp::start().await;
    let project = app.create_project("Retries").await;
    app.admin().patch(&project.path(""), json!({ "corsOrigins": ["https://app.example.com"] })).await;
    let request = |method: Method| {
        project.publishable().request(method, "/v1/db/tables").header("origin", "https://app.example.com")
    };
    for requested in [Some("x-api-key, x-retry-count"), None] {
        let mut preflight = request(Method::OPTIONS).header("access-control-request-method", "GET");
        if let Some(requested) = requested {
            preflight = preflight.header("access-control-request-headers", requested);
        }
        let preflight = preflight.send().await.unwrap();
        let allowed = preflight.headers()["access-control-allow-headers"].to_str().unwrap().to_owned();
        assert!(allowed.contains("x-retry-count") && allowed.contains("x-api-key"), "{allowed}");
    }
    let response = request(Method::GET).header("x-retry-count", "2").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// Returns an access token of a signed-in user. `change` may change its claims and header first.
pub async fn user_token(app: &TestApp, project: &TestProject, change: impl FnOnce(&mut Value, &mut Header)) -> String {
    let signing =
        atlashub::projects::signing_key(app.app.platform(), &app.app.projects().sealer, &project.id).await.unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(signing.kid);
    let mut claims = json!({
        "sub": "7b0f8a4e-36c1-4c0b-9d4e-0a1c2e3f4a5b", "role": "member", "email": "a@example.com",
        "aud": project.id, "iss": app.app.gate().tokens.issuer(&project.id),
        "exp": chrono::Utc::now().timestamp() + 600, "iat": chrono::Utc::now().timestamp(),
    });
    change(&mut claims, &mut header);
    jsonwebtoken::encode(&header, &claims, &signing.key).unwrap()
}

#[tokio::test]
async fn user_token_applies_row_level_security() {
    let app = TestApp::start().await;
    let project = app.create_project("Users").await;
    project
        .sql(
            "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON notes USING (
                 owner = auth.uid() AND auth.role() = 'member' AND auth.jwt()->>'email' = 'a@example.com');
             INSERT INTO notes VALUES
                 (1, '7b0f8a4e-36c1-4c0b-9d4e-0a1c2e3f4a5b', 'mine'), (2, gen_random_uuid(), 'theirs')",
        )
        .await;
    project.expose("notes", "none", "write").await;
    let bearer = format!("Bearer {}", user_token(&app, &project, |_, _| {}).await);
    for client in [project.secret(), project.publishable()] {
        let (status, body) = client.with_header("authorization", &bearer).get("/v1/db/notes?select=id").await;
        assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 1 }])), "{body}");
    }
    let user = project.publishable().with_header("authorization", &bearer);
    let (status, body) = user.patch("/v1/db/notes?gte.id=1", json!({ "values": { "body": "changed" } })).await;
    assert_eq!((status, body["count"].as_i64()), (StatusCode::OK, Some(1)), "{body}");
    let stranger = json!({ "rows": [{ "id": 3, "owner": "00000000-0000-0000-0000-000000000000" }] });
    assert_eq!(user.post("/v1/db/notes", stranger).await.0, StatusCode::FORBIDDEN);
    // Without a token the secret key sees all rows, and the publishable key none.
    assert_eq!(project.secret().get("/v1/db/notes").await.1["rows"].as_array().unwrap().len(), 2);
    assert!(project.publishable().get("/v1/db/notes").await.0.is_client_error());
}

#[tokio::test]
async fn invalid_user_token_returns_401_with_any_key() {
    let app = TestApp::start().await;
    let project = app.create_project("Tokens").await;
    let other = app.create_project("Other").await;
    let now = chrono::Utc::now().timestamp();
    let mut wrong = vec![
        user_token(&app, &project, |claims, _| claims["exp"] = json!(now - 60)).await,
        user_token(&app, &project, |claims, _| claims["aud"] = json!("other")).await,
        user_token(&app, &project, |claims, _| claims["iss"] = json!("https://evil.example.com")).await,
        user_token(&app, &project, |claims, _| claims["nbf"] = json!(now + 600)).await,
        user_token(&app, &project, |claims, _| drop(claims.as_object_mut().unwrap().remove("exp"))).await,
        user_token(&app, &project, |claims, _| drop(claims.as_object_mut().unwrap().remove("sub"))).await,
        user_token(&app, &project, |_, header| header.kid = Some("unknown".into())).await,
        user_token(&app, &project, |_, header| header.kid = None).await,
        user_token(&app, &other, |_, _| {}).await,
        "not.a.token".to_owned(),
    ];
    let claims =
        json!({ "sub": "x", "aud": project.id, "iss": app.app.gate().tokens.issuer(&project.id), "exp": now + 600 });
    wrong.push(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"x")).unwrap());
    let mut forged = user_token(&app, &project, |_, _| {}).await;
    forged.replace_range(forged.len() - 6..forged.len() - 2, "AAAA");
    wrong.push(forged);
    for token in wrong {
        for client in [project.secret(), project.publishable()] {
            let (status, body) =
                client.with_header("authorization", &format!("Bearer {token}")).get("/v1/db/tables").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
        }
    }
    let (status, _) = project.secret().with_header("authorization", "Basic YTpi").get("/v1/db/tables").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn metrics_and_openapi_are_only_on_the_admin_surface() {
    let app = TestApp::builder().var("ATLASHUB_METRICS_TOKEN", "a-metrics-token-of-the-test").start().await;
    for path in ["/metrics", "/openapi.json", "/admin/v1/projects", "/"] {
        assert_eq!(app.public().get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let admin = crate::support::Client::new(&*app.admin_url);
    let metrics = |token: Option<&'static str>| {
        let request = admin.request(Method::GET, "/metrics");
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
        .send()
    };
    assert_eq!(metrics(None).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(metrics(Some("wrong")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let text = metrics(Some("a-metrics-token-of-the-test")).await.unwrap().text().await.unwrap();
    assert!(text.contains("atlashub_http_requests_total"), "{text}");
    let (status, document) = admin.get("/openapi.json").await;
    assert_eq!((status, document["openapi"].as_str()), (StatusCode::OK, Some("3.1.0")));
}
