//! A platform that runs in the process of the tests, and its projects.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use atlashub::{
    app::{App, ReplacedParts, Services},
    config::{Config, Role, Secret, Vars},
    http::{ListenerLimits, serve_connections},
    jobs::JobRunner,
    plugins::{FirstParty, runtime::Compiler},
    secrets::MasterKey,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Client, Postgres, Store, eventually};

pub const ADMIN_TOKEN: &str = "admin-token-of-the-tests";

/// A running platform. Dropping it stops its listeners.
pub struct TestApp {
    pub app: App,
    pub services: Services,
    pub public_url: String,
    pub admin_url: String,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// Builder of a platform with settings that differ from the defaults.
#[derive(Default)]
pub struct TestAppBuilder {
    vars: Vec<(String, String)>,
    database_url: Option<String>,
    master_key: Option<MasterKey>,
    previous_master_key: Option<MasterKey>,
    role: Option<Role>,
    runner: Option<Arc<dyn JobRunner>>,
    first_party: bool,
    compiler: Option<PathBuf>,
    postgres_programs: Option<PathBuf>,
}

impl TestAppBuilder {
    /// Sets the role of the process (default: all).
    pub fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// Runs jobs with this runner instead of plugins.
    pub fn runner(mut self, runner: Arc<dyn JobRunner>) -> Self {
        self.runner = Some(runner);
        self
    }

    /// Loads the plugins that the binary contains. Compiling them takes seconds, so most tests run without them.
    pub fn first_party_plugins(mut self) -> Self {
        self.first_party = true;
        self
    }

    /// Compiles plugins with this program.
    pub fn compiler(mut self, program: &Path) -> Self {
        self.compiler = Some(program.to_owned());
        self
    }

    /// Dumps and restores with the programs in this folder, if they are of the server's major version or newer.
    pub fn postgres_programs(mut self, folder: &Path) -> Self {
        self.postgres_programs = Some(folder.to_owned());
        self
    }

    /// Sets a configuration variable.
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.retain(|(known, _)| known != name);
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Uses an existing platform database, for a second node or for the test's own server.
    pub fn database_url(mut self, url: &str) -> Self {
        self.database_url = Some(url.to_owned());
        self
    }

    pub fn master_keys(mut self, current: &MasterKey, previous: Option<&MasterKey>) -> Self {
        self.master_key = Some(current.clone());
        self.previous_master_key = previous.cloned();
        self
    }

