//! Reads and decodes the bodies of responses.

use std::{io, pin::Pin};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder};
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{MAX_RESPONSE_BYTES, error::is_of_connection};

/// The encodings that are decoded, as requests announce them.
pub(super) const ACCEPTED_ENCODINGS: &str = "gzip, deflate, br";
/// The encodings that are decoded in a streamed body. Brotli is missing, because its window needs 16 MiB of memory for
/// each stream.
pub(super) const STREAMED_ENCODINGS: &str = "gzip, deflate";

/// Maximum number of bytes of a compressed body that are read. The compressed form of a body of the maximum size is
/// longer only if it was made to waste time.
const MAX_COMPRESSED_BYTES: u64 = 2 * MAX_RESPONSE_BYTES as u64;

/// Size of the chunks of a decoded stream.
const CHUNK_BYTES: usize = 64 << 10;

/// A response body, decoded and cut at the maximum size.
#[derive(Default)]
pub(super) struct Body {
    pub bytes: Bytes,
    /// Whether bytes are missing.
    pub truncated: bool,
    /// Whether `bytes` were decoded.
    pub decoded: bool,
}

impl Body {
    /// Returns the result for a body that is not in the encoding that its `content-encoding` names, or whose encoding
    /// is not supported.
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
/// A body that can't be decoded is left out, because the run's secrets can't be found and redacted in it. It is not an
/// error, because the status may matter more than the body.
pub(super) async fn read_body(response: reqwest::Response, max_bytes: usize) -> io::Result<Body> {
    let encoding = encoding_of(response.headers());
    let mut raw = StreamReader::new(Box::pin(response.bytes_stream().map_err(io::Error::other)));
    if encoding == Ok(None) {
        return read_up_to(raw, max_bytes).await;
    }
    let Some(first) = raw.fill_buf().await?.first().copied() else { return Ok(Body::default()) };
    let encoding = match encoding {
        Ok(Some(encoding)) if encoding != Encoding::Brotli || !is_large_window(first) => encoding,
        _ => return Ok(Body::undecodable()),
    };
    match read_up_to(decoder(encoding, raw.take(MAX_COMPRESSED_BYTES)), max_bytes).await {
        Ok(body) => Ok(Body { decoded: true, ..body }),
        Err(error) if is_of_connection(&error) => Err(error),
        Err(_) => Ok(Body::undecodable()),
    }
}

/// Returns the chunks of a body, decoded if it has one of the [`STREAMED_ENCODINGS`]. `max_bytes` limits the compressed
/// bytes (see [`is_too_large`]); the caller limits the decoded ones. A body with another encoding is an error unless it
/// is empty, because the run's secrets can't be found and redacted in it.
pub(super) fn stream_body(response: reqwest::Response, max_bytes: u64) -> BoxStream<'static, io::Result<Bytes>> {
    let encoding = streamed_encoding_of(response.headers());
    let raw = response.bytes_stream().map_err(io::Error::other);
    let encoding = match encoding {
        Ok(None) => return raw.boxed(),
        Ok(Some(encoding)) => encoding,
        Err(problem) => {
            let refuse = move |chunk: Bytes| if chunk.is_empty() { Ok(chunk) } else { Err(undecodable(problem)) };
            return raw.map(move |chunk| chunk.and_then(&refuse)).boxed();
        }
    };
    let mut size = 0;
    let raw = raw.map(move |chunk| {
        let chunk = chunk?;
        size += chunk.len() as u64;
        if size > max_bytes { Err(io::Error::from(io::ErrorKind::FileTooLarge)) } else { Ok(chunk) }
    });
    let decoded = async move {
        let mut raw = StreamReader::new(Box::pin(raw));
        if raw.fill_buf().await?.is_empty() {
            // The body is empty, for example in the response to a HEAD request.
            return Ok(stream::empty().boxed());
        }
        let decoded = ReaderStream::with_capacity(decoder(encoding, raw), CHUNK_BYTES);
        let error = |error| {
            if is_of_connection(&error) || is_too_large(&error) { error } else { undecodable("it is damaged") }
        };
        Ok::<_, io::Error>(decoded.map_err(error).boxed())
    };
    stream::once(decoded).try_flatten().boxed()
}

/// Returns whether a streamed body has more compressed bytes than the limit.
pub(super) fn is_too_large(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::FileTooLarge
}

/// Returns whether a streamed body with these headers is decoded.
pub(super) fn is_decoded_in_stream(headers: &HeaderMap) -> bool {
    matches!(streamed_encoding_of(headers), Ok(Some(_)))
}

/// Returns the encoding of a streamed body, or the reason why the body can't be decoded.
fn streamed_encoding_of(headers: &HeaderMap) -> Result<Option<Encoding>, &'static str> {
    match encoding_of(headers) {
        Ok(Some(Encoding::Brotli)) | Err(UnsupportedEncoding) => Err("only gzip and deflate are supported in a stream"),
        Ok(encoding) => Ok(encoding),
    }
}

