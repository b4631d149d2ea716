//! Tests of the redactor.

use serde_json::json;

use super::*;

fn redactor(secrets: &[(&str, &str)]) -> Redactor {
    let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
    Redactor::new(&secrets)
}

#[test]
fn secrets_are_replaced_in_text_and_json() {
    let redactor =
        redactor(&[("header.authorization", "Bearer abcdefgh1234"), ("body", "pass\"word\n"), ("b", "1234567")]);
    let check = |text: &str, expected: &str| assert_eq!(redactor.text(text), expected);
    check("sent Bearer abcdefgh1234 twice: Bearer abcdefgh1234", "sent *** twice: ***");
    check("token abcdefgh1234", "token ***");
    check("pass\"word\n", "***");
    check("a\0b", "a\u{fffd}b");
    let value = json!({ "pass\"word\n": ["Bearer abcdefgh1234", 1_234_567, 5, null, { "x": "-1234567-" }] });
    assert_eq!(redactor.json(value), json!({ "***": ["***", "***", 5, null, { "x": "-***-" }] }));
}

#[test]
fn short_values_are_not_redacted() {
    let redactor = redactor(&[("header.x", "abc"), ("header.y", "a b")]);
    assert_eq!(redactor.text("abc a b"), "abc a b");
}

#[test]
fn numbers_and_fields_of_a_body_are_redacted() {
    let json = redactor(&[("body", r#"{"pin":471108,"account":-98765.5,"year":2026,"code":"081547","kind":"user"}"#)]);
    assert_eq!(json.text("471108 -98765.5 2026-07-01 081547 user"), "*** *** 2026-07-01 *** user");
    assert_eq!(json.json(json!({ "pin": 471_108, "year": 2026 })), json!({ "pin": "***", "year": 2026 }));
    let form = redactor(&[("body", "user=jane%40example.com&pin=471108&grant=code&secret=sword+fish")]);
    assert_eq!(form.text("jane@example.com 471108 code sword fish sword+fish"), "*** *** code *** ***");
    // A text with an equals sign is not a form.
    let text = redactor(&[("body", "the answer = another")]);
    assert_eq!(text.text("another"), "another");
}

#[test]
fn secret_is_found_in_every_encoding() {
    let body =
        r#"{"user":"jane@example.com","password":"sword/fish \"ü\"","short":"abc","on":true,"deep":["second-secret"]}"#;
    let redactor = redactor(&[("header.cookie", "session=0123456789; theme=dark"), ("body", body)]);
    let hidden = |text: &str| {
        let found = redactor.text(text);
        assert!(!["fish", "jane", "01234", "second"].iter().any(|part| found.contains(part)), "{found}");
    };
    hidden(body);
    hidden(&Value::from(body).to_string());
    hidden("sword/fish \"ü\" and jane@example.com");
    hidden(r#"{"a": "sword\/fish \"ü\""}"#);
    hidden(r#""sword/fish \"\u00fc\"""#);
    hidden("?password=sword%2Ffish%20%22%C3%BC%22&user=jane%40example.com");
    hidden("password=sword%2Ffish+%22%C3%BC%22");
    hidden("the session 0123456789 and second-secret");
    assert_eq!(redactor.text("abc true theme dark"), "abc true theme dark");
}

#[test]
fn secret_is_found_within_base64() {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let secret = "pa??word>>>1";
    let redactor = redactor(&[("header.x-key", secret)]);
    for text in ["", "a", "ab", "abc", "user:"].map(|before| format!("{before}{secret}")) {
        for text in [text.clone(), format!("{text}, and more")] {
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let found = redactor.text(&format!("Basic {encoded}"));
                let left = found.trim_start_matches("Basic ").split("***").map(str::len).max().unwrap();
                assert!(found.contains("***") && left < 20, "{text}: {found}");
            }
        }
    }
    let short = self::redactor(&[("header.x-key", "abcd")]);
    assert_eq!(short.text("YWJjZA=="), "YWJjZA==", "a fragment this short would match by chance");
}

#[test]
fn common_words_are_not_redacted() {
    let redactor = redactor(&[
        ("header.content-type", "application/json"),
        ("header.accept", "text/something-odd"),
        ("header.x-kind", "application/json; charset=utf-8"),
        ("body", r#"{"answer":"undefined"}"#),
    ]);
    let text = r#"{"content-type":"application/json","a":"undefined","b":"text/something-odd"}"#;
    assert_eq!(redactor.text(text), text);
}

#[test]
fn truncated_secret_at_the_end_is_redacted() {
    let long = "x".repeat(100) + &"0123456789".repeat(100);
    let redactor = redactor(&[("header.a", "abcdefghijkl"), ("header.b", "1111abcdef"), ("body", &long)]);
    let check = |bytes: &str, expected: &str| {
        assert_eq!(String::from_utf8_lossy(&redactor.truncated_bytes(bytes.as_bytes())), expected);
    };
    check("say abcdefghijkl", "say ***");
    check("say abcdefg", "say ***");
    check("say abcd", "say ***");
    check("say abc", "say abc");
    check("say abcdx", "say abcdx");
    check(&format!("{long} and {}", &long[..500]), "*** and ***");
    // The bytes before the secret are equal to its beginning.
    check("say 11111abcd", "say 1***");
}

#[test]
fn large_input_is_redacted_with_many_secrets() {
    let texts: Vec<String> = (0..10_000).map(|at| format!("secret-{at:06}")).collect();
    let redactor = redactor(&[("body", &Value::from(texts).to_string())]);
    let text = "secret-00 secret-000001 ".repeat(40_000);
    assert_eq!(redactor.text(&text), "secret-00 *** ".repeat(40_000));
}
