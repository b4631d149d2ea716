//! The Compose files set only variables that the server reads, run commands that exist, and lock containers down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use atlashub::{
    app::other_connections,
    config::{Config, Role, VARIABLES, Vars},
};
use serde_json::Value;

use crate::docs::markdown::{read_document, workspace_root};

const FILES: &[&str] = &["compose.yaml", "compose.local.yaml", "compose.pi.yaml", "compose.rotate.yaml"];

/// Prefixes of variables that other programs read: Compose, Postgres, Garage.
const FOREIGN_PREFIXES: &[&str] = &["COMPOSE_", "POSTGRES_", "GARAGE_"];
/// Variables that only Compose substitutes.
const COMPOSE_ONLY: &[&str] =
    &["IMAGE_TAG", "CLOUDFLARED_TAG", "PUBLISH_PUBLIC_PORT", "PUBLISH_ADMIN_PORT", "PUBLISH_S3_PORT"];

/// Variables that `cargo xtask build` reads while the image is built.
const BUILD_ONLY: &[&str] = &["ATLASHUB_FIRST_PARTY_KEY_FILE"];

#[test]
fn compose_sets_only_variables_that_exist() {
    for file in FILES {
        for (service, definition) in services(file) {
            for name in environment(&definition).keys() {
                let known = is_variable(name) || FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
                assert!(known, "{file}: {service} sets {name}, which nothing reads");
            }
        }
    }
    let dockerfile = read_document("Dockerfile");
    for name in words(&dockerfile).filter(|word| word.starts_with("ATLASHUB_")) {
        assert!(is_variable(name) || BUILD_ONLY.contains(&name), "Dockerfile sets {name}, which nothing reads");
    }
}

/// Variables that the image or a separate file sets, or that only apply to embedded mode and development.
const NOT_FOR_ENV: &[&str] = &[
    "ATLASHUB_DASHBOARD_DIR",
    "ATLASHUB_DATA_DIR",
    "ATLASHUB_PLUGIN_DIR",
    "ATLASHUB_POSTGRES_BIN_DIR",
    "ATLASHUB_POSTGRES_PORT",
    "ATLASHUB_EMBEDDED_S3_LISTEN",
    "DEV_ADMIN_TOKEN",
    "PLATFORM_MASTER_KEY_PREVIOUS",
];

#[test]
fn compose_passes_every_variable_to_the_servers() {
    let services = services("compose.yaml");
    for service in ["gateway", "scheduler"] {
        let passed = environment(&services[service]);
        for variable in VARIABLES.iter().filter(|variable| !NOT_FOR_ENV.contains(&variable.name)) {
            let is_passed =
                passed.contains_key(variable.name) || passed.contains_key(&format!("{}_FILE", variable.name));
            assert!(is_passed, "{} set in .env does not reach {service}", variable.name);
        }
    }
}

#[test]
fn substituted_variables_are_documented_and_env_example_lists_no_others() {
    let used: BTreeSet<String> = FILES.iter().flat_map(|file| substituted_names(&read_compose_file(file))).collect();
    let offered: BTreeSet<String> = env_example().into_keys().collect();
    for name in &used {
        let documented = offered.contains(name) || is_variable(name) || COMPOSE_ONLY.contains(&name.as_str());
        assert!(documented, "Compose substitutes {name}, which is not documented");
    }
    for name in offered.iter().filter(|name| !name.starts_with("COMPOSE_")) {
        assert!(used.contains(name), ".env.example offers {name}, which no Compose file reads");
    }
}

#[test]
fn services_have_no_privileges_and_publish_on_loopback_only() {
    let services = services("compose.yaml");
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["cloudflared", "garage", "gateway", "migrate", "postgres", "scheduler"]);
    for (name, service) in &services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
        assert!(service["cap_add"].is_null() && service["privileged"].is_null(), "{name}");
        let runs_once = service["restart"] == "no";
        assert!(runs_once || service["restart"] == "unless-stopped", "{name}");
        assert!(runs_once || service["healthcheck"]["test"].is_array(), "{name} has no health check");
        let image = service["image"].as_str().unwrap();
        assert!(image.contains(':') && !image.ends_with(":latest"), "{name}: {image} is not pinned");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name} publishes {port} beyond loopback");
        }
    }
    let compose = parse_yaml("compose.yaml");
    assert_eq!(compose["networks"]["data"]["internal"], true);
    assert_eq!(services["postgres"]["networks"], serde_json::json!(["data"]), "Postgres is in other networks too");
    assert_eq!(services["cloudflared"]["profiles"], serde_json::json!(["tunnel"]));
    let address = &services["cloudflared"]["networks"]["edge"]["ipv4_address"];
    assert!(environment(&services["gateway"])["ATLASHUB_TRUSTED_PROXIES"].contains(address.as_str().unwrap()));
}

#[test]
fn compose_sets_no_secret_in_plain_text() {
    for (name, service) in services("compose.yaml") {
        for variable in environment(&service).keys() {
            let secret = VARIABLES.iter().any(|known| known.secret && known.name == variable);
            assert!(!secret, "{name} sets {variable} in plain text; use {variable}_FILE");
        }
    }
}

