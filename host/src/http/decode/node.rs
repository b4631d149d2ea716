//! The tree of values into which a request is parsed before its values have types.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A value of a request, before it has a type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Self>),
    /// Keys may repeat.
    Object(Vec<(String, Self)>),
    /// A member of a body, with its JSON as it was sent.
    Sent {
        text: String,
        node: Box<Self>,
    },
    /// A value with a number that is too large for any type of this program. It occurs only in [`Self::Sent`], which
    /// contains its JSON.
    TooLarge,
    /// A value of a query string, which may stand for a number or boolean.
    Text(String),
}

impl Node {
    /// Returns the value without its original JSON.
    pub(super) fn bare(self) -> Self {
        match self {
            Self::Sent { node, .. } => *node,
            node => node,
        }
    }

    /// Like [`Self::bare`], for a borrowed node.
    pub(super) fn as_bare(&self) -> &Self {
        match self {
            Self::Sent { node, .. } => node,
            node => node,
        }
    }

    /// Describes the value for messages: a number, boolean or parameter by its text, any other value by its kind.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::String(_) => "a string".to_owned(),
            Self::Array(_) => "an array".to_owned(),
            Self::Object(_) => "an object".to_owned(),
            Self::Sent { node, .. } => node.kind(),
            Self::TooLarge => "a value with a number that is too large".to_owned(),
            Self::Text(text) if text.is_empty() => "an empty string".to_owned(),
            Self::Text(text) => super::problem::quoted(text),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;
        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::String(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Node, E> {
                Ok(Node::String(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = elements.next_element()? {
                    nodes.push(node);
                }
                Ok(Node::Array(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(member) = members.next_entry()? {
                    nodes.push(member);
                }
                Ok(Node::Object(nodes))
            }
        }
        deserializer.deserialize_any(NodeVisitor)
    }
}
