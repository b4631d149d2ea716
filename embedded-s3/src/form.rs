//! Browser forms: their file, and `${filename}` in their key.
//!
//! `s3s` holds the file of a form in memory while it checks the form. So the file is written to a temporary file while
//! it arrives, and `s3s` sees zeros in its place: chunks of one static array, which need no memory. The checks need
//! only the length. `s3s` asks for the file after it has checked the signature. It also asks for more bytes if it can't
//! parse the fields, so the file is only read after `s3s` has used the secret key.
//!
//! `s3s` uses keys unchanged. S3 replaces `${filename}` with the name of the uploaded file before it checks the
//! form's policy, so the replacement happens here, in the body of the request, before `s3s` sees it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use memchr::memmem;
use s3s::dto::StreamingBlob;
use s3s::{Body, S3Result, s3_error};

use crate::auth::KeyUse;
use crate::connections::{Connection, SignedIn};
use crate::store::{Spool, Store};

const PLACEHOLDER: &str = "${filename}";
/// Maximum number of bytes before the file of a form. `s3s` rejects a form with more.
const MAX_HEAD_BYTES: usize = 256 * 1024;
/// Maximum number of fields, including the file.
const MAX_FIELDS: usize = 100;
/// Maximum length of a key in S3.
const MAX_KEY_BYTES: usize = 1024;
/// Number of bytes of a file that are collected before they are written to disk.
const BATCH_BYTES: usize = 64 * 1024;
/// The bytes that `s3s` sees in place of those of a file.
static ZEROS: [u8; BATCH_BYTES] = [0; BATCH_BYTES];

/// Replaces the placeholder and the file of a form. Also returns the temporary file. Other requests are unchanged. The
/// file is not read before `key_use` is set.
///
/// # Errors
/// Fails if the form has no signature of version 4, or if its key would be longer than S3 allows. Of a malformed form,
/// only the beginning is passed on, because `s3s` rejects it.
pub(crate) async fn spool_file(
    request: Request<Body>,
    store: &Store,
    key_use: &KeyUse,
) -> S3Result<(Request<Body>, Option<Spool>)> {
    if !is_form(&request) {
        return Ok((request, None));
    }
    let (mut parts, body) = request.into_parts();
    let Some(boundary) = form_boundary(&parts.headers) else {
        return Ok((Request::from_parts(parts, Body::empty()), None));
    };
    let mut body = StreamingBlob::from(body);
    let mut form = BytesMut::new();
    let mut searched = 0;
    let head = loop {
        // The head ends with the headers of the file, so it is complete only after the end of headers.
        let has_new_part = find(&form, b"\r\n\r\n", usize::saturating_sub(searched, 3)).is_some();
        searched = form.len();
        if has_new_part && let Some(head) = parse_head(&form, &boundary) {
            break head;
        }
        let chunk = if form.len() < MAX_HEAD_BYTES { body.next().await } else { None };
        match chunk {
            Some(Ok(chunk)) => form.extend_from_slice(&chunk),
            Some(Err(_)) | None => return Ok((Request::from_parts(parts, Body::from(form.freeze())), None)),
        }
    };
    match head.signature {
        Some(Signature::Version4) => {}
        Some(Signature::Version2) => {
            return Err(s3_error!(AccessDenied, "Signature version 2 is not supported. Sign the form with version 4."));
        }
        None => return Err(s3_error!(AccessDenied, "The request is not signed.")),
    }
    let spool = Spool::new(store);
    parts.extensions.insert(spool.clone());
    let buffer = form.split_off(head.file_start);
    let fields = replace_placeholder(&form, &boundary)?.unwrap_or_else(|| form.freeze());
    let file = FileBytes {
        body,
        buffer,
        delimiter: format!("\r\n--{boundary}").into(),
        searched: 0,
        is_complete: false,
        spool: spool.clone(),
        key_use: key_use.clone(),
        connection: parts.extensions.get::<Arc<Connection>>().cloned(),
    };
    let body = stream::iter([Ok(fields)]).chain(stream::try_unfold(file, FileBytes::advance));
    Ok((Request::from_parts(parts, Body::from(StreamingBlob::wrap(body))), Some(spool)))
}

