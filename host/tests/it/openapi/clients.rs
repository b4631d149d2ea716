//! The clients of three generators compile, and make a round trip against a server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    openapi::{cache_folder, clients_folder, installed, node, run, write_document},
    support::{ADMIN_TOKEN, TestApp},
};

/// Returns a folder inside the folder of the npm packages, so that Node finds them.
fn generated_folder() -> TempDir {
    tempfile::Builder::new().prefix(".generated-").tempdir_in(clients_folder()).unwrap()
}

/// Copies a program into the folder of its generated client, compiles both, and returns the compiled program.
async fn compile(folder: &Path, source: &str) -> PathBuf {
    fs::copy(clients_folder().join(source), folder.join(source)).unwrap();
    let mut compiler = node("node_modules/typescript/bin/tsc");
    compiler
        .current_dir(folder)
        .args(["--strict", "--noUncheckedIndexedAccess", "--skipLibCheck", "--module", "commonjs"])
        .args(["--moduleResolution", "node10", "--target", "es2022", "--lib", "es2022,dom,dom.iterable"])
        .args(["--types", "node", "--outDir", "compiled", source]);
    run(compiler).await;
    folder.join("compiled").join(source).with_extension("js")
}

async fn run_against_server(mut program: Command) {
    let app = TestApp::builder().first_party_plugins().start().await;
    program.env("ADMIN_URL", &app.admin_url).env("PUBLIC_URL", &app.public_url).env("ADMIN_TOKEN", ADMIN_TOKEN);
    run(program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_typescript_client_makes_a_round_trip() {
    let folder = generated_folder();
    let document = write_document(folder.path());
    let mut generator = node("node_modules/openapi-typescript/bin/cli.js");
    generator.arg(document).arg("--output").arg(folder.path().join("schema.d.ts"));
    run(generator).await;
    let program = compile(folder.path(), "openapi-fetch.ts").await;
    let mut node = Command::new("node");
    node.arg(program);
    run_against_server(node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hey_api_client_makes_a_round_trip() {
    let folder = generated_folder();
    let document = write_document(folder.path());
    let mut generator = node("node_modules/@hey-api/openapi-ts/bin/index.cjs");
    generator.current_dir(folder.path()).args(["--client", "@hey-api/client-fetch", "--silent"]);
    generator.arg("--input").arg(document).arg("--output").arg(folder.path().join("client"));
    run(generator).await;
    let program = compile(folder.path(), "hey-api.ts").await;
    let mut node = Command::new("node");
    node.arg(program);
    run_against_server(node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_makes_a_round_trip() {
    let programs = cache_folder().join("openapi-python-client").join(if cfg!(windows) { "Scripts" } else { "bin" });
    let folder = tempfile::tempdir().unwrap();
    let document = write_document(folder.path());
    let settings = folder.path().join("settings.yaml");
    // The generator does not support lines of JSON, so the client returns them as text.
    let overrides = "content_type_overrides:\n  application/x-ndjson: text/plain\n";
    fs::write(&settings, format!("post_hooks: []\n{overrides}")).unwrap();
    let client = folder.path().join("client");
    let program = format!("openapi-python-client{}", std::env::consts::EXE_SUFFIX);
    let mut generator = Command::new(installed(programs.join(program)));
    generator.arg("generate").arg("--path").arg(document).arg("--config").arg(settings).arg("--output-path");
    let text = run({
        generator.arg(&client);
        generator
    })
    .await;
    // The generator omits operations that it does not understand, prints a warning, and succeeds.
    assert!(!text.contains("arning"), "{text}");
    let mut compiler = Command::new(programs.join("python"));
    compiler.args(["-m", "compileall", "-q"]).arg(&client);
    run(compiler).await;
    let mut python = Command::new(programs.join("python"));
    python.arg(clients_folder().join("round_trip.py")).env("PYTHONPATH", &client);
    run_against_server(python).await;
}
