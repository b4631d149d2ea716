use reqwest::Method;

use crate::support::{TestServer, http};

const ORIGIN: &str = "https://app.example";

#[tokio::test]
async fn preflights_are_answered() {
    let server = TestServer::start().await;
    for method in ["GET", "PUT", "POST", "HEAD", "DELETE"] {
        let preflight = http()
            .request(Method::OPTIONS, server.url("/files/a/b?X-Amz-Signature=1"))
            .header("origin", ORIGIN)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "content-type,x-amz-meta-a")
            .header("access-control-request-private-network", "true");
        let answer = preflight.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let headers = answer.headers();
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert!(headers["access-control-allow-methods"].to_str().unwrap().contains(method));
        assert_eq!(headers["access-control-allow-headers"], "content-type,x-amz-meta-a");
        assert_eq!(headers["access-control-allow-private-network"], "true");
    }
}

#[tokio::test]
async fn pages_of_other_origins_can_read_answers() {
    let server = TestServer::start().await;
    let http = http();
    let url = server.sign_put("a", |put| put).await;
    let put = http.put(url.uri()).header("origin", ORIGIN).body("x").send().await.unwrap();
    assert_eq!(put.status(), 200);
    assert_eq!(put.headers()["access-control-allow-origin"], "*");
    let exposed = put.headers()["access-control-expose-headers"].to_str().unwrap().to_lowercase();
    assert!(exposed.split(',').any(|name| name == "etag"), "{exposed}");
    // A page must be able to tell why it was refused.
    let refused = http.put(server.url("/files/a")).header("origin", ORIGIN).body("x").send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
}
