//! Converts JSON values that Postgres returns for a type but does not accept for it: hstore objects and arrays of JSON
//! values, also within arrays and composite values. Refuses unknown members of composite values, which Postgres would
//! ignore. Values of all other types stay as sent, for `json_to_record` or the type's input function. For filters,
//! [`literal`] converts arrays and objects of every type.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    array_literal,
    message::{name_list, shortened},
    request::Row,
    schema::JsonInput,
};

/// The reason why a value can't be converted, as the end of the message "Column `x` expects <type>: …".
pub(super) type Reason = Cow<'static, str>;

const INVALID_HSTORE: Reason = Cow::Borrowed("the values of the object must be strings, numbers, booleans or null");
const INVALID_JSON: Reason = Cow::Borrowed("the value contains an escape that is not a character");
const INVALID_OBJECT: Reason = Cow::Borrowed("an object is not valid JSON or contains a member twice");
const UNEXPECTED_STRUCTURE: Reason = Cow::Borrowed("the value contains an array or object that its type does not have");
const TOO_MANY_DIMENSIONS: Reason = Cow::Borrowed("an array has more than 6 dimensions");

/// Postgres's limit on the dimensions of an array. It also limits the recursion.
const MAX_DIMENSIONS: usize = 6;

/// Returns whether [`convert`] may change or refuse a value.
pub(super) fn needs_conversion(input: &JsonInput) -> bool {
    !matches!(input, JsonInput::Native | JsonInput::Json)
}

/// Returns the JSON that `json_to_record` converts to the value that `json` stands for.
pub(super) fn convert<'j>(json: &'j str, input: &JsonInput) -> Result<Cow<'j, str>, Reason> {
    Ok(match (input, json.as_bytes().first()) {
        (JsonInput::Hstore, Some(b'{')) => json_string(&hstore_literal(json)?)?,
        (JsonInput::Array(element), Some(b'[')) if **element == JsonInput::Json => {
            json_string(&json_array_literal(json)?)?
        }
        (JsonInput::Array(element), Some(b'[')) => Cow::Owned(convert_array(json, element, 1)?),
        (JsonInput::Composite(attributes), Some(b'{')) => {
            let row = composite_members(json, attributes)?;
            let attribute = |key: &str| attributes.iter().find(|(name, _)| name == key).map(|(_, input)| input);
            Cow::Owned(convert_members(&row, attribute)?)
        }
        _ => Cow::Borrowed(json),
    })
}

/// Returns the members of a composite value, all of which are attributes of its type.
fn composite_members<'j>(json: &'j str, attributes: &[(String, JsonInput)]) -> Result<Row<'j>, Reason> {
    let row = Row::parse_value(json).map_err(|_| INVALID_OBJECT)?;
    let is_unknown = |key: &str| attributes.iter().all(|(name, _)| name != key);
    if let Some((key, _)) = row.cells.iter().find(|(key, _)| is_unknown(key)) {
        let names: Vec<&str> = attributes.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("unknown member `{}`. Supported: {}", shortened(key), name_list(&names)).into());
    }
    Ok(row)
}

/// Returns the text from which the type's input function reads the value that `json` stands for, or `None` for null.
/// A filter compares with such a text, because Postgres names the parameter if the text is invalid.
pub(super) fn literal(json: &str, input: &JsonInput) -> Result<Option<String>, Reason> {
    Ok(Some(match (input, json.as_bytes().first()) {
        (_, Some(b'n')) => return Ok(None),
        (JsonInput::Json, _) => json.to_owned(),
        (JsonInput::Hstore, Some(b'{')) => hstore_literal(json)?,
        (JsonInput::Array(element), Some(b'[')) => array_literal_of(json, element, 1)?,
        (JsonInput::Native, Some(b'[')) => array_literal_of(json, &JsonInput::Native, 1)?,
        (JsonInput::Composite(attributes), Some(b'{')) => composite_literal(json, attributes)?,
        (_, Some(b'"')) => serde_json::from_str::<String>(json).map_err(|_| INVALID_JSON)?,
        (_, Some(b'[' | b'{')) => return Err(UNEXPECTED_STRUCTURE),
        _ => json.to_owned(),
    }))
}

/// Converts an array to a literal. An array in an array is a further dimension, unless it is a JSON value.
fn array_literal_of(json: &str, element: &JsonInput, dimension: usize) -> Result<String, Reason> {
    if dimension > MAX_DIMENSIONS {
        return Err(TOO_MANY_DIMENSIONS);
    }
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| INVALID_JSON)?;
    let mut array = String::with_capacity(json.len() + 16);
    for item in items {
        array.push(if array.is_empty() { '{' } else { ',' });
        if item.get().starts_with('[') && *element != JsonInput::Json {
            array.push_str(&array_literal_of(item.get(), element, dimension + 1)?);
            continue;
        }
        match literal(item.get(), element)? {
            Some(text) => array_literal::push_quoted(&mut array, &text),
            None => array.push_str("NULL"),
        }
    }
    array.push_str(if array.is_empty() { "{}" } else { "}" });
    Ok(array)
}

