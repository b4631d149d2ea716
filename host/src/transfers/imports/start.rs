//! Previews a file, and starts its import.

use std::time::Duration;

use api_types::{ImportPreview, ImportState, PreviewImport, StartImport};
use futures_util::StreamExt as _;
use serde_json::json;
use uuid::Uuid;

use super::{
    detect::{HEAD_BYTES, Head, Hints},
    plan::Plan,
    preview,
    queries::{self, ImportRow},
    target::Target,
};
use crate::{
    error::{ApiError, ApiResult, Code, describe_cause},
    jobs::NewRun,
    object_store::PLATFORM_BUCKET,
    transfers::{PLUGIN, TransfersState, invalid_field},
};

/// Name of the plugin's job.
const JOB: &str = "import";
/// Time limit of a run. This is enough for large files. The plugin's own limit may be shorter.
const RUN_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

impl TransfersState {
    /// Describes the beginning of an uploaded file, and stores the settings with which it was read.
    pub(super) async fn preview_import(&self, id: Uuid, request: PreviewImport) -> ApiResult<ImportPreview> {
        let import = self.import(id).await?;
        let target = Target::find(&self.editor.pools, &import.project_id, &import.table_name).await?;
        let hints = Hints::new(request.header, request.delimiter.as_deref(), request.null_text.clone())?;
        let head = self.head(&import, &hints, &target).await?;
        // The detected format is stored, so that the import reads the file in the same way when it is started.
        let mut detected = request;
        if let Some(csv) = &head.csv {
            detected.header = Some(csv.header);
            detected.delimiter = Some(csv.delimiter.to_string());
        }
        queries::set_hints(&self.platform, id, &serde_json::to_value(&detected).map_err(ApiError::internal)?).await?;
        Ok(preview::preview(&head, &target, import.format))
    }

    /// Checks a request and starts a run that imports the file. Returns the import and the run's id.
    pub(super) async fn start_import(&self, id: Uuid, request: &StartImport) -> ApiResult<(ImportRow, Uuid)> {
        let import = self.import(id).await?;
        match import.state() {
            ImportState::Running => {
                return Err(ApiError::new(Code::Conflict, "The import is running.")
                    .with_hint("Wait until its run has ended, or cancel it."));
            }
            ImportState::Done if !import.dry_run => return Err(already_imported()),
            _ => {}
        }
        let target = Target::find(&self.editor.pools, &import.project_id, &import.table_name).await?;
        let shown: PreviewImport = match &import.hints {
            Some(hints) => serde_json::from_value(hints.clone()).map_err(ApiError::internal)?,
            None => PreviewImport::default(),
        };
        let delimiter = request.delimiter.as_deref().or(shown.delimiter.as_deref());
        let null_text = request.null_text.clone().or(shown.null_text);
        let mut hints = Hints::new(request.header.or(shown.header), delimiter, null_text)?;
        if let (None, Some(mapping)) = (request.header, &request.mapping) {
            hints.mapped = mapping.keys().cloned().collect();
        }
        let head = self.head(&import, &hints, &target).await?;
        let plan = Plan::new(request, &head, &target, import.format)?;
        let run_id = Uuid::now_v7();
        if !queries::start(&self.platform, &import, run_id, &plan).await? {
            return Err(ApiError::new(Code::Conflict, "The import was started by another request."));
        }
        let run = NewRun {
            plugin: PLUGIN.to_owned(),
            plugin_job: JOB.to_owned(),
            params: json!({ "import": id }),
            project_id: Some(import.project_id.clone()),
            timeout: RUN_TIMEOUT,
        };
        if let Err(error) = self.jobs.start_run_with_id(run_id, &run).await {
            // If undoing fails too, only the error of the start is returned.
            if let Err(cause) = queries::undo_start(&self.platform, id, run_id).await {
                tracing::warn!(cause = describe_cause(&cause), "the start of an import could not be undone");
            }
            return Err(error);
        }
        Ok((import, run_id))
    }

    /// Reads the beginning of an import's file.
    async fn head(&self, import: &ImportRow, hints: &Hints, target: &Target) -> ApiResult<Head> {
        let missing = || {
            ApiError::new(Code::Conflict, "The file is not uploaded yet.").with_hint(
                "Send it to the `uploadUrl` that you received with the import, with all `headers`. `POST \
                     /admin/v1/imports/{import}/upload` returns another URL.",
            )
        };
        match import.state() {
            ImportState::AwaitingUpload => return Err(missing()),
            // The run removed the file.
            ImportState::Done if !import.dry_run => return Err(already_imported()),
            _ => {}
        }
        let (meta, mut content) = self.store.get(PLATFORM_BUCKET, &import.object_key).await?.ok_or_else(missing)?;
        let mut bytes = Vec::new();
        while bytes.len() < HEAD_BYTES {
            let Some(chunk) = content.next().await else { break };
            bytes.extend_from_slice(&chunk?);
        }
        bytes.truncate(HEAD_BYTES);
        let is_whole = i64::try_from(bytes.len()) == Ok(meta.size);
        let (format, hints, target) = (import.format, hints.clone(), target.clone());
        let read = move || Head::read(&bytes, is_whole, format, &hints, &target);
        tokio::task::spawn_blocking(read).await.map_err(ApiError::internal)?
    }
}

fn already_imported() -> ApiError {
    ApiError::new(Code::Conflict, "The file has already been imported.")
        .with_hint("Upload it again to import it a second time.")
}

impl Hints {
    /// Checks the owner's settings for a CSV file.
    fn new(header: Option<bool>, delimiter: Option<&str>, null_text: Option<String>) -> ApiResult<Self> {
        let delimiter = match delimiter.map(|delimiter| delimiter.chars().collect::<Vec<char>>()) {
            None => None,
            Some(delimiter) => match delimiter.as_slice() {
                [delimiter] if delimiter.is_ascii() && !matches!(delimiter, '"' | '\n' | '\r' | '\0') => {
                    Some(*delimiter)
                }
                _ => {
                    return Err(invalid_field(
                        "delimiter",
                        "`delimiter` must be one ASCII character, such as `,`, `;` or a tab, but not `\"`, a line \
                         break or NUL.",
                    ));
                }
            },
        };
        if null_text.as_ref().is_some_and(|text| text.len() > 100) {
            return Err(invalid_field("nullText", "`nullText` may have at most 100 bytes."));
        }
        Ok(Self { header, delimiter, null_text, mapped: Vec::new() })
    }
}
