//! Responses of server-sent events (WHATWG HTML, section 9.2).

use std::{convert::Infallible, fmt::Write as _, time::Duration};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

/// Time without an event after which a comment is sent, because proxies close idle connections.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// The comment, which clients ignore.
pub const HEARTBEAT: &str = ": still here\n\n";

/// Returns the response for a stream of strings, each of which consists of complete events or comments.
pub fn event_stream(events: impl Stream<Item = String> + Send + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // Asks proxies not to buffer.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let body = Body::from_stream(events.map(|text| Ok::<_, Infallible>(Bytes::from(text))));
    (headers, body).into_response()
}

/// Appends an event. An empty name or id is left out. No argument may contain a line break; JSON without indentation
/// contains none.
pub fn write_event(events: &mut String, name: &str, id: &str, data: &str) {
    // Writing to a `String` can't fail.
    if !name.is_empty() {
        let _ = writeln!(events, "event: {name}");
    }
    if !id.is_empty() {
        let _ = writeln!(events, "id: {id}");
    }
    let _ = write!(events, "data: {data}\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_only_the_given_fields() {
        let mut events = String::new();
        write_event(&mut events, "", "7", "{}");
        write_event(&mut events, "end", "", "null");
        assert_eq!(events, "id: 7\ndata: {}\n\nevent: end\ndata: null\n\n");
    }
}
