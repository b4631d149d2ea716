//! Unusual keys.

use crate::support::{BUCKET, TestServer, code, status};

fn unusual_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a",
        "a/b",
        "a/b/c",
        "a/",
        "/",
        "//",
        "/a",
        "a//b",
        ".",
        "..",
        "../../etc/passwd",
        "a/../b",
        "x/./y",
        "\\",
        "C:\\x",
        "ünïcödé/日本語/🦀",
        "e\u{301}",
        "é",
        "with space",
        " lead",
        "trail ",
        "plus+and%20percent",
        "%2F",
        "%",
        "?query=1",
        "#fragment",
        "a&b=c;d",
        "'\"<>&",
        "\u{1}\u{2}control",
        "tab\tnew\nline\rreturn",
        "\u{7f}",
        "*",
        "~",
        ":",
        "CON",
        "bucket.json",
        "\u{10FFFF}",
        "\u{feff}bom",
    ]
    .map(str::to_owned)
    .into();
    keys.push("k".repeat(1024));
    keys.push("ß".repeat(512));
    keys.push("d/".repeat(512));
    keys
}

#[tokio::test]
async fn unusual_keys_round_trip_and_do_not_collide() {
    let server = TestServer::start().await;
    server.client.create_bucket().bucket("neighbour").send().await.unwrap();
    let keys = unusual_keys();
    for key in &keys {
        server.put(key, format!("content of {key}")).await;
    }
    let server = server.restart().await;
    for key in &keys {
        let content = server.get(key).await.unwrap_or_else(|| panic!("{key:?} is gone"));
        assert_eq!(String::from_utf8(content).unwrap(), format!("content of {key}"));
    }
    let mut sorted = keys.clone();
    sorted.sort();
    let listed = server.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let listed: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(listed, sorted);
    let neighbour = server.client.list_objects_v2().bucket("neighbour").send().await.unwrap();
    assert!(neighbour.contents().is_empty());
    for key in &keys {
        server.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!(server.get(key).await, None, "{key:?}");
    }
    assert!(server.client.list_objects_v2().bucket(BUCKET).send().await.unwrap().contents().is_empty());
}

#[tokio::test]
async fn key_longer_than_1024_bytes_is_rejected() {
    let server = TestServer::start().await;
    for key in ["k".repeat(1025), "ß".repeat(513)] {
        let error = server.client.put_object().bucket(BUCKET).key(&key).send().await.unwrap_err();
        assert_eq!((status(&error), code(&error)), (400, "KeyTooLongError"));
    }
}

#[tokio::test]
async fn listed_keys_are_percent_encoded_on_request() {
    let server = TestServer::start().await;
    server.put("a b/ü\u{1}.txt", "1").await;
    let list = server.client.list_objects_v2().bucket(BUCKET).encoding_type(aws_sdk_s3::types::EncodingType::Url);
    let listed = list.prefix("a b/").send().await.unwrap();
    assert_eq!(listed.contents()[0].key(), Some("a%20b/%C3%BC%01.txt"));
    assert_eq!(listed.prefix(), Some("a%20b/"));
}
