//! Re-sealing everything with the current master key, while nodes run with both.

use sqlx::PgPool;
use uuid::Uuid;

use super::{credentials, user_tokens};
use crate::{db::DbRole, secrets::Sealer};

/// A column of sealed values in a table whose key is an `id`; rows without a value are left out.
struct SealedColumn {
    /// The value's identity before and after the id.
    identity: (&'static str, &'static str),
    select: &'static str,
    /// `$1` is the id, `$2` the new value, `$3` the old one.
    update: &'static str,
}

const JOB_HEADERS: SealedColumn = SealedColumn {
    identity: ("cron_jobs/", "/headers"),
    select: "SELECT id, http_headers_json FROM cron_jobs WHERE http_headers_json IS NOT NULL",
    update: "UPDATE cron_jobs SET http_headers_json = $2 WHERE id = $1 AND http_headers_json = $3",
};
const JOB_BODY: SealedColumn = SealedColumn {
    identity: ("cron_jobs/", "/body"),
    select: "SELECT id, http_body_json FROM cron_jobs WHERE http_body_json IS NOT NULL",
    update: "UPDATE cron_jobs SET http_body_json = $2 WHERE id = $1 AND http_body_json = $3",
};
const NOTIFICATION_CHANNEL: SealedColumn = SealedColumn {
    identity: ("notification_channels/", ""),
    select: "SELECT id, sealed FROM notification_channels",
    update: "UPDATE notification_channels SET sealed = $2 WHERE id = $1 AND sealed = $3",
};
const SEALED_COLUMNS: &[SealedColumn] = &[JOB_HEADERS, JOB_BODY, NOTIFICATION_CHANNEL];

impl SealedColumn {
    fn identity(&self, id: Uuid) -> String {
        format!("{}{id}{}", self.identity.0, self.identity.1)
    }

    async fn values(&self, platform: &PgPool) -> Result<Vec<(Uuid, Vec<u8>)>, sqlx::Error> {
        sqlx::query_as(self.select).fetch_all(platform).await
    }
}

/// What the values of a job's headers are sealed for.
pub fn job_headers_identity(job: Uuid) -> String {
    JOB_HEADERS.identity(job)
}

/// What a job's body is sealed for.
pub fn job_body_identity(job: Uuid) -> String {
    JOB_BODY.identity(job)
}

/// What a rotation found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResealReport {
    /// Values sealed anew.
    pub resealed: u64,
    /// Values that were under the current key already.
    pub current: u64,
}

/// Opens every sealed value with either key and seals it with the current one. Can be stopped and run again;
/// fails at the first value that neither key opens, having changed nothing of it.
pub async fn reseal_all(platform: &PgPool, sealer: &Sealer) -> anyhow::Result<ResealReport> {
    let mut report = ResealReport::default();
    for role in DbRole::ALL {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT project_id, sealed FROM project_db_creds WHERE role = $1")
                .bind(role.suffix())
                .fetch_all(platform)
                .await?;
        for (project, sealed) in rows {
            let Some(anew) = reseal(sealer, &sealed, &credentials::identity(&project, role), &mut report)? else {
                continue;
            };
            sqlx::query("UPDATE project_db_creds SET sealed = $3 WHERE project_id = $1 AND role = $2 AND sealed = $4")
                .bind(&project)
                .bind(role.suffix())
                .bind(anew)
                .bind(sealed)
                .execute(platform)
                .await?;
        }
    }
    let rows: Vec<(Uuid, String, Vec<u8>)> =
        sqlx::query_as("SELECT id, project_id, sealed FROM signing_keys").fetch_all(platform).await?;
    for (id, project, sealed) in rows {
        let Some(anew) = reseal(sealer, &sealed, &user_tokens::identity(&project, id), &mut report)? else { continue };
        sqlx::query("UPDATE signing_keys SET sealed = $2 WHERE id = $1 AND sealed = $3")
            .bind(id)
            .bind(anew)
            .bind(sealed)
            .execute(platform)
            .await?;
    }
    for column in SEALED_COLUMNS {
        for (id, sealed) in column.values(platform).await? {
            let Some(anew) = reseal(sealer, &sealed, &column.identity(id), &mut report)? else { continue };
            sqlx::query(column.update).bind(id).bind(anew).bind(sealed).execute(platform).await?;
        }
    }
    let rows: Vec<(String, String, Vec<u8>)> =
        sqlx::query_as("SELECT plugin, name, sealed FROM plugin_secrets").fetch_all(platform).await?;
    for (plugin, name, sealed) in rows {
        let Some(anew) = reseal(sealer, &sealed, &plugin_secret_identity(&plugin, &name), &mut report)? else {
            continue;
        };
        sqlx::query("UPDATE plugin_secrets SET sealed = $3 WHERE plugin = $1 AND name = $2 AND sealed = $4")
            .bind(plugin)
            .bind(name)
            .bind(anew)
            .bind(sealed)
            .execute(platform)
            .await?;
    }
    Ok(report)
}

/// What a plugin's secret is sealed under.
pub fn plugin_secret_identity(plugin: &str, name: &str) -> String {
    format!("plugin_secrets/{plugin}/{name}")
}

fn reseal(
    sealer: &Sealer,
    sealed: &[u8],
    identity: &str,
    report: &mut ResealReport,
) -> anyhow::Result<Option<Vec<u8>>> {
    if sealer.is_current(sealed) {
        report.current += 1;
        return Ok(None);
    }
    let plain = sealer.open(sealed, identity).map_err(|error| anyhow::anyhow!("{identity}: {error}"))?;
    report.resealed += 1;
    Ok(Some(sealer.seal(&plain, identity)?))
}

/// Opens every sealed value and answers how many there are; fails at the first that does not open.
pub async fn check_seals(platform: &PgPool, sealer: &Sealer) -> anyhow::Result<u64> {
    let open = |sealed: &[u8], identity: String| {
        sealer.open(sealed, &identity).map(drop).map_err(|error| anyhow::anyhow!("{identity}: {error}"))
    };
    let mut opened = 0;
    for role in DbRole::ALL {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT project_id, sealed FROM project_db_creds WHERE role = $1")
                .bind(role.suffix())
                .fetch_all(platform)
                .await?;
        for (project, sealed) in rows {
            open(&sealed, credentials::identity(&project, role))?;
            opened += 1;
        }
    }
    let rows: Vec<(Uuid, String, Vec<u8>)> =
        sqlx::query_as("SELECT id, project_id, sealed FROM signing_keys").fetch_all(platform).await?;
    for (id, project, sealed) in rows {
        open(&sealed, user_tokens::identity(&project, id))?;
        opened += 1;
    }
    for column in SEALED_COLUMNS {
        for (id, sealed) in column.values(platform).await? {
            open(&sealed, column.identity(id))?;
            opened += 1;
        }
    }
    let rows: Vec<(String, String, Vec<u8>)> =
        sqlx::query_as("SELECT plugin, name, sealed FROM plugin_secrets").fetch_all(platform).await?;
    for (plugin, name, sealed) in rows {
        open(&sealed, plugin_secret_identity(&plugin, &name))?;
        opened += 1;
    }
    Ok(opened)
}