/// The file of a form while it arrives.
struct FileBytes {
    body: StreamingBlob,
    /// Bytes that arrived, but are not written.
    buffer: BytesMut,
    /// The bytes that follow the file.
    delimiter: Bytes,
    /// Start of the bytes in `buffer` that were not searched for the delimiter.
    searched: usize,
    is_complete: bool,
    spool: Spool,
    key_use: KeyUse,
    /// Learns that the signature is valid when `s3s` asks for the file, and is then taken.
    connection: Option<Arc<Connection>>,
}

impl FileBytes {
    /// Writes the next bytes to the spool, and returns as many zeros. At the end of the file, returns the delimiter.
    ///
    /// # Errors
    /// Fails if `s3s` has not used the secret key. `s3s` then asks for more fields, not for the file.
    async fn advance(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if !self.key_use.is_set() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the fields of the form are malformed"));
        }
        if let Some(connection) = self.connection.take() {
            connection.verify_request(SignedIn::UrlOrForm);
        }
        if self.is_complete {
            return Ok(None);
        }
        loop {
            let end = find(&self.buffer, &self.delimiter, self.searched);
            if end == Some(0) {
                self.is_complete = true;
                return Ok(Some((self.delimiter.clone(), self)));
            }
            // The delimiter may have begun at the end of the buffer.
            let ready = end.unwrap_or_else(|| (self.buffer.len() + 1).saturating_sub(self.delimiter.len()));
            if end.is_some() || ready >= BATCH_BYTES {
                let length = ready.min(BATCH_BYTES);
                let bytes = self.buffer.split_to(length).freeze();
                self.searched = ready - length;
                self.spool.write(bytes).await?;
                let mut zeros = Bytes::from_static(&ZEROS);
                zeros.truncate(length);
                return Ok(Some((zeros, self)));
            }
            self.searched = ready;
            match self.body.next().await {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.map_err(io::Error::other)?),
                // `s3s` rejects a form without the delimiter.
                None => return Ok(None),
            }
        }
    }
}

/// Returns whether `s3s` may read the request as a form.
fn is_form<B>(request: &Request<B>) -> bool {
    let is_form_type = |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"multipart/form-data");
    *request.method() == Method::POST && request.headers().get_all(header::CONTENT_TYPE).iter().any(is_form_type)
}

fn form_boundary(headers: &HeaderMap) -> Option<String> {
    let (_, parameters) = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split_once(';')?;
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    })
}

/// The version of a form's signature, according to the names of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signature {
    Version2,
    Version4,
}

/// The part of a form before its file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    /// Byte range of the value of the field `key`.
    key: Option<Range<usize>>,
    /// Name of the file, without folders.
    file_name: Option<String>,
    /// Position of the first byte of the file.
    file_start: usize,
    signature: Option<Signature>,
}

/// Parses the fields before the file. Returns `None` if the file has not begun, if a field is malformed, or if there
/// are more than [`MAX_FIELDS`].
fn parse_head(form: &[u8], boundary: &str) -> Option<Head> {
    let delimiter = format!("--{boundary}");
    let mut head = Head::default();
    let start = if form.starts_with(b"\r\n") { 2 } else { 0 };
    if !form.get(start..)?.starts_with(format!("{delimiter}\r\n").as_bytes()) {
        return None;
    }
    let mut position = start + delimiter.len();
    for _ in 0..MAX_FIELDS {
        let headers_end = find(form, b"\r\n\r\n", position)?;
        let headers = String::from_utf8_lossy(form.get(position..headers_end)?).into_owned();
        let disposition = headers.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        let name = parameter(disposition, "name")?;
        if name.eq_ignore_ascii_case("file") {
            head.file_name = parameter(disposition, "filename")
                .map(|name| name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned());
            head.file_start = headers_end + 4;
            return Some(head);
        }
        let start = headers_end + 4;
        let end = find(form, format!("\r\n{delimiter}\r\n").as_bytes(), start)?;
        if name.eq_ignore_ascii_case("key") {
            head.key = Some(start..end);
        } else if name.eq_ignore_ascii_case("x-amz-signature") {
            head.signature = Some(Signature::Version4);
        } else if name.eq_ignore_ascii_case("signature") && head.signature.is_none() {
            head.signature = Some(Signature::Version2);
        }
        position = end + 2 + delimiter.len();
    }
    None
}

