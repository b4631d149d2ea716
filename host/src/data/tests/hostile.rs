//! Tests, with random requests, that no text of a client reaches the SQL outside of quotes and parameters.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::{delete, export, insert, read, update};
use crate::data::RowSelection;

/// Text that looks like SQL, JSON, a filter or a cursor.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\"'\\\\;(){}\\[\\],.:!*$%|&= \\-a-z0-9\n]{0,40}",
        Just("x'; DROP TABLE books; --".to_owned()),
        Just("\") FROM pg_catalog.pg_authid --".to_owned()),
        Just("$1".to_owned()),
        Just("id) OR (1=1".to_owned()),
        Just("*".to_owned()),
    ]
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Returns the SQL without the quoted names.
fn without_names(sql: &str) -> String {
    let mut rest = String::new();
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '"' {
            loop {
                match characters.next() {
                    Some('"') if characters.peek() == Some(&'"') => {
                        characters.next();
                    }
                    Some('"') => break,
                    Some(_) => {}
                    None => panic!("unclosed name: {sql}"),
                }
            }
        } else {
            rest.push(character);
        }
    }
    rest
}

/// Returns whether the SQL outside of quoted names contains only characters that the renderer writes.
fn is_well_formed(sql: &str) -> bool {
    without_names(sql)
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || " (),.*:$=<>[]@&?|'_+~".contains(character))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn hostile_values_do_not_change_the_sql(value in hostile()) {
        // A pattern must not end in a single backslash.
        let value = value.replace('\0', "") + ".";
        let sql = |value: &str| {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let query = format!(
                "select=id&eq.title={v}&like.title={v}&in.code={list}&or=(eq.title:{q},gt.code:{q})&fts.title={v}",
                v = encoded(value), list = encoded(&format!("\"{quoted}\"")), q = encoded(&format!("\"{quoted}\"")),
            );
            read("books", &query).unwrap()
        };
        let (benign, attempted) = (sql("a"), sql(&value));
        prop_assert_eq!(&benign.text, &attempted.text);
        prop_assert_eq!(attempted.params[0].as_deref(), Some(value.as_str()));
        prop_assert_eq!(attempted.params[3].as_deref(), Some(value.as_str()));
    }

    #[test]
    fn hostile_queries_stay_inside_quotes(
        table in prop_oneof![Just("books".to_owned()), hostile()], key in hostile(), value in hostile(),
        select in hostile(), order in hostile(), after in hostile(),
    ) {
        let queries = [
            format!("{}={}", encoded(&key), encoded(&value)),
            format!("eq.{}={}", encoded(&key), encoded(&value)),
            format!("or={}", encoded(&value)),
            format!("or=(eq.{}:{})", encoded(&key), encoded(&value)),
            format!("select={}&order={}", encoded(&select), encoded(&order)),
            format!("select={}:id", encoded(&select)),
            format!("select={}:authors!author_id(id)", encoded(&select)),
            format!("order=id&after={}", encoded(&after)),
            format!("limit={}&offset={}&count={}", encoded(&key), encoded(&value), encoded(&order)),
            format!("{key}={value}&{select}"),
        ];
        for query in queries {
            for rendered in [read(&table, &query), delete(&table, &query)].into_iter().flatten() {
                prop_assert!(is_well_formed(&rendered.text), "{}", rendered.text);
            }
        }
    }

    #[test]
    fn hostile_exports_stay_inside_quotes(filter in hostile(), value in hostile(), text in hostile()) {
        let filters = [filter.clone(), format!("eq.title={}", encoded(&value)), format!("eq.{}=1", encoded(&value))];
        for filter in &filters {
            let selection = RowSelection { filter: Some(filter), order: Some(&text), select: Some(&value) };
            let all_columns = RowSelection { order: None, select: None, ..selection };
            for rendered in [export("books", selection), export("books", all_columns)].into_iter().flatten() {
                prop_assert!(is_well_formed(&rendered.text), "{}", rendered.text);
            }
        }
        let stored = value.replace('\0', "");
        let filter = format!("eq.title={}", encoded(&stored));
        let attempted = export("books", RowSelection { filter: Some(&filter), order: None, select: None }).unwrap();
        let benign = export("books", RowSelection { filter: Some("eq.title=a"), order: None, select: None }).unwrap();
        prop_assert_eq!(&benign.text, &attempted.text);
        prop_assert_eq!(attempted.params[0].as_deref(), Some(stored.as_str()));
    }

    #[test]
    fn hostile_bodies_stay_inside_quotes(key in hostile(), value in hostile(), text in hostile()) {
        let row = serde_json::json!({ "title": value, &key: text });
        let bodies = [
            serde_json::json!({ "rows": [row, { "title": value }] }).to_string(),
            serde_json::json!({ "rows": [{ "title": value, "tags": [text], "details": { &key: value } }] }).to_string(),
            format!("{{\"rows\":[{{\"title\":{value}}}]}}"),
            text.clone(),
        ];
        for body in bodies {
            if let Ok(rendered) = insert("books", &format!("onConflict={}", encoded(&key)), &body) {
                prop_assert!(is_well_formed(&rendered.text), "{}", rendered.text);
            }
            if let Ok(rendered) = insert("books", "", &body) {
                prop_assert!(is_well_formed(&rendered.text), "{}", rendered.text);
            }
        }
        let body = serde_json::json!({ "values": { "title": value } }).to_string();
        let benign = update("books", "eq.id=1", r#"{"values":{"title":"a"}}"#).unwrap();
        if let Ok(attempted) = update("books", "eq.id=1", &body) {
            prop_assert_eq!(&benign.text, &attempted.text);
        }
    }
}

#[test]
fn check_detects_text_outside_of_quotes() {
    assert!(is_well_formed("SELECT \"a;\"\"b\" FROM t"));
    assert!(!is_well_formed("SELECT \"a\"; DROP TABLE t"));
    assert!(!is_well_formed("SELECT 1 -- \"a\""));
}
