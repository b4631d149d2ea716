//! Lists of objects and of versions.

use crate::support::{BUCKET, TestServer, status};

const KEYS: [&str; 8] = ["a", "a/1", "a/2", "a/b/3", "b", "c/1", "c/2", "d"];

async fn start_with_keys() -> TestServer {
    let server = TestServer::start().await;
    for key in KEYS {
        server.put(key, key).await;
    }
    server
}

/// Lists the bucket page by page. Marks common prefixes with `>`.
async fn list_pages(server: &TestServer, prefix: &str, delimiter: Option<&str>, size: i32) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut token = None;
    loop {
        let list =
            server.client.list_objects_v2().bucket(BUCKET).prefix(prefix).set_delimiter(delimiter.map(str::to_owned));
        let page = list.max_keys(size).set_continuation_token(token).send().await.unwrap();
        let keys = page.contents().iter().filter_map(|object| object.key()).map(str::to_owned);
        let groups = page.common_prefixes().iter().filter_map(|group| group.prefix()).map(|group| format!(">{group}"));
        let entries: Vec<_> = keys.chain(groups).collect();
        assert_eq!(page.key_count(), Some(i32::try_from(entries.len()).unwrap()));
        pages.push(entries);
        token = page.next_continuation_token().map(str::to_owned);
        assert_eq!(page.is_truncated(), Some(token.is_some()));
        if token.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn each_object_has_one_version() {
    let server = TestServer::start().await;
    for key in ["a", "b/1", "b/2", "c"] {
        server.put(key, key).await;
    }
    let list = || server.client.list_object_versions().bucket(BUCKET);
    let page = list().max_keys(2).send().await.unwrap();
    let keys: Vec<_> = page.versions().iter().filter_map(|version| version.key()).collect();
    assert_eq!((keys, page.is_truncated()), (vec!["a", "b/1"], Some(true)));
    assert_eq!(page.versions()[0].version_id(), Some("null"));
    let rest = list().set_key_marker(page.next_key_marker().map(str::to_owned)).send().await.unwrap();
    assert_eq!((rest.versions().len(), rest.is_truncated()), (2, Some(false)));
    let grouped = list().delimiter("/").send().await.unwrap();
    assert_eq!((grouped.versions().len(), grouped.common_prefixes().len()), (2, 1));
    server.client.delete_object().bucket(BUCKET).key("a").version_id("null").send().await.unwrap();
    assert_eq!(server.get("a").await, None);
}

#[tokio::test]
async fn listing_respects_prefix_delimiter_and_page_size() {
    let server = start_with_keys().await;
    assert_eq!(list_pages(&server, "", None, 1000).await, [KEYS.map(str::to_owned).to_vec()]);
    assert_eq!(list_pages(&server, "", None, 4).await, [["a", "a/1", "a/2", "a/b/3"], ["b", "c/1", "c/2", "d"]]);
    assert_eq!(list_pages(&server, "", Some("/"), 1000).await, [["a", "b", "d", ">a/", ">c/"]]);
    assert_eq!(list_pages(&server, "", Some("/"), 2).await, [vec!["a", ">a/"], vec!["b", ">c/"], vec!["d"]]);
    assert_eq!(list_pages(&server, "a/", Some("/"), 1000).await, [["a/1", "a/2", ">a/b/"]]);
    assert_eq!(list_pages(&server, "a", Some("/"), 1000).await, [["a", ">a/"]]);
    assert_eq!(list_pages(&server, "c/", None, 1).await, [["c/1"], ["c/2"]]);
    assert_eq!(list_pages(&server, "zzz", None, 1000).await, [Vec::<String>::new()]);
    assert_eq!(list_pages(&server, "", None, 0).await, [Vec::<String>::new()]);
}

#[tokio::test]
async fn listing_starts_after_a_key_and_rejects_bad_parameters() {
    let server = start_with_keys().await;
    let list = |after: &str| server.client.list_objects_v2().bucket(BUCKET).start_after(after).send();
    let keys = |after: &'static str| async move {
        let page = list(after).await.unwrap();
        page.contents().iter().filter_map(|object| object.key()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(keys("b").await, ["c/1", "c/2", "d"]);
    assert_eq!(keys("bb").await, ["c/1", "c/2", "d"]);
    assert_eq!(keys("d").await, Vec::<String>::new());
    let bad = server.client.list_objects_v2().bucket(BUCKET).continuation_token("?").send().await.unwrap_err();
    assert_eq!(status(&bad), 400);
    let bad = server.client.list_objects_v2().bucket(BUCKET).max_keys(-1).send().await.unwrap_err();
    assert_eq!(status(&bad), 400);
}

#[tokio::test]
async fn listed_entries_have_size_etag_and_time() {
    let server = TestServer::start().await;
    server.put("x", "12345").await;
    let page = server.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let head = server.client.head_object().bucket(BUCKET).key("x").send().await.unwrap();
    let entry = &page.contents()[0];
    assert_eq!((entry.size(), entry.e_tag()), (Some(5), head.e_tag()));
    assert_eq!(entry.last_modified().unwrap().secs(), head.last_modified().unwrap().secs());
}

#[tokio::test]
async fn list_objects_version_1_pages_by_marker() {
    let server = start_with_keys().await;
    let list = || server.client.list_objects().bucket(BUCKET).delimiter("/").max_keys(2);
    let first = list().send().await.unwrap();
    assert_eq!((first.is_truncated(), first.next_marker()), (Some(true), Some("a/")));
    let second = list().marker("a/").send().await.unwrap();
    assert_eq!(second.contents()[0].key(), Some("b"));
    assert_eq!(second.common_prefixes()[0].prefix(), Some("c/"));
    let third = list().marker(second.next_marker().unwrap()).send().await.unwrap();
    assert_eq!((third.contents()[0].key(), third.is_truncated()), (Some("d"), Some(false)));
}
