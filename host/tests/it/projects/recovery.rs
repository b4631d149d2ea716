//! Recovery removes unfinished projects, but does not touch those that a running process works on.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

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

#[tokio::test]
async fn recovered_deletion_clears_the_caches_of_the_project() {
    let app = TestApp::start().await;
    let project = app.create_project("deleted by recovery").await;
    sqlx::query("UPDATE projects SET state = 'deleting' WHERE id = $1")
        .bind(&project.id)
        .execute(app.app.platform())
        .await
        .unwrap();
    let forgotten = Arc::new(Mutex::new(Vec::new()));
    let mut projects = app.app.projects().clone();
    projects.forget = {
        let forgotten = Arc::clone(&forgotten);
        Arc::new(move |id: &str| forgotten.lock().unwrap().push(id.to_owned()))
    };
    let finished = finish_unfinished_projects(&projects).await.unwrap();
    assert_eq!(finished.iter().map(|project| project.id.as_str()).collect::<Vec<_>>(), [project.id.as_str()]);
    assert_eq!(*forgotten.lock().unwrap(), *std::slice::from_ref(&project.id));
}