    pub async fn start(self) -> TestApp {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let store = Store::shared();
        let database_url = match self.database_url {
            Some(url) => url,
            None => Postgres::shared().platform_database().await,
        };
        let master_key = self.master_key.unwrap_or_else(MasterKey::generate);
        let defaults = [
            ("ATLASHUB_DATABASE_URL", database_url.as_str()),
            ("ATLASHUB_S3_ENDPOINT", &store.endpoint),
            ("ATLASHUB_S3_ACCESS_KEY_ID", &store.access_key),
            ("ATLASHUB_S3_SECRET_ACCESS_KEY", &store.secret_key),
            ("ATLASHUB_S3_REGION", &store.region),
            ("PLATFORM_MASTER_KEY", &master_key.to_base64()),
            ("DEV_ADMIN_TOKEN", ADMIN_TOKEN),
            ("ATLASHUB_RATE_LIMIT_SECRET", "0"),
            ("ATLASHUB_RATE_LIMIT_PUBLISHABLE", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let overridden = |name: &str| self.vars.iter().any(|(known, _)| known == name);
        let mut vars: Vec<_> = defaults.into_iter().filter(|(name, _)| !overridden(name)).collect();
        vars.extend(self.vars.clone());
        let public = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let admin = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let (public_address, admin_address) =
            (public.local_addr().expect("address"), admin.local_addr().expect("address"));
        vars.push(("ATLASHUB_PUBLIC_LISTEN".into(), public_address.to_string()));
        vars.push(("ATLASHUB_ADMIN_LISTEN".into(), admin_address.to_string()));
        let config =
            Config::from_vars(&Vars::from_pairs(vars), self.role.unwrap_or(Role::All)).expect("a valid configuration");
        let services = Services {
            database_url: Secret::new(database_url),
            storage: match &config.storage {
                atlashub::config::StorageConfig::External(storage) => storage.clone(),
                atlashub::config::StorageConfig::Embedded(_) => store.config(),
            },
            master_key,
            previous_master_key: self.previous_master_key,
            admin_token: config.admin_auth.dev_token.clone(),
            postgres_programs: self
                .postgres_programs
                .or_else(|| std::env::var_os("ATLASHUB_POSTGRES_BIN_DIR").map(Into::into)),
            plugin_compiler: Compiler::Program(self.compiler.unwrap_or_else(|| env!("CARGO_BIN_EXE_atlashub").into())),
        };
        let first_party = (!self.first_party).then(FirstParty::default);
        let replaced = ReplacedParts { runner: self.runner, first_party };
        let app = App::build_with(config, &services, replaced).expect("the app should be built");
        app.start_background();
        let connections = &app.config().connections;
        let listeners = [
            (public, atlashub::router::public_router(&app), ListenerLimits::public(connections)),
            (admin, atlashub::router::admin_router(&app), ListenerLimits::admin(connections)),
        ];
        let serve = |(listener, router, limits)| {
            tokio::spawn(serve_connections(listener, router, limits, CancellationToken::new()))
        };
        let tasks = listeners.map(serve).into();
        TestApp {
            app,
            services,
            public_url: format!("http://{public_address}"),
            admin_url: format!("http://{admin_address}"),
            tasks,
        }
    }
}

impl TestApp {
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn builder() -> TestAppBuilder {
        TestAppBuilder::default()
    }

    /// Returns a client of the admin surface with the development token.
    pub fn admin(&self) -> Client {
        Client::new(&*self.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN)
    }

    /// Returns a client of the public surface without a key.
    pub fn public(&self) -> Client {
        Client::new(&*self.public_url)
    }

    pub async fn create_project(&self, name: &str) -> TestProject {
        // On a busy machine, the pools of many servers can be slow to connect.
        let (status, body) = eventually("the platform database can be reached", async || {
            let created = self.admin().post("/admin/v1/projects", json!({ "name": name })).await;
            (created.0 != StatusCode::SERVICE_UNAVAILABLE).then_some(created)
        })
        .await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        TestProject {
            id: text(&body["project"]["id"]),
            name: name.to_owned(),
            publishable_key: text(&body["publishableKey"]),
            secret_key: text(&body["secretKey"]),
            admin: self.admin(),
            public: self.public(),
            database_url: self.services.database_url.expose().to_owned(),
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A project with its keys.
pub struct TestProject {
    pub id: String,
    pub name: String,
    pub publishable_key: String,
    pub secret_key: String,
    admin: Client,
    public: Client,
    database_url: String,
}

impl TestProject {
    pub fn secret(&self) -> Client {
        self.public.with_header("x-api-key", &self.secret_key)
    }

    pub fn publishable(&self) -> Client {
        self.public.with_header("x-api-key", &self.publishable_key)
    }

    /// Returns a client of the admin surface with the development token.
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }

    /// Returns a path below the project on the admin surface.
    pub fn path(&self, rest: &str) -> String {
        format!("/admin/v1/projects/{}{rest}", self.id)
    }

    /// Runs statements as the project's owner, directly in Postgres.
    pub async fn sql(&self, sql: &str) {
        use sqlx::Connection;
        let mut connection = self.connect().await;
        let script = format!("SET ROLE proj_{}_owner; {sql}", self.id);
        sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut connection).await.expect(sql);
        connection.close().await.expect("close");
    }

    /// Returns whether Postgres was built with ICU. The packages of `cargo xtask test --postgres` were not.
    pub async fn has_icu(&self) -> bool {
        // A server without ICU has a few collations of this provider too, but none for a language.
        let sql = "SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i' AND collname = 'en-x-icu')";
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.expect(sql)
    }

    /// Connects to the project's database as superuser.
    pub async fn connect(&self) -> sqlx::PgConnection {
        use sqlx::{ConnectOptions, postgres::PgConnectOptions};
        let options: PgConnectOptions = self.database_url.parse().expect("a URL");
        options.database(&format!("proj_{}", self.id)).connect().await.expect("connect")
    }

    /// Sets the exposure of a table for publishable keys and for signed-in users.
    pub async fn expose(&self, table: &str, publishable: &str, signed_in: &str) {
        let path = self.path(&format!("/tables/{table}/exposure"));
        let body = json!({ "publishable": publishable, "signedIn": signed_in, "confirm": true });
        let (status, response) = self.admin.put(&path, body).await;
        assert_eq!(status, StatusCode::OK, "{response}");
    }
}
