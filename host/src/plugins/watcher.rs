//! When to look again: the folder changed, trust changed here or on another node, or some time went by.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sqlx::postgres::PgListener;

use super::{Plugins, folder::FolderWatch, queries, slots::SETTLE};

/// For file systems that tell nothing of changes, as network ones.
const RESCAN: Duration = Duration::from_secs(5);
/// Files that are being copied change often: they are looked at when this went by.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// A change of trust that was not heard of is seen after this at the latest.
const RECHECK: Duration = Duration::from_secs(1);

impl Plugins {
    /// Keeps what runs as it should be, until the process ends.
    pub async fn watch(self) {
        tokio::join!(self.look_again(), self.hear_trust());
    }

    async fn look_again(&self) {
        let mut watch = None;
        let mut failing = false;
        loop {
            watch = self.watched(watch).await;
            match self.refresh().await {
                Ok(()) => failing = false,
                // Said once, not every few seconds.
                Err(error) if failing => tracing::debug!(%error, "plugins could still not be looked at"),
                Err(error) => {
                    failing = true;
                    tracing::warn!(%error, "plugins could not be looked at; what was loaded goes on");
                }
            }
            let pause = match () {
                () if failing => RECHECK,
                () if self.0.slots.lock().await.is_unsettled() => SETTLE,
                () => RESCAN,
            };
            tokio::select! {
                () = self.0.trust_changed.notified() => {}
                () = self.0.folder_changed.notified() => tokio::time::sleep(DEBOUNCE).await,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// The watch, or a new one where the folder is another.
    async fn watched(&self, watch: Option<FolderWatch>) -> Option<FolderWatch> {
        let (folder, changed) = (self.0.parts.folder.clone(), Arc::clone(&self.0.folder_changed));
        let watched = tokio::task::spawn_blocking(move || match watch {
            Some(watch) if !watch.is_outdated(&folder) => watch,
            outdated => {
                drop(outdated);
                FolderWatch::start(&folder, changed)
            }
        });
        watched.await.ok()
    }

    async fn hear_trust(&self) {
        loop {
            let error = match self.hear_trust_once().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::debug!(%error, "listening for changes of trust was interrupted");
            tokio::time::sleep(RECHECK).await;
        }
    }

    async fn hear_trust_once(&self) -> Result<Infallible, sqlx::Error> {
        let platform = &self.0.parts.platform;
        let mut listener = PgListener::connect_with(platform).await?;
        listener.listen(queries::CHANNEL).await?;
        let mut known = None;
        loop {
            let version = queries::trust_version(platform).await?;
            if known != Some(version) {
                known = Some(version);
                // A look that is under way may take minutes.
                if let Err(error) = self.heed_trust().await {
                    tracing::debug!(%error, "a change of trust could not be read yet");
                }
                self.0.trust_changed.notify_one();
            }
            // Heard or not: asked again.
            if let Ok(heard) = tokio::time::timeout(RECHECK, listener.recv()).await {
                heard?;
            }
        }
    }
}
