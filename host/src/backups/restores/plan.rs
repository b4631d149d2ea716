//! Plans a restore: reads the head of the archive, and records the plan without changing the project.

use api_types::{RestorePlan, RestoreState, RestoreTable};
use chrono::Utc;
use futures_util::StreamExt as _;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    Restores,
    queries::{self, RestoreRow},
};
use crate::{
    backups::{
        BackupsState, ManifestObjects, manifest::BackupManifest, queries as backup_queries, queries::BackupRow, stored,
    },
    config::AgeIdentity,
    db::{
        DatabaseName,
        restore::{Archive, ArchiveContents, Privileges, RestoreError},
    },
    error::{ApiError, ApiResult, Code},
    object_store::{ObjectMeta, PLATFORM_BUCKET},
    projects::ProjectRef,
    secrets::{AgeError, age_file},
};

/// Maximum number of entries that a warning names.
const MAX_NAMED: usize = 10;
/// Warning that all sessions of end users end. A restore deletes the sessions in the archive, because they may have
/// ended since the backup.
const SIGNED_OUT: &str = "All users are signed out; they sign in again with their passwords.";

/// Whether a restore copies the objects of a backup into the project's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlannedObjects {
    BringBack,
    LeaveOut,
}

impl BackupsState {
    /// Plans the restore of a backup into a project.
    ///
    /// # Errors
    /// Returns 404 if the backup, its manifest or its dump is missing, 422 if the backup can't be restored, and 503 if
    /// Postgres or the object store is unavailable.
    pub(super) async fn plan_backup_restore(
        &self,
        backup: Uuid,
        project: &ProjectRef,
        objects: PlannedObjects,
        identity: Option<&AgeIdentity>,
    ) -> ApiResult<RestoreRow> {
        let backup =
            backup_queries::backup(&self.platform, backup).await?.ok_or_else(|| ApiError::not_found("backup"))?;
        if backup.target.parse() == Ok(DatabaseName::Platform) {
            return Err(ApiError::new(
                Code::Unprocessable,
                "The platform database can't be restored while a server runs.",
            )
            .with_hint("Stop the servers and run `atlashub restore platform`; see OPERATIONS.md."));
        }
        let manifest = stored::read_manifest(&self.store, backup.manifest_key.clone()).await?.ok_or_else(|| {
            ApiError::new(Code::ObjectNotFound, "The backup's manifest is missing or invalid.")
                .with_hint("Download the dump and restore it as an upload.")
        })?;
        let manifest = manifest.manifest;
        let missing = || {
            ApiError::new(Code::ObjectNotFound, "The backup's dump is missing in the object store.")
                .with_hint("Choose another backup.")
        };
        let dump_version = manifest.dump_version.as_deref();
        let inspected = self.restores.inspect(&backup.object_key, dump_version, identity).await?;
        let Inspected { meta, contents, is_encrypted } = inspected.ok_or_else(missing)?;
        let mut plan = self.restores.plan(&contents, meta.size, project).await?;
        plan.encrypted = is_encrypted;
        plan.tables = manifest.tables.iter().map(table_of_manifest).collect();
        plan.server_version = Some(manifest.server_version.clone());
        if objects == PlannedObjects::BringBack {
            plan.objects = manifest.objects.as_ref().map(ManifestObjects::to_wire);
        }
        plan.warnings.extend(self.restores.warning_of_space(meta.size, Some(&manifest.target), plan.objects).await);
        plan.warnings.splice(0..0, warning_of_objects(&manifest, objects));
        plan.warnings.splice(0..0, warnings_of_backup(&backup, &manifest, project));
        let sha256 = Some(manifest.sha256);
        let source = Source { backup_id: Some(backup.id), upload_id: None, object_key: backup.object_key, sha256 };
        self.restores.insert(project, source, meta, plan).await
    }

    /// Plans the restore of an uploaded archive into a project.
    ///
    /// # Errors
    /// Returns 404 if the project has no such upload or the archive was not uploaded yet, 422 if the file is not an
    /// archive or can't be restored, and 503 if Postgres or the object store is unavailable.
    pub(super) async fn plan_upload_restore(
        &self,
        upload: Uuid,
        project: &ProjectRef,
        identity: Option<&AgeIdentity>,
    ) -> ApiResult<RestoreRow> {
        let upload = queries::upload(&self.platform, upload).await?.filter(|upload| upload.project_id == project.id);
        let upload = upload.ok_or_else(|| ApiError::not_found("upload"))?;
        let absent = || {
            ApiError::new(Code::ObjectNotFound, "The archive has not been uploaded.")
                .with_hint("Send the file to `uploadUrl` with the given method and headers first.")
        };
        let inspected = self.restores.inspect(&upload.object_key, None, identity).await?;
        let Inspected { meta, contents, is_encrypted } = inspected.ok_or_else(absent)?;
        if meta.size != upload.size_bytes {
            return Err(ApiError::new(
                Code::Unprocessable,
                format!("The uploaded file has {} bytes instead of {}.", meta.size, upload.size_bytes),
            )
            .with_hint("Upload the file again."));
        }
        let mut plan = self.restores.plan(&contents, meta.size, project).await?;
        plan.encrypted = is_encrypted;
        plan.warnings.extend(self.restores.warning_of_space(meta.size, None, None).await);
        let object_key = upload.object_key;
        let source = Source { backup_id: None, upload_id: Some(upload.id), object_key, sha256: None };
        self.restores.insert(project, source, meta, plan).await
    }
}

