//! Age identities for encrypted backups: the configured identity, and identities that the owner gives for single runs.
//!
//! An identity that is given for a run is stored until the run takes it, because another process may execute the run.
//! It is sealed under the master key. Taking an identity deletes it. Identities that no run takes within an hour are
//! removed.

use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::{
    config::{AgeIdentity, InvalidIdentity},
    error::{ApiError, ApiResult},
    secrets::{SealedColumn, Sealer},
};

const SEALED_IDENTITY: SealedColumn = SealedColumn {
    table: "run_identities",
    column: "sealed",
    key_columns: &["run_id"],
    identity: "run_identities/{run_id}",
};
/// Columns of this slice that are sealed under the master key.
pub const SEALED_COLUMNS: &[SealedColumn] = &[SEALED_IDENTITY];

/// Finds the identity for a run. Cheap to clone.
#[derive(Clone)]
pub struct Identities {
    pub platform: PgPool,
    pub sealer: Sealer,
    pub configured: Option<AgeIdentity>,
}

impl Identities {
    /// Returns the identity in a request, or the configured identity if the request contains none.
    ///
    /// # Errors
    /// Returns `invalid_request` if the text is not an identity.
    pub(super) fn of_request(&self, text: Option<&str>) -> ApiResult<Option<AgeIdentity>> {
        Ok(parse(text)?.or_else(|| self.configured.clone()))
    }

    /// Stores the identity of a request until the run takes it. Does nothing if the request contains none.
    ///
    /// # Errors
    /// Returns `invalid_request` if the text is not an identity, and 503 if the platform database is unavailable.
    pub(super) async fn give(&self, db: impl PgExecutor<'_>, run: Uuid, text: Option<&str>) -> ApiResult<()> {
        let Some(identity) = parse(text)? else { return Ok(()) };
        let sealed = self.sealer.seal(identity.to_text().as_bytes(), &SEALED_IDENTITY.identity(&[&run]));
        sqlx::query("INSERT INTO run_identities (run_id, sealed) VALUES ($1, $2)")
            .bind(run)
            .bind(sealed.map_err(ApiError::internal)?)
            .execute(db)
            .await?;
        Ok(())
    }

    /// Returns the identity that was given for a run, and deletes it. If none was given, returns the configured
    /// identity. Returns `None` if there is neither, or if no configured master key opens the given identity.
    pub(super) async fn take(&self, run: Uuid) -> Result<Option<AgeIdentity>, sqlx::Error> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("DELETE FROM run_identities WHERE run_id = $1 RETURNING sealed")
                .bind(run)
                .fetch_optional(&self.platform)
                .await?;
        let Some(sealed) = sealed else { return Ok(self.configured.clone()) };
        let opened = self.sealer.open(&sealed, &SEALED_IDENTITY.identity(&[&run]));
        let identity = opened.ok().and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
        if identity.is_none() {
            tracing::warn!(%run, "no configured master key opens the age identity of a run");
        }
        Ok(identity)
    }

    /// Removes the identities that no run took within an hour.
    pub(super) async fn remove_old(&self) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM run_identities WHERE created_at < now() - interval '1 hour'")
            .execute(&self.platform)
            .await
            .map(drop)
    }
}

fn parse(text: Option<&str>) -> ApiResult<Option<AgeIdentity>> {
    text.map(str::parse).transpose().map_err(|problem: InvalidIdentity| {
        ApiError::invalid(format!("`identity` can't be used: {problem}."))
            .with_hint("Send the content of the identity file.")
    })
}
