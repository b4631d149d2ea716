//! The problems of a request that can't be decoded, as messages.

use std::fmt::{self, Display, Write};

use serde::de::{Error, Expected, Unexpected};

use super::node::Node;

/// Maximum number of characters of a client's string that a message repeats.
const MAX_SHOWN_CHARACTERS: usize = 80;
/// Maximum number of names that a message lists.
const MAX_LISTED_NAMES: usize = 40;

/// The part of the request that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Body,
    Query,
}

/// The reason why a value is not of the expected type, and its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DecodeError {
    /// From the innermost step outwards.
    path: Vec<Step>,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// `must be …, not …`
    Wrong {
        wanted: String,
        found: String,
    },
    UnknownField {
        field: String,
        supported: &'static [&'static str],
    },
    MissingField(&'static str),
    RepeatedField(&'static str),
    /// A message of the type itself.
    Other(String),
}

impl DecodeError {
    pub(super) fn wrong(wanted: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Problem::Wrong { wanted: wanted.into(), found: found.into() })
    }

    fn new(problem: Problem) -> Self {
        Self { path: Vec::new(), problem }
    }

    pub(super) fn within_member(mut self, key: &str) -> Self {
        self.path.push(Step::Member(key.to_owned()));
        self
    }

    pub(super) fn within_element(mut self, position: usize) -> Self {
        self.path.push(Step::Element(position));
        self
    }

    /// Completes a path that ends at an object instead of the wrong value in it: serde collects the members of an
    /// object with a tag before it reads their values, so the last step of the path is lost. Adds a member only if no
    /// other member of the object has a value that fits the description of the wrong value.
    pub(super) fn within_only_member(mut self, root: &Node) -> Self {
        if let Some(key) = self.only_wrong_member(root).map(str::to_owned) {
            self.path.insert(0, Step::Member(key));
        }
        self
    }

    fn only_wrong_member<'n>(&self, root: &'n Node) -> Option<&'n str> {
        let Problem::Wrong { found, .. } = &self.problem else { return None };
        let mut node = root;
        for step in self.path.iter().rev() {
            node = match (step, node.as_bare()) {
                (Step::Member(key), Node::Object(members)) => &members.iter().find(|(name, _)| name == key)?.1,
                (Step::Element(position), Node::Array(nodes)) => nodes.get(*position)?,
                _ => return None,
            };
        }
        let node = node.as_bare();
        let Node::Object(members) = node else { return None };
        // The problem is the object itself, or it concerns the whole body.
        if node.kind() == *found || self.path.is_empty() {
            return None;
        }
        let mut wrong = members.iter().filter(|(_, value)| value.kind() == *found);
        let (name, _) = wrong.next()?;
        wrong.next().is_none().then_some(name.as_str())
    }

    /// Adds the expected form to a message of the type itself, such as that of a date.
    pub(super) fn expecting(mut self, expected: &str) -> Self {
        if let Problem::Other(message) = &self.problem {
            let wanted = plain(expected);
            if wanted != "a string" {
                self.problem = Problem::Other(format!("must be {wanted} ({message})"));
            }
        }
        self
    }

    /// Returns whether the message names a path or a field.
    pub(super) fn is_located(&self) -> bool {
        !self.path.is_empty() || !matches!(self.problem, Problem::Wrong { .. } | Problem::Other(_))
    }

    pub(super) fn is_missing_field(&self) -> bool {
        matches!(self.problem, Problem::MissingField(_))
    }

    /// Returns the message for the client.
    pub(super) fn message(&self, subject: Subject) -> String {
        let path = self.path_text();
        let location = match (path.is_empty(), subject) {
            (false, _) => quoted(&path),
            (true, Subject::Body) => "The body".to_owned(),
            (true, Subject::Query) => "The query string".to_owned(),
        };
        let noun = match subject {
            Subject::Body => "field",
            Subject::Query => "parameter",
        };
        let member = |name: &str| quoted(&joined(&path, name));
        match &self.problem {
            Problem::Wrong { wanted, found } => format!("{location} must be {wanted}, not {found}."),
            Problem::UnknownField { field, supported: [] } => {
                format!("Unknown {noun} {}. None is supported here.", member(field))
            }
            Problem::UnknownField { field, supported } => {
                format!("Unknown {noun} {}. Supported: {}.", member(field), name_list(supported))
            }
            Problem::MissingField(field) => format!("The {noun} {} is missing.", member(field)),
            Problem::RepeatedField(field) => format!("The {noun} {} is given twice.", member(field)),
            Problem::Other(message) if message.starts_with("must be ") => format!("{location} {message}."),
            Problem::Other(message) => format!("{location} is not valid: {}.", message.trim_end_matches('.')),
        }
    }

    /// Returns the path of the field with the problem, for example `source.table`. Returns `None` if the error is about
    /// the whole body.
    pub(super) fn field(&self) -> Option<String> {
        let path = self.path_text();
        let field = match &self.problem {
            Problem::UnknownField { field, .. } => joined(&path, field),
            Problem::MissingField(field) | Problem::RepeatedField(field) => joined(&path, field),
            Problem::Wrong { .. } | Problem::Other(_) => path,
        };
        (!field.is_empty()).then_some(field)
    }

    fn path_text(&self) -> String {
        let mut text = String::new();
        for step in self.path.iter().rev() {
            // Writing to a String can't fail.
            let _ = match step {
                Step::Member(key) if text.is_empty() => write!(text, "{key}"),
                Step::Member(key) => write!(text, ".{key}"),
                Step::Element(position) => write!(text, "[{position}]"),
            };
        }
        text
    }
}

