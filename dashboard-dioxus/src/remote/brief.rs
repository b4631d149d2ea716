//! Types with only those fields of the server's responses that the frame reads. The first page loads the code that
//! parses these types, so it should be small. Code for the complete types would be larger.

use api_types::{ProjectState, RunProgress, utc_time};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Part of [`api_types::SystemInfo`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SystemBrief {
    pub environment: String,
    pub version: String,
    #[serde(rename = "publicUrl")]
    pub public_url: String,
}

/// Part of [`api_types::Project`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ProjectBrief {
    pub id: String,
    pub name: String,
    pub state: ProjectState,
}

/// Part of [`api_types::Job`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct JobBrief {
    pub id: String,
    pub name: String,
}

/// Part of [`api_types::Run`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunBrief {
    pub id: String,
    pub job_name: Option<String>,
    pub plugin: String,
    pub plugin_job: String,
    #[serde(deserialize_with = "utc_time::deserialize_option")]
    pub started_at: Option<DateTime<Utc>>,
    pub progress: Option<RunProgress>,
}

/// Part of [`api_types::AdminTable`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TableBrief {
    pub name: String,
}

/// Part of [`api_types::Page`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageBrief<T> {
    pub items: Vec<T>,
    /// Present if there are more items than these.
    pub next_cursor: Option<String>,
}
