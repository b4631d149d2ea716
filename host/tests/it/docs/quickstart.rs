//! Runs the shell commands of `docs/QUICKSTART.md` in one shell, in order, against the real program in embedded mode,
//! and compares their output with the document. Ports are replaced, and the built program is started instead of `cargo
//! xtask dev`.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    docs::markdown::{Block, compare, fenced_blocks, read_document},
    support::free_port,
};

#[test]
fn every_command_prints_the_documented_output() {
    let blocks = quickstart_blocks();
    let shell: Vec<(usize, &Block)> = blocks.iter().enumerate().filter(|(_, block)| block.language == "sh").collect();
    // The first command starts the server from source; the test starts the built program instead.
    assert_eq!(shell[0].1.text, "cargo xtask dev\n");
    assert!(shell.len() > 10, "{}", shell.len());

    let folder = tempfile::tempdir().unwrap();
    // If the tests run as root, Postgres runs as another user, who must be able to enter the folder.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start(folder.path());

    let mut script = String::from("set -euo pipefail\n");
    for (index, block) in &shell[1..] {
        script.push_str(&format!("printf '\\n{}\\n'\n{}", marker(*index), block.text));
    }
    let script = script.replace("127.0.0.1:8080", &server.public).replace("127.0.0.1:8081", &server.admin);
    let output = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));

    let mut compared = 0;
    for (index, block) in &shell[1..] {
        let after = printed.split_once(&marker(*index)).expect("every block should have run").1;
        let output = after.split("\n@@").next().unwrap_or(after).trim();
        let Some(documented) = blocks.get(index + 1) else { continue };
        let difference = match documented.language.as_str() {
            "json" => compare(
                &serde_json::from_str(&documented.text).expect("documented JSON should be valid"),
                &serde_json::from_str(output).unwrap_or_else(|error| panic!("line {}: {error}: {output}", block.line)),
            ),
            "text" if documented.text.trim() != output => Err(format!("printed {output}")),
            "text" => Ok(()),
            _ => continue,
        };
        if let Err(difference) = difference {
            panic!("line {}: {difference}", documented.line);
        }
        compared += 1;
    }
    assert!(compared >= 10, "only {compared} outputs were compared");

    let admin = server.admin.clone();
    assert!(is_healthy(&admin));
    server.stop();
    assert!(!is_healthy(&admin));
}

/// Runs the health check of containers.
fn is_healthy(admin: &str) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlashub"));
    command.arg("healthcheck").env("ATLASHUB_ADMIN_LISTEN", admin).output().unwrap().status.success()
}

fn marker(index: usize) -> String {
    format!("@@{index}@@")
}

fn quickstart_blocks() -> Vec<Block> {
    fenced_blocks(&read_document("docs/QUICKSTART.md"))
}

/// The running program; killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) public: String,
    pub(crate) admin: String,
    output: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts the program in a folder and waits until it prints its address.
    pub(crate) fn start(folder: &Path) -> Self {
        let [public, admin, store] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" serve 2>&1", env!("CARGO_BIN_EXE_atlashub")])
            .current_dir(folder)
            .env("ATLASHUB_PUBLIC_LISTEN", &public)
            .env("ATLASHUB_ADMIN_LISTEN", &admin)
            .env("ATLASHUB_EMBEDDED_S3_LISTEN", &store)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        loop {
            let Some(Ok(line)) = lines.next() else { panic!("the server exited:\n{printed}") };
            printed.push_str(&line);
            printed.push('\n');
            if line.contains(&format!("http://{admin}")) {
                break;
            }
        }
        // Keep reading, so that the server never blocks on a full pipe.
        let output = std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, public, admin, output: Some(output) }
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for a successful exit.
    pub(crate) fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success(), "the server did not exit with status 0 after SIGINT");
        self.output.take().unwrap().join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The private Postgres stops with the program.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
