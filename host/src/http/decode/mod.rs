//! Decodes JSON bodies and query strings into request types, with errors for people who know the API, not Rust.
//!
//! serde's own messages name Rust types, and its derived code accepts an array for a struct. So the input is parsed
//! into a tree of [`node::Node`]s. [`deserializer`] passes the nodes to serde; it knows the expected kind and the path
//! of each value. [`raw_members`] reads an object without parsing its values. [`sent_text`] is the JSON of a value that
//! is kept as it was sent. [`problem`] is the error that the deserializer returns, and its message.

mod deserializer;
mod node;
mod problem;
mod raw_members;
mod sent_text;

#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::error::{ApiError, ApiResult, Code};

use node::Node;
use problem::{DecodeError, Subject};
use raw_members::RawMembers;

/// Maximum number of members of an object for which [`locate`] is called. It decodes the object once per member, each
/// time without that member.
const MAX_LOCATED_MEMBERS: usize = 32;

/// Decodes a JSON body.
///
/// # Errors
/// Returns `invalid_json`. The message describes the problem. The detail `field` is the path of the field with the
/// problem, if the problem concerns one field.
pub(super) fn from_json<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    let parse = || match serde_json::from_slice::<Node>(body) {
        Ok(node) => Ok(with_sent_texts(node, body)),
        Err(error) if has_too_large_number(&error) => members_with_sent_texts(body).ok_or(error),
        Err(error) => Err(error),
    };
    let node = parse().map_err(|error| {
        ApiError::new(Code::InvalidJson, format!("The body is not valid JSON: {}.", json_syntax_error(&error)))
    })?;
    decode(node, || parse().ok()).map_err(|error| {
        let refused = ApiError::new(Code::InvalidJson, error.message(Subject::Body));
        match error.field() {
            Some(field) => refused.with_detail("field", field.into()),
            None => refused,
        }
    })
}

/// Adds the original JSON of a body's members, for fields whose value is kept as it was sent.
fn with_sent_texts(node: Node, body: &[u8]) -> Node {
    let Node::Object(members) = node else { return node };
    // The body was parsed before, so this neither fails nor finds other members.
    let Ok(RawMembers(texts)) = serde_json::from_slice(body) else { return Node::Object(members) };
    let sent = members
        .into_iter()
        .zip(texts)
        .map(|((name, node), (_, text))| (name, Node::Sent { text: text.get().to_owned(), node: Box::new(node) }));
    Node::Object(sent.collect())
}

/// Parses each member of a body on its own, because a number in it is too large for this program. A field whose value
/// is kept as it was sent may contain such a number. Returns `None` if there is another problem.
fn members_with_sent_texts(body: &[u8]) -> Option<Node> {
    let RawMembers(texts) = serde_json::from_slice(body).ok()?;
    let members = texts.into_iter().map(|(name, text)| {
        let node = match serde_json::from_str::<Node>(text.get()) {
            Ok(node) => node,
            Err(error) if has_too_large_number(&error) => Node::TooLarge,
            Err(_) => return None,
        };
        Some((name, Node::Sent { text: text.get().to_owned(), node: Box::new(node) }))
    });
    members.collect::<Option<Vec<_>>>().map(Node::Object)
}

/// Returns whether serde_json refused a number such as `1e400`. The syntax of the number is valid.
fn has_too_large_number(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

/// Decodes a query string.
///
/// # Errors
/// Returns `invalid_request`. The message names the parameter with the problem.
pub(super) fn from_query<T: DeserializeOwned>(query: &str) -> ApiResult<T> {
    let parse = || {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Node::Object(pairs.map(|(key, value)| (key.into_owned(), Node::Text(value.into_owned()))).collect())
    };
    decode(parse(), || Some(parse())).map_err(|error| ApiError::invalid(error.message(Subject::Query)))
}

/// Describes a JSON syntax error by its position. serde's message would name its parser's states.
pub fn json_syntax_error(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        _ if error.to_string().starts_with("recursion limit") => "it is nested too deeply".to_owned(),
        Category::Eof if line <= 1 && column == 0 => "it is empty".to_owned(),
        Category::Eof => format!("it ends too early, at line {line} column {column}"),
        Category::Syntax | Category::Data | Category::Io => {
            format!("there is an error at line {line} column {column}")
        }
    }
}

/// Decodes a node. `again` returns a copy of the node, to find the cause of an error whose path is missing or
/// incomplete.
fn decode<T: DeserializeOwned>(node: Node, again: impl FnOnce() -> Option<Node>) -> Result<T, DecodeError> {
    T::deserialize(node).map_err(|error| match again() {
        Some(Node::Object(members)) if !error.is_located() && members.len() <= MAX_LOCATED_MEMBERS => {
            locate::<T>(&members, error)
        }
        Some(node) => error.within_only_member(&node),
        None => error,
    })
}

/// Finds the member that causes an error without a path. serde collects the members of a flattened struct before it
/// reads their values, so the path is lost.
fn locate<T: DeserializeOwned>(members: &[(String, Node)], error: DecodeError) -> DecodeError {
    let without = |removed: usize| {
        let rest = members.iter().enumerate().filter(|(position, _)| *position != removed);
        Node::Object(rest.map(|(_, member)| member.clone()).collect())
    };
    let is_cause = |position: &usize| match T::deserialize(without(*position)) {
        Ok(_) => true,
        Err(other) => other != error && !other.is_missing_field(),
    };
    match (0..members.len()).find(is_cause) {
        Some(position) => error.within_member(&members[position].0),
        None => error,
    }
}