/// The archive of a restore.
struct Source {
    backup_id: Option<Uuid>,
    upload_id: Option<Uuid>,
    object_key: String,
    sha256: Option<String>,
}

/// An archive whose head was read.
struct Inspected {
    meta: ObjectMeta,
    contents: ArchiveContents,
    is_encrypted: bool,
}

impl Restores {
    /// Reads the head of an archive in the platform's bucket. Returns `None` if the object does not exist.
    async fn inspect(
        &self,
        object_key: &str,
        dump_version: Option<&str>,
        identity: Option<&AgeIdentity>,
    ) -> ApiResult<Option<Inspected>> {
        let Some((meta, bytes)) = self.store.get(PLATFORM_BUCKET, object_key).await? else { return Ok(None) };
        let bytes = bytes.map(|chunk| chunk.map_err(std::io::Error::other));
        let mut file = age_file::open(bytes, identity).await.map_err(undecrypted)?;
        let contents = self.restorer.inspect(Archive { bytes: &mut file.content, dump_version }).await;
        Ok(Some(Inspected { meta, contents: contents.map_err(inspection_error)?, is_encrypted: file.is_encrypted }))
    }

    async fn plan(&self, contents: &ArchiveContents, size: i64, project: &ProjectRef) -> ApiResult<RestorePlan> {
        let tables = contents.tables.iter().map(|(schema, table)| RestoreTable {
            schema: schema.clone(),
            table: table.clone(),
            rows: None,
        });
        let mut warnings = warnings_of_contents(contents, &project.id);
        let unavailable = queries::unavailable_extensions(&self.platform, &contents.extensions).await?;
        if !unavailable.is_empty() {
            warnings.push(format!(
                "The project's owner can't create these extensions, so the restore will fail: {}. Install them on the \
                 server; only those that Postgres trusts can be created.",
                named(&unavailable)
            ));
        }
        let server_version = contents.server_version.clone();
        Ok(RestorePlan {
            tables: tables.collect(),
            size_bytes: size,
            server_version,
            warnings,
            encrypted: false,
            objects: None,
        })
    }

    async fn insert(
        &self,
        project: &ProjectRef,
        source: Source,
        meta: ObjectMeta,
        plan: RestorePlan,
    ) -> ApiResult<RestoreRow> {
        let row = RestoreRow {
            id: Uuid::now_v7(),
            project_id: project.id.clone(),
            backup_id: source.backup_id,
            upload_id: source.upload_id,
            object_key: source.object_key,
            etag: meta.etag,
            sha256: source.sha256,
            state: RestoreState::Planned,
            plan: Json(plan),
            previous_database: None,
            run_id: None,
            error_text: None,
            left_out: Vec::new(),
            created_at: Utc::now(),
            finished_at: None,
        };
        queries::insert(&self.platform, &row).await?;
        Ok(row)
    }
}

fn table_of_manifest(table: &crate::backups::ManifestTable) -> RestoreTable {
    let rows = Some(i64::try_from(table.rows).unwrap_or(i64::MAX));
    RestoreTable { schema: table.schema.clone(), table: table.table.clone(), rows }
}

fn warnings_of_backup(backup: &BackupRow, manifest: &BackupManifest, project: &ProjectRef) -> Vec<String> {
    let mut warnings = Vec::new();
    if backup.target.parse() != Ok(DatabaseName::Project(project.id.clone())) {
        let name = backup.title.as_deref().unwrap_or(&backup.target);
        warnings.push(format!("The backup is of `{name}`. It replaces the data of `{}`.", project.name));
    }
    if let Some(failure) = &backup.failure {
        warnings.push(format!("The last verification of the backup failed: {failure}"));
    } else if backup.verified_at.is_none() {
        warnings.push("The backup was never verified.".to_owned());
    }
    if backup.sha256 != manifest.sha256 {
        warnings.push("The backup's manifest describes a different dump than the catalogue does.".to_owned());
    }
    warnings
}

