//! Outgoing HTTP requests: only to allowed hosts and checked IP addresses, and within their limits.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use atlashub::{
    config::{AllowedHosts, Secret, TrustedCertificates},
    egress::{
        Egress, EgressBody, EgressError, EgressHeader, EgressRequest, EgressResponse, MAX_RESPONSE_BYTES, ResolveHost,
    },
};
use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Client, Postgres, ProgramVars, WebResponse, WebServer};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

fn egress(list: &str) -> Egress {
    Egress::new(AllowedHosts::parse(list).unwrap(), &TrustedCertificates::default()).unwrap()
}

fn get(url: &str) -> EgressRequest {
    EgressRequest { timeout: REQUEST_TIMEOUT, ..EgressRequest::new("GET", url) }
}

async fn send(egress: &Egress, request: EgressRequest) -> Result<EgressResponse, EgressError> {
    egress.send(request, &["*".to_owned()]).await
}

/// A resolver with prepared results: each lookup returns the next one, and then the last one repeatedly.
#[derive(Clone)]
struct PreparedResolver {
    results: Arc<Mutex<Vec<Vec<IpAddr>>>>,
    lookups: Arc<AtomicUsize>,
}

impl PreparedResolver {
    fn new(results: &[&[&str]]) -> Self {
        let parse = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self { results: Arc::new(Mutex::new(results.iter().map(parse).collect())), lookups: Arc::default() }
    }

    fn egress(&self, list: &str) -> Egress {
        Egress::with_resolver(AllowedHosts::parse(list).unwrap(), &TrustedCertificates::default(), self.clone())
            .unwrap()
    }
}

impl ResolveHost for PreparedResolver {
    fn resolve<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let mut results = self.results.lock().unwrap();
        let result = if results.len() > 1 { results.remove(0) } else { results[0].clone() };
        async move { Ok(result) }.boxed()
    }
}

#[tokio::test]
async fn request_arrives_unchanged() {
    let server = WebServer::start(|_| WebResponse::with(418, &[("x-a", "1"), ("x-a", "2")], b"short and stout")).await;
    let mut request = get(&server.url("/pot?a=%20b"));
    request.method = "PUT".into();
    request.headers =
        vec![EgressHeader::new("x-plain", "yes"), EgressHeader::secret("authorization", Secret::new("Bearer x"))];
    request.body = Some(EgressBody("water".into()));
    let response = send(&egress(&server.entry()), request).await.unwrap();
    assert_eq!(
        (response.status, response.body.as_ref(), response.truncated),
        (418, b"short and stout".as_ref(), false)
    );
    let values: Vec<_> =
        response.headers.iter().filter(|(name, _)| name == "x-a").map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["1", "2"]);
    let received = server.next().await;
    assert_eq!(
        (received.method.as_str(), received.target.as_str(), received.body.as_str()),
        ("PUT", "/pot?a=%20b", "water")
    );
    assert_eq!(received.header("host"), Some(server.address.to_string().as_str()));
    assert_eq!((received.header("x-plain"), received.header("authorization")), (Some("yes"), Some("Bearer x")));
    assert!(received.header("user-agent").unwrap().starts_with("AtlasHub/"));
    assert_eq!(received.header("accept-encoding"), Some("gzip, deflate, br"));
}

#[tokio::test]
async fn request_without_a_body_has_the_length_0_if_its_method_expects_a_body() {
    let server = WebServer::start(|_| WebResponse::status(200)).await;
    let egress = egress(&server.entry());
    for (method, expected) in [
        ("POST", Some("0")),
        ("PUT", Some("0")),
        ("PATCH", Some("0")),
        ("GET", None),
        ("HEAD", None),
        ("DELETE", None),
        ("OPTIONS", None),
    ] {
        for body in [None, Some(EgressBody("".into()))] {
            let request = EgressRequest { method: method.into(), body, ..get(&server.url("/")) };
            assert_eq!(send(&egress, request).await.unwrap().status, 200, "{method}");
            let received = server.next().await;
            assert_eq!((received.method.as_str(), received.header("content-length")), (method, expected));
            assert_eq!(received.header("transfer-encoding"), None, "{method}");
        }
    }
}

