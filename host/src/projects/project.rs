//! A project as requests use it, with a cache.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::{Project, ProjectState};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{queries, row_cache::RowCache};
use crate::{
    db::project_database,
    error::{ApiError, ApiResult},
    object_store::project_bucket,
};

/// Maximum age of a cached project row.
const MAX_CACHE_AGE: Duration = Duration::from_secs(1);

/// The fields of a project that other modules use.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ProjectRef {
    pub id: String,
    pub name: String,
    pub state: ProjectState,
    pub cors_origins: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Run of the final backup after which the project is deleted.
    pub delete_after_run: Option<Uuid>,
    /// The reason why the last deletion with a final backup failed.
    pub delete_problem: Option<String>,
    /// Whether the project is protected from deletion.
    pub protected: bool,
    /// The owner's note.
    pub note: String,
}

impl ProjectRef {
    /// Returns the name of the Postgres database.
    pub fn database(&self) -> String {
        project_database(&self.id)
    }

    /// Returns the name of the bucket in the object store.
    pub fn bucket(&self) -> String {
        project_bucket(&self.id)
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
            protected: self.protected,
            note: self.note.clone(),
        }
    }
}

/// Finds projects by id, and caches them for one second.
#[derive(Clone)]
pub struct Projects {
    platform: PgPool,
    cached: Arc<RowCache<String, (Instant, Arc<ProjectRef>)>>,
}

impl Projects {
    pub fn new(platform: PgPool) -> Self {
        Self { platform, cached: Arc::default() }
    }

    /// Returns a ready project.
    ///
    /// # Errors
    /// Returns 404 if there is no such project or it is not ready, and 503 if Postgres can't be reached.
    pub async fn get(&self, id: &str) -> ApiResult<Arc<ProjectRef>> {
        if let Some((read_at, project)) = self.cached.get(id)
            && read_at.elapsed() < MAX_CACHE_AGE
        {
            return Ok(project);
        }
        let (read_at, reading) = (Instant::now(), self.cached.begin_read());
        let project =
            queries::project(&self.platform, id).await?.filter(|project| project.state == ProjectState::Ready);
        let Some(project) = project else {
            self.cached.remove(id);
            return Err(ApiError::not_found("project"));
        };
        let project = Arc::new(project);
        self.cached.store(reading, id.to_owned(), (read_at, project.clone()));
        Ok(project)
    }

    /// Removes a project from the cache.
    pub fn forget(&self, id: &str) {
        self.cached.forget(id);
    }
}
