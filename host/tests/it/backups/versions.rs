//! Backups on different major versions of Postgres, and archives that move between them.

use atlashub::db::restore::{Archive, RestoreError, Restorer};
use bytes::Bytes;
use futures_util::stream;
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::{
    backups::{
        restore::confirm,
        restore_uploads::upload_and_plan,
        verify::{create_backup, project_with_objects, state, verify},
    },
    support::{Postgres, TestApp, TestProject, bin_dir_of, raw},
};

/// A platform on a Postgres server of one major version.
struct Platform {
    major: u32,
    app: TestApp,
    _server: Postgres,
}

impl Platform {
    async fn start(major: u32) -> Self {
        let server = Postgres::start_version(major);
        let app = TestApp::builder()
            .first_party_plugins()
            .database_url(&server.platform_database().await)
            .postgres_programs(&bin_dir_of(major))
            .start()
            .await;
        Self { major, app, _server: server }
    }

    /// Creates a project with objects of many kinds, backs it up and verifies the backup. Returns the archive.
    async fn verified_archive(&self) -> Vec<u8> {
        let project = project_with_objects(&self.app, "source").await;
        let backup = create_backup(&self.app, &format!("project:{}", project.id)).await;
        let run = verify(&self.app, &backup).await;
        assert_eq!(run["status"], "success", "Postgres {}: {run}", self.major);
        assert_eq!(state(&self.app, &backup).await["state"], "verified", "Postgres {}", self.major);
        let path = format!("/admin/v1/backups/{}/download", backup["id"].as_str().unwrap());
        let (status, body) = self.app.admin().post(&path, json!({})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let response = raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.unwrap().to_vec()
    }

    /// Restores an archive of another server.
    async fn restore(&self, archive: &[u8], from: u32) {
        let versions = format!("from Postgres {from} to {}", self.major);
        let project = self.app.create_project(&format!("from {from}")).await;
        let (status, planned) = upload_and_plan(&self.app, &project, archive.to_vec()).await;
        assert_eq!(status, StatusCode::CREATED, "{versions}: {planned}");
        let (done, run) = confirm(&self.app, &planned, &project).await;
        assert_eq!((&run["status"], &done["state"]), (&json!("success"), &json!("done")), "{versions}: {run} {done}");
        self.check_restored(&project, &versions).await;
    }

    async fn check_restored(&self, project: &TestProject, versions: &str) {
        for (table, rows) in [("people", 20), ("notes", 20), ("hidden", 50), ("parts", 7), ("seen", 20), ("counted", 1)]
        {
            let (status, body) = project.secret().get(&format!("/v1/db/{table}?limit=100")).await;
            assert_eq!(status, StatusCode::OK, "{versions}: {table}: {body}");
            assert_eq!(body["rows"].as_array().map(Vec::len), Some(rows), "{versions}: {table}");
        }
        let (status, body) = project.secret().post("/v1/db/people", json!({ "rows": [{ "name": "new" }] })).await;
        assert_eq!((status, &body["rows"][0]["id"]), (StatusCode::CREATED, &json!(21)), "{versions}: {body}");
        let (status, body) = project.secret().post("/v1/db/people", json!({ "rows": [{ "name": "NEW" }] })).await;
        assert_eq!(status, StatusCode::CONFLICT, "{versions}: names are of type citext and unique: {body}");
    }

    /// Checks that a restore and a verification say which client programs an archive of a newer server needs.
    async fn refuse(&self, archive: &[u8], from: u32) {
        let project = self.app.create_project(&format!("refuses {from}")).await;
        let (status, body) = upload_and_plan(&self.app, &project, archive.to_vec()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "from Postgres {from} to {}: {body}", self.major);
        let hint = body["error"]["hint"].as_str().unwrap();
        assert!(hint.starts_with("Install the Postgres ") && hint.contains("client programs"), "{body}");
        let restorer = Restorer::new(&self.app.services.database_url, Some(bin_dir_of(self.major))).unwrap();
        let mut bytes = stream::iter([Ok(Bytes::copy_from_slice(archive))]);
        // Old manifests don't contain the version of the dump.
        let archive = Archive { bytes: &mut bytes, dump_version: None };
        let error = restorer.restore(Uuid::now_v7(), "password", archive).await.unwrap_err();
        assert!(matches!(error, RestoreError::NoProgram { .. }), "from Postgres {from} to {}: {error}", self.major);
        let error = error.to_string();
        assert!(error.starts_with("the archive needs pg_restore ") && error.contains("; install the"), "{error}");
    }
}

/// Backs up a project on each version. Restores each archive on every other version that can read it, and checks that
/// the other versions refuse it.
async fn restore_archives_between(majors: &[u32]) {
    let mut platforms = Vec::new();
    let mut archives = Vec::new();
    for &major in majors {
        let platform = Platform::start(major).await;
        archives.push((major, platform.verified_archive().await));
        platforms.push(platform);
    }
    for (from, archive) in &archives {
        for platform in platforms.iter().filter(|platform| platform.major != *from) {
            // The format of archives changed in versions 16 and 17. Older programs can't read newer formats.
            if platform.major >= (*from).min(17) {
                platform.restore(archive, *from).await;
            } else {
                platform.refuse(archive, *from).await;
            }
        }
    }
}

#[tokio::test]
async fn archive_of_the_oldest_postgres_restores_on_the_newest_and_the_reverse_is_refused() {
    restore_archives_between(&[15, 18]).await;
}

#[cfg(feature = "postgres-versions")]
#[tokio::test]
async fn archives_restore_on_every_version_of_postgres_that_can_read_them() {
    restore_archives_between(&[15, 16, 17, 18]).await;
}
