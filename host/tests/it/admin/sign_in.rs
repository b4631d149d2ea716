//! Signing in during development (token, one-time code, session), and the checks of host and origin.

use api_types::Page;
use atlashub::admin::create_sign_in_code;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp};

const TOKEN: &str = "admin-token-of-the-tests";

fn anonymous(app: &TestApp) -> Client {
    Client::new(&*app.admin_url)
}

/// Signs in. Returns a client with the cookie, and the value of `Set-Cookie`.
async fn sign_in(app: &TestApp, body: Value) -> (Client, String) {
    let response = anonymous(app).request(Method::POST, "/admin/v1/session").json(&body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    let pair = cookie.split(';').next().unwrap().to_owned();
    (anonymous(app).with_header("cookie", &pair), cookie)
}

fn code_of(response: &(StatusCode, Value)) -> (u16, &str) {
    (response.0.as_u16(), response.1["error"]["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn all_admin_routes_but_sign_in_return_401_without_credentials() {
    let app = TestApp::start().await;
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    let mut checked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/admin/v1") {
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            if path == "/admin/v1/session" && method == "post" {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            let client = anonymous(&app).with_header("origin", &app.admin_url);
            let response = client.send(method.clone(), &path, Some(json!({}))).await;
            assert_eq!(code_of(&response), (401, "unauthorized"), "{method} {path}");
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
    for path in ["/admin/v1", "/admin/v1/", "/admin/v1/nothing", "/admin"] {
        assert_eq!(code_of(&anonymous(&app).get(path).await), (401, "unauthorized"), "{path}");
    }
    assert_eq!(anonymous(&app).get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn admin_token_signs_a_program_in() {
    let app = TestApp::start().await;
    let (status, session) = app.admin().get("/admin/v1/session").await;
    let expected = json!({
        "actor": "dev-token", "expiresAt": null, "method": "devToken", "signOutUrl": null, "id": null,
    });
    assert_eq!((status, session), (StatusCode::OK, expected));
    for wrong in ["admin-token-of-the-test", "admin-token-of-the-testsx", "ADMIN-TOKEN-OF-THE-TESTS"] {
        let client = anonymous(&app).with_header("x-dev-admin-token", wrong);
        assert_eq!(code_of(&client.get("/admin/v1/session").await), (401, "unauthorized"), "{wrong}");
    }
    // An empty header is like a missing one.
    let empty = anonymous(&app).with_header("x-dev-admin-token", "");
    assert_eq!(code_of(&empty.get("/admin/v1/session").await), (401, "unauthorized"));
    let (browser, _) = sign_in(&app, json!({ "token": TOKEN })).await;
    let browser = browser.with_header("x-dev-admin-token", "");
    assert_eq!(browser.get("/admin/v1/session").await.0, StatusCode::OK);
}

#[tokio::test]
async fn sign_in_code_works_once_and_cookie_until_sign_out() {
    let app = TestApp::start().await;
    let code = create_sign_in_code(app.app.platform()).await.unwrap();
    let (browser, cookie) = sign_in(&app, json!({ "code": code })).await;
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "`Secure`, although the server speaks HTTP on loopback: {cookie}");
    let again = anonymous(&app).post("/admin/v1/session", json!({ "code": code })).await;
    assert_eq!(code_of(&again), (401, "unauthorized"));

    let (status, session) = browser.get("/admin/v1/session").await;
    assert_eq!((status, session["actor"].as_str()), (StatusCode::OK, Some("session")), "{session}");
    assert_eq!(code_of(&browser.post("/admin/v1/projects", json!({"name": "x"})).await), (403, "origin_not_allowed"));
    let dashboard = browser.with_header("origin", &app.admin_url);
    assert_eq!(dashboard.post("/admin/v1/projects", json!({"name": "x"})).await.0, StatusCode::CREATED);

    let stored: Vec<(Vec<u8>, String)> =
        sqlx::query_as("SELECT hash, kind FROM admin_sessions").fetch_all(app.app.platform()).await.unwrap();
    assert_eq!(stored.len(), 1);
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    assert!(!stored[0].0.windows(8).any(|window| value.as_bytes().starts_with(window)));

    let (other_browser, _) = sign_in(&app, json!({ "token": TOKEN })).await;
    assert_eq!(dashboard.delete("/admin/v1/session").await.0, StatusCode::NO_CONTENT);
    assert_eq!(code_of(&browser.get("/admin/v1/session").await), (401, "unauthorized"));
    assert_eq!(other_browser.get("/admin/v1/session").await.0, StatusCode::OK);
}

#[tokio::test]
async fn session_is_extended_by_use_and_refused_after_expiry_or_with_another_admin_token() {
    let app = TestApp::start().await;
    let (browser, _) = sign_in(&app, json!({ "token": TOKEN })).await;
    let set_expiry = |when: &'static str| {
        let sql = format!("UPDATE admin_sessions SET expires_at = now() + interval '{when}'");
        let pool = app.app.platform().clone();
        async move { sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap() }
    };
    set_expiry("2 days").await;
    let used = browser.request(Method::GET, "/admin/v1/session").send().await.unwrap();
    assert!(used.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=2592000"));
    let left: f64 = sqlx::query_scalar("SELECT extract(epoch FROM expires_at - now())::float8 FROM admin_sessions")
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert!(left > 29.0 * 86_400.0, "{left}");
    let soon = browser.request(Method::GET, "/admin/v1/session").send().await.unwrap();
    assert!(!soon.headers().contains_key("set-cookie"));

    // A node with another admin token does not accept the session.
    let other = TestApp::builder()
        .database_url(app.services.database_url.expose())
        .var("DEV_ADMIN_TOKEN", "another-token-of-the-tests")
        .start()
        .await;
    let cookie = sign_in(&app, json!({ "token": TOKEN })).await.1;
    let moved = anonymous(&other).with_header("cookie", cookie.split(';').next().unwrap());
    assert_eq!(moved.get("/admin/v1/session").await.0, StatusCode::UNAUTHORIZED);

    set_expiry("-1 second").await;
    assert_eq!(browser.get("/admin/v1/session").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sign_in_requires_code_or_token_and_own_origin() {
    let app = TestApp::start().await;
    for body in [json!({}), json!({"code": "a", "token": "b"})] {
        assert_eq!(code_of(&anonymous(&app).post("/admin/v1/session", body).await), (400, "invalid_request"));
    }
    let wrong = anonymous(&app).post("/admin/v1/session", json!({"token": "wrong"})).await;
    assert_eq!(code_of(&wrong), (401, "unauthorized"));
    let foreign = anonymous(&app).with_header("origin", "https://evil.test");
    assert_eq!(code_of(&foreign.post("/admin/v1/session", json!({"token": TOKEN})).await), (403, "origin_not_allowed"));
    let code = create_sign_in_code(app.app.platform()).await.unwrap();
    sqlx::query("UPDATE admin_sessions SET expires_at = now() - interval '1 second'")
        .execute(app.app.platform())
        .await
        .unwrap();
    assert_eq!(code_of(&anonymous(&app).post("/admin/v1/session", json!({"code": code})).await), (401, "unauthorized"));
    // A session's cookie is not accepted as a code, and a code is not accepted as a cookie.
    let (_, cookie) = sign_in(&app, json!({ "token": TOKEN })).await;
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(
        code_of(&anonymous(&app).post("/admin/v1/session", json!({"code": value})).await),
        (401, "unauthorized")
    );
    let code = create_sign_in_code(app.app.platform()).await.unwrap();
    let as_cookie = anonymous(&app).with_header("cookie", &format!("atlashub_session={code}"));
    assert_eq!(as_cookie.get("/admin/v1/session").await.0, StatusCode::UNAUTHORIZED);
}

/// Guesses tokens until the IP address is limited. Returns the number of guesses before that.
async fn guess_until_limited(guess: &Client) -> u32 {
    for number in 0..10_000 {
        match code_of(&guess.get("/admin/v1/session").await) {
            (401, _) => {}
            (429, "rate_limited") => return number,
            other => panic!("{other:?}"),
        }
    }
    panic!("no guess was limited");
}

#[tokio::test]
async fn failed_sign_ins_are_rate_limited_and_audited_once() {
    let app = TestApp::start().await;
    let (browser, _) = sign_in(&app, json!({ "token": TOKEN })).await;
    let guess = anonymous(&app).with_header("x-dev-admin-token", "guess-guess-guess");
    // At least 200 wrong tokens get 401, so that a program with a wrong token gets the same error from each of many
    // routes.
    let refused = guess_until_limited(&guess).await;
    assert!(refused >= 200, "{refused}");
    let response = guess.request(Method::GET, "/admin/v1/session").send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    // The right token can't be guessed, so it is still accepted. Codes, right or wrong, have to wait.
    assert_eq!(app.admin().get("/admin/v1/session").await.0, StatusCode::OK);
    sign_in(&app, json!({ "token": TOKEN })).await;
    let mut attempts = 0;
    loop {
        guess_until_limited(&guess).await;
        let by_wrong_token = anonymous(&app).post("/admin/v1/session", json!({ "token": "wrong" })).await;
        let code = create_sign_in_code(app.app.platform()).await.unwrap();
        let by_code = anonymous(&app).post("/admin/v1/session", json!({ "code": code })).await;
        let limited = (429, "rate_limited");
        if code_of(&by_wrong_token) == limited && code_of(&by_code) == limited {
            break;
        }
        // On a busy machine, the IP address may no longer be limited.
        attempts += 1;
        assert!(attempts < 20, "{by_wrong_token:?} {by_code:?}");
    }
    // Existing sessions are not affected.
    let (status, audit) = browser.get("/admin/v1/audit?action=admin.sign_in&result=denied").await;
    assert_eq!(status, StatusCode::OK);
    let page: Page<api_types::AuditEntry> = serde_json::from_value(audit.clone()).unwrap();
    assert_eq!(page.items.len(), 1, "{audit}");
    assert_eq!(page.items[0].details["by"], "token");
    assert_eq!(page.items[0].address.as_deref(), Some("127.0.0.1"));
    assert!(!audit.to_string().contains("guess-guess-guess"));
}

#[tokio::test]
async fn writes_require_own_origin_except_from_programs_with_the_admin_token() {
    let app = TestApp::start().await;
    let (browser, _) = sign_in(&app, json!({ "token": TOKEN })).await;
    let own = app.admin_url.as_str();
    let same_name = own.replace("127.0.0.1", "localhost");
    let https = own.replace("http://", "https://");
    for (origin, site, cookie_expected, token_expected) in [
        (Some(own), Some("same-origin"), true, true),
        (Some(own), None, true, true),
        (Some(&*https), None, true, true),
        (None, None, false, true),
        (None, Some("same-origin"), false, false),
        (None, Some("none"), false, false),
        (Some(own), Some("cross-site"), false, false),
        (Some("http://127.0.0.1:1"), Some("same-site"), false, false),
        (Some(&*same_name), Some("cross-site"), false, false),
        (Some(&*same_name), None, false, false),
        (Some("null"), None, false, false),
        (Some("https://evil.test"), None, false, false),
    ] {
        for (client, expected) in [(&browser, cookie_expected), (&app.admin(), token_expected)] {
            let mut client = client.clone();
            if let Some(origin) = origin {
                client = client.with_header("origin", origin);
            }
            if let Some(site) = site {
                client = client.with_header("sec-fetch-site", site);
            }
            let response = client.delete("/admin/v1/projects/nosuchproject").await;
            let passed = code_of(&response).1 != "origin_not_allowed";
            assert_eq!(passed, expected, "{origin:?} {site:?} {response:?}");
            // Reads are allowed: browsers do not show the response to a foreign page.
            assert_eq!(client.get("/admin/v1/session").await.0, StatusCode::OK, "{origin:?} {site:?}");
        }
    }
}

#[tokio::test]
async fn unknown_host_names_return_403() {
    let app = TestApp::builder().var("ATLASHUB_ADMIN_HOSTS", "hub.example.com").start().await;
    let port = app.admin_url.rsplit(':').next().unwrap();
    for (host, expected) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        ("localhost".to_owned(), 200),
        ("[::1]:8081".to_owned(), 200),
        ("127.1.2.3".to_owned(), 200),
        ("hub.example.com".to_owned(), 200),
        ("HUB.example.com:443".to_owned(), 200),
        (format!("evil.test:{port}"), 403),
        ("hub.example.com.evil.test".to_owned(), 403),
        ("localhost.evil.test".to_owned(), 403),
        ("10.0.0.1".to_owned(), 403),
        ("0.0.0.0".to_owned(), 403),
    ] {
        let client = app.admin().with_header("host", &host);
        let response = client.get("/admin/v1/session").await;
        assert_eq!(response.0.as_u16(), expected, "{host}: {response:?}");
        if expected == 403 {
            assert_eq!(code_of(&response).1, "host_not_allowed");
            assert_eq!(response.1["error"]["message"], "The admin listener does not accept this host name.");
        }
        assert_eq!(client.get("/healthz").await.0, StatusCode::OK, "{host}");
    }
    let signing_in = anonymous(&app).with_header("host", "evil.test");
    assert_eq!(
        code_of(&signing_in.post("/admin/v1/session", json!({"token": TOKEN})).await),
        (403, "host_not_allowed")
    );
}
