//! What the frame needs of the server's answers. The first page loads the code that reads them, and these are smaller
//! than the whole types.

use api_types::ProjectState;
use serde::Deserialize;

/// Part of [`api_types::SystemInfo`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SystemBrief {
    pub environment: String,
    pub version: String,
}

/// Part of [`api_types::Project`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ProjectBrief {
    pub id: String,
    pub name: String,
    pub state: ProjectState,
}

/// Part of [`api_types::AdminTable`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TableBrief {
    pub name: String,
}

/// Part of [`api_types::Page`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PageBrief<T> {
    pub items: Vec<T>,
}
