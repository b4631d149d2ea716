//! Measures the services that this process uses, and the disk with its data folder.

use std::time::{Duration, Instant};

use api_types::{DiskSpace, Reachability};
use sqlx::PgPool;

use super::SystemFacts;
use crate::{
    disk::{self, space_of},
    error::describe_cause,
    object_store::ObjectStore,
};

/// Time after which a service that has not responded counts as unreachable.
const MAX_LATENCY: Duration = Duration::from_secs(2);
const DATA: &str = "data";

/// Measures the latency of Postgres. Also returns its version.
pub(in crate::admin) async fn postgres(platform: &PgPool) -> (Reachability, Option<String>) {
    let version = async { sqlx::query_scalar("SHOW server_version").fetch_one(platform).await.map_err(Into::into) };
    measure("Postgres", version).await
}

/// Measures the latency of the object store.
pub(in crate::admin) async fn store(store: &ObjectStore) -> Reachability {
    measure("The object store", async { store.ping().await.map_err(Into::into) }).await.0
}

async fn measure<T>(name: &str, request: impl Future<Output = anyhow::Result<T>>) -> (Reachability, Option<T>) {
    let started = Instant::now();
    let unreachable = |problem| Reachability { reachable: false, latency_ms: None, problem: Some(problem) };
    match tokio::time::timeout(MAX_LATENCY, request).await {
        Ok(Ok(response)) => {
            let latency_ms = Some((started.elapsed().as_secs_f64() * 1e6).round() / 1e3);
            (Reachability { reachable: true, latency_ms, problem: None }, Some(response))
        }
        Ok(Err(error)) => {
            tracing::debug!(name, cause = describe_cause(error.as_ref()), "a service can't be reached");
            (unreachable(format!("{name} can't be reached, or refuses the credentials.")), None)
        }
        Err(_) => (unreachable(format!("{name} did not respond within {} seconds.", MAX_LATENCY.as_secs())), None),
    }
}

/// Returns the space of the disk with the data folder.
pub(in crate::admin) async fn data_disk(facts: &SystemFacts) -> anyhow::Result<DiskSpace> {
    let folder = facts.data_dir.clone();
    let measured = tokio::task::spawn_blocking(move || space_of(&folder));
    let space = tokio::time::timeout(MAX_LATENCY, measured).await???;
    Ok(to_wire(space, facts))
}

fn to_wire(space: disk::DiskSpace, facts: &SystemFacts) -> DiskSpace {
    let free_percent = space.free_percent();
    DiskSpace {
        purpose: DATA.to_owned(),
        path: std::path::absolute(&facts.data_dir).unwrap_or_else(|_| facts.data_dir.clone()).display().to_string(),
        free_bytes: i64::try_from(space.free).unwrap_or(i64::MAX),
        total_bytes: i64::try_from(space.total).unwrap_or(i64::MAX),
        free_percent: (free_percent * 10.0).round() / 10.0,
        low: free_percent < f64::from(facts.disk_low_percent),
    }
}
