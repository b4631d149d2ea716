//! Dumps: a successful dump is complete, and any failure is reported.

use std::{path::Path, process::Command};

use atlashub::{
    db::{
        DatabaseName,
        dump::{Dump, DumpError, DumpInfo, DumpOptions},
    },
    object_store::{PLATFORM_BUCKET, StoredUpload},
    projects::Databases,
};
use futures_util::StreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::support::{Postgres, TestApp, TestProject, bin_dir, eventually};

/// SQL that creates a table larger than every pipe and buffer, with random values, so that it compresses poorly.
pub(crate) const LARGE: &str =
    "CREATE TABLE large AS SELECT i AS id, gen_random_uuid()::text || gen_random_uuid() || gen_random_uuid() AS noise
                     FROM generate_series(1, 200000) AS i";

fn databases(app: &TestApp) -> &Databases {
    &app.app.backups().databases
}

fn name(project: &TestProject) -> DatabaseName {
    DatabaseName::Project(project.id.clone())
}

async fn dump(app: &TestApp, database: &DatabaseName) -> Result<Dump, DumpError> {
    databases(app).dump(database, DumpOptions::default(), Box::new(())).await
}

/// Reads the whole dump. Returns the archive and the outcome.
async fn read_dump(dump: Dump) -> (Vec<u8>, Result<DumpInfo, DumpError>) {
    let Dump { mut bytes, outcome } = dump;
    let mut archive = Vec::new();
    while let Some(chunk) = bytes.next().await {
        archive.extend_from_slice(&chunk.unwrap());
    }
    (archive, outcome.await)
}

/// Uploads a dump. If the dump succeeds, returns the upload, which is not committed yet. If it fails, discards the
/// upload.
async fn store_dump(app: &TestApp, dump: Dump, key: &str) -> Result<StoredUpload, DumpError> {
    let Dump { mut bytes, outcome } = dump;
    app.app.store().ensure_bucket(PLATFORM_BUCKET).await.unwrap();
    let mut upload = app.app.store().begin_upload(PLATFORM_BUCKET, key, "application/octet-stream");
    while let Some(chunk) = bytes.next().await {
        let Ok(chunk) = chunk else { break };
        upload.write(chunk).await.unwrap();
    }
    let stored = upload.end().await.unwrap();
    outcome.await?;
    Ok(stored)
}

/// Restores the archive into a new database. Returns a superuser's connection to it.
pub(crate) async fn restored(archive: &[u8]) -> sqlx::PgConnection {
    let name = format!("restored_{}", uuid::Uuid::now_v7().simple());
    Postgres::shared().execute(&format!("CREATE DATABASE {name}")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive");
    std::fs::write(&file, archive).unwrap();
    let url = Postgres::shared().url(&name);
    let output = Command::new(bin_dir().join("pg_restore"))
        .args(["--no-owner", "--no-acl", "--exit-on-error", "--dbname", &url])
        .arg(Path::new(&file))
        .output()
        .unwrap();
    assert!(output.status.success(), "pg_restore: {}", String::from_utf8_lossy(&output.stderr));
    sqlx::PgConnection::connect(&url).await.unwrap()
}

/// Returns every row of a table as text, sorted.
async fn rows(connection: &mut sqlx::PgConnection, table: &str) -> Vec<String> {
    sqlx::query(AssertSqlSafe(format!("SELECT t::text FROM {table} AS t ORDER BY 1")))
        .fetch_all(connection)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

fn counted(info: &DumpInfo, table: &str) -> u64 {
    info.tables.iter().find(|counted| counted.table == table).unwrap_or_else(|| panic!("{table}: {info:?}")).rows
}

/// Returns the process ids of `pg_dump` on the project's database.
pub(crate) fn pg_dump_processes(project: &TestProject) -> Vec<i32> {
    let expected = format!("PGDATABASE=proj_{}", project.id);
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            environment.split(|byte| *byte == 0).any(|variable| variable == expected.as_bytes()).then_some(pid)
        })
        .collect()
}

