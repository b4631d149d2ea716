//! Reads server-sent events.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{Client, WAIT_TIMEOUT};

/// The response of a stream of server-sent events.
pub struct EventTail {
    body: Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvent {
    pub name: String,
    pub id: String,
    pub data: Value,
}

impl EventTail {
    /// Opens a stream. With `after`, the stream continues after the event with this id.
    pub async fn open(client: &Client, path: &str, after: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, path);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Self { body: Box::pin(response.bytes_stream()), text: String::new() }
    }

    /// Waits for the next event. Returns `None` at the end of the response.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let prefix = format!("{name}: ");
                    event.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
                };
                let found = (!event.starts_with(':')).then(|| StreamEvent {
                    name: field("event"),
                    id: field("id"),
                    data: serde_json::from_str(&field("data")).unwrap(),
                });
                self.text = rest.to_owned();
                match found {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(WAIT_TIMEOUT, self.body.next()).await.expect("an event should arrive");
            self.text.push_str(std::str::from_utf8(&chunk?.unwrap()).unwrap());
        }
    }

    /// Waits for an event with this name and these members of the data.
    pub async fn until(&mut self, name: &str, members: &Value) -> StreamEvent {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name} {members}"));
            let mut members = members.as_object().unwrap().iter();
            if event.name == name && members.all(|(name, value)| event.data[name] == *value) {
                return event;
            }
        }
    }
}
