//! Sends the requests of `docs/USAGE.md` in order, compares the responses, and compiles and runs its TypeScript.

use std::{fs, process::Command};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    docs::markdown::{Block, compare, fenced_blocks, find, read_document, workspace_root},
    support::{Client, MailServer, TestApp, TestProject, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn documented_requests_return_the_documented_responses() {
    let mails = MailServer::start(|_| None).await;
    let app = TestApp::builder()
        .first_party_plugins()
        .var("ATLASHUB_HTTP_ALLOWED_HOSTS", "app.example.com")
        .var("ATLASHUB_SMTP_URL", &format!("smtp://{}", mails.address))
        .var("ATLASHUB_SMTP_FROM", "App <app@example.com>")
        .start()
        .await;
    let runner = DocumentRunner { mails: Some(mails), ..DocumentRunner::new(&app, "usage").await };
    let sent = runner.run(&usage_blocks(), |_| true).await;
    assert!(sent > 32, "only {sent} requests were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_typescript_compiles_and_runs() {
    let app = TestApp::start().await;
    let runner = DocumentRunner::new(&app, "typescript").await;
    // Create the example tables.
    runner.run(&usage_blocks(), |block| block.language == "sql").await;
    let (status, author) =
        runner.project.secret().post("/v1/db/authors", json!({"rows": [{"name": "Stanisław Lem"}]})).await;
    assert_eq!(status, StatusCode::CREATED, "{author}");

    crate::auth::enable(&runner.project).await;
    crate::auth::sign_up(&runner.project, "ada@example.com").await;
    runner.project.expose("todos", "read", "write").await;

    let folder = tempfile::tempdir().unwrap();
    let mut sources = Vec::new();
    for block in usage_blocks().iter().filter(|block| block.language == "ts") {
        let path = block
            .text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("// "))
            .expect("the first line should be a comment with the file's path");
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &block.text).unwrap();
        sources.push(file);
    }
    assert!(sources.len() >= 4, "{sources:?}");

    let examples = workspace_root().join("docs/examples");
    let compiler = examples.join("node_modules/typescript/bin/tsc");
    assert!(compiler.is_file(), "the TypeScript compiler is missing: run `cargo xtask setup`");
    let compiled = folder.path().join("compiled");
    let mut tsc = Command::new("node");
    tsc.arg(compiler)
        .args(["--strict", "--noUncheckedIndexedAccess", "--module", "commonjs", "--moduleResolution", "node10"])
        .args(["--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--types", "node", "--typeRoots"])
        .arg(examples.join("node_modules/@types"))
        .arg("--rootDir")
        .arg(folder.path())
        .arg("--outDir")
        .arg(&compiled)
        .args(&sources);
    run(&mut tsc);
    let mut node = Command::new("node");
    node.arg(examples.join("run.mjs"))
        .arg(&compiled)
        .env("ATLASHUB_API_URL", &app.public_url)
        .env("ATLASHUB_SECRET_KEY", &runner.project.secret_key)
        .env("ATLASHUB_PUBLISHABLE_KEY", &runner.project.publishable_key)
        .env("AUTHOR_ID", find(&author, "id").unwrap().to_string());
    tokio::task::spawn_blocking(move || run(&mut node)).await.unwrap();
}

#[test]
fn every_public_path_is_documented() {
    let openapi = serde_json::to_value(atlashub::router::openapi()).unwrap();
    let usage = read_document("docs/USAGE.md");
    let paths: Vec<&String> =
        openapi["paths"].as_object().unwrap().keys().filter(|path| path.starts_with("/v1/")).collect();
    assert!(paths.len() >= 5, "{paths:?}");
    for path in paths {
        let written = path.replace('{', "<").replace('}', ">");
        assert!(usage.contains(&written), "USAGE.md does not mention {written}");
    }
}

/// Runs the blocks of the document against a project of its own.
struct DocumentRunner {
    project: TestProject,
    admin: Client,
    public_url: String,
    http: reqwest::Client,
    platform: PgPool,
    /// Receives the mails to users.
    mails: Option<MailServer>,
}

