//! The audit entry of a request: when it is written, and how its outcome is added.

use std::sync::Arc;

use api_types::AuditResult;
use axum::{http::StatusCode, response::Response};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::queries;
use crate::{
    db::audit::{self, Intent, NewAuditEntry},
    error::{ApiError, ApiResult},
    http::{AuditDetails, AuditTarget, ChangeMade, NothingChanged},
};

/// The audit entry of a request that may change something. The middleware creates and completes it. The code that finds
/// the caller begins it: the authentication layer or, for a sign-in, the handler.
#[derive(Clone)]
pub(crate) struct RequestEntry(Arc<Mutex<State>>);

struct State {
    pool: PgPool,
    entry: NewAuditEntry,
    /// Whether the request has an authenticated caller. Requests without one are not recorded here.
    has_caller: bool,
    intent: Option<Intent>,
}

impl RequestEntry {
    pub(super) fn new(pool: PgPool, entry: NewAuditEntry) -> Self {
        Self(Arc::new(Mutex::new(State { pool, entry, has_caller: false, intent: None })))
    }

    /// Sets the caller. The entry is written at the end, unless [`Self::begin`] writes it earlier.
    pub(in crate::admin) fn set_actor(&self, actor: &str) {
        let mut state = self.0.lock();
        actor.clone_into(&mut state.entry.actor);
        state.has_caller = true;
    }

    /// Finds the project of the resource that the path names, and writes the entry with an unknown outcome. Call this
    /// function after [`Self::set_actor`] and before anything is changed.
    ///
    /// # Errors
    /// Fails if the project can't be looked up or the entry can't be written. Then nothing may be changed.
    pub(in crate::admin) async fn begin(&self) -> ApiResult<()> {
        let (pool, mut entry) = {
            let state = self.0.lock();
            (state.pool.clone(), state.entry.clone())
        };
        if entry.project_id.is_none()
            && let Some(target) = &entry.target
        {
            entry.project_id = queries::project_of(&pool, &entry.action, target).await?;
            self.0.lock().entry.project_id.clone_from(&entry.project_id);
        }
        let state = self.0.clone();
        // A task of its own, so that an entry that was written is also completed if the client disconnects now.
        let begun = tokio::spawn(async move {
            let intent = audit::begin(&pool, &entry).await?;
            state.lock().intent = Some(intent);
            Ok::<_, sqlx::Error>(())
        });
        begun.await.map_err(ApiError::internal)??;
        Ok(())
    }

    /// Takes the outcome from the response, and returns a future that writes it. If the handler has reported that
    /// nothing changed, the future removes the entry instead. For requests without a caller, the future does nothing.
    pub(super) fn complete(&self, response: &Response) -> impl Future<Output = ()> + Send + use<> {
        let mut state = self.0.lock();
        let completed = state.has_caller.then(|| {
            add_outcome(&mut state.entry, response);
            (state.pool.clone(), state.intent.take(), state.entry.clone())
        });
        let nothing_changed = response.extensions().get::<NothingChanged>().is_some();
        async move {
            match completed {
                Some((pool, Some(intent), entry)) if nothing_changed => {
                    if let Err(error) = intent.discard(&pool).await {
                        tracing::warn!(%error, action = entry.action, "could not remove the audit entry of a read");
                    }
                }
                Some((pool, Some(intent), entry)) => intent.complete_or_log(&pool, &entry).await,
                // The request was refused before it could change anything.
                Some((pool, None, entry)) => audit::record_or_log(&pool, &entry).await,
                None => {}
            }
        }
    }
}

impl Drop for State {
    /// If the client disconnects, the handler's future is dropped. The handler may already have changed something, so
    /// the entry is completed as interrupted.
    fn drop(&mut self) {
        if let (Some(intent), Ok(runtime)) = (self.intent.take(), tokio::runtime::Handle::try_current()) {
            let mut entry = self.entry.clone();
            entry.result = AuditResult::Failed;
            entry.details = json!({ "interrupted": true });
            let pool = self.pool.clone();
            runtime.spawn(async move { intent.complete_or_log(&pool, &entry).await });
        }
    }
}

/// Adds the response's status and error, and the details, target and project that the handler reported.
fn add_outcome(entry: &mut NewAuditEntry, response: &Response) {
    let status = response.status();
    entry.status = Some(status.as_u16());
    let extensions = response.extensions();
    entry.result = match extensions.get::<ChangeMade>() {
        Some(ChangeMade) => AuditResult::Success,
        None => result_of(status),
    };
    if let Some(AuditDetails(details)) = extensions.get() {
        entry.details = details.clone();
    }
    if let Some(AuditTarget(target)) = extensions.get() {
        entry.target = Some(target.clone());
        // The path of this request does not contain the new project's id.
        if entry.action == "project.create" {
            entry.project_id = Some(target.clone());
        }
    }
    // The path may name neither a project nor a resource of a project. Then the details or the target can name the
    // project.
    if entry.project_id.is_none() {
        let target = || entry.target.as_deref()?.strip_prefix("project:");
        entry.project_id = entry.details["projectId"].as_str().or_else(target).map(str::to_owned);
    }
    if let (Some(error), Value::Object(details)) = (extensions.get::<ApiError>(), &mut entry.details) {
        details.insert("error".to_owned(), error.code().as_str().into());
    }
}

fn result_of(status: StatusCode) -> AuditResult {
    if status.is_server_error() {
        AuditResult::Failed
    } else if status.is_client_error() {
        AuditResult::Denied
    } else {
        AuditResult::Success
    }
}
