//! Compares imports and exports of CSV with `psql`'s `\copy` on the same file.
//!
//! The upload of the file is not part of an import's time, because `\copy` reads a local file.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    backup::{postgres_program, psql},
    platform::{Platform, client},
    runs,
};

const DEFAULT_ROWS: u32 = 1_000_000;
/// Number of times that `psql` and the plugin are measured, in turn.
const REPETITIONS: usize = 3;

/// Results of the bench.
pub struct Figures {
    pub rows: u32,
    pub file_bytes: u64,
    pub comparisons: Vec<Comparison>,
}

/// Times of the same work; the fastest of three measurements of each side.
pub struct Comparison {
    pub name: &'static str,
    /// The statements that `psql` runs.
    pub baseline: &'static str,
    pub psql: Duration,
    pub plugin: Duration,
    /// Largest growth of the process's memory during the plugin's work, in KiB.
    pub growth_kib: u64,
}

/// Creates a table and its CSV file, and measures both sides.
pub async fn measure(platform: &Platform) -> Result<Figures> {
    let rows = match std::env::var("ATLASHUB_BENCH_TRANSFER_ROWS") {
        Ok(rows) => rows.parse().context("ATLASHUB_BENCH_TRANSFER_ROWS is not a number")?,
        Err(_) => DEFAULT_ROWS,
    };
    let bench = Bench { platform, folder: tempfile::tempdir()? };
    let columns = "id bigint PRIMARY KEY, name text NOT NULL, price numeric NOT NULL, made timestamptz NOT NULL, \
                   note text";
    bench
        .sql(&format!(
            "SET ROLE {owner};
             CREATE TABLE source ({columns}); CREATE TABLE target ({columns});
             INSERT INTO source
             SELECT i, 'a row like many others, number ' || i, i / 7.0, timestamptz '2026-01-01' + i * interval '1 s',
                    CASE WHEN i % 10 = 0 THEN 'with \"quotes\", and a comma' END
             FROM generate_series(1, {rows}) AS i;
             RESET ROLE",
            owner = platform.owner_role(),
        ))
        .await?;
    bench.sql("VACUUM ANALYZE source").await?;
    bench.sql("CHECKPOINT").await?;
    let file = bench.folder.path().join("rows.csv");
    bench.copy(&format!("\\copy source TO '{}' (FORMAT csv, HEADER true)", file.display())).await?;
    let file_bytes = std::fs::metadata(&file)?.len();
    let comparisons =
        vec![bench.export().await?, bench.import(&file, Mode::Insert).await?, bench.import(&file, Mode::Upsert).await?];
    Ok(Figures { rows, file_bytes, comparisons })
}

struct Bench<'a> {
    platform: &'a Platform,
    folder: TempDir,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Insert,
    /// An upsert into a table that already has half of the rows.
    Upsert,
}