/// Waits until no `pg_dump` process and no session of the backup role is left.
pub(crate) async fn wait_until_no_dump_is_running(app: &TestApp, project: &TestProject) {
    eventually("the end of every dump", async || {
        let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE usename = $1")
            .bind(format!("proj_{}_backup", project.id))
            .fetch_one(app.app.platform())
            .await
            .unwrap();
        (sessions == 0 && pg_dump_processes(project).is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn restored_dump_equals_its_source() {
    let app = TestApp::start().await;
    let project = app.create_project("dumped").await;
    project
        .sql(
            "CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price numeric, data jsonb, 
                                 raw bytea, tags text[], at timestamptz);
             INSERT INTO plain (price, data, raw, tags, at) VALUES
                 (12345678901234567890.123456789, '{\"a\": [1, null]}', '\\x00ff', '{a,\"b,c\",NULL}',
                  '2026-01-02 03:04:05.678901+00'),
                 ('NaN', 'null', '', '{}', 'infinity'), (NULL, NULL, NULL, NULL, NULL);
             CREATE TABLE hidden (id int PRIMARY KEY, owner_id uuid);
             INSERT INTO hidden SELECT i, gen_random_uuid() FROM generate_series(1, 50) AS i;
             ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
             ALTER TABLE hidden FORCE ROW LEVEL SECURITY;
             CREATE POLICY nobody ON hidden USING (false);
             CREATE SCHEMA \"Strange Schema\";
             CREATE TABLE \"Strange Schema\".\"Quoted \"\" Table\" (x int);
             INSERT INTO \"Strange Schema\".\"Quoted \"\" Table\" VALUES (1), (2);
             CREATE TABLE parts (day date NOT NULL, n int) PARTITION BY RANGE (day);
             CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
             INSERT INTO parts SELECT '2026-05-05', i FROM generate_series(1, 7) AS i;
             CREATE VIEW seen AS SELECT id FROM plain;
             CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM plain;",
        )
        .await;
    let (archive, outcome) = read_dump(dump(&app, &name(&project)).await.unwrap()).await;
    let info = outcome.unwrap();
    assert_eq!(info.size_bytes, archive.len() as u64);
    assert!(archive.starts_with(b"PGDMP"));
    assert!(info.server_version.starts_with(|first: char| first.is_ascii_digit()), "{info:?}");
    assert!(info.dump_version.starts_with(|first: char| first.is_ascii_digit()), "{info:?}");
    for (table, rows) in [("plain", 3), ("hidden", 50), ("Quoted \" Table", 2), ("parts_2026", 7)] {
        assert_eq!(counted(&info, table), rows, "{table}");
    }
    assert_eq!(info.tables.len(), 4, "rows of a view or a partitioned table were counted: {info:?}");

    let mut source = project.connect().await;
    let mut copy = restored(&archive).await;
    for table in ["plain", "hidden", "\"Strange Schema\".\"Quoted \"\" Table\"", "parts", "seen", "counted"] {
        let expected = rows(&mut source, table).await;
        assert!(!expected.is_empty(), "{table}");
        assert_eq!(rows(&mut copy, table).await, expected, "{table}");
    }
    let forced: bool = sqlx::query_scalar("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'hidden'")
        .fetch_one(&mut copy)
        .await
        .unwrap();
    assert!(forced);
}

#[tokio::test]
async fn platform_database_can_be_dumped() {
    let app = TestApp::start().await;
    let project = app.create_project("in the platform").await;
    let (archive, outcome) = read_dump(dump(&app, &DatabaseName::Platform).await.unwrap()).await;
    assert_eq!(counted(&outcome.unwrap(), "projects"), 1);
    let id: String =
        sqlx::query_scalar("SELECT id FROM projects").fetch_one(&mut restored(&archive).await).await.unwrap();
    assert_eq!(id, project.id);
}

#[tokio::test]
async fn rows_are_counted_in_the_dumped_snapshot() {
    let app = TestApp::start().await;
    let project = app.create_project("busy").await;
    project.sql("CREATE TABLE debit (n int); CREATE TABLE credit (n int);").await;
    project.sql(LARGE).await;
    let mut writer = project.connect().await;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let writing = tokio::spawn(async move {
        let mut written: u64 = 0;
        while !*stopped.borrow_and_update() {
            // Every snapshot has the same number of rows in both tables.
            let both = "BEGIN; INSERT INTO debit VALUES (1); INSERT INTO credit VALUES (1); COMMIT";
            sqlx::raw_sql(both).execute(&mut writer).await.unwrap();
            written += 1;
        }
        written
    });
    let (archive, outcome) = read_dump(dump(&app, &name(&project)).await.unwrap()).await;
    stop.send(true).unwrap();
    let written = writing.await.unwrap();
    let info = outcome.unwrap();
    let dumped = counted(&info, "debit");
    assert_eq!(counted(&info, "credit"), dumped);
    assert!(dumped < written, "no rows were written during the dump: {dumped} of {written}");
    let mut copy = restored(&archive).await;
    for table in ["debit", "credit"] {
        assert_eq!(rows(&mut copy, table).await.len() as u64, dumped, "{table}");
    }
}

#[tokio::test]
async fn killed_pg_dump_stores_no_backup() {
    let app = TestApp::start().await;
    let project = app.create_project("dies").await;
    project.sql(LARGE).await;
    let mut dump = dump(&app, &name(&project)).await.unwrap();
    assert!(dump.bytes.next().await.unwrap().is_ok());
    let pids = pg_dump_processes(&project);
    assert_eq!(pids.len(), 1);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pids[0]), nix::sys::signal::Signal::SIGKILL).unwrap();
    let key = format!("backups/project/{}/dies.dump", project.id);
    let error = store_dump(&app, dump, &key).await.err().unwrap();
    assert!(matches!(error, DumpError::Failed(_)), "{error:?}");
    assert_eq!(app.app.store().head(PLATFORM_BUCKET, &key).await.unwrap(), None);
    wait_until_no_dump_is_running(&app, &project).await;
}

#[tokio::test]
async fn terminated_session_fails_the_dump() {
    let app = TestApp::start().await;
    let project = app.create_project("ended").await;
    project.sql(LARGE).await;
    let mut dump = dump(&app, &name(&project)).await.unwrap();
    assert!(dump.bytes.next().await.unwrap().is_ok());
    let ended: Vec<bool> =
        sqlx::query_scalar("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1")
            .bind(format!("proj_{}_backup", project.id))
            .fetch_all(app.app.platform())
            .await
            .unwrap();
    assert_eq!(ended, [true, true], "not exactly one session for pg_dump and one for the rows");
    let (_, outcome) = read_dump(dump).await;
    assert!(outcome.is_err());
    wait_until_no_dump_is_running(&app, &project).await;
}

#[tokio::test]
async fn dropping_a_dump_kills_pg_dump() {
    let app = TestApp::start().await;
    let project = app.create_project("dropped").await;
    project.sql(LARGE).await;
    let mut first = dump(&app, &name(&project)).await.unwrap();
    assert!(first.bytes.next().await.unwrap().is_ok());
    assert_eq!(pg_dump_processes(&project).len(), 1);
    drop(first);
    wait_until_no_dump_is_running(&app, &project).await;

    // If the bytes are dropped, the outcome is an error.
    let Dump { mut bytes, outcome } = dump(&app, &name(&project)).await.unwrap();
    assert!(bytes.next().await.unwrap().is_ok());
    drop(bytes);
    assert!(matches!(outcome.await, Err(DumpError::Abandoned)));
    wait_until_no_dump_is_running(&app, &project).await;

    // If the outcome is dropped, the bytes end.
    let Dump { mut bytes, outcome } = dump(&app, &name(&project)).await.unwrap();
    drop(outcome);
    while let Some(Ok(_)) = bytes.next().await {}
    wait_until_no_dump_is_running(&app, &project).await;
}

#[tokio::test]
async fn unreadable_table_fails_before_the_first_byte() {
    let app = TestApp::start().await;
    let project = app.create_project("foreign").await;
    let mut superuser = project.connect().await;
    sqlx::raw_sql("CREATE TABLE public.not_the_owners (x int)").execute(&mut superuser).await.unwrap();
    match dump(&app, &name(&project)).await.err().unwrap() {
        DumpError::Refused(message) => assert!(message.contains("not_the_owners"), "{message}"),
        error => panic!("{error:?}"),
    }
    wait_until_no_dump_is_running(&app, &project).await;
    let unknown = DatabaseName::Project("nosuchproject".to_owned());
    assert!(matches!(dump(&app, &unknown).await.err().unwrap(), DumpError::Gone));
}

#[tokio::test]
async fn dump_resets_a_changed_role_password() {
    let app = TestApp::start().await;
    let project = app.create_project("password").await;
    project.sql("CREATE TABLE t AS SELECT 1 AS x").await;
    let change = format!("ALTER ROLE proj_{}_backup PASSWORD 'another'", project.id);
    Postgres::shared().execute(&change).await;
    let (_, outcome) = read_dump(dump(&app, &name(&project)).await.unwrap()).await;
    assert_eq!(counted(&outcome.unwrap(), "t"), 1);
}

#[tokio::test]
async fn databases_are_listed_and_described_by_logical_name() {
    let app = TestApp::start().await;
    let project = app.create_project("Described").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY, price numeric(10,2))").await;
    let listed = databases(&app).list(|_| true).await.unwrap();
    assert_eq!(listed[0].name, DatabaseName::Platform);
    let entry = listed.iter().find(|listed| listed.name == name(&project)).unwrap();
    assert_eq!(entry.title.as_deref(), Some("Described"));
    assert!(entry.size > 0);
    let tables = databases(&app).tables(&name(&project)).await.unwrap();
    let items = tables.iter().find(|table| table.name == "items").unwrap();
    let columns: Vec<_> = items.columns.iter().map(|c| (c.name.as_str(), c.data_type.as_str(), c.nullable)).collect();
    assert_eq!(columns, [("id", "integer", false), ("price", "numeric(10,2)", true)]);
    let tables = databases(&app).tables(&DatabaseName::Platform).await.unwrap();
    assert!(tables.iter().any(|table| table.name == "backups"));
}
