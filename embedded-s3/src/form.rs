//! `${filename}` in the key of browser forms.
//!
//! `s3s` uses keys unchanged. S3 replaces `${filename}` with the name of the uploaded file before it checks the
//! form's policy, so the replacement happens here, in the body of the request, before `s3s` sees it.

use std::io;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Method, Request, header};
use hyper::body::Incoming;
use s3s::Body;
use s3s::dto::StreamingBlob;

const PLACEHOLDER: &str = "${filename}";
/// Maximum number of bytes before the file of a form. `s3s` rejects a form with more.
const MAX_HEAD_BYTES: usize = 512 * 1024;

/// Returns the request with the placeholder replaced. A body that is not a well-formed form is left unchanged, because
/// `s3s` rejects it.
pub(crate) async fn fill_in_file_name(request: Request<Incoming>) -> Request<Body> {
    let Some(boundary) = form_boundary(request.method(), request.headers()) else {
        return request.map(Body::from);
    };
    let (parts, body) = request.into_parts();
    let mut body = StreamingBlob::from(Body::from(body)).map(|chunk| chunk.map_err(io::Error::other));
    let mut head = BytesMut::new();
    let mut failed = None;
    while failed.is_none() && head.len() < MAX_HEAD_BYTES && parse_head(&head, &boundary).is_none() {
        match body.next().await {
            Some(Ok(chunk)) => head.extend_from_slice(&chunk),
            Some(Err(error)) => failed = Some(Err(error)),
            None => break,
        }
    }
    let head = replace_placeholder(&head, &boundary).unwrap_or_else(|| head.freeze());
    let body = stream::iter([Ok(head)]).chain(stream::iter(failed)).chain(body);
    Request::from_parts(parts, Body::from(StreamingBlob::wrap(body)))
}

/// Returns the boundary of a form upload, or `None` for other requests.
fn form_boundary(method: &Method, headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE).filter(|_| *method == Method::POST)?.to_str().ok()?;
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    })
}

/// The part of a form before its file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    /// Byte range of the value of the field `key`.
    key: Option<Range<usize>>,
    /// Name of the file, without folders.
    file_name: Option<String>,
}

/// Parses the fields before the file. Returns `None` if the file has not begun, or if a field is malformed.
fn parse_head(form: &[u8], boundary: &str) -> Option<Head> {
    let delimiter = format!("--{boundary}");
    let mut head = Head::default();
    let mut position = find(form, delimiter.as_bytes(), 0)? + delimiter.len();
    loop {
        let headers_end = find(form, b"\r\n\r\n", position)?;
        let headers = String::from_utf8_lossy(form.get(position..headers_end)?).into_owned();
        let disposition = headers.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        let name = parameter(disposition, "name")?;
        if name.eq_ignore_ascii_case("file") {
            head.file_name = parameter(disposition, "filename")
                .map(|name| name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned());
            return Some(head);
        }
        let start = headers_end + 4;
        let end = find(form, format!("\r\n{delimiter}").as_bytes(), start)?;
        if name.eq_ignore_ascii_case("key") {
            head.key = Some(start..end);
        }
        position = end + 2 + delimiter.len();
    }
}

/// Returns the form with the placeholder in its key replaced, or `None` if there is nothing to replace.
fn replace_placeholder(form: &[u8], boundary: &str) -> Option<Bytes> {
    let head = parse_head(form, boundary)?;
    let (range, file_name) = (head.key?, head.file_name?);
    let key = std::str::from_utf8(form.get(range.clone())?).ok().filter(|key| key.contains(PLACEHOLDER))?;
    let key = key.replace(PLACEHOLDER, &file_name);
    Some([form.get(..range.start)?, key.as_bytes(), form.get(range.end..)?].concat().into())
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let position = haystack.get(from..)?.windows(needle.len()).position(|window| window == needle)?;
    Some(from + position)
}

/// Returns the value of a quoted parameter of a `Content-Disposition`.
fn parameter<'header>(disposition: &'header str, name: &str) -> Option<&'header str> {
    let (_, value) = disposition.split_once(&format!("; {name}=\""))?;
    value.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(key: &str, file_name: &str) -> String {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{key}\r\n--b\r\n\
             Content-Disposition: form-data; name=\"policy\"\r\n\r\np\r\n--b\r\n\
             Content-Disposition: form-data; name=\"file\"; \
             filename=\"{file_name}\"\r\nContent-Type: text/plain\r\n\r\nkey ${{filename}}"
        )
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
            let replaced = replace_placeholder(form(key, file_name).as_bytes(), "b");
            assert_eq!(replaced, expected.map(|key| Bytes::from(form(key, file_name))), "{key} {file_name}");
        }
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
}
