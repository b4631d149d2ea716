//! Properties of the document that generated clients need.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::openapi::{node, run, write_document};

fn document() -> Value {
    serde_json::to_value(atlashub::router::openapi()).unwrap()
}

/// Returns path, method and content of every operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = ["get", "put", "post", "patch", "delete"];
    paths
        .flat_map(|(path, item)| {
            methods.iter().filter_map(move |method| Some((path.as_str(), *method, item.get(*method)?)))
        })
        .collect()
}

fn is_public(path: &str) -> bool {
    path.starts_with("/v1/")
}

#[tokio::test]
async fn document_passes_the_recommended_rules_of_a_linter() {
    let folder = tempfile::tempdir().unwrap();
    let mut lint = node("lint.mjs");
    lint.arg(write_document(folder.path()));
    run(lint).await;
}

#[test]
fn operation_ids_are_unique_over_both_surfaces() {
    let document = document();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        // Generators change case and underscores, so ids must differ without them too.
        let other = seen.insert(id.replace('_', "").to_lowercase(), path);
        assert_eq!(other, None, "{method} {path}: the operation id `{id}` occurs twice");
    }
}

#[test]
fn tags_are_described_and_belong_to_one_surface() {
    let document = document();
    let described: BTreeMap<&str, &str> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| (tag["name"].as_str().unwrap(), tag["description"].as_str().unwrap()))
        .collect();
    let (mut public, mut admin) = (BTreeSet::new(), BTreeSet::new());
    for (path, method, operation) in operations(&document) {
        let [tag] = operation["tags"].as_array().unwrap().as_slice() else { panic!("{method} {path}: one tag") };
        let tag = tag.as_str().unwrap();
        assert!(described.contains_key(tag), "{method} {path}: the tag `{tag}` has no description");
        if is_public(path) { &mut public } else { &mut admin }.insert(tag);
    }
    assert_eq!(public.intersection(&admin).count(), 0, "{public:?} {admin:?}");
    assert_eq!(public.len() + admin.len(), described.len(), "a described tag is not used");
}

#[test]
fn every_operation_states_its_security_and_servers() {
    let document = document();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let open = ["/healthz", "/readyz", "/", "/assets/{name}", "/openapi.json", "/v1/auth/jwks/{project}"];
    for (path, method, operation) in operations(&document) {
        let security = operation["security"].as_array().unwrap_or_else(|| panic!("{method} {path}"));
        let is_open = open.contains(&path) || operation["operationId"] == "sign_in";
        assert_eq!(security.is_empty(), is_open, "{method} {path}");
        for requirement in security {
            let names: Vec<&String> = requirement.as_object().unwrap().keys().collect();
            assert!(names.iter().all(|name| schemes.contains_key(*name)), "{method} {path}: {names:?}");
            assert_eq!(names.iter().any(|name| *name == "apiKey"), is_public(path), "{method} {path}: {names:?}");
        }
        let servers = operation["servers"].as_array();
        let host = |servers: &Vec<Value>| servers[0]["variables"]["host"]["default"].as_str().unwrap().to_owned();
        let expected = match path {
            "/healthz" | "/readyz" => None,
            path if is_public(path) => Some("127.0.0.1:8080".to_owned()),
            _ => Some("127.0.0.1:8081".to_owned()),
        };
        assert_eq!(servers.map(host), expected, "{method} {path}");
    }
    assert_eq!(document["servers"].as_array().unwrap().len(), 2);
}

#[test]
fn public_operations_list_the_responses_of_the_gate() {
    let document = document();
    for (path, method, operation) in operations(&document).into_iter().filter(|(path, ..)| is_public(path)) {
        let needs_key = !operation["security"].as_array().unwrap().is_empty();
        for status in ["401", "429", "503"].iter().skip(usize::from(!needs_key)) {
            let response = &operation["responses"][status];
            assert!(response["content"]["application/json"]["schema"].is_object(), "{method} {path}: {status}");
        }
    }
    let refresh = &document["paths"]["/v1/auth/refresh"]["post"]["responses"]["503"];
    assert!(refresh["description"].as_str().unwrap().contains("requests per second"), "{refresh}");
    let log_out = &document["paths"]["/v1/auth/logout"]["post"];
    assert_eq!(log_out["requestBody"]["required"], false);
    assert!(log_out["responses"]["400"].is_object() && log_out["responses"]["404"].is_object(), "{log_out}");
    for method in ["get", "patch", "delete"] {
        let responses = &document["paths"]["/v1/db/{table}"][method]["responses"];
        assert!(responses["414"].is_object(), "{method}: {responses}");
    }
}

#[test]
fn names_of_members_are_in_camel_case() {
    fn check(place: &str, node: &Value) {
        let names = node["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
        for name in names {
            assert!(!name.contains('_') && !name.starts_with(char::is_uppercase), "{place}: `{name}`");
        }
        for children in ["oneOf", "allOf", "anyOf"] {
            node[children].as_array().into_iter().flatten().for_each(|child| check(place, child));
        }
    }
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        check(name, schema);
    }
}

#[test]
fn pages_refer_to_the_schema_of_their_items() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let pages: Vec<_> = schemas.iter().filter(|(name, _)| name.starts_with("Page_")).collect();
    assert!(pages.len() > 5);
    for (name, schema) in pages {
        let expected = match &name["Page_".len()..] {
            "String" => json!({ "type": "string" }),
            item => json!({ "$ref": format!("#/components/schemas/{item}") }),
        };
        assert_eq!(schema["properties"]["items"]["items"], expected, "{name}");
    }
}