impl Bench<'_> {
    async fn sql(&self, sql: &str) -> Result<String> {
        psql(self.platform, &self.platform.project_database(), sql).await
    }

    /// Runs commands in one session of `psql`. Returns the time that `psql` took.
    async fn commands(&self, commands: &[&str]) -> Result<Duration> {
        let mut program = postgres_program(self.platform, "psql");
        program.args(["-XAtq", "-v", "ON_ERROR_STOP=1"]);
        for command in commands {
            program.args(["-c", command]);
        }
        let begin = Instant::now();
        let output = program.output().await?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(begin.elapsed())
    }

    async fn copy(&self, command: &str) -> Result<Duration> {
        self.commands(&[command]).await
    }

    async fn export(&self) -> Result<Comparison> {
        let file = self.folder.path().join("exported.csv");
        let copy = format!("\\copy source TO '{}' (FORMAT csv, HEADER true)", file.display());
        let source = json!({ "kind": "table", "projectId": self.platform.project_id(), "table": "source" });
        let request = json!({ "source": source, "format": "csv" });
        let mut comparison = Comparison::new("export of a table as CSV", "`\\copy … TO`");
        for _ in 0..REPETITIONS {
            comparison.psql = comparison.psql.min(self.copy(&copy).await?);
            let before = self.platform.reset_peak_memory_kib()?;
            let (started, took) = runs::measure(self.platform, "/admin/v1/exports", &request).await?;
            comparison.add(took, self.platform.peak_memory_kib()?.saturating_sub(before));
            let export = text(&started["exportId"])?;
            let exported = self.platform.admin_get(&format!("/admin/v1/exports/{export}")).await?;
            ensure!(exported["sizeBytes"] == std::fs::metadata(&file)?.len(), "the files differ: {exported}");
        }
        Ok(comparison)
    }

    async fn import(&self, file: &Path, mode: Mode) -> Result<Comparison> {
        let copy_to = |table: &str| format!("\\copy {table} FROM '{}' (FORMAT csv, HEADER true)", file.display());
        let (name, baseline, mode_name) = match mode {
            Mode::Insert => ("import of CSV into an empty table", "`\\copy … FROM`", "insert"),
            Mode::Upsert => (
                "import of CSV as upsert, half of the rows exist",
                "`\\copy` into a temporary table and `INSERT … ON CONFLICT`",
                "upsert",
            ),
        };
        let mut comparison = Comparison::new(name, baseline);
        for _ in 0..REPETITIONS {
            self.empty_target(mode).await?;
            let copies: &[&str] = match mode {
                Mode::Insert => &[&copy_to("target")],
                Mode::Upsert => &[
                    "BEGIN",
                    "CREATE TEMPORARY TABLE staged (LIKE target) ON COMMIT DROP",
                    &copy_to("staged"),
                    "INSERT INTO target SELECT * FROM staged ON CONFLICT (id) DO UPDATE SET \
                     (name, price, made, note) = (EXCLUDED.name, EXCLUDED.price, EXCLUDED.made, EXCLUDED.note)",
                    "COMMIT",
                ],
            };
            comparison.psql = comparison.psql.min(self.commands(copies).await?);
            self.empty_target(mode).await?;
            let path = self.upload(file).await?;
            let before = self.platform.reset_peak_memory_kib()?;
            let (_, took) =
                runs::measure(self.platform, &format!("{path}/start"), &json!({ "mode": mode_name })).await?;
            comparison.add(took, self.platform.peak_memory_kib()?.saturating_sub(before));
            let differences = "SELECT count(*) FROM ((TABLE source EXCEPT TABLE target)
                                 UNION ALL (TABLE target EXCEPT TABLE source)) AS different";
            let differences = self.sql(differences).await?;
            ensure!(differences.trim() == "0", "the tables differ in {differences} rows");
        }
        Ok(comparison)
    }

    async fn empty_target(&self, mode: Mode) -> Result<()> {
        self.sql("TRUNCATE target").await?;
        if mode == Mode::Upsert {
            self.sql("INSERT INTO target SELECT id, 'old', 0, made, 'old' FROM source WHERE id % 2 = 0").await?;
        }
        self.sql("VACUUM ANALYZE target").await?;
        self.sql("CHECKPOINT").await.map(drop)
    }

    /// Creates an import and uploads its file. Returns the path of the import on the admin surface.
    async fn upload(&self, file: &Path) -> Result<String> {
        let bytes = std::fs::read(file)?;
        let request = json!({
            "projectId": self.platform.project_id(), "table": "target", "format": "csv", "sizeBytes": bytes.len(),
        });
        let created = self.platform.admin_post("/admin/v1/imports", &request).await?;
        let mut put = client()?.put(text(&created["uploadUrl"])?).body(bytes);
        for (name, value) in created["headers"].as_object().context("the response has no headers")? {
            put = put.header(name, text(value)?);
        }
        put.send().await?.error_for_status()?;
        Ok(format!("/admin/v1/imports/{}", text(&created["import"]["id"])?))
    }
}

impl Comparison {
    fn new(name: &'static str, baseline: &'static str) -> Self {
        Self { name, baseline, psql: Duration::MAX, plugin: Duration::MAX, growth_kib: 0 }
    }

    fn add(&mut self, plugin: Duration, growth_kib: u64) {
        self.plugin = self.plugin.min(plugin);
        self.growth_kib = self.growth_kib.max(growth_kib);
    }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("a field of the response is missing")
}
