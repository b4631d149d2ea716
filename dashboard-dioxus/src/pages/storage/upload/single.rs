//! Sends one file of another page to a signed URL.

use std::collections::BTreeMap;

use dioxus::prelude::*;
use web_sys::{DataTransfer, File};

use super::{
    files,
    state::Stop,
    transfer::{self, Ended},
};

/// Returns the files that the owner chose in a file field, and empties the field.
pub fn chosen_files(event: &FormEvent) -> Vec<File> {
    files::chosen(event).into_iter().map(|picked| picked.file).collect()
}

/// Returns the first file of a drop.
pub async fn dropped_file(data: DataTransfer) -> Option<File> {
    let dropped = files::dropped(&data)?;
    dropped.files().await.into_iter().next().map(|picked| picked.file)
}

/// Sends a file with `PUT`, and reports the number of bytes sent so far. `stop` ends the upload.
///
/// # Errors
/// Returns a sentence for the owner if the store refuses the file, the connection is lost, or the upload is stopped.
pub async fn send_file(
    url: &str,
    headers: &BTreeMap<String, String>,
    file: &File,
    stop: &Stop,
    on_sent: impl FnMut(i64),
) -> Result<(), String> {
    match transfer::put(url, headers, file, stop, on_sent).await {
        Ended::Response { status: 200..=299, .. } => Ok(()),
        Ended::Response { status, .. } => Err(format!("The store refused the file with HTTP {status}.")),
        Ended::Broken => Err("The connection to the store was lost. Try again.".to_owned()),
        Ended::Stopped => Err("The upload was stopped.".to_owned()),
    }
}