/// Returns the form with the placeholder in its key replaced, or `None` if there is nothing to replace.
///
/// # Errors
/// Fails if the key would be longer than S3 allows. Without this check, a short form could ask for any amount of
/// memory.
fn replace_placeholder(form: &[u8], boundary: &str) -> S3Result<Option<Bytes>> {
    let Some(Head { key: Some(range), file_name: Some(file_name), .. }) = parse_head(form, boundary) else {
        return Ok(None);
    };
    let (Some(before), Some(key), Some(after)) =
        (form.get(..range.start), form.get(range.clone()), form.get(range.end..))
    else {
        return Ok(None);
    };
    let Some(key) = std::str::from_utf8(key).ok().filter(|key| key.contains(PLACEHOLDER)) else { return Ok(None) };
    let placeholders = key.matches(PLACEHOLDER).count();
    let length = key.len() - placeholders * PLACEHOLDER.len() + placeholders.saturating_mul(file_name.len());
    if length > MAX_KEY_BYTES {
        return Err(s3_error!(KeyTooLongError, "The key has more than {MAX_KEY_BYTES} bytes."));
    }
    let key = key.replace(PLACEHOLDER, &file_name);
    Ok(Some([before, key.as_bytes(), after].concat().into()))
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    memmem::find(haystack.get(from..)?, needle).map(|position| from + position)
}

