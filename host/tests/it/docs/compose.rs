//! The Compose files name only what the server knows, start what exists, and leave nothing open.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use atlashub::config::{Config, Role, VARIABLES, Vars};
use serde_json::Value;

use crate::docs::markdown::{document, workspace};

const FILES: &[&str] = &["compose.yaml", "compose.local.yaml", "compose.pi.yaml", "compose.rotate.yaml"];

/// What other programs than ours read: Compose itself, Postgres, Garage.
const FOREIGN_PREFIXES: &[&str] = &["COMPOSE_", "POSTGRES_", "GARAGE_"];
/// Only for Compose to fill in.
const COMPOSE_ONLY: &[&str] =
    &["IMAGE_TAG", "CLOUDFLARED_TAG", "PUBLISH_PUBLIC_PORT", "PUBLISH_ADMIN_PORT", "PUBLISH_S3_PORT"];

/// Read by `cargo xtask build` inside the image's build.
const BUILD_ONLY: &[&str] = &["ATLASHUB_FIRST_PARTY_KEY_FILE"];

#[test]
fn every_variable_is_one_that_the_server_reads() {
    for file in FILES {
        for (service, definition) in services(file) {
            for name in environment(&definition).keys() {
                let known = is_variable(name) || FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
                assert!(known, "{file}: {service} sets {name}, which nothing reads");
            }
        }
    }
    let dockerfile = document("Dockerfile");
    for name in words(&dockerfile).filter(|word| word.starts_with("ATLASHUB_")) {
        assert!(is_variable(name) || BUILD_ONLY.contains(&name), "Dockerfile sets {name}, which nothing reads");
    }
}

/// What the image or a file of its own decides, and what is for embedded services and for development.
const NOT_FOR_ENV: &[&str] = &[
    "ATLASHUB_DATA_DIR",
    "ATLASHUB_PLUGIN_DIR",
    "ATLASHUB_POSTGRES_BIN_DIR",
    "ATLASHUB_POSTGRES_PORT",
    "ATLASHUB_EMBEDDED_S3_LISTEN",
    "DEV_ADMIN_TOKEN",
    "PLATFORM_MASTER_KEY_PREVIOUS",
];

#[test]
fn every_variable_reaches_the_servers() {
    let services = services("compose.yaml");
    for service in ["gateway", "scheduler"] {
        let passed = environment(&services[service]);
        for variable in VARIABLES.iter().filter(|variable| !NOT_FOR_ENV.contains(&variable.name)) {
            let there = passed.contains_key(variable.name) || passed.contains_key(&format!("{}_FILE", variable.name));
            assert!(there, "{} set in .env would not reach {service}", variable.name);
        }
    }
}

#[test]
fn the_example_env_has_what_compose_fills_in_and_nothing_else() {
    let asked: BTreeSet<String> = FILES.iter().flat_map(|file| filled_in(&text(file))).collect();
    let offered: BTreeSet<String> = env_example().into_keys().collect();
    for name in &asked {
        let documented = offered.contains(name) || is_variable(name) || COMPOSE_ONLY.contains(&name.as_str());
        assert!(documented, "compose fills in {name}, which is documented nowhere");
    }
    for name in offered.iter().filter(|name| !name.starts_with("COMPOSE_")) {
        assert!(asked.contains(name), ".env.example offers {name}, which no Compose file reads");
    }
}

#[test]
fn services_are_locked_down() {
    let services = services("compose.yaml");
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["cloudflared", "garage", "gateway", "migrate", "postgres", "scheduler"]);
    for (name, service) in &services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
        assert!(service["cap_add"].is_null() && service["privileged"].is_null(), "{name}");
        let once = service["restart"] == "no";
        assert!(once || service["restart"] == "unless-stopped", "{name}");
        assert!(once || service["healthcheck"]["test"].is_array(), "{name} has no health check");
        let image = service["image"].as_str().unwrap();
        assert!(image.contains(':') && !image.ends_with(":latest"), "{name}: {image} is not pinned");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name} publishes {port} beyond loopback");
        }
    }
    let compose = parsed("compose.yaml");
    assert_eq!(compose["networks"]["data"]["internal"], true);
    assert_eq!(services["postgres"]["networks"], serde_json::json!(["data"]), "Postgres is reached by ours alone");
    assert_eq!(services["cloudflared"]["profiles"], serde_json::json!(["tunnel"]));
    let address = &services["cloudflared"]["networks"]["edge"]["ipv4_address"];
    assert!(environment(&services["gateway"])["ATLASHUB_TRUSTED_PROXIES"].contains(address.as_str().unwrap()));
}

#[test]
fn no_secret_is_written_into_a_file_of_ours() {
    for (name, service) in services("compose.yaml") {
        for variable in environment(&service).keys() {
            let secret = VARIABLES.iter().any(|known| known.secret && known.name == variable);
            assert!(!secret, "{name} sets {variable} in the open; use {variable}_FILE");
        }
    }
}

#[test]
fn the_pi_keeps_within_its_memory() {
    let base = services("compose.yaml");
    let pi = services("compose.pi.yaml");
    assert!(base.keys().eq(pi.keys()), "the Pi's file must treat every service");
    let mut total = 0;
    for (name, service) in &pi {
        assert_eq!(service["platform"], "linux/arm64", "{name}");
        let limit = service["mem_limit"].as_str().unwrap_or_else(|| panic!("{name} has no mem_limit"));
        total += match limit.split_at(limit.len() - 1) {
            (number, "m") => number.parse::<u32>().unwrap(),
            (number, "g") => number.parse::<u32>().unwrap() * 1024,
            _ => panic!("{name}: {limit}"),
        };
    }
    assert!(total <= 2560, "{total} MiB");
    // Runs at their limits leave room for the scheduler itself, a pg_dump and a compilation.
    let plugins = environment(&pi["scheduler"])["ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB"].parse::<u32>().unwrap();
    let scheduler = pi["scheduler"]["mem_limit"].as_str().unwrap().trim_end_matches('m').parse::<u32>().unwrap();
    assert!(plugins + 224 <= scheduler, "{plugins} of {scheduler} MiB");
}

