use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::{Project, ProjectState};
use chrono::{DateTime, Utc};
use dashmap::DashMap;
use sqlx::PgPool;
use uuid::Uuid;

use super::queries;
use crate::error::{ApiError, ApiResult};

/// A row read so recently needs no second look on the admin surface.
const FRESH: Duration = Duration::from_secs(1);

/// A project as the rest of the host knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRef {
    pub id: String,
    pub name: String,
    pub state: ProjectState,
    pub cors_origins: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The backup that its deletion waits for.
    pub delete_after_run: Option<Uuid>,
    /// Why it was not deleted after all.
    pub delete_problem: Option<String>,
}

impl ProjectRef {
    /// Name of the Postgres database.
    pub fn database(&self) -> String {
        format!("proj_{}", self.id)
    }

    /// Name of the bucket in the object store.
    pub fn bucket(&self) -> String {
        format!("proj-{}", self.id)
    }

    pub fn to_wire(&self) -> Project {
        Project {
            id: self.id.clone(),
            name: self.name.clone(),
            state: self.state,
            database: self.database(),
            bucket: self.bucket(),
            cors_origins: self.cors_origins.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            delete_after_run: self.delete_after_run.map(|run| run.to_string()),
            delete_problem: self.delete_problem.clone(),
        }
    }
}

/// Looks projects up by id.
#[derive(Clone)]
pub struct Projects {
    platform: PgPool,
    recent: Arc<DashMap<String, (Instant, Arc<ProjectRef>)>>,
}

impl Projects {
    pub fn new(platform: PgPool) -> Self {
        Self { platform, recent: Arc::default() }
    }

    /// The project, if it is ready; else 404.
    pub async fn get(&self, id: &str) -> ApiResult<Arc<ProjectRef>> {
        if let Some(entry) = self.recent.get(id)
            && entry.0.elapsed() < FRESH
        {
            return Ok(entry.1.clone());
        }
        let project =
            queries::project(&self.platform, id).await?.filter(|project| project.state == ProjectState::Ready);
        let Some(project) = project else {
            self.recent.remove(id);
            return Err(ApiError::not_found("project"));
        };
        let project = Arc::new(project);
        self.recent.insert(id.to_owned(), (Instant::now(), project.clone()));
        Ok(project)
    }

    /// Forgets what was read of the project.
    pub fn forget(&self, id: &str) {
        self.recent.remove(id);
    }
}