/// Returns the path of a member.
fn joined(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

/// Returns a client's string in backticks, shortened.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

fn name_list(names: &[&str]) -> String {
    match names.get(..MAX_LISTED_NAMES) {
        Some(first) if names.len() > MAX_LISTED_NAMES => {
            format!("{} and {} more", first.join(", "), names.len() - MAX_LISTED_NAMES)
        }
        _ => names.join(", "),
    }
}

/// Returns the range of an integer type by its Rust name.
fn integer_range(name: &str) -> Option<(i128, i128)> {
    Some(match name {
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" => (i64::MIN.into(), i64::MAX.into()),
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// Returns the description of the values that an integer type accepts.
fn integer(name: &str) -> String {
    match integer_range(name) {
        Some((min, max)) => format!("a whole number from {min} to {max}"),
        None => "a whole number".to_owned(),
    }
}

/// Rewords serde's descriptions of expected values: `struct Name with 2 elements`, `i64`, `a sequence`.
pub(super) fn plain(expected: &str) -> String {
    let first = expected.split_whitespace().next().unwrap_or_default();
    match first {
        _ if integer_range(first).is_some() => integer(first),
        "f32" | "f64" => "a number".to_owned(),
        "struct" => "an object".to_owned(),
        "tuple" => "an array".to_owned(),
        "enum" | "variant" => "one of the documented values".to_owned(),
        "unit" => "null".to_owned(),
        _ => match expected {
            "a map" | "internally tagged enum" => "an object".to_owned(),
            "a sequence" => "an array".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "a borrowed string" | "option" => "a string".to_owned(),
            other if other.starts_with("a tuple") || other.starts_with("an array of") => "an array".to_owned(),
            other => other.to_owned(),
        },
    }
}

fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Char(_) | Unexpected::Str(_) => "a string".to_owned(),
        Unexpected::Seq | Unexpected::TupleVariant | Unexpected::Bytes(_) => "an array".to_owned(),
        Unexpected::Map | Unexpected::StructVariant | Unexpected::Enum | Unexpected::NewtypeVariant => {
            "an object".to_owned()
        }
        Unexpected::Unit | Unexpected::Option | Unexpected::NewtypeStruct | Unexpected::UnitVariant => {
            "null".to_owned()
        }
        Unexpected::Other(_) => "this value".to_owned(),
    }
}

impl Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Problem::Other(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong(plain(&expected.to_string()), found(unexpected))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::wrong(plain(&expected.to_string()), format!("one with {length} elements"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::wrong(format!("one of {}", name_list(expected)), quoted(variant))
    }

    fn unknown_field(field: &str, supported: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownField { field: field.to_owned(), supported })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::MissingField(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Problem::RepeatedField(field))
    }
}

impl Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message(Subject::Body))
    }
}

impl std::error::Error for DecodeError {}