#[test]
fn connections_fit_into_postgres() {
    let base = services("compose.yaml");
    let pi = services("compose.pi.yaml");
    for (kind, postgres, overrides) in [("base", &base["postgres"], None), ("pi", &pi["postgres"], Some(&pi))] {
        let most: u32 = postgres["command"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|word| word.as_str().unwrap().strip_prefix("max_connections="))
            .unwrap()
            .parse()
            .unwrap();
        let needed: u32 = ["gateway", "scheduler"]
            .map(|service| {
                let mut variables = environment(&base[service]);
                variables.extend(overrides.iter().flat_map(|services| environment(&services[service])));
                // Besides those to projects: the platform's own pool, listening, provisioning.
                variables["ATLASHUB_PROJECT_CONNECTIONS"].parse::<u32>().unwrap() + 15
            })
            .iter()
            .sum();
        assert!(needed + 10 <= most, "{kind}: {needed} of {most}");
    }
}

#[test]
fn the_server_takes_what_compose_sets() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = created_secrets(folder.path());
    let base = services("compose.yaml");
    let local = services("compose.local.yaml");
    let access: BTreeMap<String, String> =
        [("CF_ACCESS_TEAM_DOMAIN", "team.cloudflareaccess.com"), ("CF_ACCESS_AUD", "a")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    for (service, role) in [("gateway", Role::Gateway), ("scheduler", Role::Scheduler)] {
        let in_place = |variables: BTreeMap<String, String>| {
            variables.into_iter().map(|(name, value)| (name, value.replace("/run/secrets", secrets.to_str().unwrap())))
        };
        let production: BTreeMap<_, _> = in_place(environment(&base[service])).chain(access.clone()).collect();
        let config = Config::from_vars(&Vars::from_pairs(production.clone()), role).unwrap();
        assert!(!config.embedded());
        // Without Access nobody could sign in, and it says so.
        let mut unset = production.clone();
        unset.retain(|name, _| !name.starts_with("CF_ACCESS"));
        assert_eq!(
            Config::from_vars(&Vars::from_pairs(unset.clone()), role).unwrap_err().variable,
            "CF_ACCESS_TEAM_DOMAIN"
        );
        unset.extend(in_place(environment(&local[service])));
        Config::from_vars(&Vars::from_pairs(unset), role).unwrap();
    }
}

#[test]
fn secrets_are_made_once_and_each_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = created_secrets(folder.path());
    let before = contents(&secrets);
    created_secrets(folder.path());
    assert_eq!(contents(&secrets), before, "a second run must keep them");
    for file in ["compose.yaml", "compose.local.yaml"] {
        for (name, source) in parsed(file)["secrets"].as_object().unwrap() {
            assert_eq!(source["file"], format!("./secrets/{name}"));
            assert!(name == "tunnel-token" || before.contains_key(name), "{name} is not made by create-secrets.sh");
        }
    }
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, before["master-key"].trim()).unwrap();
    assert_eq!(key.len(), 32);
    assert!(before["garage.env"].contains(before["s3-secret-access-key"].trim()));
}

#[test]
fn commands_of_the_containers_exist() {
    let dockerfile = document("Dockerfile");
    assert!(dockerfile.contains(r#"CMD ["atlashub", "healthcheck"]"#));
    for command in
        [&["serve", "--role", "gateway"][..], &["serve", "--role", "scheduler"], &["migrate"], &["healthcheck"]]
    {
        let status = Command::new(env!("CARGO_BIN_EXE_atlashub")).args(command).arg("--help").output().unwrap().status;
        assert!(status.success(), "atlashub {}", command.join(" "));
    }
}

fn is_variable(name: &str) -> bool {
    VARIABLES.iter().any(|known| known.name == name || (known.secret && name.strip_suffix("_FILE") == Some(known.name)))
}

fn services(file: &str) -> BTreeMap<String, Value> {
    parsed(file)["services"].as_object().unwrap().clone().into_iter().collect()
}

/// The variables of a service, with `${NAME:-default}` filled in from the defaults.
fn environment(service: &Value) -> BTreeMap<String, String> {
    let value_of = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    service["environment"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), with_defaults(&value_of(value))))
        .collect()
}

fn with_defaults(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (inside, after) = rest.split_once('}').unwrap();
    let default = inside.split_once(":-").map_or("", |(_, default)| default);
    format!("{before}{default}{}", with_defaults(after))
}

/// Names in `${NAME…}`.
fn filled_in(text: &str) -> Vec<String> {
    text.split("${").skip(1).map(|rest| rest.split([':', '}', '-']).next().unwrap().to_owned()).collect()
}

fn env_example() -> BTreeMap<String, String> {
    text(".env.example")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
}

/// Runs `create-secrets.sh` beside a copy of itself in `folder`; answers where the secrets are.
fn created_secrets(folder: &Path) -> PathBuf {
    let script = folder.join("create-secrets.sh");
    fs::copy(workspace().join("compose/create-secrets.sh"), &script).unwrap();
    let output = Command::new("bash").arg(&script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("secrets")
}

fn contents(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

fn parsed(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn text(file: &str) -> String {
    document(&format!("compose/{file}"))
}