#[tokio::test]
async fn request_outside_allowlist_or_scope_is_not_sent() {
    let server = WebServer::start(|_| WebResponse::status(200)).await;
    let (url, port) = (server.url("/"), server.address.port());
    let expect_denied = async |list: &str, url: &str, scope: &[String]| {
        let error = egress(list).send(get(url), scope).await.expect_err(list);
        assert!(error.is_denial() && error.is_refusal(), "{list}: {error:?}");
        error
    };
    let all = ["*".to_owned()];
    assert!(matches!(expect_denied("", &url, &all).await, EgressError::NotAllowed { .. }));
    expect_denied("other.example+private", &url, &all).await;
    expect_denied(&format!("127.0.0.1:{}+private", port ^ 1), &url, &all).await;
    expect_denied(&format!("https://127.0.0.1:{port}+private"), &url, &all).await;
    // These hosts are on the allowlist, but their addresses are private.
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"] {
        let error = expect_denied("*", &format!("http://{host}:{port}/"), &all).await;
        assert!(matches!(error, EgressError::PrivateAddress { .. }), "{host}: {error:?}");
        // The message must not reveal the resolved address, unless the request itself contained it.
        assert!(
            !error.to_string().contains("127.0.0.1")
                || host == "127.0.0.1"
                || host.contains("2130")
                || host.contains("0x")
        );
    }
    assert!(matches!(expect_denied(&server.entry(), &url, &[]).await, EgressError::OutOfScope { .. }));
    expect_denied(&server.entry(), &url, &["a.example".to_owned(), "*.0.0.1".to_owned()]).await;
    // `only` is for a URL that the owner entered. A private address still needs the allowlist.
    let error = send(&egress("").only(&url).unwrap(), get(&url)).await.unwrap_err();
    assert!(matches!(error, EgressError::PrivateAddress { .. }), "{error:?}");
    let error = send(&egress(&server.entry()).only("https://a.example/").unwrap(), get(&url)).await.unwrap_err();
    assert!(matches!(error, EgressError::NotAllowed { .. }), "{error:?}");
    assert_eq!(server.count(), 0);
    assert_eq!(send(&egress(&server.entry()).only(&url).unwrap(), get(&url)).await.unwrap().status, 200);
    assert_eq!(egress(&server.entry()).send(get(&url), &["127.0.0.1".to_owned()]).await.unwrap().status, 200);
}

#[tokio::test]
async fn headers_with_line_breaks_are_rejected() {
    let server = WebServer::start(|_| WebResponse::status(200)).await;
    for (name, value) in [("x", "a\r\nx-smuggled: b"), ("x\r\ny", "a"), ("host", "b"), ("transfer-encoding", "chunked")]
    {
        let request = EgressRequest { headers: vec![EgressHeader::new(name, value)], ..get(&server.url("/")) };
        let error = send(&egress(&server.entry()), request).await.unwrap_err();
        assert!(matches!(error, EgressError::InvalidRequest(_)), "{name}: {error:?}");
    }
    assert_eq!(server.count(), 0);
    // The URL parser removes line breaks, so the request line stays one line.
    let response = send(&egress(&server.entry()), get(&server.url("/a\r\nx-smuggled: b"))).await.unwrap();
    assert_eq!(response.status, 200);
    let received = server.next().await;
    assert_eq!((received.target.as_str(), received.header("x-smuggled")), ("/ax-smuggled:%20b", None));
}

#[tokio::test]
async fn redirect_target_passes_the_same_checks() {
    let forbidden = WebServer::start(|_| WebResponse::status(200)).await;
    let target = forbidden.url("/admin");
    let server = WebServer::start(move |request| match request.target.as_str() {
        "/out" => WebResponse::redirect(302, &target),
        "/metadata" => WebResponse::redirect(307, "http://169.254.169.254/latest/meta-data"),
        "/file" => WebResponse::redirect(302, "file:///etc/passwd"),
        "/user" => WebResponse::redirect(302, "http://user@127.0.0.1/"),
        "/loop" => WebResponse::redirect(302, "/loop"),
        "/here" => WebResponse::redirect(303, "there"),
        _ => WebResponse::with(200, &[], b"there"),
    })
    .await;
    let egress_all = egress(&format!("{},*", server.entry()));
    let follow = |path: &str| EgressRequest { max_redirects: 3, ..get(&server.url(path)) };
    for path in ["/out", "/metadata", "/file", "/user"] {
        let error = send(&egress_all, follow(path)).await.expect_err(path);
        assert!(matches!(error, EgressError::Redirect { .. }) && error.is_refusal(), "{path}: {error:?}");
        assert_eq!(error.status(), Some(if path == "/metadata" { 307 } else { 302 }), "{path}");
    }
    // The target is on the allowlist but not in the scope.
    let both = egress(&format!("{},{}", server.entry(), forbidden.entry().replace("127.0.0.1", "localhost")));
    let error = both.send(follow("/out"), &["127.0.0.1".to_owned()]).await.unwrap_err();
    assert!(error.is_denial(), "{error:?}");
    assert_eq!(forbidden.count(), 0);

    let before = server.count();
    assert_eq!(
        send(&egress_all, follow("/loop")).await.unwrap_err(),
        EgressError::TooManyRedirects { max: 3, status: 302 }
    );
    assert_eq!(server.count() - before, 4);
    let response = send(&egress_all, follow("/here")).await.unwrap();
    assert_eq!((response.status, response.final_url), (200, server.url("/there")));
    // Redirects are not followed by default.
    let response = send(&egress_all, get(&server.url("/out"))).await.unwrap();
    assert_eq!((response.status, response.header("location")), (302, Some(forbidden.url("/admin").as_str())));
}

