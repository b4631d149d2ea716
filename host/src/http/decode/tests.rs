//! Decoded requests, and the messages for requests that can't be decoded.

use api_types::{CreateExport, CreateJob, CreateNotificationChannel, PageQuery, SignUpload};
use serde::{Deserialize, de::DeserializeOwned};

use super::{from_json, from_query};

fn message<T: DeserializeOwned>(body: &str) -> String {
    from_json::<T>(body.as_bytes()).err().map(|error| error.message().to_owned()).unwrap_or_default()
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    name: String,
    count: u16,
    lines: Vec<Line>,
    #[serde(default)]
    due: Option<chrono::DateTime<chrono::Utc>>,
    #[serde(default)]
    extra: serde_json::Value,
    #[serde(default)]
    size: Option<Size>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Line {
    ok: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Size {
    Small,
    Other(i8),
}

#[derive(Debug, Deserialize)]
struct Kept {
    kept: Option<Box<serde_json::value::RawValue>>,
    #[serde(default)]
    other: u8,
}

#[test]
fn raw_value_has_the_text_that_was_sent() {
    for text in ["{\"a\": [1.10, 1e40],\"a\":2}", "\"\\u00e9\"", "-0.0", "true"] {
        let kept: Kept = from_json(format!("{{\"other\":3,\"kept\": {text} }}").as_bytes()).unwrap();
        assert_eq!((kept.kept.unwrap().get(), kept.other), (text, 3));
    }
    let kept: Kept = from_json(br#"{"kept":null}"#).unwrap();
    assert!(kept.kept.is_none());
}

#[test]
fn number_that_is_too_large_is_refused_except_in_a_raw_value() {
    for text in ["1e400", "{\"a\": [-1e400]}"] {
        let kept: Kept = from_json(format!("{{\"other\":3,\"kept\": {text} }}").as_bytes()).unwrap();
        assert_eq!((kept.kept.unwrap().get(), kept.other), (text, 3));
    }
    let refused = from_json::<Kept>(br#"{"kept":1,"other":1e400}"#).unwrap_err();
    assert!(refused.message().contains("`other`") && refused.message().contains("too large"), "{}", refused.message());
    for body in ["{\"name\":\"a\",\"count\":1,\"lines\":[],\"extra\":{\"a\":1e400}}", "[1e400]", "1e400"] {
        assert!(from_json::<Order>(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn members_of_a_body_with_a_too_large_number_keep_their_order_and_repeat() {
    let check = |body: &str, expected: &str| assert_eq!(message::<Order>(body), expected, "{body}");
    check(r#"{"name":1,"count":true,"lines":{},"extra":1e400}"#, "`name` must be a string, not 1.");
    check(r#"{"lines":{},"count":true,"name":1,"extra":1e400}"#, "`lines` must be an array, not an object.");
    check(r#"{"name":"a","name":"b","count":1,"lines":[],"extra":1e400}"#, "The field `name` is given twice.");
    let repeated = from_json::<Kept>(br#"{"kept":1,"kept":2}"#).unwrap_err();
    assert_eq!(repeated.message(), "The field `kept` is given twice.");
}

#[test]
fn field_of_an_error_is_a_detail() {
    let check = |body: &str, field: Option<&str>| {
        let error = from_json::<Order>(body.as_bytes()).unwrap_err();
        let found = error.details().map(|details| details["field"].as_str().unwrap());
        assert_eq!(found, field, "{body}: {}", error.message());
    };
    check(r#"{"name":"a","count":"b","lines":[]}"#, Some("count"));
    check(r#"{"name":"a","count":1,"lines":[{"ok":true},{"ok":2}]}"#, Some("lines[1].ok"));
    check(r#"{"name":"a","count":1,"lines":[{"other":true}]}"#, Some("lines[0].other"));
    check(r#"{"name":"a","count":1}"#, Some("lines"));
    check("[]", None);
    check("{", None);
}

#[test]
fn valid_values_are_decoded() {
    let order: Order = from_json(
        br#"{"name":"a","count":65535,"lines":[{"ok":true}],"due":"2024-01-01T00:00:00Z","extra":{"a":[1,-2,1.5,null]},
            "size":{"other":-5}}"#,
    )
    .unwrap();
    assert_eq!((order.name.as_str(), order.count, order.lines.len()), ("a", 65535, 1));
    assert_eq!(order.due.unwrap().timestamp(), 1_704_067_200);
    assert_eq!(order.extra, serde_json::json!({ "a": [1, -2, 1.5, null] }));
    assert_eq!(order.size, Some(Size::Other(-5)));
    let page: PageQuery = from_query("limit=5&cursor=a%20b").unwrap();
    assert_eq!((page.limit, page.cursor.as_deref()), (Some(5), Some("a b")));
}

#[test]
fn errors_name_the_field_and_what_it_must_be() {
    let check = |body: &str, expected: &str| assert_eq!(message::<Order>(body), expected, "{body}");
    check("", "The body is not valid JSON: it is empty.");
    check("{\"name\":", "The body is not valid JSON: it ends too early, at line 1 column 8.");
    check("{'name'}", "The body is not valid JSON: there is an error at line 1 column 2.");
    check(&"[".repeat(200), "The body is not valid JSON: it is nested too deeply.");
    check("[]", "The body must be an object, not an array.");
    check(r#"["a",1,[]]"#, "The body must be an object, not an array.");
    check("null", "The body must be an object, not null.");
    check("{}", "The field `name` is missing.");
    check(r#"{"name":1,"count":1,"lines":[]}"#, "`name` must be a string, not 1.");
    check(r#"{"name":"a","count":70000,"lines":[]}"#, "`count` must be a whole number from 0 to 65535, not 70000.");
    check(r#"{"name":"a","count":1.5,"lines":[]}"#, "`count` must be a whole number from 0 to 65535, not 1.5.");
    check(r#"{"name":"a","count":"1","lines":[]}"#, "`count` must be a whole number from 0 to 65535, not a string.");
    check(r#"{"name":"a","count":1,"lines":{}}"#, "`lines` must be an array, not an object.");
    check(r#"{"name":"a","count":1,"lines":[[true]]}"#, "`lines[0]` must be an object, not an array.");
    check(
        r#"{"name":"a","count":1,"lines":[{"ok":true},{"ok":"x"}]}"#,
        "`lines[1].ok` must be true or false, not a string.",
    );
    check(r#"{"name":"a","count":1,"lines":[{"no":1}]}"#, "Unknown field `lines[0].no`. Supported: ok.");
    check(r#"{"name":"a","count":1,"lines":[{}]}"#, "The field `lines[0].ok` is missing.");
    check(r#"{"name":"a","name":"b","count":1,"lines":[]}"#, "The field `name` is given twice.");
    check(r#"{"name":"a","count":1,"lines":[],"size":"big"}"#, "`size` must be one of small, other, not `big`.");
    check(
        r#"{"name":"a","count":1,"lines":[],"size":{"other":1000}}"#,
        "`size.other` must be a whole number from -128 to 127, not 1000.",
    );
    check(r#"{"name":"a","count":1,"lines":[],"size":[]}"#, "`size` must be one of small, other, not an array.");
    let message = message::<Order>(r#"{"name":"a","count":1,"lines":[],"due":"soon"}"#);
    assert!(message.starts_with("`due` must be an RFC 3339 formatted date and time string ("), "{message}");
}

#[test]
fn errors_name_the_field_of_an_object_with_a_tag() {
    let check = |source: &str, expected: &str| {
        let body = format!(r#"{{"source":{source},"format":"csv"}}"#);
        assert_eq!(message::<CreateExport>(&body), expected, "{source}");
    };
    check(r#"{"kind":"table","projectId":null,"table":"a"}"#, "`source.projectId` must be a string, not null.");
    check(r#"{"kind":"query","projectId":"a","sql":5}"#, "`source.sql` must be a string, not 5.");
    check(r#"{"kind":"table","projectId":null,"table":null}"#, "`source` must be a string, not null.");
}

#[test]
fn errors_name_the_parameter_and_what_it_must_be() {
    let check = |query: &str, expected: &str| {
        assert_eq!(from_query::<PageQuery>(query).unwrap_err().message(), expected, "{query}");
    };
    check("limit=x", "`limit` must be a whole number from 0 to 4294967295, not `x`.");
    check("limit=-1", "`limit` must be a whole number from 0 to 4294967295, not `-1`.");
    check("limit=", "`limit` must be a whole number from 0 to 4294967295, not an empty string.");
    check("limit=1&limit=2", "The parameter `limit` is given twice.");
}

#[test]
fn messages_contain_no_words_of_serde_or_rust() {
    fn check<T: DeserializeOwned>(bodies: &[&str]) {
        for body in bodies {
            let message = message::<T>(body);
            for inside in ["struct", "expected", "i64", "u64", "elements", "variant", "enum", "sequence"] {
                assert!(!message.contains(inside), "{body}: {message}");
            }
            assert!(!message.is_empty(), "{body} was accepted");
        }
    }
    let bodies = ["[]", "[1,2,3,4,5,6,7,8,9]", "1", "\"x\"", "{\"name\":[]}", "{\"bucket\":{}}"];
    check::<SignUpload>(&bodies);
    check::<CreateJob>(&bodies);
    check::<CreateNotificationChannel>(&bodies);
    let channel = r#"{"name":"a","kind":"email","events":[],"port":"x"}"#;
    assert_eq!(
        message::<CreateNotificationChannel>(channel),
        "`port` must be a whole number from 0 to 65535, not a string."
    );
}
