//! Recovery does not touch projects that a running process works on.

use std::sync::atomic::{AtomicBool, Ordering};

use atlashub::projects::finish_unfinished_projects;
use reqwest::StatusCode;

use crate::support::TestApp;

#[tokio::test]
async fn recovery_keeps_projects_that_are_being_created() {
    let app = TestApp::start().await;
    let done = AtomicBool::new(false);
    let recover = async {
        let mut finished = Vec::new();
        while !done.load(Ordering::Relaxed) {
            finished.extend(finish_unfinished_projects(app.app.projects()).await.unwrap());
        }
        finished
    };
    let create = async {
        let mut projects = Vec::new();
        for number in 0..8 {
            projects.push(app.create_project(&format!("created meanwhile {number}")).await);
        }
        done.store(true, Ordering::Relaxed);
        projects
    };
    let (finished, projects) = tokio::join!(recover, create);
    assert_eq!(finished, []);
    for project in projects {
        let (status, detail) = app.admin().get(&project.path("")).await;
        assert_eq!(status, StatusCode::OK, "{detail}");
        assert!(app.app.store().bucket_exists(&format!("proj-{}", project.id)).await.unwrap());
    }
}