#[tokio::test]
async fn redirect_to_another_origin_drops_credentials() {
    let other = WebServer::start(|_| WebResponse::status(200)).await;
    let target = other.url("/");
    let server = WebServer::start(move |_| WebResponse::redirect(307, &target)).await;
    let both = egress(&format!("{},{}", server.entry(), other.entry()));
    let headers = vec![
        EgressHeader::new("authorization", "Bearer x"),
        EgressHeader::new("cookie", "a=b"),
        EgressHeader::new("x-api-key", "k"),
        EgressHeader::secret("x-mine", Secret::new("hidden")),
        EgressHeader::new("x-plain", "yes"),
    ];
    let request = EgressRequest { headers, max_redirects: 1, ..get(&server.url("/")) };
    assert_eq!(send(&both, request.clone()).await.unwrap().status, 200);
    assert_eq!(server.next().await.header("authorization"), Some("Bearer x"));
    let received = other.next().await;
    assert_eq!(received.header("x-plain"), Some("yes"));
    for name in ["authorization", "cookie", "x-api-key", "x-mine"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    let with_body = EgressRequest { method: "POST".into(), body: Some(EgressBody("secret".into())), ..request };
    assert!(send(&both, with_body).await.unwrap_err().is_refusal());
    assert_eq!(other.count(), 1);
}

#[tokio::test]
async fn connection_uses_only_the_checked_address() {
    let here = WebServer::start(|_| WebResponse::redirect(302, "/again")).await;
    let port = here.address.port();
    let there = WebServer::start_at(&format!("127.0.0.2:{port}"), |_| WebResponse::status(200)).await;
    let url = format!("http://moves.example:{port}/");

    let resolver = PreparedResolver::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let response = send(&resolver.egress("*.example+private"), get(&url)).await.unwrap();
    assert_eq!((response.status, resolver.lookups.load(Ordering::SeqCst)), (302, 1));
    assert_eq!((here.count(), there.count()), (1, 0));
    assert_eq!(here.next().await.header("host"), Some(format!("moves.example:{port}").as_str()));
    // A redirect is resolved again and uses a new connection.
    let resolver = PreparedResolver::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let response =
        send(&resolver.egress("*.example+private"), EgressRequest { max_redirects: 1, ..get(&url) }).await.unwrap();
    assert_eq!((response.status, resolver.lookups.load(Ordering::SeqCst)), (200, 2));
    assert_eq!((here.count(), there.count()), (2, 1));

    // The address is public when it is checked, and would be loopback in a second lookup. No machine has this address.
    let resolver = PreparedResolver::new(&[&["2d00::1"], &["127.0.0.1"]]);
    let request = EgressRequest { timeout: Duration::from_millis(300), ..get(&url) };
    send(&resolver.egress("*"), request).await.unwrap_err();
    assert_eq!(resolver.lookups.load(Ordering::SeqCst), 1);
    // All addresses are private.
    let resolver = PreparedResolver::new(&[&["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "64:ff9b::7f00:1"]]);
    let error = send(&resolver.egress("*"), get(&url)).await.unwrap_err();
    assert_eq!(error, EgressError::PrivateAddress { host: "moves.example".into() });
    assert!(!error.to_string().contains("10.0"));
    // Addresses that pass the checks are used, even if others don't.
    let resolver = PreparedResolver::new(&[&["255.255.255.255", "169.254.169.254", "127.0.0.2"]]);
    assert_eq!(send(&resolver.egress("moves.example+private"), get(&url)).await.unwrap().status, 200);
    let resolver = PreparedResolver::new(&[&[]]);
    let error = send(&resolver.egress("*"), get(&url)).await.unwrap_err();
    assert_eq!(error, EgressError::Unresolved { host: "moves.example".into() });
    assert_eq!((here.count(), there.count()), (2, 2));
}

#[tokio::test]
async fn response_size_and_time_are_limited() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/exact" => WebResponse::with(200, &[], &vec![b'x'; MAX_RESPONSE_BYTES]),
        "/large" => WebResponse::with(200, &[], &vec![b'x'; MAX_RESPONSE_BYTES + 1]),
        "/endless" => WebResponse::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
        "/silent" => WebResponse::Hang(Vec::new()),
        "/stalls" => WebResponse::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
        "/cut" => WebResponse::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
        "/headers" => WebResponse::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec()),
        "/many" => WebResponse::Raw(format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(5000)).into_bytes()),
        _ => WebResponse::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()),
    })
    .await;
    let egress = egress(&server.entry());
    let ask = async |path: &str| send(&egress, get(&server.url(path))).await;
    for (path, truncated) in [("/exact", false), ("/large", true), ("/endless", true)] {
        let response = ask(path).await.expect(path);
        assert_eq!((response.body.len(), response.truncated), (MAX_RESPONSE_BYTES, truncated), "{path}");
    }
    let limited = EgressRequest { max_bytes: 10, ..get(&server.url("/large")) };
    assert_eq!(send(&egress, limited).await.unwrap().body.as_ref(), b"xxxxxxxxxx");
    for path in ["/cut", "/headers", "/many", "/not-http"] {
        let error = ask(path).await.expect_err(path);
        assert!(matches!(error, EgressError::Broken { .. }) && !error.is_refusal(), "{path}: {error:?}");
    }
    // The head of the second response must arrive in time, also on a busy machine.
    for (path, milliseconds, status) in [("/silent", 200, None), ("/stalls", 3000, Some(200))] {
        let after = Duration::from_millis(milliseconds);
        let request = EgressRequest { timeout: after, ..get(&server.url(path)) };
        assert_eq!(send(&egress, request).await.unwrap_err(), EgressError::Timeout { after, status });
    }
    let closed = format!("http://127.0.0.1:{}/", crate::support::free_port());
    let error = send(&super::egress::egress("127.0.0.1+private"), get(&closed)).await.unwrap_err();
    assert_eq!(error.to_string(), "`127.0.0.1` can't be reached: connection refused");
    // A server that sends data first and does not support TLS.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 not TLS\r\n").await.unwrap();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
    });
    let https = format!("https://{address}/");
    let error = send(&super::egress::egress("127.0.0.1+private"), get(&https)).await.unwrap_err().to_string();
    assert!(error.starts_with("`127.0.0.1` can't be reached: TLS: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_variables_of_the_environment_are_ignored() {
    let proxy = WebServer::start(|_| WebResponse::status(502)).await;
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let mut vars = ProgramVars::external(&Postgres::shared().platform_database().await)
        .set("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry())
        .set("ATLASHUB_DISK_LOW_PERCENT", "0");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        vars = vars.set(name, &proxy.url(""));
    }
    let program = tokio::task::spawn_blocking(move || vars.serve(&[])).await.unwrap();
    let admin = Client::new(&*program.admin_url).with_header("x-dev-admin-token", crate::support::ADMIN_TOKEN);
    let channel = json!({ "name": "Direct", "kind": "webhook", "events": ["runFailed"], "url": server.url("/"),
        "secret": "a-secret-of-the-test" });
    let (status, channel) = admin.post("/admin/v1/notifications", channel).await;
    assert_eq!(status, StatusCode::CREATED, "{channel}");
    let path = format!("/admin/v1/notifications/{}/test", channel["id"].as_str().unwrap());
    let (_, tested) = admin.post(&path, json!({})).await;
    assert_eq!((&tested["delivered"], &tested["error"]), (&json!(true), &serde_json::Value::Null));
    assert_eq!((server.count(), proxy.count()), (1, 0));
}
