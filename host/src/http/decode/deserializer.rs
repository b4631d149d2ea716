//! The serde deserializer for the nodes of a request.

use std::vec;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StringDeserializer,
};

use super::{
    node::Node,
    problem::{DecodeError, plain},
    sent_text::{RAW_VALUE, SentText},
};

macro_rules! integers {
    ($($method:ident $visit:ident $type:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let node = self.bare();
            let number: Option<$type> = match &node {
                Node::Number(number) => match (number.as_u64(), number.as_i64()) {
                    (Some(number), _) => number.try_into().ok(),
                    (None, Some(number)) => number.try_into().ok(),
                    (None, None) => None,
                },
                Node::Text(text) => text.parse().ok(),
                _ => None,
            };
            match number {
                Some(number) => visitor.$visit(number),
                None => Err(DecodeError::wrong(plain(&expectation(&visitor)), node.kind())),
            }
        }
    )*};
}

impl Node {
    fn number(self) -> Result<f64, DecodeError> {
        let node = self.bare();
        let number = match &node {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| DecodeError::wrong("a number", node.kind()))
    }

    fn text(self) -> Result<String, DecodeError> {
        match self.bare() {
            Self::String(text) | Self::Text(text) => Ok(text),
            other => Err(DecodeError::wrong("a string", other.kind())),
        }
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.bare() {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., number) => visitor.visit_f64(number.unwrap_or_default()),
            },
            Self::String(text) | Self::Text(text) => visitor.visit_string(text),
            Self::Array(nodes) => visit_array(nodes, visitor),
            Self::Object(members) => visitor.visit_map(Members { members: members.into_iter(), value: None }),
            node @ Self::TooLarge => Err(DecodeError::wrong("a value with smaller numbers", node.kind())),
            node @ Self::Sent { .. } => node.deserialize_any(visitor),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_f64(self.number()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.bare() {
            Self::Bool(value) => visitor.visit_bool(*value),
            Self::Text(text) if text == "true" => visitor.visit_bool(true),
            Self::Text(text) if text == "false" => visitor.visit_bool(false),
            other => Err(DecodeError::wrong("true or false", other.kind())),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let text = self.text()?;
        // The visit consumes the visitor, but only a failed visit needs its description.
        let expected = expectation(&visitor);
        visitor.visit_string(text).map_err(|error: DecodeError| error.expecting(&expected))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            Self::Null => visitor.visit_none(),
            Self::Sent { node, .. } if *node == Self::Null => visitor.visit_none(),
            node => visitor.visit_some(node),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.bare() {
            Self::Null => visitor.visit_unit(),
            other => Err(DecodeError::wrong("null", other.kind())),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self {
            Self::Sent { text, .. } if name == RAW_VALUE => visitor.visit_map(SentText(Some(text))),
            node => visitor.visit_newtype_struct(node),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.bare() {
            Self::Array(nodes) => visit_array(nodes, visitor),
            other => Err(DecodeError::wrong("an array", other.kind())),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.bare() {
            Self::Object(members) => visitor.visit_map(Members { members: members.into_iter(), value: None }),
            other => Err(DecodeError::wrong("an object", other.kind())),
        }
    }

    /// Rejects an array, which derived visitors would accept as a struct.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.bare() {
            Self::String(name) | Self::Text(name) => visitor.visit_enum(Variant { name, content: None }),
            Self::Object(members) => match <[(String, Self); 1]>::try_from(members) {
                Ok([(name, content)]) => visitor.visit_enum(Variant { name, content: Some(content) }),
                Err(_) => Err(DecodeError::wrong(format!("one of {}", variants.join(", ")), "an object")),
            },
            other => Err(DecodeError::wrong(format!("one of {}", variants.join(", ")), other.kind())),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}

/// Returns the description of the value that a visitor expects.
fn expectation<'de, V: Visitor<'de>>(visitor: &V) -> String {
    let expected: &dyn Expected = visitor;
    expected.to_string()
}

fn visit_array<'de, V: Visitor<'de>>(nodes: Vec<Node>, visitor: V) -> Result<V::Value, DecodeError> {
    let count = nodes.len();
    let mut elements = Elements { nodes: nodes.into_iter(), position: 0 };
    let value = visitor.visit_seq(&mut elements)?;
    match elements.nodes.len() {
        0 => Ok(value),
        _ => Err(DecodeError::invalid_length(count, &"an array with fewer elements")),
    }
}

struct Elements {
    nodes: vec::IntoIter<Node>,
    position: usize,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        let Some(node) = self.nodes.next() else { return Ok(None) };
        let position = self.position;
        self.position += 1;
        seed.deserialize(node).map(Some).map_err(|error| error.within_element(position))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.nodes.len())
    }
}

struct Members {
    members: vec::IntoIter<(String, Node)>,
    /// The member whose key was read last.
    value: Option<(String, Node)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, node)) = self.members.next() else { return Ok(None) };
        let deserializer: StringDeserializer<DecodeError> = key.clone().into_deserializer();
        self.value = Some((key, node));
        seed.deserialize(deserializer).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some((key, node)) = self.value.take() else {
            return Err(DecodeError::custom("a value was read before its key"));
        };
        seed.deserialize(node).map_err(|error| error.within_member(&key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// `"name"`, or `{"name": content}`.
struct Variant {
    name: String,
    content: Option<Node>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = DecodeError;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content), DecodeError> {
        let deserializer: StringDeserializer<DecodeError> = self.name.clone().into_deserializer();
        Ok((seed.deserialize(deserializer)?, Content { name: self.name, node: self.content }))
    }
}

struct Content {
    name: String,
    node: Option<Node>,
}

impl Content {
    fn required(self) -> Result<(String, Node), DecodeError> {
        match self.node {
            Some(node) => Ok((self.name, node)),
            None => Err(DecodeError::wrong(format!("an object with the one field `{}`", self.name), "a string")),
        }
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.node {
            None => Ok(()),
            Some(_) => Err(DecodeError::wrong(format!("the string `{}`", self.name), "an object")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        let (name, node) = self.required()?;
        seed.deserialize(node).map_err(|error| error.within_member(&name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        let (name, node) = self.required()?;
        node.deserialize_seq(visitor).map_err(|error| error.within_member(&name))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, DecodeError> {
        let (name, node) = self.required()?;
        node.deserialize_map(visitor).map_err(|error| error.within_member(&name))
    }
}
