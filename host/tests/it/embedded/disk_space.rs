//! The plan of a restore warns if the disk of the embedded Postgres is too small.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, ProgramVars, eventually, open_folder};

/// A size that is larger than the disks of development machines, and smaller than the maximum size of a file.
const SPARSE_BYTES: u64 = 15 << 40;

/// Returns the folder of the database that was created last.
fn newest_database(data: &Path) -> PathBuf {
    let base = data.join("postgres/cluster/base");
    let names = fs::read_dir(&base).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    base.join(names.filter_map(|name| name.parse::<u32>().ok()).max().unwrap().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_of_a_restore_warns_of_a_disk_that_is_too_small() {
    let root = open_folder();
    let data = root.path().join("data");
    let serving = ProgramVars::embedded(&data).serve(&[]);
    let token = fs::read_to_string(data.join("secrets/admin-token")).unwrap();
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", token.trim());
    let (status, project) = admin.post("/admin/v1/projects", json!({ "name": "large" })).await;
    assert_eq!(status, StatusCode::CREATED, "{project}");
    let target = format!("project:{}", project["project"]["id"].as_str().unwrap());
    let database = newest_database(&data);
    eventually("the start of a backup", async || {
        admin.post("/admin/v1/backups", json!({ "target": target })).await.0 == StatusCode::ACCEPTED
    })
    .await;
    let backup = eventually("a backup", async || {
        let (_, page) = admin.get(&format!("/admin/v1/backups?target={target}")).await;
        page["items"].as_array().unwrap().first().cloned()
    })
    .await;
    let warnings = async || -> Value {
        let path = format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
        let (status, planned) = admin.post(&path, json!({ "projectId": project["project"]["id"] })).await;
        assert_eq!(status, StatusCode::CREATED, "{planned}");
        planned["plan"]["warnings"].clone()
    };
    let before = warnings().await.to_string();
    assert!(!before.contains("free space"), "{before}");
    // The size of a database is that of its files. This file is sparse, so it takes no space on the disk.
    File::create(database.join("sparse")).unwrap().set_len(SPARSE_BYTES).unwrap();
    let warned = warnings().await.to_string();
    assert!(warned.contains("GiB of free space, but the restore needs about 15360."), "{warned}");
}