impl DocumentRunner {
    async fn new(app: &TestApp, name: &str) -> Self {
        Self {
            project: app.create_project(name).await,
            admin: app.admin(),
            public_url: app.public_url.clone(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            platform: app.app.platform().clone(),
            mails: None,
        }
    }

    /// Runs the blocks that `wanted` selects and returns the number of requests sent.
    async fn run(&self, blocks: &[Block], wanted: impl Fn(&Block) -> bool) -> usize {
        let mut responses: Vec<Value> = Vec::new();
        let mut requests = 0;
        for (index, block) in blocks.iter().enumerate().filter(|(_, block)| wanted(block)) {
            match block.language.as_str() {
                "sql" => self.run_sql(block).await,
                "http" => {
                    let documented = blocks.get(index + 1).filter(|next| next.language == "json");
                    responses.push(self.send(block, documented, &responses).await);
                    requests += 1;
                }
                _ => {}
            }
        }
        requests
    }

    /// Waits until no backup is running: a dump locks the tables that the next statements change.
    async fn wait_for_backups(&self) {
        let active = "SELECT count(*) FROM cron_job_runs WHERE plugin = 'backup' AND status IN ('queued', 'running')";
        eventually("no backup is running", async || {
            sqlx::query_scalar::<_, i64>(active).fetch_one(&self.platform).await.unwrap() == 0
        })
        .await;
    }

    async fn run_sql(&self, block: &Block) {
        self.wait_for_backups().await;
        for statement in block.text.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            let (status, response) = self.admin.post(&self.project.path("/sql"), json!({ "sql": statement })).await;
            assert_eq!(status, StatusCode::OK, "line {}: {response}", block.line);
        }
    }

    async fn send(&self, block: &Block, documented: Option<&Block>, responses: &[Value]) -> Value {
        let text = self.fill_in_token(&block.text).await;
        let text = fill_in_codes(&text, responses);
        let text = self.fill_in(&text, responses);
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let mut lines = head.lines();
        let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
        let url = match target {
            path if path.starts_with("/admin/") => self.admin.url(path),
            path if path.starts_with('/') => format!("{}{path}", self.public_url),
            url => url.to_owned(),
        };
        let mut request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let response = request.body(body.trim_end().to_owned()).send().await.unwrap();
        let status = response.status();
        let bytes = response.bytes().await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let Some(documented) = documented else {
            assert!(status.is_success(), "line {}: {status} {text}", block.line);
            return Value::Null;
        };
        assert_eq!(status.as_str(), documented.info, "line {}: {text}", block.line);
        let actual: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("line {}: {text}", block.line));
        let expected = serde_json::from_str(&documented.text)
            .unwrap_or_else(|error| panic!("line {}: not JSON: {error}", documented.line));
        if let Err(difference) = compare(&expected, &actual) {
            panic!("line {}: {difference}", documented.line);
        }
        actual
    }

    /// Replaces `<token of the mail>` with the token in the next mail.
    async fn fill_in_token(&self, text: &str) -> String {
        const PLACEHOLDER: &str = "<token of the mail>";
        let Some(mails) = self.mails.as_ref().filter(|_| text.contains(PLACEHOLDER)) else { return text.to_owned() };
        let (_, _, token) = crate::auth::next_mail(mails).await;
        text.replace(PLACEHOLDER, &token.expect("a link"))
    }

    /// Replaces `ah_sec_…` and `ah_pub_…` with the project's keys, `<admin token>` with the token, `<id>` with the
    /// project's id, and any other `<name>` with the value of the member `name` in the latest response that contains
    /// one.
    fn fill_in(&self, text: &str, responses: &[Value]) -> String {
        let mut filled = text
            .replace("ah_sec_…", &self.project.secret_key)
            .replace("ah_pub_…", &self.project.publishable_key)
            .replace("<admin token>", crate::support::ADMIN_TOKEN)
            .replace("<id>", &self.project.id)
            .replace("<id of the job>", "<id>");
        while let Some((start, length)) = filled.find('<').and_then(|start| Some((start, filled[start..].find('>')?))) {
            let name = &filled[start + 1..start + length];
            let value = responses.iter().rev().find_map(|response| find(response, name)?.as_str());
            let value = value.unwrap_or_else(|| panic!("no previous response has `{name}`")).to_owned();
            filled.replace_range(start..=start + length, &value);
        }
        filled
    }
}

/// Replaces the placeholders for codes of an authenticator app. The secret is that of the latest response that contains
/// one.
fn fill_in_codes(text: &str, responses: &[Value]) -> String {
    let Some(secret) = responses.iter().rev().find_map(|response| find(response, "secret")?.as_str()) else {
        return text.to_owned();
    };
    text.replace("<code of the app>", &crate::auth::totp(secret, 0))
        .replace("<next code of the app>", &crate::auth::totp(secret, 1))
}

fn usage_blocks() -> Vec<Block> {
    fenced_blocks(&read_document("docs/USAGE.md"))
}

fn run(command: &mut Command) {
    let result = command.output().expect("node should be installed (`cargo xtask setup`)");
    let output = format!("{}{}", String::from_utf8_lossy(&result.stdout), String::from_utf8_lossy(&result.stderr));
    assert!(result.status.success(), "{output}");
}
