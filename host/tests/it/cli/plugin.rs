//! `atlashub plugin`: keys and signatures that are compatible with minisign, and the owner's decisions.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::support::{
    Client, Postgres, ProgramVars,
    plugin_files::{Author, PluginFolder, component, importing_http, manifest, until_state},
};

/// A key of minisign 0.11, created with `-G -W`. It signed [`SIGNED`] with `-S -t 'about the file'`.
const STANDARD_SECRET: &str = "untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAvBmyC+vkYAgY8l7LhqamKwhyrxJY\
tzOxRnc7AYyocfAmzM4meoNPkgVvPUBgX6+dm4BAKr1du+n45q0ai+CEoJKGEMSsGCaAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";
const STANDARD_PUBLIC: &str = "untrusted comment: minisign public key 860E4EB0BB219BC
RWS8GbIL6+RgCAVvPUBgX6+dm4BAKr1du+n45q0ai+CEoJKGEMSsGCaA
";
const STANDARD_SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUS8GbIL6+RgCCBcyF22GzXp4qRbjtzGWwPMr+h/lGmnF1p6PY5IbM4EgI9TU0Koec8UYOZh1h7PDxz+gU4UmRsNgaCWu8/RAQM=
trusted comment: about the file
2a8mKrx6hqTvb9oV+dYb7RFDr22+Ju9LcLJ8EgiAyGc0stXZSppPCc/3JkS0YcWkc8e7PMF1wcpHOS2Pd6ujBw==
";
const SIGNED: &str = "signed by the standard tool\n";

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let ended = ProgramVars::default().run(arguments);
    (ended.code, ended.stdout, ended.stderr)
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn generated_key_signs_and_its_public_key_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let keygen = ["plugin", "keygen", "-W", "-s", &at("a.key"), "-p", &at("a.pub")];
    let (code, stdout, stderr) = run(&keygen);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert_eq!(fs::metadata(at("a.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(at("a.key")).unwrap();
    let (code, _, stderr) = run(&keygen);
    assert!(code == Some(1) && stderr.contains("already exists"), "{stderr}");
    assert_eq!(fs::read(at("a.key")).unwrap(), before);

    fs::write(at("hello.wasm"), component(&manifest("hello", 1))).unwrap();
    let (code, _, stderr) = run(&["plugin", "sign", &at("hello.wasm"), "-s", &at("a.key")]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let signature = fs::read_to_string(at("hello.wasm.minisig")).unwrap();
    assert!(signature.contains("\tfile:hello.wasm\thashed"), "{signature}");
    let verify = |key: &str| run(&["plugin", "verify", &at("hello.wasm"), "-p", key]);
    let (code, stdout, stderr) = verify(&at("a.pub"));
    assert!(code == Some(0) && stdout.contains("file:hello.wasm"), "{stdout}{stderr}");
    let line = fs::read_to_string(at("a.pub")).unwrap().lines().nth(1).unwrap().to_owned();
    assert_eq!(verify(&line).0, Some(0));
    let (code, _, stderr) = verify(&Author::new().public_key());
    assert!(code == Some(1) && stderr.contains("is signed by key"), "{stderr}");
    fs::write(at("hello.wasm"), component(&manifest("hello", 2))).unwrap();
    let (code, _, stderr) = verify(&at("a.pub"));
    assert!(code == Some(1) && stderr.contains("was changed"), "{stderr}");

    fs::write(at("script.wasm"), "#!/bin/sh").unwrap();
    let (code, _, stderr) = run(&["plugin", "sign", &at("script.wasm"), "-s", &at("a.key")]);
    assert!(code == Some(0) && stderr.contains("a host would reject"), "{stderr}");
}

#[test]
fn key_with_a_password_requires_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    fs::write(at("password"), "correct horse\n").unwrap();
    fs::write(at("wrong"), "battery staple\n").unwrap();
    let (key, public) = (at("a.key"), at("a.pub"));
    let (code, _, stderr) = run(&["plugin", "keygen", "-s", &key, "-p", &public, "--password-file", &at("password")]);
    assert_eq!(code, Some(0), "{stderr}");
    fs::write(at("hello.wasm"), component(&manifest("hello", 1))).unwrap();
    let sign = |more: &[&str]| run(&[&["plugin", "sign", &at("hello.wasm"), "-s", &key], more].concat());
    let (code, _, stderr) = sign(&["--password-file", &at("wrong")]);
    assert!(code == Some(1) && stderr.contains("can't be used"), "{stderr}");
    assert_eq!(sign(&["-W"]).0, Some(1));
    let (code, _, stderr) = sign(&["--password-file", &at("password")]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(run(&["plugin", "verify", &at("hello.wasm"), "-p", &public]).0, Some(0));
}

#[test]
fn files_made_by_minisign_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    fs::write(at("file"), SIGNED).unwrap();
    fs::write(at("file.minisig"), STANDARD_SIGNATURE).unwrap();
    fs::write(at("a.key"), STANDARD_SECRET).unwrap();
    fs::write(at("a.pub"), STANDARD_PUBLIC).unwrap();
    let (code, stdout, stderr) = run(&["plugin", "verify", &at("file"), "-p", &at("a.pub")]);
    assert!(
        code == Some(0) && stdout.contains("0860E4EB0BB219BC") && stdout.contains("about the file"),
        "{stdout}{stderr}"
    );
    fs::remove_file(at("file.minisig")).unwrap();
    let (code, _, stderr) = run(&["plugin", "sign", &at("file"), "-s", &at("a.key")]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(run(&["plugin", "verify", &at("file"), "-p", &at("a.pub")]).0, Some(0));
}

#[test]
fn inspect_prints_manifest_imports_and_signature() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let mut requesting = manifest("caller", 3);
    requesting["capabilities"] =
        json!([{"capability": "http", "reason": "To call.", "scope": {"hosts": ["a.example"]}}]);
    folder.add_signed("caller", &importing_http(&requesting), &author);
    let (code, stdout, stderr) = run(&["plugin", "inspect", &path(folder.path(), "caller.wasm")]);
    assert_eq!(code, Some(0), "{stderr}");
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&shown["manifest"]["serial"], &shown["imports"]), (&json!(3), &json!(["types", "http"])));
    assert_eq!(shown["signature"]["keyId"], author.key_id());
    assert_eq!(shown["sha256"].as_str().unwrap().len(), 64);
    folder.write("bare.wasm", &wat::parse_str("(component)").unwrap());
    let (code, stdout, _) = run(&["plugin", "inspect", &path(folder.path(), "bare.wasm")]);
    assert!(code == Some(1) && stdout.contains("atlashub:manifest"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn running_server_applies_approvals_and_revocations() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url).set("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap());
    let serving = vars.serve(&[]);
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", crate::support::ADMIN_TOKEN);
    let command = |arguments: &[&str], code: i32, expected: &str| {
        let ended = vars.run(&[&["plugin"], arguments].concat());
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {printed}");
        assert!(printed.contains(expected), "{arguments:?}: {printed}");
    };
    command(&["list"], 0, "rejected hello -: it is signed by key");
    command(&["approve", "hello", "--yes"], 1, "not trusted");
    folder.write("author.pub", format!("untrusted comment: a key\n{}\n", author.public_key()).as_bytes());
    let key_file = path(folder.path(), "author.pub");
    let other = "0".repeat(64);
    command(
        &["approve", "hello", "--yes", "--trust-key", &key_file, "--sha256", &other],
        1,
        "The file of plugin `hello` has changed",
    );
    // A key is trusted only together with the approval.
    command(&["list"], 0, "rejected hello -: it is signed by key");
    // Without a terminal, nobody can confirm the approval.
    command(&["approve", "hello", "--trust-key", &key_file], 1, "--yes");
    command(&["list"], 0, "rejected hello -: it is signed by key");
    let trusting = ["approve", "hello", "--yes", "--trust-key", &key_file, "--config", "greeting=Hello"];
    command(&trusting, 0, &format!("Key {} is now trusted.\nactive   hello 1.0.0", author.key_id()));
    // The key is already trusted.
    command(&trusting, 0, "active   hello 1.0.0");
    let active = until_state(&admin, "hello", "active").await;
    assert_eq!(active["config"], json!({"greeting": "Hello"}));
    command(&["approve", "nothing", "--yes"], 1, "Plugin `nothing` not found");
    command(&["revoke", "hello"], 0, "is revoked");
    until_state(&admin, "hello", "revoked").await;
    command(&["list"], 0, "revoked  hello 1.0.0");
    // The request is printed before it is approved.
    command(&["approve", "hello", "--yes"], 0, &format!("SHA-256 {}", active["sha256"].as_str().unwrap()));
    until_state(&admin, "hello", "active").await;
    command(&["revoke", "--sha256", active["sha256"].as_str().unwrap()], 0, "is revoked");
    until_state(&admin, "hello", "revoked").await;
    command(&["revoke", "--sha256", "abc"], 1, "64 hexadecimal digits");
    command(&["revoke", "--key", &author.key_id()], 0, "is revoked");
    command(&["list", "--json"], 0, "which was revoked");
    command(&["revoke"], 2, "required");
    let (_, keys) = admin.get("/admin/v1/trusted-keys").await;
    let own = keys["items"].as_array().unwrap().iter().find(|key| key["firstParty"] == true).unwrap();
    command(&["revoke", "--key", own["id"].as_str().unwrap()], 1, "--yes");
    command(&["revoke", "--yes"], 2, "required");

    let (_, audit) = admin.get("/admin/v1/audit?limit=50").await;
    let actions: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["actor"] == "cli")
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "trusted_key.remove",
            "plugin.revoke",
            "plugin.approve",
            "plugin.revoke",
            "plugin.approve",
            "plugin.approve",
            "trusted_key.add"
        ]
    );

    folder.write("unsigned.wasm", b"x");
    let doctor = vars.run(&["doctor"]);
    let problem =
        doctor.stdout.lines().find(|line| line.starts_with("problem") && line.contains("unsigned is rejected"));
    assert!(problem.is_some(), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("note     plugins: hello"), "{}", doctor.stdout);
    serving.end();
}
