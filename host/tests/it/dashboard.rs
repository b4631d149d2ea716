//! The dashboard on the admin surface. These tests pass with and without a built dashboard.

use reqwest::{Method, StatusCode, header};

use crate::support::{Client, TestApp};

/// The header `Accept` of a browser that opens a page.
const NAVIGATION: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

async fn get(app: &TestApp, path: &str, accept: &str) -> reqwest::Response {
    let request = Client::new(&*app.admin_url).request(Method::GET, path).header(header::ACCEPT, accept);
    request.send().await.unwrap()
}

#[tokio::test]
async fn addresses_other_than_api_paths_return_the_page_to_browsers() {
    let app = TestApp::start().await;
    for path in ["/", "/projects", "/projects/proj_x/tables?table=a%2Fb", "/sign-in?next=%2Fjobs", "/a/b/c", "/adminx"]
    {
        let response = get(&app, path, NAVIGATION).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8", "{path}");
        assert!(response.text().await.unwrap().contains("AtlasHub"), "{path}");
    }
    for (path, status) in [
        ("/admin/nothing", StatusCode::UNAUTHORIZED),
        ("/v1/db/tables", StatusCode::NOT_FOUND),
        ("/healthz/nothing", StatusCode::NOT_FOUND),
        ("/assets/nothing.js", StatusCode::NOT_FOUND),
    ] {
        let response = get(&app, path, NAVIGATION).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/json", "{path}");
    }
}

#[tokio::test]
async fn programs_get_404_at_addresses_of_pages() {
    let app = TestApp::start().await;
    for accept in ["*/*", "application/json"] {
        assert_eq!(get(&app, "/projects", accept).await.status(), StatusCode::NOT_FOUND, "{accept}");
    }
    let post = Client::new(&*app.admin_url).request(Method::POST, "/projects").header(header::ACCEPT, NAVIGATION);
    assert_eq!(post.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn page_forbids_foreign_content_and_framing() {
    let app = TestApp::start().await;
    let response = get(&app, "/projects", NAVIGATION).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    for part in
        ["default-src 'self'", "script-src 'self' 'wasm-unsafe-eval';", "frame-ancestors 'none'", "object-src 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("'unsafe-eval'") && !policy.contains('*'), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
}

/// Checks the dashboard's own files, if this test program contains them.
#[tokio::test]
async fn assets_are_compressed_and_cached_forever() {
    let app = TestApp::start().await;
    let page = get(&app, "/", NAVIGATION).await.text().await.unwrap();
    let assets: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    // This client does not decompress responses.
    let http = reqwest::Client::builder().no_proxy().no_brotli().build().unwrap();
    for asset in &assets {
        let response = http.get(app.admin().url(asset)).header(header::ACCEPT_ENCODING, "br").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{asset}");
        let headers = response.headers();
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable", "{asset}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{asset}");
        if !asset.ends_with(".woff2") {
            assert_eq!(headers["content-encoding"], "br", "{asset}");
        }
    }
    let is_built = !page.contains("contains no dashboard");
    assert_eq!(is_built, !assets.is_empty());
}
