//! Compressed responses to outgoing HTTP requests: decoded within the limit of a response.

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder};
use atlashub::{
    config::{AllowedHosts, TrustedCertificates},
    egress::{Egress, EgressError, EgressHeader, EgressRequest, EgressResponse, MAX_RESPONSE_BYTES},
};
use tokio::io::AsyncWriteExt as _;

use crate::support::{WebResponse, WebServer};

const TEXT: &[u8] = b"It is a truth universally acknowledged, that text is compressed well.";

pub async fn compress(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    async fn finish<W: tokio::io::AsyncWrite + Unpin>(mut encoder: W, bytes: &[u8]) -> W {
        encoder.write_all(bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder
    }
    match encoding {
        "gzip" => finish(GzipEncoder::new(Vec::new()), bytes).await.into_inner(),
        "deflate" => finish(ZlibEncoder::new(Vec::new()), bytes).await.into_inner(),
        "br" => finish(BrotliEncoder::new(Vec::new()), bytes).await.into_inner(),
        _ => panic!("{encoding}"),
    }
}

async fn get(server: &WebServer, headers: Vec<EgressHeader>) -> Result<EgressResponse, EgressError> {
    let egress = Egress::new(AllowedHosts::parse(&server.entry()).unwrap(), &TrustedCertificates::default()).unwrap();
    let request = EgressRequest { headers, ..EgressRequest::new("GET", server.url("/")) };
    egress.send(request, &["*".to_owned()]).await
}

/// Returns a server that sends this body with this encoding.
async fn serve(encoding: &'static str, body: Vec<u8>) -> WebServer {
    WebServer::start(move |_| WebResponse::with(200, &[("content-encoding", encoding)], &body)).await
}

#[tokio::test]
async fn compressed_body_is_decoded() {
    for (encoding, name) in [("gzip", "gzip"), ("gzip", "X-Gzip"), ("deflate", "deflate"), ("br", "br")] {
        let server = serve(name, compress(encoding, TEXT).await).await;
        let response = get(&server, Vec::new()).await.unwrap();
        assert_eq!((response.body.as_ref(), response.truncated), (TEXT, false), "{name}");
        assert_eq!((response.header("content-encoding"), response.header("content-length")), (None, None), "{name}");
        assert_eq!(server.next().await.header("accept-encoding"), Some("gzip, deflate, br"));
    }
    // A body of several gzip members (RFC 1952), and an empty body.
    let twice = [compress("gzip", TEXT).await, compress("gzip", TEXT).await].concat();
    assert_eq!(get(&serve("gzip", twice).await, Vec::new()).await.unwrap().body.as_ref(), [TEXT, TEXT].concat());
    let empty = get(&serve("gzip", Vec::new()).await, Vec::new()).await.unwrap();
    assert_eq!((empty.body.len(), empty.header("content-encoding")), (0, Some("gzip")));
}

#[tokio::test]
async fn request_keeps_its_own_accept_encoding_and_ranges() {
    let server = serve("identity", TEXT.to_vec()).await;
    get(&server, vec![EgressHeader::new("accept-encoding", "identity")]).await.unwrap();
    assert_eq!(server.next().await.header("accept-encoding"), Some("identity"));
    get(&server, vec![EgressHeader::new("range", "bytes=0-9")]).await.unwrap();
    assert_eq!(server.next().await.header("accept-encoding"), None);
}

#[tokio::test]
async fn body_with_an_unsupported_encoding_is_left_out_of_the_response() {
    for encoding in ["zstd", "gzip, gzip", "compress"] {
        let response = get(&serve(encoding, TEXT.to_vec()).await, Vec::new()).await.unwrap();
        assert_eq!((response.status, response.body.len(), response.truncated), (200, 0, true), "{encoding}");
        assert_eq!(response.header("content-encoding"), Some(encoding));
        let empty = get(&serve(encoding, Vec::new()).await, Vec::new()).await.unwrap();
        assert_eq!((empty.body.len(), empty.truncated), (0, false), "{encoding}");
    }
    let identity = get(&serve("identity", TEXT.to_vec()).await, Vec::new()).await.unwrap();
    assert_eq!((identity.body.as_ref(), identity.truncated), (TEXT, false));
}

#[tokio::test]
async fn decoded_body_is_cut_at_the_maximum_size() {
    let zeros = vec![0_u8; 64 << 20];
    for encoding in ["gzip", "deflate", "br"] {
        let compressed = compress(encoding, &zeros).await;
        assert!(compressed.len() < MAX_RESPONSE_BYTES, "{encoding}: {}", compressed.len());
        let response = get(&serve(encoding, compressed).await, Vec::new()).await.unwrap();
        assert_eq!((response.body.len(), response.truncated), (MAX_RESPONSE_BYTES, true), "{encoding}");
        assert!(response.body.iter().all(|byte| *byte == 0));
    }
    let exact = compress("gzip", &zeros[..MAX_RESPONSE_BYTES]).await;
    let response = get(&serve("gzip", exact).await, Vec::new()).await.unwrap();
    assert_eq!((response.body.len(), response.truncated), (MAX_RESPONSE_BYTES, false));
}

#[tokio::test]
async fn damaged_or_very_long_compressed_body_is_left_out_of_the_response() {
    let whole = compress("gzip", TEXT).await;
    // A stream of Brotli with a window of up to 1 GiB, which browsers refuse too.
    let large_window = vec![0x11, 0x1e, 0x00, 0x00];
    for (encoding, body) in [
        ("gzip", b"\x1f\x8b not really".to_vec()),
        ("gzip", whole[..whole.len() - 10].to_vec()),
        ("deflate", TEXT.to_vec()),
        ("br", large_window),
    ] {
        let response = get(&serve(encoding, body).await, Vec::new()).await.unwrap();
        assert_eq!((response.status, response.body.len(), response.truncated), (200, 0, true), "{encoding}");
        assert_eq!(response.header("content-encoding"), Some(encoding));
    }
    // A long body of empty gzip members, which contain no bytes.
    let member = compress("gzip", b"").await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
    let server = WebServer::start(move |_| {
        WebResponse::Raw([head.clone(), member.repeat(4 * MAX_RESPONSE_BYTES / member.len())].concat())
    })
    .await;
    let response = get(&server, Vec::new()).await.unwrap();
    assert_eq!((response.status, response.body.len(), response.truncated), (200, 0, true));
    // A connection that is cut is a failure.
    let cut = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1000\r\n\r\n";
    let cut = [cut.as_slice(), whole.as_slice()].concat();
    let server = WebServer::start(move |_| WebResponse::Raw(cut.clone())).await;
    let error = get(&server, Vec::new()).await.unwrap_err();
    assert!(matches!(error, EgressError::Broken { status: Some(200), .. }), "{error:?}");
}
