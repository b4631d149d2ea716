use std::{io, pin::Pin};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use super::{MAX_RESPONSE_BYTES, error::is_of_connection};

/// The encodings that are decoded, as requests announce them.
pub(super) const ACCEPTED_ENCODINGS: &str = "gzip, deflate, br";

/// Maximum number of bytes of a compressed body that are read. The compressed form of a body of the maximum size is
/// longer only if it was made to waste time.
const MAX_COMPRESSED_BYTES: u64 = 2 * MAX_RESPONSE_BYTES as u64;

/// A response body, decoded and cut at the maximum size.
#[derive(Default)]
pub(super) struct Body {
    pub bytes: Bytes,
    /// Whether bytes are missing.
    pub truncated: bool,
    /// Whether the body was compressed.
    pub decoded: bool,
}

impl Body {
    /// Returns the result for a body that is not in the encoding that its `content-encoding` names.
    fn undecodable() -> Self {
        Self { truncated: true, ..Self::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
}

/// Reads a body up to `max_bytes`, and decodes it if it has one of the [`ACCEPTED_ENCODINGS`]. Bytes are counted after
/// decoding, and nothing is decoded beyond the maximum, so that a small body can't become a large one.
///
/// A body that can't be decoded is left out, because the status may matter more than the body.
pub(super) async fn read_body(response: reqwest::Response, max_bytes: usize) -> io::Result<Body> {
    let encoding = encoding_of(response.headers());
    let mut raw = StreamReader::new(Box::pin(response.bytes_stream().map_err(io::Error::other)));
    let Some(encoding) = encoding else { return read_up_to(raw, max_bytes).await };
    let Some(first) = raw.fill_buf().await?.first().copied() else { return Ok(Body::default()) };
    if encoding == Encoding::Brotli && is_large_window(first) {
        return Ok(Body::undecodable());
    }
    let raw = raw.take(MAX_COMPRESSED_BYTES);
    let decoder: Pin<Box<dyn AsyncRead + Send>> = match encoding {
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(raw);
            // RFC 1952, section 2.2.
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Encoding::Deflate => Box::pin(ZlibDecoder::new(raw)),
        Encoding::Brotli => Box::pin(BrotliDecoder::new(raw)),
    };
    match read_up_to(decoder, max_bytes).await {
        Ok(body) => Ok(Body { decoded: true, ..body }),
        Err(error) if is_of_connection(&error) => Err(error),
        Err(_) => Ok(Body::undecodable()),
    }
}

async fn read_up_to(reader: impl AsyncRead + Unpin, max_bytes: usize) -> io::Result<Body> {
    let mut bytes = Vec::new();
    reader.take(max_bytes as u64 + 1).read_to_end(&mut bytes).await?;
    let truncated = bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    Ok(Body { bytes: bytes.into(), truncated, decoded: false })
}

/// Returns the encoding to decode. A body with several encodings, or with an unsupported one, is left unchanged.
fn encoding_of(headers: &HeaderMap) -> Option<Encoding> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    match value.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
        // RFC 9110, section 8.4.1.3.
        "gzip" | "x-gzip" => Some(Encoding::Gzip),
        "deflate" => Some(Encoding::Deflate),
        "br" => Some(Encoding::Brotli),
        _ => None,
    }
}

/// Returns whether a Brotli stream begins with the mark of windows up to 1 GiB, which RFC 7932 does not allow.
fn is_large_window(first: u8) -> bool {
    first & 0x7f == 0x11
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_known_encoding_is_decoded() {
        let check = |values: &[&'static str], expected: Option<Encoding>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, header::HeaderValue::from_static(value));
            }
            assert_eq!(encoding_of(&headers), expected, "{values:?}");
        };
        check(&[], None);
        check(&["gzip"], Some(Encoding::Gzip));
        check(&[" X-GZIP "], Some(Encoding::Gzip));
        check(&["deflate"], Some(Encoding::Deflate));
        check(&["br"], Some(Encoding::Brotli));
        check(&["zstd"], None);
        check(&["identity"], None);
        check(&["gzip, gzip"], None);
        check(&["gzip", "br"], None);
    }
}
