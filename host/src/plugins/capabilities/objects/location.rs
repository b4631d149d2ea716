//! The location of an object that a plugin names: store and key, with the checks of the grant and of the bucket's
//! rules.

use plugin_manifest::{Capability, Scope};

use crate::{
    db::DatabaseName,
    object_store::{PLATFORM_BUCKET, project_bucket},
    plugins::guest::{CallError, RunScope},
    storage::{ObjectPath, PluginObject},
};

/// Prefixes of the keys in the platform's own bucket that plugins may access. The bucket also contains the logs of
/// runs.
const BACKUPS_PREFIX: &str = "backups/";
const EXPORTS_PREFIX: &str = "exports/";
const IMPORTS_PREFIX: &str = "imports/";

/// Location of a store's objects.
pub(super) struct Location {
    pub bucket: String,
    /// Prefix of every key in the store.
    prefix: &'static str,
    /// The project that the store belongs to. `None` for the platform's own bucket.
    pub project: Option<String>,
}

impl Location {
    /// Returns the location of a store, if the grant includes it. Makes no query.
    pub(super) fn of_store(run: &RunScope, store: &str) -> Result<Self, CallError> {
        let unknown = || CallError::invalid("unknown store; use `backups`, `exports`, `imports` or `project:<id>`");
        let (project, prefix) = match store {
            "backups" => (None, BACKUPS_PREFIX),
            "exports" => (None, EXPORTS_PREFIX),
            "imports" => (None, IMPORTS_PREFIX),
            _ => match store.parse::<DatabaseName>() {
                Ok(DatabaseName::Project(id)) => (Some(id), ""),
                _ => return Err(unknown()),
            },
        };
        if !Scope::reaches(&run.scope(Capability::Objects).stores, store) {
            return Err(run.deny(Capability::Objects, &format!("store `{store}`")));
        }
        Ok(match project {
            Some(id) => Self { bucket: project_bucket(&id), prefix, project: Some(id) },
            None => Self { bucket: PLATFORM_BUCKET.to_owned(), prefix, project: None },
        })
    }

    /// Returns the location of a store, and the path of an object in it. Checks the grant and the key. Makes no query.
    pub(super) fn of_key(run: &RunScope, store: &str, key: &str) -> Result<(Self, ObjectPath), CallError> {
        let location = Self::of_store(run, store)?;
        // Keys follow the same rules as paths in the public API.
        let path = ObjectPath::from_key(None, key).map_err(|error| CallError::invalid(error.message().to_owned()))?;
        if !key.starts_with(location.prefix) {
            return Err(CallError::invalid(format!("keys of store `{store}` must start with `{}`", location.prefix)));
        }
        Ok((location, path))
    }

    /// Restricts a prefix to the store's keys. Returns `None` if no key can match.
    pub(super) fn narrow_prefix(&self, prefix: &str) -> Option<String> {
        if prefix.starts_with(self.prefix) {
            Some(prefix.to_owned())
        } else {
            self.prefix.starts_with(prefix).then(|| self.prefix.to_owned())
        }
    }

    /// Checks that the store's project exists and is ready.
    pub(super) async fn check_exists(&self, run: &RunScope) -> Result<(), CallError> {
        if let Some(id) = &self.project {
            run.services.databases.title(&DatabaseName::Project(id.clone())).await?;
        }
        Ok(())
    }

    /// Prepares the location for a new object. A project's bucket must exist. The platform's own bucket is created if
    /// it is missing. Returns the object to record, or `None` in the platform's own bucket, whose objects have no
    /// record.
    pub(super) async fn prepare_put(
        &self,
        run: &RunScope,
        path: ObjectPath,
        content_type: &str,
    ) -> Result<Option<PluginObject>, CallError> {
        let services = &run.services;
        let Some(project) = &self.project else {
            if !services.store.bucket_exists(PLATFORM_BUCKET).await? {
                services.store.ensure_bucket(PLATFORM_BUCKET).await?;
            }
            return Ok(None);
        };
        self.check_exists(run).await?;
        let max_bytes = services.storage.max_object_bytes(project, path.bucket()).await?;
        Ok(Some(PluginObject {
            project_id: project.clone(),
            path,
            content_type: content_type.to_owned(),
            plugin: run.plugin.clone(),
            max_bytes,
        }))
    }
}

/// Checks that an object is not larger than its bucket accepts.
pub(super) fn check_size(object: Option<&PluginObject>, bytes: u64) -> Result<(), CallError> {
    match object {
        Some(object) if bytes > object.max_bytes => Err(CallError::too_large(format!(
            "bucket `{}` accepts objects of at most {} bytes",
            object.path.bucket(),
            object.max_bytes
        ))),
        _ => Ok(()),
    }
}
