//! Converts the paths of requests to a normal form, in which letters, digits, `-`, `.`, `_` and `~` are not
//! percent-encoded.

use axum::{
    Router,
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};
use tower::util::MapRequestLayer;

/// Wraps a router so that characters that need no encoding are decoded in the paths of requests before the router
/// matches them. `/v1/db/%74ables` and `/v1/db/tables` are the same path (RFC 3986, section 6.2.2.2), so they must
/// reach the same handler.
pub fn with_normal_paths(router: Router) -> Router {
    Router::new().fallback_service(router).layer(MapRequestLayer::new(|mut request: Request| {
        if let Some(uri) = normal_uri(request.uri()) {
            *request.uri_mut() = uri;
        }
        request
    }))
}

/// Returns the normal form of a URI, if it differs.
fn normal_uri(uri: &Uri) -> Option<Uri> {
    let path = normal_path(uri.path())?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

/// Returns the path with every encoded letter, digit, `-`, `.`, `_` and `~` decoded, or `None` if none is encoded.
fn normal_path(path: &str) -> Option<String> {
    let mut rest = path;
    let mut normal = String::new();
    while let Some(start) = rest.find('%') {
        let (before, encoded) = rest.split_at(start);
        normal.push_str(before);
        match encoded.get(1..3).and_then(unreserved) {
            Some(character) => {
                normal.push(character);
                rest = &encoded[3..];
            }
            None => {
                normal.push('%');
                rest = &encoded[1..];
            }
        }
    }
    normal.push_str(rest);
    (normal != path).then_some(normal)
}

fn unreserved(digits: &str) -> Option<char> {
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let character = is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten().map(char::from)?;
    (character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | '~')).then_some(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreserved_characters_are_decoded() {
        let check = |path: &str, expected: &str| {
            let uri: Uri = path.parse().unwrap();
            assert_eq!(normal_uri(&uri).map(|uri| uri.to_string()).as_deref().unwrap_or(path), expected, "{path}");
        };
        check("/v1/db/%74ables", "/v1/db/tables");
        check("/%761/db/%7Ex%5fy?eq.a=%41", "/v1/db/~x_y?eq.a=%41");
        check("/v1/db/a%2Fb%20%25%3f", "/v1/db/a%2Fb%20%25%3f");
        check("/v1/db/%2574ables", "/v1/db/%2574ables");
        check("/v1/db/%C3%A9", "/v1/db/%C3%A9");
        check("/v1/db/100%", "/v1/db/100%");
        check("/v1/db/%7", "/v1/db/%7");
        check("/v1/db/%é4", "/v1/db/%é4");
        check("/v1/db/books?a=%74", "/v1/db/books?a=%74");
    }
}
