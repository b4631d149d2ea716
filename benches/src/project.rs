//! Creates projects on the measured server for the benchmarks of end-user login.

use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};

use crate::platform::{Platform, client};

/// Reuses connections, so that measured times don't contain the handshake.
static HTTP: LazyLock<Option<Client>> = LazyLock::new(|| client().ok());

/// A project in addition to the one that [`Platform::start`] creates.
pub struct Project {
    pub id: String,
    pub secret_key: String,
}

impl Project {
    pub async fn create(platform: &Platform, name: &str) -> Result<Self> {
        let created = platform.admin_post("/admin/v1/projects", &json!({ "name": name })).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a field of the response is missing");
        Ok(Self { id: text(&created["project"]["id"])?, secret_key: text(&created["secretKey"])? })
    }

    /// Returns a path below the project on the admin surface.
    pub fn path(&self, rest: &str) -> String {
        format!("/admin/v1/projects/{}{rest}", self.id)
    }

    /// Sends a request to a route of end-user login. Uses the secret key, because its rate limits are higher.
    pub async fn auth_post(&self, platform: &Platform, route: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let http = HTTP.as_ref().context("no HTTP client")?;
        let url = format!("http://{}/v1/auth/{route}", platform.gateway_address());
        let response = http.post(url).header("x-api-key", &self.secret_key).json(body).send().await?;
        Ok((response.status(), response.json().await?))
    }

    /// Runs a statement in the project's database, as superuser.
    pub async fn execute(&self, platform: &Platform, sql: &str) -> Result<()> {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(platform.postgres_port)
            .username("atlashub")
            .password(&platform.postgres_password)
            .database(&format!("proj_{}", self.id));
        let mut connection = options.connect().await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}
