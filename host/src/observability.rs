//! `/metrics` and `/openapi.json`.

use std::{sync::OnceLock, time::Duration};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::http::ApiJson;

/// Upper bounds of histogram buckets in seconds, from a cached response to the request timeout.
const HISTOGRAM_BUCKETS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// Every metric with its help text. A test requires a row for each metric in the source.
const METRICS: &[(Kind, &str, &str)] = &[
    (Counter, "atlashub_admin_sign_in_failures_total", "Failed attempts to authenticate as the owner."),
    (Counter, "atlashub_audit_failures_total", "Audit entries that could not be written."),
    (Counter, "atlashub_connections_closed_total", "Closed connections, by listener and reason."),
    (Counter, "atlashub_connections_refused_total", "Connections refused because the listener was full, by listener."),
    (Counter, "atlashub_http_requests_total", "HTTP requests by method, route and status."),
    (Counter, "atlashub_inserts_total", "Inserts that could share a transaction, by whether they did."),
    (Counter, "atlashub_jobs_runs_total", "Runs that ended or were skipped, by status."),
    (Counter, "atlashub_lookups_total", "Reads by a unique key, by whether they were sent together with others."),
    (Counter, "atlashub_notification_tries_total", "Attempts to deliver a notification, by result."),
    (Counter, "atlashub_notifications_dropped_total", "Notifications dropped because a queue was full."),
    (Counter, "atlashub_shared_insert_transactions_total", "Transactions shared by several inserts."),
    (Counter, "atlashub_shared_lookup_statements_total", "Statements or transactions shared by reads by a unique key."),
    (Gauge, "atlashub_connections", "Open client connections, by listener."),
    (Gauge, "atlashub_project_connections", "Open connections to projects' databases."),
    (Histogram, "atlashub_http_request_seconds", "Time from the head of a request to the head of its response."),
    (Histogram, "atlashub_jobs_lateness_seconds", "Time from a run's fire time to its start."),
];

fn describe_metrics() {
    for (kind, name, help) in METRICS {
        match kind {
            Counter => metrics::describe_counter!(*name, *help),
            Gauge => metrics::describe_gauge!(*name, *help),
            Histogram => metrics::describe_histogram!(*name, *help),
        }
    }
}

/// Returns the recorder of the process. The first call creates it. Returns `None` if that failed.
fn recorder() -> &'static Option<PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), HISTOGRAM_BUCKETS);
        let recorder = match builder {
            Ok(builder) => builder.build_recorder(),
            Err(error) => {
                tracing::error!(%error, "could not install the metrics recorder; /metrics stays empty");
                return None;
            }
        };
        let handle = recorder.handle();
        match metrics::set_global_recorder(recorder) {
            Ok(()) => {
                describe_metrics();
                Some(handle)
            }
            Err(error) => {
                tracing::error!(%error, "could not install the metrics recorder; /metrics stays empty");
                None
            }
        }
    })
}

/// Installs the recorder, and keeps its memory bounded while the process runs.
pub(crate) fn start_metrics() {
    let Some(handle) = recorder() else { return };
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            ticks.tick().await;
            handle.run_upkeep();
        }
    });
}

/// Get metrics
///
/// Counters, gauges and histograms in Prometheus's text format.
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses((status = 200, content_type = "text/plain", body = String), (status = 401, body = api_types::ErrorBody)))]
pub(crate) async fn get_metrics() -> Response {
    let text = recorder().as_ref().map(PrometheusHandle::render).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Get the OpenAPI document
///
/// The OpenAPI 3.1 document of the public and the admin API.
#[utoipa::path(get, path = "/openapi.json", tag = "system", responses((status = 200, body = Object)))]
pub(crate) async fn get_openapi() -> ApiJson<utoipa::openapi::OpenApi> {
    ApiJson(crate::router::openapi())
}
