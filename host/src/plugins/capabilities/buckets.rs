//! The interface `buckets`: lists buckets, and signs uploads and downloads.

use std::sync::Arc;

use api_types::{SignDownload, SignUpload, UploadMode};
use plugin_manifest::{Capability, Scope};
use wasmtime::component::Linker;

use crate::{
    db::DatabaseName,
    plugins::guest::{
        Accessor, Call, CallError, Host, RunState, begin_call, bindings::buckets, charge_result, check_lease,
    },
    projects::ProjectRef,
};

/// Maximum number of buckets in a list.
const MAX_BUCKETS: u32 = 1000;
/// Memory held for a list of buckets, whose names are at most 63 bytes long.
const LIST_BYTES: usize = 512 << 10;
/// Maximum number of times that one run may try to sign an upload. Each signed upload is recorded in the platform
/// database, so a loop could fill it.
const MAX_SIGN_ATTEMPTS: u32 = 1000;

/// Number of times that the run has tried to sign an upload.
#[derive(Default)]
struct SignAttempts(u32);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    buckets::add_to_linker::<_, Host>(linker, |state| state)
}

impl buckets::Host for RunState {}

impl buckets::HostWithStore<RunState> for Host {
    async fn list(accessor: &Accessor, store: String) -> Result<Vec<buckets::Bucket>, CallError> {
        let run = begin_call(accessor, store.len())?;
        let project = check_scope(&run, &store)?;
        let _permit = run.enter().await;
        let _held = run.calls.hold(LIST_BYTES)?;
        let project = find_project(&run, &project).await?;
        let listed = run.services.storage.buckets_for_plugin(&project.id, MAX_BUCKETS).await?;
        charge_result(accessor, listed.iter().map(|bucket| bucket.name.len() + 32).sum())?;
        let listed = listed.into_iter().map(|bucket| buckets::Bucket {
            name: bucket.name,
            max_object_bytes: bucket.max_object_bytes.unsigned_abs(),
            object_count: bucket.object_count.unsigned_abs(),
            object_bytes: bucket.object_bytes.unsigned_abs(),
        });
        Ok(listed.collect())
    }

    async fn sign_download(
        accessor: &Accessor,
        store: String,
        key: String,
        file_name: Option<String>,
    ) -> Result<buckets::SignedUrl, CallError> {
        let run = begin_call(accessor, store.len() + key.len() + file_name.as_ref().map_or(0, String::len))?;
        let project = check_scope(&run, &store)?;
        let _permit = run.enter().await;
        let project = find_project(&run, &project).await?;
        let request = SignDownload { bucket: None, object_key: key, download_as: file_name };
        let signed = run.services.storage.sign_download_for_plugin(project, &run.plugin, request).await?;
        charge_result(accessor, signed.download_url.len())?;
        Ok(buckets::SignedUrl {
            url: signed.download_url,
            method: "GET".to_owned(),
            headers: Vec::new(),
            expires_in: signed.expires_in,
        })
    }

    async fn sign_upload(
        accessor: &Accessor,
        store: String,
        key: String,
        options: buckets::UploadOptions,
    ) -> Result<buckets::SignedUrl, CallError> {
        let buckets::UploadOptions { content_type, size_bytes, max_size_bytes, replace } = options;
        let run = begin_call(accessor, store.len() + key.len() + content_type.len())?;
        let project = check_scope(&run, &store)?;
        let Some((bucket, path)) = key.split_once('/') else {
            return Err(CallError::invalid("a key must start with the name of a bucket and `/`"));
        };
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let request = SignUpload {
            bucket: bucket.to_owned(),
            path: path.to_owned(),
            content_type,
            max_size: bytes(max_size_bytes),
            size: bytes(size_bytes),
            upsert: replace,
            once: false,
            mode: UploadMode::Put,
            part_size: None,
            part_count: None,
        };
        let _permit = run.enter().await;
        let project = find_project(&run, &project).await?;
        let attempts = accessor.with(|mut access| {
            let SignAttempts(attempts) = access.get().capability_state();
            *attempts = attempts.saturating_add(1);
            *attempts
        });
        if attempts > MAX_SIGN_ATTEMPTS {
            return Err(CallError::too_large(format!(
                "this run has already tried to sign {MAX_SIGN_ATTEMPTS} uploads, the maximum"
            )));
        }
        check_lease(&run).await?;
        let signed = run.services.storage.sign_upload_for_plugin(project, &run.plugin, request).await?;
        let headers: Vec<(String, String)> = signed.headers.into_iter().collect();
        let length: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        charge_result(accessor, signed.upload_url.len() + length)?;
        Ok(buckets::SignedUrl { url: signed.upload_url, method: signed.method, headers, expires_in: signed.expires_in })
    }
}

/// Checks that the grant includes the store, and returns the id of its project.
fn check_scope(run: &Call, store: &str) -> Result<String, CallError> {
    let Ok(DatabaseName::Project(id)) = store.parse() else {
        return Err(CallError::invalid("unknown store; use `project:<id>`, because only projects have buckets"));
    };
    if !Scope::reaches(&run.scope(Capability::Buckets).stores, store) {
        return Err(run.deny(Capability::Buckets, &format!("store `{store}`")));
    }
    Ok(id)
}

async fn find_project(run: &Call, id: &str) -> Result<Arc<ProjectRef>, CallError> {
    Ok(run.services.projects.get(id).await?)
}
