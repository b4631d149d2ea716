//! `docs/PLUGINS.md` as written: its shell lines take a new plugin from nothing to a run that succeeded, with the real
//! compiler, against the real program. Only ports and folders are replaced.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::{
    docs::markdown::{Block, blocks, compare, document, workspace},
    docs::quickstart::Server,
};

#[test]
fn a_plugin_is_written_signed_approved_and_run() {
    let blocks = blocks(&document("docs/PLUGINS.md"));
    let shell: Vec<&Block> = blocks.iter().filter(|block| block.language == "sh").collect();
    assert_eq!(shell[0].text, "cargo xtask dev\n");

    let folder = tempfile::tempdir().unwrap();
    // Postgres runs as another user where the tests run as root.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start(folder.path());
    let here = folder.path().to_str().unwrap();

    let mut script = String::from("set -euo pipefail\n");
    for block in &shell[1..] {
        script.push_str(&block.text);
    }
    let script = script
        .replace("127.0.0.1:8081", &server.admin)
        .replace(".atlashub/", &format!("{here}/.atlashub/"))
        .replace("../my-plugins", &format!("{here}/my-plugins"))
        // A person would look after a while; a test has to end.
        .replace("do sleep 0.2; done", "do sleep 0.2; WAITED=$((${WAITED:-0} + 1)); [ $WAITED -lt 300 ]; done");
    // What the tests themselves were built in: the plugin's dependencies are there already.
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap();
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));

    let documented = blocks.iter().find(|block| block.language == "json").unwrap();
    let answer = printed.trim_end().lines().last().unwrap();
    compare(&serde_json::from_str(&documented.text).unwrap(), &serde_json::from_str(answer).unwrap()).unwrap();
    server.stop();
}
