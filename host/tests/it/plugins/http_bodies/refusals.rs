//! Exchanges with streamed bodies that are refused.

use atlashub::plugins::runtime::HostLimits;
use plugin_manifest::Scope;
use serde_json::{Value, json};

use super::{limits, platform};
use crate::{
    plugins::guests::{everything, result_of},
    support::{WebResponse, WebServer},
};

#[tokio::test]
async fn hosts_outside_the_scope_and_the_allowlist_are_not_reached() {
    let outside = WebServer::start(|_| WebResponse::status(200)).await;
    let target = outside.url("/");
    let target = target.replace("127.0.0.1", "localhost");
    let redirect = target.clone();
    let server = WebServer::start(move |_| WebResponse::redirect(302, &redirect)).await;
    let named = format!("localhost:{}+private", outside.address.port());
    let platform = platform(&[&server.entry(), &named]).await;
    let scope = Scope { hosts: vec!["127.0.0.1".to_owned()], ..everything() };
    let refused = async |params: Value| {
        platform.guest_with(HostLimits::default(), scope.clone(), "open", params).await.failure().await
    };
    let expected = "does not include host `localhost`";
    assert!(refused(json!({ "url": target })).await.contains(expected));
    let params = json!({ "url": server.url("/"), "maxRedirects": 1, "method": "POST", "write": 10 });
    let failure = refused(params).await;
    assert!(failure.contains(expected), "{failure}");
    let failure = refused(json!({ "url": "http://127.0.0.1:9/" })).await;
    assert!(failure.contains("is not on the allowlist"), "{failure}");
    assert_eq!((server.count(), outside.count()), (1, 0));
    // If the scope includes every host, the redirect is followed, without the body.
    let params = json!({ "url": server.url("/"), "maxRedirects": 1, "method": "POST", "write": 10 });
    assert_eq!(platform.open(params).await["status"], 200);
    let request = outside.next().await;
    assert_eq!((request.method.as_str(), request.body.as_str()), ("GET", ""));
}

#[tokio::test]
async fn streamed_body_is_not_sent_twice() {
    let server = WebServer::start(|request| match request.target.strip_prefix('/').unwrap_or_default() {
        "" => WebResponse::status(200),
        status => WebResponse::redirect(status.parse().unwrap(), "/"),
    })
    .await;
    let platform = platform(&[&server.entry()]).await;
    let request =
        |path: &str, method: &str| json!({ "url": server.url(path), "method": method, "write": 10, "maxRedirects": 2 });
    for (path, method) in [("/307", "POST"), ("/308", "PUT"), ("/302", "PUT")] {
        let failure = platform.refusal(request(path, method)).await;
        assert!(failure.contains("the body is a stream, which can't be sent a second time"), "{path}: {failure}");
    }
    assert_eq!(server.count(), 3);
    for path in ["/301", "/302", "/303"] {
        assert_eq!(platform.open(request(path, "POST")).await["status"], 200, "{path}");
    }
    assert_eq!(server.count(), 9);
    // Without redirects, the response itself is returned.
    let once = json!({ "url": server.url("/307"), "method": "POST", "write": 10 });
    assert_eq!(platform.open(once).await["status"], 307);
}

#[tokio::test]
async fn invalid_streamed_bodies_are_refused() {
    let server = WebServer::start(|_| WebResponse::status(200)).await;
    let platform = platform(&[&server.entry()]).await;
    platform.put("uploads/a", vec![b'a'; 1000]).await;
    for length in [999, 1001] {
        let body = platform.object("uploads/a");
        let params = json!({ "url": server.url("/"), "method": "POST", "body": body, "contentLength": length });
        let failure = platform.refusal(params).await;
        assert!(failure.contains("of its content length"), "{failure}");
    }
    for method in ["GET", "HEAD"] {
        let failure = platform.refusal(json!({ "url": server.url("/"), "method": method, "write": 10 })).await;
        assert!(failure.contains("can't have a streamed body"), "{failure}");
    }
    let guest = platform.guest("opened-twice", json!({})).await;
    result_of(guest.run().await);
    let fields = guest.recorded.lines.lock().unwrap()[0].2.clone();
    assert!(fields["both"].as_str().unwrap().contains("leave one of them out"), "{fields}");
    assert!(fields["length"].as_str().unwrap().contains("only with a streamed body"), "{fields}");
    // No request was complete.
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn run_has_a_limited_number_of_open_exchanges() {
    let server = WebServer::start(|_| WebResponse::with(200, &[], b"x")).await;
    let platform = platform(&[&server.entry()]).await;
    let params = json!({ "call": "open-http", "count": 100, "name": server.url("/") });
    let outcomes = result_of(platform.guest("calls", params).await.run().await);
    // The others are refused before they reach the server.
    assert_eq!(outcomes, json!({ "ok": 8, "TooLarge": 92 }));
    assert_eq!(server.count(), 8);
    // This limit is enough memory for five of the requests.
    let few = limits(|config| config.call_memory_mib = 7);
    let params = json!({ "call": "open-http", "count": 8, "name": server.url("/") });
    let outcomes = result_of(platform.guest_with(few, everything(), "calls", params).await.run().await);
    assert_eq!(outcomes, json!({ "ok": 5, "TooLarge": 3 }));
    // All permits are free again.
    let params = json!({ "call": "open-http", "count": 8, "name": server.url("/") });
    assert_eq!(result_of(platform.guest("calls", params).await.run().await), json!({ "ok": 8 }));
}