fn undecodable(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("its body can't be decoded: {problem}"))
}

fn decoder(encoding: Encoding, raw: impl AsyncBufRead + Send + 'static) -> Pin<Box<dyn AsyncRead + Send>> {
    match encoding {
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(raw);
            // RFC 1952, section 2.2.
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Encoding::Deflate => Box::pin(ZlibDecoder::new(raw)),
        Encoding::Brotli => Box::pin(BrotliDecoder::new(raw)),
    }
}

async fn read_up_to(reader: impl AsyncRead + Unpin, max_bytes: usize) -> io::Result<Body> {
    let mut bytes = Vec::new();
    reader.take(max_bytes as u64 + 1).read_to_end(&mut bytes).await?;
    let truncated = bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    Ok(Body { bytes: bytes.into(), truncated, decoded: false })
}

/// The error for a body with several encodings, or with one that is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct UnsupportedEncoding;

/// Returns the encoding to decode, or `None` if the body is not encoded.
fn encoding_of(headers: &HeaderMap) -> Result<Option<Encoding>, UnsupportedEncoding> {
    let values = headers.get_all(header::CONTENT_ENCODING);
    if values.iter().all(names_no_encoding) {
        return Ok(None);
    }
    let mut values = values.iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(UnsupportedEncoding) };
    match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        // RFC 9110, section 8.4.1.3.
        "gzip" | "x-gzip" => Ok(Some(Encoding::Gzip)),
        "deflate" => Ok(Some(Encoding::Deflate)),
        "br" => Ok(Some(Encoding::Brotli)),
        _ => Err(UnsupportedEncoding),
    }
}

/// Returns whether a value of `content-encoding` stands for an unencoded body: it is empty, or names only `identity`.
fn names_no_encoding(value: &HeaderValue) -> bool {
    let is_none = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("identity");
    value.to_str().is_ok_and(|names| names.split(',').map(str::trim).all(is_none))
}

/// Returns whether a Brotli stream begins with the mark of windows up to 1 GiB, which RFC 7932 does not allow.
fn is_large_window(first: u8) -> bool {
    first & 0x7f == 0x11
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::bufread::GzipEncoder;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[tokio::test]
    async fn compressed_body_above_the_limit_is_too_large_and_not_damaged() {
        // Compression does not make these bytes smaller.
        let bytes: Vec<u8> = (0..64_u32).flat_map(|number| Sha256::digest(number.to_le_bytes()).to_vec()).collect();
        let mut compressed = Vec::new();
        GzipEncoder::new(bytes.as_slice()).read_to_end(&mut compressed).await.unwrap();
        let read = async |body: &[u8], max_bytes: usize| {
            let response = axum::http::Response::builder().header(header::CONTENT_ENCODING, "gzip");
            let response = reqwest::Response::from(response.body(body.to_vec()).unwrap());
            stream_body(response, max_bytes as u64).try_collect::<Vec<Bytes>>().await
        };
        let size = compressed.len();
        assert!(size > bytes.len());
        assert_eq!(read(&compressed, size).await.unwrap().concat(), bytes);
        let error = read(&compressed, size - 1).await.unwrap_err();
        assert!(is_too_large(&error), "{error}");
        let error = read(&compressed[..size - 1], size).await.unwrap_err();
        assert!(!is_too_large(&error) && error.to_string().contains("it is damaged"), "{error}");
    }

    #[test]
    fn streamed_body_with_another_encoding_is_refused() {
        let check = |value: &'static str, expected: Result<bool, ()>| {
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(value))]);
            let decoded = streamed_encoding_of(&headers).map(|encoding| encoding.is_some()).map_err(|_| ());
            assert_eq!(decoded, expected, "{value}");
            assert_eq!(is_decoded_in_stream(&headers), expected == Ok(true), "{value}");
        };
        check("gzip", Ok(true));
        check("deflate", Ok(true));
        for unencoded in ["identity", "Identity", "", "identity, identity"] {
            check(unencoded, Ok(false));
        }
        check("br", Err(()));
        check("zstd", Err(()));
        check("gzip, gzip", Err(()));
    }

    #[test]
    fn only_a_single_known_encoding_is_decoded() {
        let check = |values: &[&'static str], expected: Result<Option<Encoding>, UnsupportedEncoding>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(encoding_of(&headers), expected, "{values:?}");
        };
        check(&[], Ok(None));
        check(&["gzip"], Ok(Some(Encoding::Gzip)));
        check(&[" X-GZIP "], Ok(Some(Encoding::Gzip)));
        check(&["deflate"], Ok(Some(Encoding::Deflate)));
        check(&["br"], Ok(Some(Encoding::Brotli)));
        check(&["zstd"], Err(UnsupportedEncoding));
        check(&["identity"], Ok(None));
        check(&["gzip, gzip"], Err(UnsupportedEncoding));
        check(&["gzip", "br"], Err(UnsupportedEncoding));
    }
}
