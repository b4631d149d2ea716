//! Requests that browsers send from pages of other origins.

use reqwest::Method;

use crate::support::{TestServer, http};

const ORIGIN: &str = "https://app.example";

#[tokio::test]
async fn preflight_succeeds_for_any_origin() {
    let server = TestServer::start().await;
    for method in ["GET", "PUT", "POST", "HEAD", "DELETE"] {
        let preflight = http()
            .request(Method::OPTIONS, server.url("/files/a/b?X-Amz-Signature=1"))
            .header("origin", ORIGIN)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "content-type,x-amz-meta-a")
            .header("access-control-request-private-network", "true");
        let response = preflight.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert!(headers["access-control-allow-methods"].to_str().unwrap().contains(method));
        assert_eq!(headers["access-control-allow-headers"], "content-type,x-amz-meta-a");
        assert_eq!(headers["access-control-allow-private-network"], "true");
    }
}

#[tokio::test]
async fn pages_of_other_origins_can_read_responses() {
    let server = TestServer::start().await;
    let http = http();
    let url = server.sign_put("a", |put| put).await;
    let put = http.put(url.uri()).header("origin", ORIGIN).body("x").send().await.unwrap();
    assert_eq!(put.status(), 200);
    assert_eq!(put.headers()["access-control-allow-origin"], "*");
    let exposed = put.headers()["access-control-expose-headers"].to_str().unwrap().to_lowercase();
    assert!(exposed.split(',').any(|name| name == "etag"), "{exposed}");
    // A page must be able to read error responses too.
    let rejected = http.put(server.url("/files/a")).header("origin", ORIGIN).body("x").send().await.unwrap();
    assert_eq!(rejected.status(), 403);
    assert_eq!(rejected.headers()["access-control-allow-origin"], "*");
}