/// Returns the value of a quoted parameter of a `Content-Disposition`.
fn parameter<'header>(disposition: &'header str, name: &str) -> Option<&'header str> {
    let (_, value) = disposition.split_once(&format!("; {name}=\""))?;
    value.split('"').next()
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    fn form(key: &str, file_name: &str) -> String {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{key}\r\n--b\r\n\
             Content-Disposition: form-data; name=\"policy\"\r\n\r\np\r\n--b\r\n\
             Content-Disposition: form-data; name=\"file\"; \
             filename=\"{file_name}\"\r\nContent-Type: text/plain\r\n\r\nkey ${{filename}}"
        )
    }

    /// Returns a request that sends the form in chunks.
    fn request(form: &[u8], chunk: usize) -> Request<Body> {
        let chunks: Vec<_> = form.chunks(chunk).map(|chunk| io::Result::Ok(Bytes::copy_from_slice(chunk))).collect();
        let body = Body::from(StreamingBlob::wrap(stream::iter(chunks)));
        let request = Request::post("http://localhost/files");
        request.header("content-type", "multipart/form-data; boundary=b").body(body).unwrap()
    }

    async fn read(stream: StreamingBlob) -> Vec<u8> {
        stream.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    #[tokio::test]
    async fn file_is_written_to_disk_and_replaced_by_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let fields = form("${filename}", "x.txt").replace("name=\"policy\"", "name=\"X-Amz-Signature\"");
        let fields = fields.strip_suffix("key ${filename}").unwrap();
        let filled = fields.replacen("${filename}", "x.txt", 1);
        let near = b"\r\n--\r\n-\r\r\n--c".repeat(20_000);
        for file in [&b""[..], &b"\r\n"[..], &b"\r\n-"[..], &near[..]] {
            for chunk in [1, 7, 1000, 1 << 20] {
                if chunk == 1 && file.len() > 100 {
                    continue;
                }
                let body = [fields.as_bytes(), file, &b"\r\n--b--\r\n"[..]].concat();
                let key_use = KeyUse::default();
                let (seen, spool) = spool_file(request(&body, chunk), &store, &key_use).await.unwrap();
                key_use.set();
                let seen = read(StreamingBlob::from(seen.into_body())).await;
                let zeros = vec![0; file.len()];
                let expected = [filled.as_bytes(), &zeros[..], &b"\r\n--b"[..]].concat();
                assert!(seen == expected, "{} {chunk}", file.len());
                let spool = spool.unwrap();
                assert!(read(spool.read()).await == file, "{} {chunk}", file.len());
            }
        }
    }

    #[tokio::test]
    async fn file_is_not_read_before_the_key_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let fields = form("k", "x.txt").replace("name=\"policy\"", "name=\"X-Amz-Signature\"");
        let body = [fields.as_bytes(), &[b'x'; 2 * BATCH_BYTES], &b"\r\n--b--\r\n"[..]].concat();
        let (seen, spool) = spool_file(request(&body, 1000), &store, &KeyUse::default()).await.unwrap();
        let mut seen = StreamingBlob::from(seen.into_body());
        assert!(seen.next().await.unwrap().is_ok(), "the fields");
        assert!(seen.next().await.unwrap().is_err());
        assert!(read(spool.unwrap().read()).await.is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn malformed_form_ends_after_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let body = vec![b'x'; 2 * MAX_HEAD_BYTES];
        let (seen, spool) = spool_file(request(&body, 1 << 16), &store, &KeyUse::default()).await.unwrap();
        assert!(spool.is_none());
        assert_eq!(read(StreamingBlob::from(seen.into_body())).await.len(), MAX_HEAD_BYTES);
    }

    #[tokio::test]
    async fn form_without_signature_of_version_4_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        for (field, message) in [("policy", "not signed"), ("Signature", "version 2")] {
            let form = form("k", "f").replace("name=\"policy\"", &format!("name=\"{field}\""));
            let error = spool_file(request(form.as_bytes(), 1000), &store, &KeyUse::default()).await.err().unwrap();
            assert!(error.message().unwrap().contains(message), "{error:?}");
        }
    }

    #[test]
    fn placeholder_in_the_key_becomes_the_file_name() {
        for (key, file_name, expected) in [
            ("a/${filename}", "x.txt", Some("a/x.txt")),
            ("${filename}-${filename}", "ü.txt", Some("ü.txt-ü.txt")),
            ("${filename}", "C:\\folder\\x.txt", Some("x.txt")),
            ("${filename}", "../../x.txt", Some("x.txt")),
            ("plain", "x.txt", None),
        ] {
            let replaced = replace_placeholder(form(key, file_name).as_bytes(), "b").unwrap();
            assert_eq!(replaced, expected.map(|key| Bytes::from(form(key, file_name))), "{key} {file_name}");
        }
    }

    #[test]
    fn key_that_becomes_too_long_is_refused() {
        let name = "n".repeat(400);
        assert!(replace_placeholder(form("${filename}/${filename}", &name).as_bytes(), "b").is_ok());
        let error = replace_placeholder(form("${filename}/${filename}/${filename}", &name).as_bytes(), "b");
        assert_eq!(*error.unwrap_err().code(), s3s::S3ErrorCode::KeyTooLongError);
    }

    #[test]
    fn form_with_more_fields_than_allowed_has_no_head() {
        let field = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n";
        assert!(parse_head((field.repeat(MAX_FIELDS - 3) + &form("k", "f")).as_bytes(), "b").is_some());
        assert_eq!(parse_head((field.repeat(MAX_FIELDS) + &form("k", "f")).as_bytes(), "b"), None);
    }

    #[test]
    fn head_is_complete_when_the_file_begins() {
        let form = form("k", "f");
        let file = form.find("Content-Type").unwrap();
        for length in 0..form.len() {
            let is_complete = length >= file + "Content-Type: text/plain\r\n\r\n".len();
            assert_eq!(parse_head(&form.as_bytes()[..length], "b").is_some(), is_complete, "{length}");
        }
        assert_eq!(parse_head(b"no form", "b"), None);
    }

    #[test]
    fn delimiter_is_a_line_of_its_own() {
        let form = form("k\r\n--bc", "f");
        let key = parse_head(form.as_bytes(), "b").unwrap().key.unwrap();
        assert_eq!(&form[key], "k\r\n--bc");
        assert!(parse_head(format!("\r\n{form}").as_bytes(), "b").is_some());
        assert_eq!(parse_head(format!("x\r\n{form}").as_bytes(), "b"), None);
        assert_eq!(parse_head(form.replacen("--b\r\n", "--b \r\n", 1).as_bytes(), "b"), None);
    }
}
