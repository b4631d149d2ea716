//! The measured server: a process of the release binary that uses the Postgres and the store of a second process.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use atlashub::{
    config::{ExternalStorageConfig, Secret},
    projects::{UserTokens, signing_key},
    secrets::{MasterKey, Sealer},
};
use jsonwebtoken::{Algorithm, Header};
use minisign::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

const ADMIN_TOKEN: &str = "admin-token-of-the-benches";
/// Number of first-party plugins, which the binary contains.
const FIRST_PARTY_PLUGINS: usize = 5;
/// ID of the user who owns the rows of table `notes`.
pub const USER: &str = "7b0f8a4e-36c1-4c0b-9d4e-0a1c2e3f4a5b";

/// The two server processes and a project.
pub struct Platform {
    pub postgres_port: u16,
    pub postgres_password: String,
    /// Time from the start of the measured process until `/readyz` succeeds, with Postgres already running.
    pub ready_after: Duration,
    /// The measured process.
    gateway: Server,
    /// The process that provides Postgres and the store. This field must be dropped after `gateway`.
    provider: Server,
    folder: TempDir,
    project_id: String,
    secret_key: String,
    publishable_key: String,
    master_key: String,
    store: SocketAddr,
    store_secret: String,
}

struct Server {
    child: Child,
    public: SocketAddr,
    admin: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM lets the embedded Postgres shut down cleanly.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Platform {
    /// Starts two servers with this binary and creates a project.
    pub async fn start(binary: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // The embedded Postgres may run as another user, who must be able to enter the folder.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let data = folder.path().join("data");
        let store = free_address()?;
        let provider_variables = [
            ("ATLASHUB_DATA_DIR", data.display().to_string()),
            ("ATLASHUB_EMBEDDED_S3_LISTEN", store.to_string()),
            ("DEV_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
        ];
        let (provider, _) = Server::start(binary, &provider_variables).await?;
        let read = |name: &str| -> Result<String> {
            Ok(std::fs::read_to_string(data.join(name)).with_context(|| name.to_owned())?.trim().to_owned())
        };
        let postgres_port: u16 = read("postgres-port")?.parse()?;
        let postgres_password = read("secrets/postgres-password")?;
        let variables = [
            (
                "ATLASHUB_DATABASE_URL",
                format!("postgres://atlashub:{postgres_password}@127.0.0.1:{postgres_port}/platform"),
            ),
            ("ATLASHUB_S3_ENDPOINT", format!("http://{store}")),
            ("ATLASHUB_S3_ACCESS_KEY_ID", "atlashub".to_owned()),
            ("ATLASHUB_S3_SECRET_ACCESS_KEY", read("secrets/store-secret-key")?),
            ("PLATFORM_MASTER_KEY", read("secrets/master-key")?),
            ("DEV_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
            ("ATLASHUB_RATE_LIMIT_SECRET", "0".to_owned()),
            ("ATLASHUB_RATE_LIMIT_PUBLISHABLE", "0".to_owned()),
            ("ATLASHUB_POOL_SIZE", "10".to_owned()),
            ("ATLASHUB_PLUGIN_DIR", folder.path().join("plugins").display().to_string()),
        ];
        let (gateway, ready_after) = Server::start(binary, &variables).await?;
        let created: Value = client()?
            .post(format!("http://{}/admin/v1/projects", gateway.admin))
            .header("x-dev-admin-token", ADMIN_TOKEN)
            .json(&json!({ "name": "bench" }))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a field of the response is missing");
        Ok(Self {
            postgres_port,
            postgres_password,
            ready_after,
            gateway,
            provider,
            folder,
            project_id: text(&created["project"]["id"])?,
            secret_key: text(&created["secretKey"])?,
            publishable_key: text(&created["publishableKey"])?,
            master_key: read("secrets/master-key")?,
            store,
            store_secret: read("secrets/store-secret-key")?,
        })
    }

    /// Creates four tables: `items` with `rows` rows, `wide` with 31 columns and a tenth as many rows, `notes` with
    /// `rows` rows of one user, and `inserted` without rows.
    pub async fn create_tables(&self, rows: u32) -> Result<()> {
        let wide: String =
            (0..10).map(|i| format!("i * {i} AS n{i}, 'text {i} of ' || i AS t{i}, i / 7.0 AS f{i}, ")).collect();
        for sql in [
            "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, price numeric(10,2), \
             created_at timestamptz NOT NULL DEFAULT now())",
            &format!(
                "INSERT INTO items SELECT i, 'item number ' || i, i / 100.0, now() FROM generate_series(1, {rows}) AS i"
            ),
            "CREATE TABLE inserted (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, \
             price numeric(10,2))",
            &format!("CREATE TABLE wide AS SELECT {wide}i AS id FROM generate_series(1, {rows} / 10) AS i"),
            "ALTER TABLE wide ADD PRIMARY KEY (id)",
            "CREATE TABLE notes (id bigint PRIMARY KEY, user_id uuid NOT NULL, body text NOT NULL)",
            &format!("INSERT INTO notes SELECT i, '{USER}', 'note ' || i FROM generate_series(1, {rows}) AS i"),
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY own ON notes FOR SELECT USING (user_id = (SELECT auth.uid()))",
            "ANALYZE",
        ] {
            let response = client()?
                .post(format!("http://{}/admin/v1/projects/{}/sql", self.gateway.admin, self.project_id))
                .header("x-dev-admin-token", ADMIN_TOKEN)
                .json(&json!({ "sql": sql }))
                .send()
                .await?;
            if !response.status().is_success() {
                bail!("{sql}: {}", response.text().await?);
            }
        }
        Ok(())
    }

    /// Lets signed-in users read `notes`, and returns an access token for each of `sessions` sessions of [`USER`].
    pub async fn user_tokens(&self, sessions: usize) -> Result<Vec<String>> {
        let path = format!("/admin/v1/projects/{}/tables/notes/exposure", self.project_id);
        client()?
            .put(format!("http://{}{path}", self.gateway.admin))
            .header("x-dev-admin-token", ADMIN_TOKEN)
            .json(&json!({ "publishable": "none", "signedIn": "read", "confirm": true }))
            .send()
            .await?
            .error_for_status()?;
        let url = format!("postgres://atlashub:{}@127.0.0.1:{}/platform", self.postgres_password, self.postgres_port);
        let platform = sqlx::PgPool::connect(&url).await?;
        let sealer = Sealer::new(&MasterKey::from_base64(&self.master_key)?, None);
        let signing = signing_key(&platform, &sealer, &self.project_id).await;
        let signing = signing.map_err(|error| anyhow::anyhow!("no signing key: {error:?}"))?;
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(signing.kid);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let public_url = format!("http://{}", self.gateway.public);
        let issuer = UserTokens::new(platform, &public_url).issuer(&self.project_id);
        let token = |session: usize| {
            let claims = json!({
                "sub": USER, "role": "member", "aud": self.project_id, "iat": now, "exp": now + 86_400,
                "iss": issuer, "session_id": format!("session {session}"),
            });
            Ok(jsonwebtoken::encode(&header, &claims, &signing.key)?)
        };
        (0..sessions).map(token).collect()
    }

    pub fn project_database(&self) -> String {
        format!("proj_{}", self.project_id)
    }

    pub fn app_role(&self) -> String {
        format!("proj_{}_app", self.project_id)
    }

    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    pub fn publishable_key(&self) -> &str {
        &self.publishable_key
    }

    /// Returns the public address of the measured process.
    pub fn gateway_address(&self) -> SocketAddr {
        self.gateway.public
    }

    pub fn owner_role(&self) -> String {
        format!("proj_{}_owner", self.project_id)
    }

    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// Returns the storage configuration of the measured process.
    pub fn storage(&self) -> Result<ExternalStorageConfig> {
        Ok(ExternalStorageConfig {
            endpoint: format!("http://{}", self.store),
            public_endpoint: format!("http://{}", self.store),
            region: "us-east-1".to_owned(),
            access_key_id: Secret::new("atlashub"),
            secret_access_key: Secret::new(&*self.store_secret),
            max_object_bytes: 5 << 30,
        })
    }

    pub async fn admin_get(&self, path: &str) -> Result<Value> {
        let request = client()?.get(format!("http://{}{path}", self.gateway.admin));
        Ok(request.header("x-dev-admin-token", ADMIN_TOKEN).send().await?.error_for_status()?.json().await?)
    }

    pub async fn admin_post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = client()?.post(format!("http://{}{path}", self.gateway.admin)).json(body);
        Ok(request.header("x-dev-admin-token", ADMIN_TOKEN).send().await?.error_for_status()?.json().await?)
    }

    pub async fn admin_patch(&self, path: &str, body: &Value) -> Result<Value> {
        let request = client()?.patch(format!("http://{}{path}", self.gateway.admin)).json(body);
        Ok(request.header("x-dev-admin-token", ADMIN_TOKEN).send().await?.error_for_status()?.json().await?)
    }

    pub async fn admin_delete(&self, path: &str) -> Result<()> {
        let request = client()?.delete(format!("http://{}{path}", self.gateway.admin));
        request.header("x-dev-admin-token", ADMIN_TOKEN).send().await?.error_for_status()?;
        Ok(())
    }

    /// Waits until the first-party plugins are active, and then for three seconds, so that compiling them no longer
    /// adds load.
    pub async fn wait_for_first_party_plugins(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let plugins = self.admin_get("/admin/v1/plugins").await?;
            let active = plugins["items"].as_array().into_iter().flatten().filter(|plugin| plugin["state"] == "active");
            if active.count() >= FIRST_PARTY_PLUGINS {
                break;
            }
            if Instant::now() > deadline {
                bail!("the first-party plugins did not load; build the server with `cargo xtask bench`");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    }

    /// Installs a plugin: trusts a new key, writes the signed file to the plugin folder, approves it, and waits until
    /// it is active.
    pub async fn install_plugin(&self, name: &str, component: &[u8]) -> Result<()> {
        let author = KeyPair::generate_unencrypted_keypair()?;
        let key = json!({ "name": "Bench", "publicKey": author.pk.to_base64() });
        self.admin_post("/admin/v1/trusted-keys", &key).await?;
        let plugins = self.folder.path().join("plugins");
        std::fs::create_dir_all(&plugins)?;
        let signature = minisign::sign(Some(&author.pk), &author.sk, component, None, None)?;
        std::fs::write(plugins.join(format!("{name}.wasm.minisig")), signature.into_string())?;
        std::fs::write(plugins.join(format!("{name}.wasm")), component)?;
        self.wait_for_plugin_state(name, "pending").await?;
        self.admin_post(&format!("/admin/v1/plugins/{name}/approve"), &json!({})).await?;
        self.wait_for_plugin_state(name, "active").await
    }

    async fn wait_for_plugin_state(&self, name: &str, state: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let plugins = self.admin_get("/admin/v1/plugins").await?;
            let current = plugins["items"].as_array().into_iter().flatten().find(|plugin| plugin["name"] == name);
            if current.is_some_and(|plugin| plugin["state"] == state) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the plugin {name} did not become {state}: {current:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Suspends the process that provides Postgres and the store, so that it runs no jobs. It continues when the
    /// returned value is dropped. Until then, Postgres works, but the store does not respond.
    pub fn pause_provider(&self) -> Result<PausedProcess> {
        signal(self.provider.child.id(), "STOP")?;
        Ok(PausedProcess(self.provider.child.id()))
    }

    /// Returns the resident memory of the measured process, in KiB.
    pub fn resident_memory_kib(&self) -> Result<u64> {
        self.memory_kib("VmRSS:")
    }

    /// Resets the peak memory of the measured process and returns its current memory, in KiB.
    pub fn reset_peak_memory_kib(&self) -> Result<u64> {
        std::fs::write(format!("/proc/{}/clear_refs", self.gateway.child.id()), "5")?;
        self.resident_memory_kib()
    }

    /// Returns the peak memory since the last reset, in KiB.
    pub fn peak_memory_kib(&self) -> Result<u64> {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.gateway.child.id()))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
            .context("could not read the memory of the process")
    }
}

/// A suspended process. It continues when this value is dropped.
pub struct PausedProcess(u32);

impl Drop for PausedProcess {
    fn drop(&mut self) {
        let _ = signal(self.0, "CONT");
    }
}

fn signal(process: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status()?;
    if status.success() { Ok(()) } else { bail!("kill -{name}: {status}") }
}

impl Server {
    async fn start(binary: &Path, variables: &[(&str, String)]) -> Result<(Self, Duration)> {
        let (public, admin) = (free_address()?, free_address()?);
        let begin = Instant::now();
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("ATLASHUB_LOG", "warn")
            // The container image sets this variable too.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .env("ATLASHUB_PUBLIC_LISTEN", public.to_string())
            .env("ATLASHUB_ADMIN_LISTEN", admin.to_string())
            .stdout(Stdio::null());
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = command.spawn().context("could not start the server")?;
        let client = client()?;
        let mut server = Self { child, public, admin };
        let deadline = begin + Duration::from_secs(60);
        loop {
            if let Ok(response) = client.get(format!("http://{public}/readyz")).send().await
                && response.status().is_success()
            {
                return Ok((server, begin.elapsed()));
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server exited: {status}");
            }
            if Instant::now() > deadline {
                bail!("the server did not become ready within a minute");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Returns an HTTP client for single requests. The load generator, [`crate::load`], does not use it.
pub fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(120)).build()?)
}

/// Returns the path of the server's binary in the folder of this program.
pub fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(format!("atlashub{}", std::env::consts::EXE_SUFFIX));
    if !path.exists() {
        bail!("build the server first: run `cargo xtask bench`");
    }
    Ok(path)
}

pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
