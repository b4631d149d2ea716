//! Runs the shell commands of `docs/PLUGINS.md`: they create, sign, approve and run a new plugin with the real compiler
//! and the real program. Ports and folders are replaced, and polling is limited.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::{
    docs::markdown::{Block, compare, fenced_blocks, read_document, workspace_root},
    docs::quickstart::Server,
};

/// Line that the script prints after each block of commands.
const END: &str = "--- end of a block ---";

#[test]
fn documented_commands_create_sign_approve_and_run_a_plugin() {
    let blocks = fenced_blocks(&read_document("docs/PLUGINS.md"));
    let shell: Vec<&Block> = blocks.iter().filter(|block| block.language == "sh").collect();
    assert_eq!(shell[0].text, "cargo xtask dev\n");

    let folder = tempfile::tempdir().unwrap();
    // If the tests run as root, Postgres runs as another user, who must be able to enter the folder.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start(folder.path());
    let folder_path = folder.path().to_str().unwrap();

    let mut script = String::from("set -euo pipefail\n");
    // Marks the end of each block's output.
    for block in &shell[1..] {
        script.push_str(&block.text);
        script.push_str(&format!("echo '{END}'\n"));
    }
    let script = script
        .replace("127.0.0.1:8081", &server.admin)
        .replace(".atlashub/", &format!("{folder_path}/.atlashub/"))
        .replace("../my-plugins", &format!("{folder_path}/my-plugins"))
        // The document polls without a limit; the test stops after a minute.
        .replace("do sleep 0.2; done", "do sleep 0.2; WAITED=$((${WAITED:-0} + 1)); [ $WAITED -lt 300 ]; done");
    // The tests' own target folder already contains the plugin's dependencies.
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap();
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(workspace_root())
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));

    let outputs: Vec<&str> = printed.split(END).collect();
    let documented: Vec<(&Block, &Block)> = blocks
        .iter()
        .zip(&blocks[1..])
        .filter(|(shell, json)| shell.language == "sh" && json.language == "json")
        .collect();
    assert_eq!(documented.len(), 2);
    for (block, json) in documented {
        let index = shell[1..].iter().position(|shell| std::ptr::eq(*shell, block)).unwrap();
        let last_line = outputs[index].trim_end().lines().last().unwrap();
        compare(&serde_json::from_str(&json.text).unwrap(), &serde_json::from_str(last_line).unwrap()).unwrap();
    }
    server.stop();
}
