//! Backups and restores with objects whose process is killed at each of their steps.

use atlashub::{config::Role, storage::abort_stale_uploads};
use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::{
    backups::{
        end_to_end::{ended_run, listed},
        object_faults::{BACKUP_STEPS, RESTORE_STEPS, check_sweeps_remove_everything, uploads},
        objects::{back_up, copies, delete, download, large, start, upload},
        restore::{plan, restore_of, start as start_restore, until_no_other_database_is_left},
        verify::verify,
    },
    support::{FaultProxy, Hang, ProgramVars, Serving, TestApp, TestProject, eventually, expire_leases},
};

const SMALL: &[u8] = b"the small object";
const CHANGED: &[u8] = b"changed";

/// The moment at which a process is killed.
enum Moment {
    /// The process sends a request to the store that contains this text.
    Request(&'static str),
    /// The process executes this statement (`INSERT` or `UPDATE`) on this table, for a row that satisfies this
    /// condition.
    Change(&'static str, &'static str, &'static str),
}

/// A project with objects, and a server that is killed and started again. The node `app` runs no jobs.
struct Killed {
    app: TestApp,
    project: TestProject,
    platform: PgConnection,
    store: FaultProxy,
    vars: ProgramVars,
    serving: Option<Serving>,
}

impl Killed {
    async fn start() -> Self {
        let app = TestApp::builder().first_party_plugins().role(Role::Gateway).start().await;
        let url = app.services.database_url.expose();
        let (store, endpoint) = FaultProxy::before_store().await;
        let vars = ProgramVars::external(url)
            .set("ATLASHUB_S3_ENDPOINT", &endpoint)
            .set("PLATFORM_MASTER_KEY", &app.services.master_key.to_base64());
        let platform = PgConnection::connect(url).await.unwrap();
        let project = app.create_project("Killed").await;
        upload(&project, "a.txt", SMALL).await;
        upload(&project, "large.bin", &large()).await;
        let serving = Some(vars.serve(&[]));
        Self { app, project, platform, store, vars, serving }
    }

    /// Starts a run, kills the server at this moment of it, and starts the server again. Returns the ended run.
    async fn kill_at(&mut self, moment: &Moment, start: impl AsyncFn(&TestApp, &TestProject) -> String) -> Value {
        let hang = match moment {
            Moment::Request(text) => {
                self.store.hold(text);
                None
            }
            Moment::Change(event, table, condition) => {
                Some(Hang::at(&mut self.platform, event, table, condition).await)
            }
        };
        let (app, store, platform) = (&self.app, &self.store, &mut self.platform);
        let mut attempts = 0;
        let run = loop {
            let run = start(app, &self.project).await;
            let reached = async {
                match &hang {
                    Some(hang) => hang.reached(platform).await,
                    None => store.wait_until_held().await,
                }
            };
            tokio::select! {
                // On a busy machine, both futures may be ready when this task continues. The moment counts.
                biased;
                () = reached => break run,
                ended = ended_run(app, &run) => {
                    // On a busy machine, a connection to the store can fail before that moment.
                    attempts += 1;
                    let is_store = ended["errorText"] == "the object store can't be reached";
                    if !is_store || attempts == 3 {
                        // The log has the cause.
                        let log = self.serving.take().unwrap().end().join("\n");
                        panic!("the run ended too early: {ended}\n{log}");
                    }
                }
            }
        };
        self.serving.take().unwrap().kill();
        if let Some(hang) = hang {
            hang.end(&mut self.platform).await;
        }
        expire_leases(&mut self.platform).await;
        self.store.clear();
        self.store.release();
        self.serving = Some(self.vars.serve(&[]));
        ended_run(&self.app, &run).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_with_objects_killed_at_any_step_is_complete_or_leaves_nothing() {
    let mut killed = Killed::start().await;
    let of_store = BACKUP_STEPS.map(|(step, text)| (step, Moment::Request(text), 0));
    let others = [
        ("the dump is stored", Moment::Request(".dump?x-id=PutObject"), 0),
        ("the backup is recorded", Moment::Change("INSERT", "backups", "true"), 1),
        ("the run ends", Moment::Change("UPDATE", "cron_job_runs", "NEW.status = 'success'"), 1),
    ];
    for (step, moment, backups) in of_store.into_iter().chain(others) {
        let run = killed.kill_at(&moment, start).await;
        assert_eq!(run["status"], "fail", "{step}: {run}");
        let (app, project) = (&killed.app, &killed.project);
        // The new process adds a complete backup to the catalogue when it has read the store.
        let found = async || Some(listed(app, project).await).filter(|found| found.len() == backups);
        let found = eventually(&format!("the list of backups: {step}"), found).await;
        // A backup that is listed is complete, and the next one uses the copies that were complete.
        for backup in found {
            assert_eq!(verify(app, &backup).await["status"], "success", "{step}");
            delete(app, &backup).await;
        }
        let complete = copies(app, project).await.len();
        let (backup, objects) = back_up(app, project).await;
        assert_eq!((&objects["count"], &objects["copied"]), (&json!(2), &json!(2 - complete)), "{step}");
        delete(app, &backup).await;
        check_sweeps_remove_everything(app, project, step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_with_objects_killed_at_any_step_changes_no_row_and_can_be_repeated() {
    let mut killed = Killed::start().await;
    killed.project.sql("CREATE TABLE items AS SELECT 1 AS id").await;
    let (backup, _) = back_up(&killed.app, &killed.project).await;
    killed.project.sql("INSERT INTO items VALUES (2)").await;
    let of_store = RESTORE_STEPS.map(|(step, text)| (step, Moment::Request(text)));
    // The second update of the row changes `updated_at`; the first does not.
    let limit = "NEW.path = 'large.bin' AND NEW.updated_at = OLD.updated_at";
    let stored = "NEW.path = 'large.bin' AND NEW.updated_at > OLD.updated_at";
    let swap = "NEW.state = 'swapping' AND NEW.new_database IS NOT NULL";
    let others = [
        ("the limit of an object is raised", Moment::Change("UPDATE", "file_metadata", limit)),
        ("a restored object is recorded", Moment::Change("UPDATE", "file_metadata", stored)),
        ("the database is about to be replaced", Moment::Change("UPDATE", "restores", swap)),
    ];
    let bucket = format!("proj-{}", killed.project.id);
    for (step, moment) in of_store.into_iter().chain(others) {
        upload(&killed.project, "a.txt", CHANGED).await;
        upload(&killed.project, "large.bin", CHANGED).await;
        let planned = plan(&killed.app, &backup, &killed.project).await;
        let run = killed.kill_at(&moment, async |app, project| start_restore(app, &planned, "/confirm", project).await);
        let run = run.await;
        assert_eq!(run["status"], "fail", "{step}: {run}");
        let (app, project) = (&killed.app, &killed.project);
        let restored = restore_of(app, &planned).await;
        assert_eq!(restored["state"], "failed", "{step}: {restored}");
        let (status, rows) = project.secret().get("/v1/db/items?order=id").await;
        assert_eq!((status, rows["rows"].as_array().unwrap().len()), (StatusCode::OK, 2), "{step}");
        // Each object is as it was before, or as it is in the backup.
        let small = download(project, "uploads/a.txt").await.unwrap().0;
        assert!([SMALL, CHANGED].contains(&&*small), "{step}");
        let big = download(project, "uploads/large.bin").await.unwrap().0;
        assert!(big == CHANGED || big == large(), "{step}: {} bytes", big.len());
        until_no_other_database_is_left(project).await;
        abort_stale_uploads(&app.app.backups().copies.storage, Utc::now() + TimeDelta::days(9)).await.unwrap();
        assert_eq!(uploads(&bucket, "large.bin").await, 0, "{step}");
    }
    let planned = plan(&killed.app, &backup, &killed.project).await;
    let run = start_restore(&killed.app, &planned, "/confirm", &killed.project).await;
    let run = ended_run(&killed.app, &run).await;
    assert_eq!(restore_of(&killed.app, &planned).await["state"], "done", "{run}");
    assert_eq!(download(&killed.project, "uploads/a.txt").await.unwrap().0, SMALL);
    assert!(download(&killed.project, "uploads/large.bin").await.unwrap().0 == large());
    assert_eq!(killed.project.secret().get("/v1/db/items").await.1["rows"].as_array().unwrap().len(), 1);
}