/// Converts `{"a":"b","c":1}` to `("b","1")`, with the attributes in their order. A missing member is null.
fn composite_literal(json: &str, attributes: &[(String, JsonInput)]) -> Result<String, Reason> {
    let row = composite_members(json, attributes)?;
    let mut composite = String::with_capacity(json.len() + 16);
    composite.push('(');
    for (position, (name, input)) in attributes.iter().enumerate() {
        if position > 0 {
            composite.push(',');
        }
        let Some((_, value)) = row.cells.iter().find(|(key, _)| key == name) else { continue };
        if let Some(text) = literal(value.get(), input)? {
            array_literal::push_quoted(&mut composite, &text);
        }
    }
    composite.push(')');
    Ok(composite)
}

/// Converts the elements of an array. An array in an array is a further dimension.
fn convert_array(json: &str, element: &JsonInput, dimension: usize) -> Result<String, Reason> {
    if dimension > MAX_DIMENSIONS {
        return Err(TOO_MANY_DIMENSIONS);
    }
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| INVALID_JSON)?;
    let mut converted = String::with_capacity(json.len() + 16);
    for item in items {
        converted.push(if converted.is_empty() { '[' } else { ',' });
        if item.get().starts_with('[') {
            converted.push_str(&convert_array(item.get(), element, dimension + 1)?);
        } else {
            converted.push_str(&convert(item.get(), element)?);
        }
    }
    converted.push_str(if converted.is_empty() { "[]" } else { "]" });
    Ok(converted)
}

/// Returns the object, after converting the members for which `input` returns a conversion.
pub(super) fn convert_members<'i>(
    row: &Row<'_>,
    input: impl Fn(&str) -> Option<&'i JsonInput>,
) -> Result<String, Reason> {
    let mut converted = String::with_capacity(row.json.len() + 16);
    for (key, value) in &row.cells {
        converted.push(if converted.is_empty() { '{' } else { ',' });
        converted.push_str(&json_string(key)?);
        converted.push(':');
        match input(key) {
            Some(input) => converted.push_str(&convert(value.get(), input)?),
            None => converted.push_str(value.get()),
        }
    }
    converted.push_str(if converted.is_empty() { "{}" } else { "}" });
    Ok(converted)
}

/// Converts `{"a":"b","c":null}` to `"a"=>"b","c"=>NULL`.
pub(super) fn hstore_literal(json: &str) -> Result<String, Reason> {
    let row = Row::parse_value(json).map_err(|_| INVALID_OBJECT)?;
    let mut literal = String::with_capacity(json.len() + 16);
    for (key, value) in &row.cells {
        if !literal.is_empty() {
            literal.push(',');
        }
        array_literal::push_quoted(&mut literal, key);
        literal.push_str("=>");
        let json = value.get();
        match json.as_bytes().first() {
            Some(b'n') => literal.push_str("NULL"),
            Some(b'[' | b'{') => return Err(INVALID_HSTORE),
            Some(b'"') => {
                let text: Cow<'_, str> = serde_json::from_str(json).map_err(|_| INVALID_JSON)?;
                array_literal::push_quoted(&mut literal, &text);
            }
            _ => array_literal::push_quoted(&mut literal, json),
        }
    }
    Ok(literal)
}

/// Converts an array of any JSON values to a literal of one dimension. Postgres itself would treat inner arrays as
/// further dimensions, and reject inner arrays of different lengths.
fn json_array_literal(json: &str) -> Result<String, Reason> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| INVALID_JSON)?;
    let mut literal = String::with_capacity(json.len() + 16);
    for element in elements {
        literal.push(if literal.is_empty() { '{' } else { ',' });
        match element.get() {
            "null" => literal.push_str("NULL"),
            json => array_literal::push_quoted(&mut literal, json),
        }
    }
    literal.push_str(if literal.is_empty() { "{}" } else { "}" });
    Ok(literal)
}