fn warning_of_objects(manifest: &BackupManifest, planned: PlannedObjects) -> Option<String> {
    let count = manifest.objects.as_ref()?.count;
    Some(match planned {
        PlannedObjects::BringBack => format!(
            "Objects of the backup: {count}. Those that are missing or differ are written, and newer contents are \
             replaced; other objects stay. A rollback does not undo this."
        ),
        PlannedObjects::LeaveOut if count == 1 => "The object of the backup is not restored.".to_owned(),
        PlannedObjects::LeaveOut => format!("The {count} objects of the backup are not restored."),
    })
}

fn warnings_of_contents(contents: &ArchiveContents, project: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    match contents.privileges() {
        Privileges::Standard => warnings.push(
            "The archive contains no privileges of a project. Only the secret key will reach its tables until they are \
             exposed."
                .to_owned(),
        ),
        Privileges::OfProject(source) if source != project => warnings.push(format!(
            "The archive comes from project {source}. Its policies and exposure apply to the same roles of this \
             project."
        )),
        Privileges::OfProject(_) => {}
    }
    if contents.tables.iter().any(|(schema, table)| schema == "auth" && table == "users") {
        warnings.push(SIGNED_OUT.to_owned());
    }
    if !contents.left_out.is_empty() {
        warnings.push(format!("Not restored: {}.", named(&contents.left_out)));
    }
    warnings
}

/// Returns the names as a list. Cuts a long list, and adds the number of the other names.
fn named(names: &[String]) -> String {
    let first = names.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

pub(super) fn undecrypted(error: AgeError) -> ApiError {
    match error {
        AgeError::Read(cause) => ApiError::unavailable("The object store", cause),
        AgeError::IdentityRequired => {
            ApiError::new(Code::Unprocessable, "The archive is encrypted, so an age identity is needed.")
                .with_hint("Send the content of the identity file as `identity`. This request does not store it.")
        }
        AgeError::WrongIdentity => ApiError::new(
            Code::Unprocessable,
            "The age identity does not belong to a recipient of the encrypted archive.",
        )
        .with_hint("Send the identity of a recipient that was configured when the backup was made."),
        AgeError::Damaged => {
            ApiError::new(Code::Unprocessable, "The archive can't be decrypted: its header is damaged.")
        }
    }
}

/// Returns a sentence about an archive that can't be read. Some reasons already say that it can't be restored.
fn unreadable(reason: &str) -> String {
    let reason = reason.strip_prefix("the archive can't be restored: ").unwrap_or(reason);
    format!("The archive can't be read: {reason}.")
}

fn inspection_error(error: RestoreError) -> ApiError {
    match error {
        RestoreError::Unreachable(cause) => ApiError::unavailable("Postgres", cause),
        RestoreError::DiskFull => ApiError::disk_full(),
        RestoreError::Interrupted(message) => ApiError::unavailable("Postgres", anyhow::anyhow!(message)),
        RestoreError::Archive(cause) if age_file::is_damage(&cause) => {
            ApiError::new(Code::Unprocessable, "The archive was changed or damaged: it can't be decrypted.")
                .with_hint("Choose another backup.")
        }
        RestoreError::Archive(cause) => ApiError::unavailable("The object store", cause),
        RestoreError::NotRun(cause) => ApiError::internal(cause),
        RestoreError::NotAnArchive(_) => ApiError::new(
            Code::Unprocessable,
            "The file is not an archive in pg_dump's custom format. Plain SQL can't be restored.",
        )
        .with_hint("Create the archive with `pg_dump --format=custom`."),
        RestoreError::OfPlatform => ApiError::new(
            Code::Unprocessable,
            "The archive is a dump of a platform database, which can't be restored into a project.",
        )
        .with_hint("Choose a dump of a project's database."),
        RestoreError::NoProgram { major } => ApiError::new(
            Code::Unprocessable,
            format!("The archive needs pg_restore {major} or newer, which this server does not have."),
        )
        .with_hint(format!("Install the Postgres {major} client programs next to AtlasHub.")),
        error @ (RestoreError::Failed(_) | RestoreError::FailedObject { .. } | RestoreError::Refused(_)) => {
            ApiError::new(Code::Unprocessable, unreadable(&error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_names_are_cut() {
        let names: Vec<String> = (0..12).map(|index| format!("n{index}")).collect();
        assert_eq!(named(&names[..2]), "n0, n1");
        assert!(named(&names).ends_with("n9 and 2 more"), "{}", named(&names));
    }

    #[test]
    fn message_about_an_unreadable_archive_does_not_repeat_itself() {
        let message = |error: RestoreError| inspection_error(error).message().to_owned();
        let failed = message(RestoreError::Failed("unexpected end of file".to_owned()));
        assert_eq!(failed, "The archive can't be read: unexpected end of file.");
        let object =
            RestoreError::FailedObject { object: "INDEX public.i".to_owned(), message: "it is a duplicate".to_owned() };
        assert_eq!(message(object), "The archive can't be read: INDEX public.i: it is a duplicate.");
    }
}
