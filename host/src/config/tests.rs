//! Tests valid and invalid combinations of variables.

use super::*;

const EXTERNAL: &[(&str, &str)] = &[
    ("ATLASHUB_DATABASE_URL", "postgres://hub:pw@localhost/platform"),
    ("ATLASHUB_S3_ENDPOINT", "http://localhost:3900"),
    ("ATLASHUB_S3_ACCESS_KEY_ID", "id"),
    ("ATLASHUB_S3_SECRET_ACCESS_KEY", "secret"),
    ("PLATFORM_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ("DEV_ADMIN_TOKEN", "a-token-of-the-test"),
];

fn read(pairs: &[(&str, &str)], role: Role) -> Result<Config, ConfigError> {
    Config::from_vars(&Vars::from_pairs(pairs.iter().copied()), role)
}

fn with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut pairs: Vec<_> =
        EXTERNAL.iter().copied().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name)).collect();
    pairs.extend(changes.iter().copied().filter(|(_, value)| !value.is_empty()));
    pairs
}

#[test]
fn without_variables_the_embedded_defaults_apply() {
    let config = read(&[], Role::All).unwrap();
    assert!(config.embedded());
    assert_eq!(config.public_listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.admin_listen, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(config.data_dir, PathBuf::from("./.atlashub"));
}

#[test]
fn defaults_in_the_code_equal_those_in_the_table() {
    // A default that contains a formula in `<…>` is not a value.
    let explicit: Vec<_> = VARIABLES
        .iter()
        .filter(|variable| !variable.default.is_empty() && !variable.default.contains('<'))
        .map(|variable| (variable.name, variable.default))
        .collect();
    assert!(explicit.len() > 30, "{explicit:?}");
    // `variables` differs, because it contains which variables are set.
    let values = |set: &[(&str, &str)]| {
        let config = Config { variables: Vec::new(), ..read(set, Role::All).unwrap() };
        format!("{config:?}")
    };
    assert_eq!(values(&explicit), values(&[]));
}

#[test]
fn embedded_store_may_use_another_port_only_if_nothing_depends_on_its_address() {
    let variable = VARIABLES.iter().find(|variable| variable.name == "ATLASHUB_EMBEDDED_S3_LISTEN").unwrap();
    let default: SocketAddr = "127.0.0.1:8082".parse().unwrap();
    assert_eq!(variable.default, format!("<{default}, or a free port>"));
    for (pairs, expected) in [
        (vec![], StoreAddress::Preferred(default)),
        (vec![(variable.name, "127.0.0.1:8082")], StoreAddress::Fixed(default)),
        (vec![("ATLASHUB_S3_PUBLIC_ENDPOINT", "https://s3.example.com")], StoreAddress::Fixed(default)),
    ] {
        let config = read(&pairs, Role::All).unwrap();
        let StorageConfig::Embedded(storage) = config.storage else { panic!("not embedded") };
        assert_eq!(storage.listen, expected, "{pairs:?}");
    }
}

#[test]
fn external_services_are_configured() {
    let config = read(EXTERNAL, Role::Gateway).unwrap();
    assert!(!config.embedded());
    let StorageConfig::External(storage) = config.storage else { panic!("not external") };
    assert_eq!(storage.public_endpoint, "http://localhost:3900");
}

#[test]
fn endpoint_of_the_store_is_scheme_host_and_port_alone() {
    for variable in ["ATLASHUB_S3_ENDPOINT", "ATLASHUB_S3_PUBLIC_ENDPOINT"] {
        for right in ["https://s3.example.com", "https://s3.example.com/", "http://10.0.0.1:3900", "http://[::1]:1/"] {
            let StorageConfig::External(storage) = read(&with(&[(variable, right)]), Role::All).unwrap().storage else {
                panic!("not external");
            };
            assert_eq!(storage.public_endpoint, right.trim_end_matches('/'), "{variable}");
        }
        for wrong in [
            "https://s3.example.com/store",
            "https://s3.example.com/store/",
            "https://id:pass@s3.example.com",
            "https://id@s3.example.com",
            "https://@s3.example.com",
            "https://s3.example.com?a=b",
            "https://s3.example.com#a",
            "ftp://s3.example.com",
            "s3.example.com",
            "https://",
        ] {
            let error = read(&with(&[(variable, wrong)]), Role::All).unwrap_err();
            assert_eq!(error.variable, variable, "{wrong}: {error}");
            let text = error.to_string();
            assert!(
                text.contains("scheme, host and port") && !text.contains("pass@") && !text.contains('\n'),
                "{text}"
            );
        }
    }
}

#[test]
fn invalid_configuration_names_its_variable() {
    let check = |pairs: &[(&str, &str)], role: Role, variable: &str| {
        let error = read(pairs, role).unwrap_err();
        assert_eq!(error.variable, variable, "{error}");
        assert!(!error.to_string().contains('\n'));
    };
    check(&[("ATLASHUB_ENV", "staging")], Role::All, "ATLASHUB_ENV");
    check(&[("ATLASHUB_ENV", "production")], Role::All, "ATLASHUB_DATABASE_URL");
    check(&[], Role::Gateway, "ATLASHUB_DATABASE_URL");
    check(&[("ATLASHUB_PUBLIC_LISTEN", "8080")], Role::All, "ATLASHUB_PUBLIC_LISTEN");
    check(&[("ATLASHUB_ADMIN_LISTEN", "127.0.0.1:8080")], Role::All, "ATLASHUB_ADMIN_LISTEN");
    check(&[("DEV_ADMIN_TOKEN", "short")], Role::All, "DEV_ADMIN_TOKEN");
    check(&[("ATLASHUB_RATE_LIMIT_SECRET", "-1")], Role::All, "ATLASHUB_RATE_LIMIT_SECRET");
    check(&[("ATLASHUB_TRUSTED_PROXIES", "proxy")], Role::All, "ATLASHUB_TRUSTED_PROXIES");
    check(&[("ATLASHUB_HTTP_ALLOWED_HOSTS", "ftp://a")], Role::All, "ATLASHUB_HTTP_ALLOWED_HOSTS");
    check(&[("ATLASHUB_DISK_LOW_PERCENT", "101")], Role::All, "ATLASHUB_DISK_LOW_PERCENT");
    for variable in [
        "ATLASHUB_PLUGIN_MAX_MEMORY_MIB",
        "ATLASHUB_PLUGIN_MAX_WALL_SECONDS",
        "ATLASHUB_PLUGIN_MAX_CPU_SECONDS",
        "ATLASHUB_PLUGIN_MAX_HOST_CALL_MIB",
        "ATLASHUB_PLUGIN_MAX_LOG_KIB",
        "ATLASHUB_PLUGIN_MAX_CONCURRENT_RUNS",
        "ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB",
        "ATLASHUB_PLUGIN_TOTAL_RUNS",
        "ATLASHUB_PLUGIN_MAX_CALLS",
        "ATLASHUB_PLUGIN_TOTAL_CALLS",
        "ATLASHUB_PLUGIN_MAX_CALL_MEMORY_MIB",
        "ATLASHUB_PLUGIN_TOTAL_CALL_MEMORY_MIB",
        "ATLASHUB_PLUGIN_TOTAL_DUMPS",
        "ATLASHUB_PLUGIN_TOTAL_QUERIES",
        "ATLASHUB_PLUGIN_QUERY_SECONDS",
        "ATLASHUB_PLUGIN_CONNECTIONS",
        "ATLASHUB_PLUGIN_STREAM_IDLE_SECONDS",
        "ATLASHUB_PLUGIN_MAX_HTTP_BODY_MIB",
        "ATLASHUB_PLUGIN_STATE_KIB",
        "ATLASHUB_PLUGIN_MAX_FILE_MIB",
        "ATLASHUB_PLUGIN_COMPILE_MEMORY_MIB",
    ] {
        for wrong in ["0", "-1", "many", "99999999999"] {
            check(&[(variable, wrong)], Role::All, variable);
        }
    }
    check(&[("ATLASHUB_PLUGIN_MAX_MEMORY_MIB", "513")], Role::All, "ATLASHUB_PLUGIN_MAX_MEMORY_MIB");
    // Above the maximum of manifests.
    check(&[("ATLASHUB_PLUGIN_MAX_WALL_SECONDS", "86401")], Role::All, "ATLASHUB_PLUGIN_MAX_WALL_SECONDS");
    check(&[("ATLASHUB_PLUGIN_MAX_LOG_KIB", "4097")], Role::All, "ATLASHUB_PLUGIN_MAX_LOG_KIB");
    check(&[("CF_ACCESS_AUD", "aud")], Role::All, "CF_ACCESS_TEAM_DOMAIN");
    check(&[("CF_ACCESS_TEAM_DOMAIN", "t"), ("CF_ACCESS_AUD", "")], Role::All, "CF_ACCESS_AUD");
    check(
        &[("CF_ACCESS_TEAM_DOMAIN", "http://example.com"), ("CF_ACCESS_AUD", "a")],
        Role::All,
        "CF_ACCESS_TEAM_DOMAIN",
    );
    check(&with(&[("ATLASHUB_S3_ENDPOINT", "")]), Role::All, "ATLASHUB_S3_ENDPOINT");
    check(&with(&[("ATLASHUB_DATABASE_URL", "")]), Role::All, "ATLASHUB_DATABASE_URL");
    check(&[("ATLASHUB_S3_ENDPOINT", "http://localhost:3900")], Role::All, "ATLASHUB_DATABASE_URL");
    check(&with(&[("ATLASHUB_DATABASE_URL", "mysql://x/y")]), Role::All, "ATLASHUB_DATABASE_URL");
    check(&with(&[("ATLASHUB_S3_ACCESS_KEY_ID", "")]), Role::All, "ATLASHUB_S3_ACCESS_KEY_ID");
    check(&with(&[("PLATFORM_MASTER_KEY", "")]), Role::All, "PLATFORM_MASTER_KEY");
    check(&with(&[("DEV_ADMIN_TOKEN", "")]), Role::All, "DEV_ADMIN_TOKEN");
    check(&with(&[("ATLASHUB_ENV", "production")]), Role::All, "DEV_ADMIN_TOKEN");
    check(&with(&[("ATLASHUB_ENV", "production"), ("DEV_ADMIN_TOKEN", "")]), Role::All, "CF_ACCESS_TEAM_DOMAIN");
}

#[test]
fn plugin_limits_are_configured() {
    let config = read(
        &[
            ("ATLASHUB_PLUGIN_MAX_MEMORY_MIB", "1"),
            ("ATLASHUB_PLUGIN_MAX_WALL_SECONDS", "2"),
            ("ATLASHUB_PLUGIN_MAX_CPU_SECONDS", "3"),
            ("ATLASHUB_PLUGIN_MAX_HOST_CALL_MIB", "4"),
            ("ATLASHUB_PLUGIN_MAX_LOG_KIB", "5"),
            ("ATLASHUB_PLUGIN_MAX_CONCURRENT_RUNS", "6"),
            ("ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB", "7"),
            ("ATLASHUB_PLUGIN_TOTAL_RUNS", "8"),
            ("ATLASHUB_PLUGIN_MAX_CALLS", "9"),
            ("ATLASHUB_PLUGIN_TOTAL_CALLS", "10"),
            ("ATLASHUB_PLUGIN_MAX_CALL_MEMORY_MIB", "11"),
            ("ATLASHUB_PLUGIN_TOTAL_CALL_MEMORY_MIB", "12"),
            ("ATLASHUB_PLUGIN_TOTAL_DUMPS", "13"),
            ("ATLASHUB_PLUGIN_CONNECTIONS", "14"),
            ("ATLASHUB_PLUGIN_STREAM_IDLE_SECONDS", "15"),
            ("ATLASHUB_PLUGIN_MAX_FILE_MIB", "16"),
            ("ATLASHUB_PLUGIN_COMPILE_MEMORY_MIB", "170"),
            ("ATLASHUB_PLUGIN_TOTAL_QUERIES", "18"),
            ("ATLASHUB_PLUGIN_QUERY_SECONDS", "19"),
            ("ATLASHUB_PLUGIN_STATE_KIB", "20"),
            ("ATLASHUB_PLUGIN_MAX_HTTP_BODY_MIB", "21"),
        ],
        Role::All,
    )
    .unwrap();
    let run = config.plugins.per_run;
    let read_back =
        [run.memory_mib, run.wall_seconds, run.cpu_seconds, run.host_call_mib, run.log_kib, run.concurrent_runs];
    assert_eq!(read_back, [1, 2, 3, 4, 5, 6]);
    assert_eq!((config.plugins.total_memory_mib, config.plugins.total_runs), (7, 8));
    assert_eq!((config.plugins.calls_per_run, config.plugins.total_calls), (9, 10));
    assert_eq!((config.plugins.call_memory_mib, config.plugins.total_call_memory_mib), (11, 12));
    assert_eq!((config.plugins.total_dumps, config.plugins.connections), (13, 14));
    assert_eq!(config.plugins.stream_idle.as_secs(), 15);
    assert_eq!((config.plugins.max_file_mib, config.plugins.compile_memory_mib), (16, 170));
    assert_eq!((config.plugins.total_queries, config.plugins.query_timeout.as_secs()), (18, 19));
    assert_eq!((config.plugins.state_kib, config.plugins.max_http_body_bytes()), (20, 21 << 20));
    // A lower total lowers the default per run.
    let config = read(&[("ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB", "100")], Role::All).unwrap();
    assert_eq!(config.plugins.per_run.memory_mib, 100);
}

#[test]
fn secret_is_read_from_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a-token-from-a-file\n").unwrap();
    let path = file.path().to_str().unwrap();
    let config = read(&[("DEV_ADMIN_TOKEN_FILE", path)], Role::All).unwrap();
    assert_eq!(config.admin_auth.dev_token.unwrap().expose(), "a-token-from-a-file");
    let both = read(&[("DEV_ADMIN_TOKEN_FILE", path), ("DEV_ADMIN_TOKEN", "another-long-token")], Role::All);
    assert_eq!(both.unwrap_err().variable, "DEV_ADMIN_TOKEN");
    let missing = read(&[("DEV_ADMIN_TOKEN_FILE", "/nonexistent")], Role::All);
    assert_eq!(missing.unwrap_err().variable, "DEV_ADMIN_TOKEN_FILE");
}

