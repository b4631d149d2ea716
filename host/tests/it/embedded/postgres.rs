//! The private Postgres: created once, durable, and the only server on its data folder.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use atlashub::{
    config::Secret,
    embedded::{
        data_folder::DataFolder,
        postgres::{Postgres, PostgresSettings},
        secrets::EmbeddedSecret,
    },
};
use sqlx::{Connection, PgConnection};

use crate::support::{eventually, open_folder};

fn temporary_folder() -> (tempfile::TempDir, DataFolder) {
    let root = open_folder();
    let folder = DataFolder::create(&root.path().join("data")).unwrap();
    (root, folder)
}

fn settings(folder: &DataFolder) -> PostgresSettings {
    PostgresSettings {
        launcher: Some(env!("CARGO_BIN_EXE_atlashub").into()),
        ..PostgresSettings::new(EmbeddedSecret::PostgresPassword.read_or_create(folder).unwrap())
    }
}

async fn connect(url: &Secret) -> PgConnection {
    PgConnection::connect(url.expose()).await.unwrap()
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_a_restart_and_the_server_stops() {
    let (_root, folder) = temporary_folder();
    let _lock = folder.lock().unwrap();
    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    let port = postgres.port();
    let mut connection = connect(&postgres.url("platform")).await;
    assert_eq!(setting(&mut connection, "fsync").await, "on");
    assert_eq!(setting(&mut connection, "data_checksums").await, "on");
    assert_eq!(setting(&mut connection, "server_encoding").await, "UTF8");
    assert_eq!(setting(&mut connection, "listen_addresses").await, "127.0.0.1");
    assert_eq!(setting(&mut connection, "unix_socket_directories").await, "");
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS value").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    postgres.stop().await;
    TcpListener::bind(("127.0.0.1", port)).unwrap();

    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    assert_eq!(postgres.port(), port, "the port changed");
    let mut connection = connect(&postgres.url("platform")).await;
    let value: i32 = sqlx::query_scalar("SELECT value FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(value, 42);
    postgres.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_port_is_replaced_unless_configured() {
    let (_root, folder) = temporary_folder();
    let _lock = folder.lock().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    fs::write(folder.join("postgres-port"), port.to_string()).unwrap();
    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    assert_ne!(postgres.port(), port);
    postgres.stop().await;

    let error = Postgres::start(&folder, PostgresSettings { port: Some(port), ..settings(&folder) }).await.unwrap_err();
    assert!(error.to_string().starts_with("ATLASHUB_POSTGRES_PORT is "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_is_restarted() {
    let (_root, folder) = temporary_folder();
    let _lock = folder.lock().unwrap();
    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    let mut connection = connect(&postgres.url("platform")).await;
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS value").execute(&mut connection).await.unwrap();
    let first_pid = server_pid(&folder);
    nix::sys::signal::kill(first_pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let url = postgres.url("platform");
    let mut connection =
        eventually("Postgres is restarted", async || PgConnection::connect(url.expose()).await.ok()).await;
    let value: i32 = sqlx::query_scalar("SELECT value FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(value, 42);
    assert_ne!(server_pid(&folder), first_pid);
    postgres.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_roles_cannot_connect_to_the_platform_databases() {
    let (_root, folder) = temporary_folder();
    let _lock = folder.lock().unwrap();
    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    let mut connection = connect(&postgres.url("platform")).await;
    sqlx::query("CREATE ROLE stranger LOGIN PASSWORD 'stranger'").execute(&mut connection).await.unwrap();
    for database in ["platform", "postgres", "template1"] {
        let url = format!("postgres://stranger:stranger@127.0.0.1:{}/{database}", postgres.port());
        let error = PgConnection::connect(&url).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42501"), "{database}");
    }
    let error = PgConnection::connect(&format!("postgres://atlashub:guess@127.0.0.1:{}/platform", postgres.port()));
    assert_eq!(error.await.unwrap_err().as_database_error().unwrap().code().as_deref(), Some("28P01"));
    postgres.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pid_file_of_an_unrelated_process_does_not_prevent_the_start() {
    let (_root, folder) = temporary_folder();
    let _lock = folder.lock().unwrap();
    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    postgres.stop().await;
    // After a reboot, the process id may belong to any process, here to this one.
    fs::write(folder.join("postgres/cluster/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    postgres.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_outlived_its_parent_is_stopped_first() {
    let (_root, folder) = temporary_folder();
    let _lock = folder.lock().unwrap();
    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    let (program, port) = (postgres.bin_dir().join("postgres"), postgres.port());
    postgres.stop().await;
    let cluster = folder.join("postgres/cluster");
    let mut orphan = Command::new(program);
    orphan.arg("-D").arg(&cluster).args(["-p", &port.to_string(), "-c", "unix_socket_directories="]).current_dir("/");
    if nix::unistd::geteuid().is_root() {
        let owner = fs::metadata(&cluster).unwrap();
        orphan.uid(owner.uid()).gid(owner.gid());
    }
    let mut orphan = orphan.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let password = EmbeddedSecret::PostgresPassword.read(&folder).unwrap().unwrap();
    let url = format!("postgres://atlashub:{}@127.0.0.1:{port}/platform", password.expose());
    let mut connection =
        eventually("Postgres accepts connections", async || PgConnection::connect(&url).await.ok()).await;
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS value").execute(&mut connection).await.unwrap();

    // Waits for the child in the background; otherwise it would remain as a zombie process.
    let waited = tokio::task::spawn_blocking(move || orphan.wait().unwrap());
    let postgres = Postgres::start(&folder, settings(&folder)).await.unwrap();
    assert!(waited.await.unwrap().success(), "the server was not shut down cleanly");
    let mut connection = connect(&postgres.url("platform")).await;
    let value: i32 = sqlx::query_scalar("SELECT value FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(value, 42);
    postgres.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_without_postgres_programs_is_named_in_the_error() {
    let (root, folder) = temporary_folder();
    let bin_dir = Some(root.path().to_owned());
    let error = Postgres::start(&folder, PostgresSettings { bin_dir, ..settings(&folder) }).await.unwrap_err();
    assert!(error.to_string().starts_with("ATLASHUB_POSTGRES_BIN_DIR is "), "{error}");
}

fn server_pid(folder: &DataFolder) -> nix::unistd::Pid {
    let path: &Path = &folder.join("postgres/cluster/postmaster.pid");
    let pid = fs::read_to_string(path).unwrap();
    nix::unistd::Pid::from_raw(pid.lines().next().unwrap().parse().unwrap())
}
