//! Presigned URLs.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use crate::support::{BUCKET, TestServer, for_one_hour, http};

/// Sends a presigned request after `adjust` changed it.
async fn send(
    url: &PresignedRequest,
    body: &'static str,
    adjust: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
) -> u16 {
    let method = url.method().parse().unwrap();
    let mut request = http().request(method, url.uri()).body(body);
    for (name, value) in url.headers().filter(|(name, _)| *name != "content-length") {
        request = request.header(name, value);
    }
    adjust(request).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn presigned_urls_upload_and_download() {
    let server = TestServer::start().await;
    let url = server.sign_put("photo ü.png", |put| put.content_type("image/png")).await;
    assert_eq!(send(&url, "pixels", |request| request).await, 200);
    let get = server.client.get_object().bucket(BUCKET).key("photo ü.png");
    let get = get.response_content_disposition("attachment; filename=\"a.png\"").response_content_type("image/x");
    let url = get.response_cache_control("no-store").presigned(for_one_hour()).await.unwrap();
    let got = http().get(url.uri()).send().await.unwrap();
    assert_eq!(got.status(), 200);
    assert_eq!(got.headers()["content-type"], "image/x");
    assert_eq!(got.headers()["content-disposition"], "attachment; filename=\"a.png\"");
    assert_eq!(got.headers()["cache-control"], "no-store");
    assert_eq!(got.headers()["x-content-type-options"], "nosniff");
    assert_eq!(got.content_length(), Some(6));
    assert_eq!(got.text().await.unwrap(), "pixels");
    let url = server.sign_get("photo ü.png").await;
    assert_eq!(http().get(url.uri()).send().await.unwrap().headers()["content-type"], "image/png");
}

#[tokio::test]
async fn request_must_match_the_signed_headers() {
    let server = TestServer::start().await;
    let url = server.sign_put("typed", |put| put.content_type("image/png")).await;
    let http = http();
    for content_type in [None, Some("text/html")] {
        let put = http.put(url.uri()).body("x");
        let put = if let Some(content_type) = content_type { put.header("content-type", content_type) } else { put };
        assert_eq!(put.send().await.unwrap().status(), 403, "{content_type:?}");
    }
    let url = server.sign_put("sized", |put| put.content_length(5)).await;
    assert_eq!(send(&url, "123456", |request| request).await, 403);
    assert_eq!(send(&url, "1234", |request| request).await, 403);
    assert_eq!(server.get("sized").await, None);
    assert_eq!(send(&url, "12345", |request| request).await, 200);
    let url = server.sign_put("once", |put| put.if_none_match("*")).await;
    assert_eq!(http.put(url.uri()).body("x").send().await.unwrap().status(), 403);
    assert_eq!(send(&url, "first", |request| request).await, 200);
    assert_eq!(send(&url, "second", |request| request).await, 412);
    assert_eq!(server.get("once").await.unwrap(), b"first");
    assert_eq!(server.get("typed").await, None);
}

#[tokio::test]
async fn changed_url_is_rejected() {
    let server = TestServer::start().await;
    server.put("secret", "1").await;
    let http = http();
    let url = server.sign_put("mine", |put| put).await;
    let other_key = url.uri().replace("/mine?", "/secret?");
    assert_eq!(http.put(other_key).body("2").send().await.unwrap().status(), 403);
    assert_eq!(http.get(url.uri()).send().await.unwrap().status(), 403);
    assert_eq!(http.delete(url.uri()).send().await.unwrap().status(), 403);
    let (rest, signature) = url.uri().split_once("X-Amz-Signature=").unwrap();
    let flipped = if signature.starts_with('0') { '1' } else { '0' };
    let tampered = format!("{rest}X-Amz-Signature={flipped}{}", &signature[1..]);
    let response = http.put(tampered).body("2").send().await.unwrap();
    assert_eq!(response.status(), 403);
    let body = response.text().await.unwrap();
    assert!(body.contains("<Code>SignatureDoesNotMatch</Code><Message>The signature does not match"), "{body}");
    let longer = url.uri().replace("X-Amz-Expires=3600", "X-Amz-Expires=36000");
    assert_eq!(http.put(longer).body("2").send().await.unwrap().status(), 403);
    let extended = format!("{}&uploads=", url.uri());
    assert_eq!(http.post(extended).send().await.unwrap().status(), 403);
    assert_eq!(server.get("secret").await.unwrap(), b"1");
    assert_eq!(server.get("mine").await, None);
}

/// The holder of a URL for one upload must not be able to read other objects with it.
#[tokio::test]
async fn unsigned_amz_headers_are_rejected() {
    let server = TestServer::start().await;
    server.put("secret", "1").await;
    let url = server.sign_put("mine", |put| put).await;
    let copy = send(&url, "", |request| request.header("x-amz-copy-source", "/files/secret")).await;
    assert_eq!(copy, 403);
    assert_eq!(send(&url, "", |request| request.header("x-amz-meta-admin", "yes")).await, 403);
    assert_eq!(server.get("mine").await, None);
    assert_eq!(send(&url, "x", |request| request.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")).await, 200);
    let wrong = send(&url, "y", |request| {
        request.header("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    });
    assert_eq!(wrong.await, 400);
    let got = http().get(server.sign_get("mine").await.uri()).send().await.unwrap();
    assert_eq!(got.headers()["content-type"], "binary/octet-stream");
    assert_eq!(got.text().await.unwrap(), "x");
}

#[tokio::test]
async fn expired_url_is_rejected_and_clock_skew_is_tolerated() {
    let server = TestServer::start().await;
    server.put("file", "1").await;
    let signed_at = |ago: u64, expires: u64| {
        let start = SystemTime::now() - Duration::from_secs(ago);
        let config = PresigningConfig::builder().start_time(start).expires_in(Duration::from_secs(expires));
        server.client.get_object().bucket(BUCKET).key("file").presigned(config.build().unwrap())
    };
    let fresh = signed_at(3500, 3600).await.unwrap();
    assert_eq!(http().get(fresh.uri()).send().await.unwrap().status(), 200);
    let expired = signed_at(3601, 3600).await.unwrap();
    assert_eq!(http().get(expired.uri()).send().await.unwrap().status(), 403);
    // The clock of the signer may be half an hour ahead.
    let start = SystemTime::now() + Duration::from_secs(1800);
    let config = PresigningConfig::builder().start_time(start).expires_in(Duration::from_secs(60)).build().unwrap();
    let early = server.client.get_object().bucket(BUCKET).key("file").presigned(config).await.unwrap();
    assert_eq!(http().get(early.uri()).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn url_valid_for_more_than_7_days_is_rejected() {
    let server = TestServer::start().await;
    server.put("file", "1").await;
    let url = server.sign_get("file").await;
    for expires in ["604801", "-1", "soon"] {
        let changed = url.uri().replace("X-Amz-Expires=3600", &format!("X-Amz-Expires={expires}"));
        let response = http().get(changed).send().await.unwrap();
        assert_eq!(response.status(), 400, "{expires}");
        assert!(response.text().await.unwrap().contains("AuthorizationQueryParametersError"), "{expires}");
    }
    let week = PresigningConfig::expires_in(Duration::from_secs(604_800)).unwrap();
    let longest = server.client.get_object().bucket(BUCKET).key("file").presigned(week).await.unwrap();
    assert_eq!(http().get(longest.uri()).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn signature_version_2_is_rejected() {
    let server = TestServer::start().await;
    let http = http();
    let url = server.url("/files/a?AWSAccessKeyId=test-access-key&Expires=4000000000&Signature=abc");
    assert_eq!(http.get(url).send().await.unwrap().status(), 403);
    let header = http.get(server.url("/files/a")).header("authorization", "AWS test-access-key:abc");
    assert_eq!(header.header("date", "x").send().await.unwrap().status(), 403);
}