#[test]
fn pi_memory_limits_fit_into_2560_mib() {
    let base = services("compose.yaml");
    let pi = services("compose.pi.yaml");
    assert!(base.keys().eq(pi.keys()), "compose.pi.yaml must cover every service");
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
    // Plugins at their limit leave room for the scheduler, a pg_dump and a compilation.
    let plugins = environment(&pi["scheduler"])["ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB"].parse::<u32>().unwrap();
    let scheduler = pi["scheduler"]["mem_limit"].as_str().unwrap().trim_end_matches('m').parse::<u32>().unwrap();
    assert!(plugins + 224 <= scheduler, "{plugins} of {scheduler} MiB");
}

#[test]
fn connection_budgets_fit_into_max_connections() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = create_secrets(folder.path());
    let base = services("compose.yaml");
    let pi = services("compose.pi.yaml");
    for (kind, postgres, overrides) in [("base", &base["postgres"], None), ("pi", &pi["postgres"], Some(&pi))] {
        let max_connections: usize = postgres["command"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|word| word.as_str().unwrap().strip_prefix("max_connections="))
            .unwrap()
            .parse()
            .unwrap();
        let needed: usize = [("gateway", Role::Gateway), ("scheduler", Role::Scheduler)]
            .map(|(service, role)| {
                let mut variables = environment(&base[service]);
                variables.extend(overrides.iter().flat_map(|services| environment(&services[service])));
                let variables: BTreeMap<_, _> =
                    with_secret_paths(variables, &secrets).chain(cloudflare_access()).collect();
                let config = Config::from_vars(&Vars::from_pairs(variables), role).unwrap();
                config.limits.project_connections + other_connections(&config)
            })
            .iter()
            .sum();
        // Postgres reserves three connections for superusers.
        assert!(needed + 3 <= max_connections, "{kind}: {needed} of {max_connections}");
    }
}

#[test]
fn server_accepts_the_configuration_that_compose_sets() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = create_secrets(folder.path());
    let base = services("compose.yaml");
    let local = services("compose.local.yaml");
    for (service, role) in [("gateway", Role::Gateway), ("scheduler", Role::Scheduler)] {
        let production: BTreeMap<_, _> =
            with_secret_paths(environment(&base[service]), &secrets).chain(cloudflare_access()).collect();
        let config = Config::from_vars(&Vars::from_pairs(production.clone()), role).unwrap();
        assert!(!config.embedded());
        // Without Cloudflare Access, nobody could sign in, so the server refuses to start.
        let mut unset = production.clone();
        unset.retain(|name, _| !name.starts_with("CF_ACCESS"));
        assert_eq!(
            Config::from_vars(&Vars::from_pairs(unset.clone()), role).unwrap_err().variable,
            "CF_ACCESS_TEAM_DOMAIN"
        );
        unset.extend(with_secret_paths(environment(&local[service]), &secrets));
        Config::from_vars(&Vars::from_pairs(unset), role).unwrap();
    }
}

#[test]
fn create_secrets_keeps_existing_secrets_and_creates_all_that_compose_uses() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = create_secrets(folder.path());
    let first = contents(&secrets);
    create_secrets(folder.path());
    assert_eq!(contents(&secrets), first, "a second run changed secrets");
    for file in ["compose.yaml", "compose.local.yaml"] {
        for (name, source) in parse_yaml(file)["secrets"].as_object().unwrap() {
            assert_eq!(source["file"], format!("./secrets/{name}"));
            assert!(name == "tunnel-token" || first.contains_key(name), "{name} is not created by create-secrets.sh");
        }
    }
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, first["master-key"].trim()).unwrap();
    assert_eq!(key.len(), 32);
    assert!(first["garage.env"].contains(first["s3-secret-access-key"].trim()));
}

#[test]
fn container_commands_exist() {
    let dockerfile = read_document("Dockerfile");
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
    parse_yaml(file)["services"].as_object().unwrap().clone().into_iter().collect()
}

/// Returns the environment of a service, with `${NAME:-default}` replaced by the default.
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

/// Replaces the folder of secrets in a container by `secrets`.
fn with_secret_paths(variables: BTreeMap<String, String>, secrets: &Path) -> impl Iterator<Item = (String, String)> {
    let secrets = secrets.to_str().unwrap().to_owned();
    variables.into_iter().map(move |(name, value)| (name, value.replace("/run/secrets", &secrets)))
}

/// Returns the variables of Cloudflare Access, without which a server in production refuses to start.
fn cloudflare_access() -> [(String, String); 2] {
    [("CF_ACCESS_TEAM_DOMAIN", "team.cloudflareaccess.com"), ("CF_ACCESS_AUD", "a")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn with_defaults(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (inside, after) = rest.split_once('}').unwrap();
    let default = inside.split_once(":-").map_or("", |(_, default)| default);
    format!("{before}{default}{}", with_defaults(after))
}

/// Returns the names in `${NAME…}`.
fn substituted_names(text: &str) -> Vec<String> {
    text.split("${").skip(1).map(|rest| rest.split([':', '}', '-']).next().unwrap().to_owned()).collect()
}

fn env_example() -> BTreeMap<String, String> {
    read_compose_file(".env.example")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
}

/// Runs a copy of `create-secrets.sh` in `folder` and returns the folder of the secrets.
fn create_secrets(folder: &Path) -> PathBuf {
    let script = folder.join("create-secrets.sh");
    fs::copy(workspace_root().join("compose/create-secrets.sh"), &script).unwrap();
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

fn parse_yaml(file: &str) -> Value {
    serde_saphyr::from_str(&read_compose_file(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn read_compose_file(file: &str) -> String {
    read_document(&format!("compose/{file}"))
}