#[test]
fn invalid_certificate_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authority.pem");
    let check = |content: &str, part: &str| {
        std::fs::write(&path, content).unwrap();
        let error = read(&[("ATLASHUB_CA_FILE", path.to_str().unwrap())], Role::All).unwrap_err();
        assert_eq!(error.variable, "ATLASHUB_CA_FILE");
        assert!(error.to_string().contains(part) && !error.to_string().contains('\n'), "{error}");
    };
    check("", "no certificate");
    check("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no certificate");
    check("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "damaged");
    check("-----BEGIN CERTIFICATE-----\nAAAA\n", "damaged");
    check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "number 1");
    std::fs::remove_file(&path).unwrap();
    let missing = read(&[("ATLASHUB_CA_FILE", path.to_str().unwrap())], Role::All).unwrap_err();
    assert!(missing.to_string().contains("can't be read"), "{missing}");
}

#[test]
fn debug_output_contains_no_secrets() {
    let config = read(EXTERNAL, Role::All).unwrap();
    let printed = format!("{config:?}");
    assert!(!printed.contains("a-token-of-the-test") && !printed.contains("pw@localhost"));
}

#[test]
fn values_that_are_not_utf8_are_rejected_only_for_known_variables() {
    use std::{
        ffi::{OsStr, OsString},
        os::unix::ffi::OsStrExt as _,
    };
    let add = |name: &str| {
        let entry = (OsString::from(name), OsStr::from_bytes(b"caf\xe9").to_owned());
        Vars::default().add_environment(std::iter::once(entry))
    };
    add("OTHER_PROGRAM").unwrap();
    for name in ["ATLASHUB_DATA_DIR", "PLATFORM_MASTER_KEY_FILE"] {
        assert!(add(name).unwrap_err().to_string().starts_with(&format!("{name} is not UTF-8")));
    }
}
