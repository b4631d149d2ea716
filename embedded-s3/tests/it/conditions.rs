//! Conditional reads and writes.

use aws_sdk_s3::primitives::{ByteStream, DateTime};

use crate::support::{BUCKET, TestServer, code, http, status};

#[tokio::test]
async fn put_with_if_none_match_fails_if_the_key_exists() {
    let server = TestServer::start().await;
    let put = || server.client.put_object().bucket(BUCKET).key("once").body(ByteStream::from_static(b"1"));
    put().if_none_match("*").send().await.unwrap();
    let error = put().body(ByteStream::from_static(b"2")).if_none_match("*").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (412, "PreconditionFailed"));
    assert_eq!(server.get("once").await.unwrap(), b"1");
}

#[tokio::test]
async fn one_of_many_concurrent_conditional_puts_succeeds() {
    let server = TestServer::start().await;
    let puts = (0..12_u8).map(|number| {
        let put = server.client.put_object().bucket(BUCKET).key("race").if_none_match("*");
        put.body(ByteStream::from(vec![number; 100])).send()
    });
    let results = futures::future::join_all(puts).await;
    let winners: Vec<_> = results.iter().enumerate().filter(|(_, result)| result.is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|error| status(error) == 412));
    assert_eq!(server.get("race").await.unwrap(), vec![u8::try_from(winners[0].0).unwrap(); 100]);
}

#[tokio::test]
async fn put_with_if_match_requires_the_current_etag() {
    let server = TestServer::start().await;
    let put = || server.client.put_object().bucket(BUCKET).key("known").body(ByteStream::from_static(b"2"));
    let error = put().if_match("\"00000000000000000000000000000000\"").send().await.unwrap_err();
    assert_eq!(status(&error), 404);
    let first = put().body(ByteStream::from_static(b"1")).send().await.unwrap();
    let error = put().if_match("\"00000000000000000000000000000000\"").send().await.unwrap_err();
    assert_eq!(status(&error), 412);
    assert_eq!(server.get("known").await.unwrap(), b"1");
    put().if_match(first.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(server.get("known").await.unwrap(), b"2");
    let delete = || server.client.delete_object().bucket(BUCKET).key("known");
    assert_eq!(status(&delete().if_match(first.e_tag().unwrap()).send().await.unwrap_err()), 412);
    delete().send().await.unwrap();
}

#[tokio::test]
async fn conditional_reads_follow_rfc_9110() {
    let server = TestServer::start().await;
    server.put("page", "content").await;
    let get = || server.client.get_object().bucket(BUCKET).key("page");
    let head = server.client.head_object().bucket(BUCKET).key("page").send().await.unwrap();
    let etag = head.e_tag().unwrap();
    let (past, future) = (DateTime::from_secs(1_000_000_000), DateTime::from_secs(4_000_000_000));
    let modified = DateTime::from_secs(head.last_modified().unwrap().secs());

    get().if_match(etag).send().await.unwrap();
    get().if_none_match("\"00000000000000000000000000000000\"").send().await.unwrap();
    get().if_modified_since(past).send().await.unwrap();
    get().if_unmodified_since(modified).send().await.unwrap();
    // The ETag takes precedence if both are given.
    get().if_match(etag).if_unmodified_since(past).send().await.unwrap();
    get().if_none_match("\"00000000000000000000000000000000\"").if_modified_since(future).send().await.unwrap();

    let failed = get().if_match("\"00000000000000000000000000000000\"").send().await.unwrap_err();
    assert_eq!(status(&failed), 412);
    assert_eq!(status(&get().if_unmodified_since(past).send().await.unwrap_err()), 412);
    for unchanged in [get().if_none_match(etag), get().if_none_match("*"), get().if_modified_since(modified)] {
        let error = unchanged.send().await.unwrap_err();
        assert_eq!(status(&error), 304);
        assert_eq!(error.raw_response().unwrap().headers().get("etag"), Some(etag));
    }
    let head = server.client.head_object().bucket(BUCKET).key("page").if_none_match(etag).send().await.unwrap_err();
    assert_eq!(status(&head), 304);
}

#[tokio::test]
async fn if_range_returns_the_whole_object_if_it_changed() {
    let server = TestServer::start().await;
    server.put("video", "0123456789").await;
    let url = server.sign_get("video").await;
    let http = http();
    let get = |if_range: String| http.get(url.uri()).header("range", "bytes=5-").header("if-range", if_range).send();
    let whole = get("\"other\"".to_owned()).await.unwrap();
    assert_eq!(whole.status(), 200);
    let headers = whole.headers().clone();
    assert_eq!(whole.text().await.unwrap(), "0123456789");
    for validator in ["etag", "last-modified"] {
        let rest = get(headers[validator].to_str().unwrap().to_owned()).await.unwrap();
        assert_eq!(rest.status(), 206, "{validator}");
        assert_eq!(rest.text().await.unwrap(), "56789");
    }
}

#[tokio::test]
async fn one_etag_of_a_list_is_enough() {
    let server = TestServer::start().await;
    server.put("x", "content").await;
    let head = server.client.head_object().bucket(BUCKET).key("x").send().await.unwrap();
    let etag = head.e_tag().unwrap();
    let url = server.sign_get("x").await;
    for (name, value, expected) in [
        ("if-none-match", format!("\"0\", {etag}"), 304),
        ("if-none-match", format!("W/{etag},\"0\""), 304),
        ("if-none-match", "\"0\", \"1\"".to_owned(), 200),
        ("if-match", format!("\"0\", {etag}"), 200),
        ("if-match", "\"0\", \"1\"".to_owned(), 412),
    ] {
        let response = http().get(url.uri()).header(name, &value).send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{name}: {value}");
    }
    // The list may be signed. The signature of the request is checked in any case.
    let signed = server.client.get_object().bucket(BUCKET).key("x").if_none_match(format!("\"0\", {etag}"));
    assert_eq!(status(&signed.send().await.unwrap_err()), 304);
    let (unsigned, _) = url.uri().split_once("&X-Amz-Signature=").unwrap();
    let forged = format!("{unsigned}&X-Amz-Signature={}", "0".repeat(64));
    let response = http().get(forged).header("if-match", format!("\"0\", {etag}")).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 403);
    let plain = http().get(server.url("/files/x")).header("if-match", format!("\"0\", {etag}")).send().await.unwrap();
    assert_eq!(plain.status().as_u16(), 403);
    let plain = http().get(server.url("/files/x")).header("range", "bytes=0-1,3-4").send().await.unwrap();
    assert_eq!(plain.status().as_u16(), 403);
}

#[tokio::test]
async fn conditional_copy_does_not_replace_an_object() {
    let server = TestServer::start().await;
    server.put("source", "1").await;
    let copy = || server.client.copy_object().bucket(BUCKET).key("target").copy_source("files/source");
    let copied = copy().if_none_match("*").send().await.unwrap();
    let etag = copied.copy_object_result().unwrap().e_tag().unwrap().to_owned();
    server.put("source", "2").await;
    assert_eq!(status(&copy().if_none_match("*").send().await.unwrap_err()), 412);
    assert_eq!(status(&copy().if_match("\"0\"").send().await.unwrap_err()), 412);
    assert_eq!(server.get("target").await.unwrap(), b"1");
    copy().if_match(etag).send().await.unwrap();
    assert_eq!(server.get("target").await.unwrap(), b"2");
}
