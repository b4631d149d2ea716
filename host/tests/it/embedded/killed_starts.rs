//! Starts after an earlier start was killed at any moment. Each succeeds at once, with a complete cluster.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use atlashub::embedded::{data_folder::DataFolder, secrets::EmbeddedSecret};
use sqlx::{Connection as _, PgConnection};

use crate::support::{ProgramVars, bin_dir, eventually_blocking, major_version, open_folder};

/// Returns the locales of the running server's databases, and its setting for data checksums.
async fn properties(data: &Path) -> (String, String) {
    let folder = DataFolder::create(data).unwrap();
    let password = EmbeddedSecret::PostgresPassword.read(&folder).unwrap().unwrap();
    let port = fs::read_to_string(data.join("postgres-port")).unwrap();
    let url = format!("postgres://atlashub:{}@127.0.0.1:{}/platform", password.expose(), port.trim());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query_as(
        "SELECT (SELECT string_agg(DISTINCT datcollate || ' ' || datctype, ',') FROM pg_database),
                current_setting('data_checksums')",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Returns the folder in which a cluster is being created.
fn attempt(data: &Path) -> Option<PathBuf> {
    let postgres = data.join("postgres");
    names_in(&postgres).iter().find(|name| name.starts_with("attempt-")).map(|name| postgres.join(name))
}

/// Kills a first start when `is_reached` returns true, starts again at once, and checks the result.
async fn check(moment: &str, is_reached: impl Fn(&Path) -> bool) {
    let root = open_folder();
    let data = root.path().join("data");
    let vars = ProgramVars::embedded(&data);
    let mut killed = vars.spawn(&["serve"]);
    eventually_blocking(moment, || is_reached(&data));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let serving = vars.serve(&[]);
    let expected = ("C.UTF-8 C.UTF-8".to_owned(), "on".to_owned());
    assert_eq!(properties(&data).await, expected, "{moment}");
    assert_eq!(names_in(&data.join("postgres")), ["cluster"], "{moment}: files of the first start are left");
    drop(serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn start_succeeds_after_a_start_that_was_killed_at_any_step() {
    let exists = |name: &'static str| move |data: &Path| data.join(name).exists();
    let in_attempt =
        |name: &'static str| move |data: &Path| attempt(data).is_some_and(|attempt| attempt.join(name).exists());
    check("the password exists", exists("secrets/postgres-password")).await;
    check("initdb is about to run", |data| attempt(data).is_some()).await;
    check("initdb has begun", in_attempt("cluster/PG_VERSION")).await;
    check("initdb fills the catalogue", in_attempt("cluster/base/1/pg_filenode.map")).await;
    check("initdb copies template1", in_attempt("cluster/base/4")).await;
    check("the cluster is complete", exists("postgres/cluster")).await;
    check("the port is chosen", exists("postgres-port")).await;
    check("the server starts", exists("postgres/cluster/postmaster.pid")).await;
    check("the store is ready", exists("store-address")).await;
    check("the admin token exists", exists("secrets/admin-token")).await;
}

/// Creates a folder of Postgres programs in which the first `initdb` and its child processes never end.
fn programs_with_endless_initdb(root: &Path) -> PathBuf {
    let folder = root.join("bin");
    fs::create_dir(&folder).unwrap();
    symlink(bin_dir().join("postgres"), folder.join("postgres")).unwrap();
    let script = format!(
        "#!/bin/sh\n\
         case \"$1\" in --version) ;; *)\n\
           if ! [ -e '{root}/shared/begun' ]; then\n\
             trap '' HUP INT TERM\n\
             setsid sh -c 'trap \"\" HUP INT TERM; sleep 900; :' &\n\
             touch '{root}/shared/begun'\n\
             wait\n\
           fi;;\n\
         esac\n\
         exec '{initdb}' \"$@\"\n",
        root = root.display(),
        initdb = bin_dir().join("initdb").display(),
    );
    fs::create_dir(root.join("shared")).unwrap();
    fs::set_permissions(root.join("shared"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(folder.join("initdb"), script).unwrap();
    fs::set_permissions(folder.join("initdb"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn start_ends_the_initdb_that_a_killed_server_left_running() {
    let root = open_folder();
    let data = root.path().join("data");
    let programs = programs_with_endless_initdb(root.path());
    let vars = ProgramVars::embedded(&data).set("ATLASHUB_POSTGRES_BIN_DIR", programs.to_str().unwrap());
    let mut killed = vars.spawn(&["serve"]);
    eventually_blocking("initdb has begun", || root.path().join("shared/begun").exists());
    let holders = || processes_with_open(&data.join("postgres.lock"));
    let before = holders();
    assert!(!before.is_empty());
    killed.kill().unwrap();
    killed.wait().unwrap();
    let serving = vars.serve(&[]);
    assert!(holders().iter().all(|process| !before.contains(process)), "{before:?}");
    assert_eq!(properties(&data).await, ("C.UTF-8 C.UTF-8".to_owned(), "on".to_owned()));
    drop(serving);
}

#[cfg(target_os = "linux")]
fn processes_with_open(file: &Path) -> Vec<String> {
    let has_open = |process: &String| {
        let descriptors = Path::new("/proc").join(process).join("fd");
        let targets = names_in(&descriptors).into_iter().map(|number| fs::read_link(descriptors.join(number)));
        targets.flatten().any(|target| target == file)
    };
    names_in(Path::new("/proc")).into_iter().filter(has_open).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_is_not_as_requested_is_not_used() {
    let root = open_folder();
    let data = root.path().join("data");
    let programs = programs_with_endless_initdb(root.path());
    let real = bin_dir().join("initdb");
    // This `initdb` ignores the requested locale, and creates no checksums.
    let no_checksums = if major_version() >= 18 { "--no-data-checksums" } else { "" };
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then exec '{0}' --version; fi\n\
         exec '{0}' --pgdata \"$2\" --pwfile \"$4\" --locale=C --encoding=UTF8 --auth=scram-sha-256 \
         --username atlashub {no_checksums}\n",
        real.display()
    );
    fs::write(programs.join("initdb"), script).unwrap();
    let vars = ProgramVars::embedded(&data).set("ATLASHUB_POSTGRES_BIN_DIR", programs.to_str().unwrap());
    let ended = vars.run(&["serve"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("(expected \"") && ended.stderr.contains(" off C C UTF8"), "{}", ended.stderr);
    assert_eq!(names_in(&data.join("postgres")), Vec::<String>::new());
}
