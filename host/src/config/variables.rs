/// One environment variable, as `docs/CONFIGURATION.md` lists it.
pub struct Variable {
    pub name: &'static str,
    /// Also read from the file that `NAME_FILE` names.
    pub secret: bool,
    /// As a person would write it; empty for none.
    pub default: &'static str,
    pub meaning: &'static str,
}

macro_rules! variables {
    ($($kind:ident $name:literal $default:literal $meaning:literal;)*) => {
        /// Every variable there is.
        pub const VARIABLES: &[Variable] = &[
            $(Variable { name: $name, secret: variables!(@ $kind), default: $default, meaning: $meaning },)*
        ];
    };
    (@ secret) => { true };
    (@ plain) => { false };
}

variables! {
    plain "ATLASHUB_ENV" "development" "`development` or `production`. Production refuses the embedded default and `DEV_ADMIN_TOKEN`.";
    plain "ATLASHUB_DATA_DIR" "./.atlashub" "Folder of the embedded Postgres, the embedded store and the generated secrets.";
    plain "ATLASHUB_PLUGIN_DIR" "<ATLASHUB_DATA_DIR>/plugins" "Folder where plugins are dropped, each as `name.wasm` and `name.wasm.minisig`. Processes that share a database should see the same one.";
    plain "ATLASHUB_PUBLIC_LISTEN" "127.0.0.1:8080" "Address of the public surface (`/v1`).";
    plain "ATLASHUB_ADMIN_LISTEN" "127.0.0.1:8081" "Address of the admin surface and the dashboard.";
    plain "ATLASHUB_PUBLIC_URL" "http://<ATLASHUB_PUBLIC_LISTEN>" "Base URL under which apps reach the public surface.";
    plain "ATLASHUB_ADMIN_HOSTS" "" "Host names, comma-separated, under which the admin surface answers besides loopback, for example `hub.example.com`.";
    secret "ATLASHUB_DATABASE_URL" "" "Platform database, `postgres://user:password@host:5432/platform`. Projects' databases live on the same server. Unset: the embedded Postgres.";
    plain "ATLASHUB_POSTGRES_BIN_DIR" "" "Embedded mode: folder of `initdb`, `postgres` and `pg_dump`. Unset: looked for in the usual places.";
    plain "ATLASHUB_POSTGRES_PORT" "" "Embedded mode: port of the private Postgres. Unset: a free one, kept over restarts.";
    plain "ATLASHUB_PROJECT_CONNECTIONS" "80" "Most connections to projects' databases at once, all projects together. Keep it below Postgres's `max_connections` less 15.";
    plain "ATLASHUB_POOL_SIZE" "5" "Most connections of one project and role, 1 to 50.";
    plain "ATLASHUB_S3_ENDPOINT" "" "S3 store as this process reaches it, for example `http://garage:3900`. Unset: the embedded store.";
    plain "ATLASHUB_S3_PUBLIC_ENDPOINT" "<ATLASHUB_S3_ENDPOINT>" "The same store as browsers reach it; signed URLs carry it.";
    plain "ATLASHUB_S3_REGION" "us-east-1" "Region to sign for.";
    secret "ATLASHUB_S3_ACCESS_KEY_ID" "" "Access key of the store.";
    secret "ATLASHUB_S3_SECRET_ACCESS_KEY" "" "Secret key of the store.";
    plain "ATLASHUB_EMBEDDED_S3_LISTEN" "127.0.0.1:8082" "Embedded mode: address of the store.";
    plain "ATLASHUB_MAX_OBJECT_BYTES" "5368709120" "Largest object of a new bucket, in bytes.";
    secret "PLATFORM_MASTER_KEY" "" "32 bytes in base64 that seal every stored secret. Embedded mode creates one in the data folder.";
    secret "PLATFORM_MASTER_KEY_PREVIOUS" "" "The key before, while `atlashub keys rotate-master` re-seals.";
    secret "DEV_ADMIN_TOKEN" "" "Development: token of the admin surface, at least 16 characters. Embedded mode creates one in the data folder.";
    plain "CF_ACCESS_TEAM_DOMAIN" "" "Cloudflare Access team domain, for example `team.cloudflareaccess.com`.";
    plain "CF_ACCESS_AUD" "" "Audience tag of the Access application.";
    plain "ATLASHUB_OWNER_EMAIL" "" "Only these addresses, comma-separated, may use the admin surface through Access.";
    secret "ATLASHUB_METRICS_TOKEN" "" "Bearer token that may read `/metrics` without being signed in.";
    plain "ATLASHUB_TRUSTED_PROXIES" "" "Addresses or networks, comma-separated, whose `CF-Connecting-IP` is believed.";
    plain "ATLASHUB_BODY_LIMIT_BYTES" "1048576" "Largest JSON body.";
    plain "ATLASHUB_REQUEST_TIMEOUT_SECONDS" "15" "Longest a request may take.";
    plain "ATLASHUB_MAX_CONCURRENT_REQUESTS" "512" "Most requests at once on each surface; more wait shortly, then get 503.";
    plain "ATLASHUB_RATE_LIMIT_PUBLISHABLE" "50" "Requests per second and project with publishable keys; bursts of twice that; 0 for none.";
    plain "ATLASHUB_RATE_LIMIT_SECRET" "1000" "Requests per second and project with secret keys; bursts of twice that; 0 for none.";
    plain "ATLASHUB_ROWS_DEFAULT_LIMIT" "100" "Rows of a list without `limit`.";
    plain "ATLASHUB_ROWS_MAX_LIMIT" "1000" "Most rows of a list.";
    plain "ATLASHUB_SQL_CREATE_EXTENSION" "false" "Lets the SQL editor run `CREATE EXTENSION` for trusted extensions.";
    plain "ATLASHUB_JOB_CONCURRENCY" "64" "Most runs of jobs at once in one process.";
    plain "ATLASHUB_JOB_LEASE_SECONDS" "30" "A run whose scheduler was not heard of for so long is taken for dead, and tried again where it has retries left.";
    plain "ATLASHUB_RUN_RETENTION_DAYS" "30" "Runs that ended so many days ago are removed with their logs; the newest of each job stays.";
    plain "ATLASHUB_RUN_RETENTION_PER_JOB" "1000" "Most ended runs that are kept of one job.";
    plain "ATLASHUB_PLUGIN_MAX_MEMORY_MIB" "256" "Most memory of one run of a plugin, in MiB. This and the next five are caps on what a plugin's manifest asks for: the lower of the two counts, and none is above what a manifest may ask for.";
    plain "ATLASHUB_PLUGIN_MAX_WALL_SECONDS" "86400" "Longest one run of a plugin may take; a job's own timeout may be lower.";
    plain "ATLASHUB_PLUGIN_MAX_CPU_SECONDS" "3600" "Most processor time of one run in the plugin's own code.";
    plain "ATLASHUB_PLUGIN_MAX_HOST_CALL_MIB" "4096" "Most that passes between a plugin and the platform in one run, in MiB. What is only forwarded, as a dump to storage, does not count.";
    plain "ATLASHUB_PLUGIN_MAX_LOG_KIB" "16384" "Most log of one run, in KiB.";
    plain "ATLASHUB_PLUGIN_MAX_CONCURRENT_RUNS" "64" "Most runs of one plugin at once in one process; more wait.";
    plain "ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB" "512" "Most memory of all plugins' runs together in one process, in MiB.";
    plain "ATLASHUB_PLUGIN_TOTAL_RUNS" "64" "Most runs of all plugins at once in one process; more wait.";
    plain "ATLASHUB_HTTP_ALLOWED_HOSTS" "" "Hosts that jobs may send HTTP requests to, comma-separated: `[scheme://]host[:port][+private]`; the host exact, `*.suffix`, or `*` for any public one. What is left out is not restricted; `+private` lets the host be at a private address. Unset: none.";
    plain "ATLASHUB_CA_FILE" "" "File with certificates in PEM of authorities of your own; HTTP jobs, webhooks and mail trust them besides the public ones. For Postgres set `sslrootcert` in its URL; the store's certificate is checked by the machine's own authorities.";
    plain "ATLASHUB_DISK_LOW_PERCENT" "10" "Free space of the disk under `ATLASHUB_DATA_DIR`, in percent, below which a notification is sent; 0 for never.";
    plain "ATLASHUB_LOG" "info" "Log filter, for example `info,atlashub=debug`.";
    plain "ATLASHUB_LOG_FORMAT" "text" "`text` or `json`; `json` unless told in production.";
}