fn json_string(text: &str) -> Result<Cow<'static, str>, Reason> {
    serde_json::to_string(text).map(Cow::Owned).map_err(|_| INVALID_JSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_converted_for_their_type() {
        let check = |json: &str, input: &JsonInput, expected: &str| {
            assert_eq!(convert(json, input).as_deref(), Ok(expected), "{json}");
        };
        let array = |element: JsonInput| JsonInput::Array(Box::new(element));
        check(r#"{"a":"b"}"#, &JsonInput::Native, r#"{"a":"b"}"#);
        check(
            r#"{"a":1.50,"b":null,"c\"":"x\\"}"#,
            &JsonInput::Hstore,
            r#""\"a\"=>\"1.50\",\"b\"=>NULL,\"c\\\"\"=>\"x\\\\\"""#,
        );
        check("{}", &JsonInput::Hstore, r#""""#);
        check(r#""a=>1""#, &JsonInput::Hstore, r#""a=>1""#);
        check("null", &JsonInput::Hstore, "null");
        check(r#"[{"a":1},null]"#, &array(JsonInput::Hstore), r#"["\"a\"=>\"1\"",null]"#);
        check(r#"[[{"a":1}],[{}]]"#, &array(JsonInput::Hstore), r#"[["\"a\"=>\"1\""],[""]]"#);
        check("[]", &array(JsonInput::Hstore), "[]");
        check(r#"[[1],[2,3],null,"x"]"#, &array(JsonInput::Json), r#""{\"[1]\",\"[2,3]\",NULL,\"\\\"x\\\"\"}""#);
        check("[]", &array(JsonInput::Json), r#""{}""#);
        let attributes = [("n".to_owned(), JsonInput::Native), ("h".to_owned(), JsonInput::Hstore)];
        let composite = JsonInput::Composite(attributes.into());
        check(r#"{"n":1.0,"h":{"a":true}}"#, &composite, r#"{"n":1.0,"h":"\"a\"=>\"true\""}"#);
        check("{}", &composite, "{}");
        check("null", &composite, "null");
        check(r#""(1,)""#, &composite, r#""(1,)""#);
        check("[[[[[[{}]]]]]]", &array(JsonInput::Hstore), r#"[[[[[[""]]]]]]"#);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(convert(&deep, &array(JsonInput::Hstore)), Err(TOO_MANY_DIMENSIONS));
        assert_eq!(convert(r#"{"a":{}}"#, &JsonInput::Hstore), Err(INVALID_HSTORE));
        assert_eq!(convert(r#"{"a":"\ud800"}"#, &JsonInput::Hstore), Err(INVALID_JSON));
    }

    #[test]
    fn hstore_can_have_more_members_than_a_table_has_columns() {
        let members: Vec<String> = (0..2000).map(|number| format!("\"{number}\":null")).collect();
        let literal = hstore_literal(&format!("{{{}}}", members.join(","))).unwrap();
        assert!(literal.ends_with(",\"1999\"=>NULL"), "{literal}");
    }

    #[test]
    fn values_are_converted_to_literals_of_their_type() {
        let check = |json: &str, input: &JsonInput, expected: Result<&str, Reason>| {
            let expected = expected.map(|text| Some(text.to_owned()));
            assert_eq!(literal(json, input), expected, "{json}");
        };
        let array = |element: JsonInput| JsonInput::Array(Box::new(element));
        let native = &JsonInput::Native;
        check(r#"[1,null,"a\"b"]"#, native, Ok(r#"{"1",NULL,"a\"b"}"#));
        check("[[1,2],[3,4]]", native, Ok(r#"{{"1","2"},{"3","4"}}"#));
        check("[]", native, Ok("{}"));
        check(r#"[{"a": 1},[1,"x"],null]"#, &array(JsonInput::Json), Ok(r#"{"{\"a\": 1}","[1,\"x\"]",NULL}"#));
        check(r#"[{"a":1}]"#, &array(JsonInput::Hstore), Ok(r#"{"\"a\"=>\"1\""}"#));
        check(r#"[{"a":1}]"#, native, Err(UNEXPECTED_STRUCTURE));
        check(&format!("{}{}", "[".repeat(7), "]".repeat(7)), native, Err(TOO_MANY_DIMENSIONS));
        let attributes = [("s", JsonInput::Native), ("n", JsonInput::Native), ("j", JsonInput::Json)];
        let composite = JsonInput::Composite(attributes.map(|(name, input)| (name.to_owned(), input)).into());
        check(r#"{"j":{"k":[1]},"s":"a \"b\" \\"}"#, &composite, Ok(r#"("a \"b\" \\",,"{\"k\":[1]}")"#));
        check(r#"{"s":[1,2],"n":null}"#, &composite, Ok(r#"("{\"1\",\"2\"}",,)"#));
        check(r#"[{"s":"x"}]"#, &array(composite.clone()), Ok(r#"{"(\"x\",,)"}"#));
        check(r#"{"s":1,"s":2}"#, &composite, Err(INVALID_OBJECT));
        check(r#"{"x":1}"#, &composite, Err("unknown member `x`. Supported: s, n, j".into()));
        assert_eq!(literal("null", native), Ok(None));
    }

    #[test]
    fn unknown_members_of_composite_values_are_refused() {
        let inner = JsonInput::Composite([("a".to_owned(), JsonInput::Json)].into());
        let outer = [("n".to_owned(), JsonInput::Native), ("i".to_owned(), JsonInput::Array(Box::new(inner)))];
        let outer = JsonInput::Composite(outer.into());
        let refusal = |json: &str| convert(json, &outer).unwrap_err().into_owned();
        assert_eq!(refusal(r#"{"N":1}"#), "unknown member `N`. Supported: n, i");
        assert_eq!(refusal(r#"{"n":1,"i":[{"a":{"b":1}},{"b":1}]}"#), "unknown member `b`. Supported: a");
        assert_eq!(refusal(r#"{"n":1,"n":2}"#), INVALID_OBJECT);
    }
}
