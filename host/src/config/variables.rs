//! The table of all environment variables: name, default and meaning.

/// An environment variable. `docs/CONFIGURATION.md` contains the same rows.
pub struct Variable {
    pub name: &'static str,
    /// Whether the value is secret. A secret can also be read from the file that `NAME_FILE` names.
    pub secret: bool,
    /// The value that applies if the variable is not set, or a formula in `<…>`; empty for none.
    ///
    /// [`super::Vars`] reads the default from here. If other code repeats a default, a test compares the two.
    pub default: &'static str,
    pub meaning: &'static str,
}

macro_rules! variables {
    ($($kind:ident $name:literal $default:literal $meaning:literal;)*) => {
        /// Every variable.
        pub const VARIABLES: &[Variable] = &[
            $(Variable { name: $name, secret: variables!(@ $kind), default: $default, meaning: $meaning },)*
        ];
    };
    (@ secret) => { true };
    (@ plain) => { false };
}

variables! {
    plain "ATLASHUB_ENV" "development"
        "`development` or `production`. Production requires external services and Cloudflare Access, and refuses \
         `DEV_ADMIN_TOKEN`.";
    plain "ATLASHUB_DATA_DIR" "./.atlashub"
        "Folder of the embedded Postgres, the embedded store and the generated secrets.";
    plain "ATLASHUB_PLUGIN_DIR" "<ATLASHUB_DATA_DIR>/plugins"
        "Folder with plugins, each as `name.wasm` and `name.wasm.minisig`. Processes that share a database should \
         see the same files.";
    plain "ATLASHUB_DASHBOARD_DIR" ""
        "Folder with the dashboard's files, for its development (`cargo xtask dev --watch` sets it). Unset: the files \
         in the binary.";
    plain "ATLASHUB_PUBLIC_LISTEN" "127.0.0.1:8080" "Address of the public surface (`/v1`).";
    plain "ATLASHUB_ADMIN_LISTEN" "127.0.0.1:8081" "Address of the admin surface and the dashboard.";
    plain "ATLASHUB_PUBLIC_URL" "http://<ATLASHUB_PUBLIC_LISTEN>" "Base URL of the public surface, as apps reach it.";
    plain "ATLASHUB_ADMIN_HOSTS" ""
        "Comma-separated host names that the admin surface accepts in addition to loopback, for example \
         `hub.example.com`.";
    secret "ATLASHUB_DATABASE_URL" ""
        "Platform database, `postgres://user:password@host:5432/platform`. Projects' databases live on the same \
         server. Unset: the embedded Postgres.";
    plain "ATLASHUB_POSTGRES_BIN_DIR" ""
        "Embedded mode: folder with `initdb`, `postgres` and the other Postgres programs. Unset: the newest supported \
         version that is installed is used, or else one is downloaded.";
    plain "ATLASHUB_POSTGRES_PORT" ""
        "Embedded mode: port of the private Postgres. Unset: a free one, which is kept across restarts.";
    plain "ATLASHUB_PROJECT_CONNECTIONS" "80"
        "Maximum number of connections to projects' databases per process. Postgres's `max_connections` must also \
         allow about 15 more for each process, and about 20 more for each that runs jobs.";
    plain "ATLASHUB_POOL_SIZE" "5"
        "Maximum number of connections per project and role that requests share, 1–50. The same number again can be \
         opened for statements that need a connection of their own.";
    plain "ATLASHUB_S3_ENDPOINT" ""
        "URL of the S3 store, as this process reaches it, for example `http://garage:3900`. Unset: the embedded \
         store.";
    plain "ATLASHUB_S3_PUBLIC_ENDPOINT" "<ATLASHUB_S3_ENDPOINT>"
        "URL of the store as browsers reach it, without a path; signed URLs contain it.";
    plain "ATLASHUB_S3_REGION" "us-east-1" "Region of the store, for signing requests.";
    secret "ATLASHUB_S3_ACCESS_KEY_ID" "" "Access key of the store.";
    secret "ATLASHUB_S3_SECRET_ACCESS_KEY" "" "Secret key of the store.";
    plain "ATLASHUB_EMBEDDED_S3_LISTEN" "<127.0.0.1:8082, or a free port>"
        "Embedded mode: address of the store. Signed URLs contain it, unless `ATLASHUB_S3_PUBLIC_ENDPOINT` is set. \
         Unset: port 8082, or a free port if it is taken, which is kept across restarts; with \
         `ATLASHUB_S3_PUBLIC_ENDPOINT` always port 8082.";
    plain "ATLASHUB_MAX_OBJECT_BYTES" "5368709120" "Maximum object size of new buckets, in bytes.";
    plain "ATLASHUB_MAX_OPEN_UPLOADS" "2000"
        "Maximum number of signed uploads that have not ended, per publishable key and per signed-in user; further \
         ones get 429.";
    plain "ATLASHUB_MAX_OPEN_MULTIPART_UPLOADS" "50"
        "Maximum number of multipart uploads that have not ended, per publishable key and per signed-in user; further \
         ones get 429.";
    secret "PLATFORM_MASTER_KEY" ""
        "Key that seals every stored secret: 32 bytes in base64. Embedded mode creates one in the data folder.";
    secret "PLATFORM_MASTER_KEY_PREVIOUS" ""
        "Previous master key; only needed during rotation (`atlashub keys rotate-master`).";
    secret "DEV_ADMIN_TOKEN" ""
        "Development: token of the admin surface, at least 16 characters. Embedded mode creates one in the data \
         folder.";
    plain "CF_ACCESS_TEAM_DOMAIN" "" "Cloudflare Access team domain, for example `team.cloudflareaccess.com`.";
    plain "CF_ACCESS_AUD" "" "Audience tag of the Access application.";
    plain "ATLASHUB_OWNER_EMAIL" ""
        "Comma-separated e-mail addresses that may sign in through Access; service tokens are then refused. Unset: \
         everyone that Access lets in.";
    secret "ATLASHUB_METRICS_TOKEN" "" "Bearer token that may read `/metrics` without signing in.";
    plain "ATLASHUB_TRUSTED_PROXIES" ""
        "Comma-separated addresses or networks of proxies whose header `CF-Connecting-IP` is trusted.";
    plain "ATLASHUB_BODY_LIMIT_BYTES" "1048576" "Maximum size of a JSON body, in bytes.";
    plain "ATLASHUB_BODY_TIMEOUT_SECONDS" "30"
        "Time in which the whole body of a request must arrive, in seconds; otherwise the request gets 408.";
    plain "ATLASHUB_MAX_BODY_BYTES_IN_FLIGHT" "134217728"
        "Maximum size of all request bodies in memory per surface, in bytes; further ones get 503. One project can \
         take half. A value below four times `ATLASHUB_BODY_LIMIT_BYTES` is raised to that.";
    plain "ATLASHUB_REQUEST_TIMEOUT_SECONDS" "15"
        "Time limit of a request on the public surface after its body has arrived, in seconds.";
    plain "ATLASHUB_MAX_CONCURRENT_REQUESTS" "512"
        "Maximum number of concurrent requests per surface; further ones wait up to a second for their turn, then get \
         503. A request counts after its key has been checked and its body has arrived.";
    plain "ATLASHUB_MAX_CONCURRENT_REQUESTS_PER_PROJECT" "<half of ATLASHUB_MAX_CONCURRENT_REQUESTS>"
        "Maximum number of concurrent requests per project, so that one project does not displace the others; further \
         ones wait up to a second for their turn, then get 503.";
    plain "ATLASHUB_MAX_CONNECTIONS" "2048"
        "Maximum number of connections to the public listener. The server lowers it to fit the number of files that \
         the process may open. At the maximum, a new connection replaces the one that has waited longest for a \
         request. If none is waiting, the new one gets 503. One project can take half of the connections.";
    plain "ATLASHUB_MAX_ADMIN_CONNECTIONS" "256"
        "Maximum number of connections to the admin listener. The owner can take three quarters of them.";
    plain "ATLASHUB_HEADER_TIMEOUT_SECONDS" "10"
        "Time in which a new connection must send the headers of a request, in seconds. The same applies to each \
         further request from its first byte.";
    plain "ATLASHUB_IDLE_TIMEOUT_SECONDS" "100"
        "Time after which a connection without a request is closed, in seconds. Keep it above the keep-alive time of \
         a proxy in front (90 in cloudflared).";
    plain "ATLASHUB_WRITE_TIMEOUT_SECONDS" "30"
        "Time without progress after which the connection of a client that does not read its response is closed, in \
         seconds.";
    plain "ATLASHUB_MIN_BYTES_PER_SECOND" "4096"
        "Lowest average rate at which clients may send a body (after the first 5 seconds) and read a response (after \
         `ATLASHUB_WRITE_TIMEOUT_SECONDS`), in bytes per second.";
    plain "ATLASHUB_RATE_LIMIT_PUBLISHABLE" "50"
        "Maximum number of requests with publishable keys per second, project and process. Bursts of twice that are \
         allowed; 0 for no limit.";
    plain "ATLASHUB_RATE_LIMIT_SECRET" "1000"
        "Maximum number of requests with secret keys per second, project and process. Bursts of twice that are \
         allowed; 0 for no limit.";
    plain "ATLASHUB_ROWS_DEFAULT_LIMIT" "100" "Maximum number of rows that a read without `limit` returns.";
    plain "ATLASHUB_ROWS_MAX_LIMIT" "1000"
        "Maximum number of rows that a read returns; a higher `limit` is reduced to it. Also applies to each embedded \
         list.";
    plain "ATLASHUB_SHARE_LOOKUPS" "true"
        "Whether concurrent reads of one row by a unique key may be sent together. The responses are the same; \
         `false` sends each read alone.";
    plain "ATLASHUB_SHARE_INSERTS" "true"
        "Whether concurrent inserts of a few rows may share a transaction, so that Postgres commits once for all of \
         them. If one fails, each is made in a transaction of its own. Inserts in a shared transaction have the same \
         `now()`. `false` sends each insert alone.";
    plain "ATLASHUB_RESPONSE_LIMIT_BYTES" "16777216"
        "Maximum size of a response with rows, in bytes; a larger one gets 422 `response_too_large`.";
    plain "ATLASHUB_MAX_RESPONSE_BYTES_IN_FLIGHT" "134217728"
        "Maximum size of all responses in memory that clients have not read yet, in bytes; further ones get 503. One \
         project can take half, all projects three quarters; the rest is for the owner. A value below four times \
         `ATLASHUB_RESPONSE_LIMIT_BYTES` is raised to that.";
    plain "ATLASHUB_SQL_CREATE_EXTENSION" "false"
        "Whether SQL of a project, such as in the SQL editor, may create extensions that Postgres trusts.";
    secret "ATLASHUB_SMTP_URL" ""
        "Mail server for links to end users, `smtps://user:password@mail.example.com` or `smtp://…` (STARTTLS; without \
         TLS only to loopback). Unset: no mail is sent to end users.";
    plain "ATLASHUB_SMTP_FROM" "" "Sender of mail to end users, for example `My app <no-reply@example.com>`.";
    plain "ATLASHUB_AUTH_HASH_CONCURRENCY" "<half of the cores>"
        "Maximum number of passwords that are hashed at the same time. Each takes 19 MiB, and a core for about 30 ms.";
    plain "ATLASHUB_JOB_CONCURRENCY" "64"
        "Maximum number of concurrent job runs per process. One plugin can use three quarters of them. In \
         addition, four runs are reserved for backups, cleanup, exports, imports and migrations.";
    plain "ATLASHUB_JOB_LEASE_SECONDS" "30"
        "Seconds after which a run whose lease was not renewed counts as lost. It is tried again if it has retries \
         left.";
    plain "ATLASHUB_RUN_RETENTION_DAYS" "30"
        "Days after which ended runs are removed with their logs. The newest run of each job is kept, and the newest \
         that was not skipped.";
    plain "ATLASHUB_RUN_RETENTION_PER_JOB" "1000"
        "Maximum number of ended runs that are kept per job. Skipped runs are counted separately, with the same \
         maximum.";
    plain "ATLASHUB_PLUGIN_MAX_MEMORY_MIB" "256"
        "Maximum memory of one plugin run, in MiB. A plugin's manifest can set a lower limit. The same applies to the \
         following variables, up to and including `ATLASHUB_PLUGIN_MAX_CONCURRENT_RUNS`.";
    plain "ATLASHUB_PLUGIN_MAX_WALL_SECONDS" "86400"
        "Maximum duration of one plugin run, in seconds. A job's own timeout can be lower.";
    plain "ATLASHUB_PLUGIN_MAX_CPU_SECONDS" "3600" "Maximum CPU time of one run in the plugin's own code, in seconds.";
    plain "ATLASHUB_PLUGIN_MAX_HOST_CALL_MIB" "256"
        "Maximum data that a plugin and the platform exchange in one run, in MiB. Forwarded streams, such as a \
         dump to storage, do not count.";
    plain "ATLASHUB_PLUGIN_MAX_LOG_KIB" "4096"
        "Maximum log size of one plugin run, in KiB, at most 4096. Later lines are dropped, and the log says how many.";
    plain "ATLASHUB_PLUGIN_MAX_CONCURRENT_RUNS" "64"
        "Maximum number of concurrent runs per plugin and process; further ones wait.";
    plain "ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB" "512"
        "Maximum memory of all plugin runs in one process, in MiB. See `ATLASHUB_PLUGIN_TOTAL_RUNS` for one plugin's \
         share.";
    plain "ATLASHUB_PLUGIN_TOTAL_RUNS" "64"
        "Maximum number of concurrent plugin runs per process; further ones wait. Of this and the other totals, one \
         plugin can use three quarters. Backups, cleanup, exports, imports and migrations do not count towards the \
         totals, and have limits of their own.";
    plain "ATLASHUB_PLUGIN_MAX_CALLS" "16"
        "Maximum number of calls of one plugin run that the platform executes at a time; further ones wait.";
    plain "ATLASHUB_PLUGIN_TOTAL_CALLS" "128"
        "Maximum number of calls of all plugin runs that one process executes at a time; further ones wait.";
    plain "ATLASHUB_PLUGIN_MAX_CALL_MEMORY_MIB" "40"
        "Maximum memory for the calls and transfers of one plugin run that are in progress, in MiB. A call that needs \
         more fails. A large upload needs 30 MiB.";
    plain "ATLASHUB_PLUGIN_TOTAL_CALL_MEMORY_MIB" "128"
        "Maximum memory for the calls and transfers of all plugin runs in one process, in MiB.";
    plain "ATLASHUB_PLUGIN_TOTAL_DUMPS" "4"
        "Maximum number of dumps, backup verifications, exports and imports that plugin runs in one process execute \
         at a time; further ones wait.";
    plain "ATLASHUB_PLUGIN_TOTAL_QUERIES" "4"
        "Maximum number of queries on projects' databases that plugin runs in one process execute at a time; further \
         ones wait. Each uses a connection of its own.";
    plain "ATLASHUB_PLUGIN_QUERY_SECONDS" "60"
        "Maximum duration of a plugin's query, including the time in which the plugin reads its rows, in seconds.";
    plain "ATLASHUB_PLUGIN_CONNECTIONS" "4"
        "Maximum number of connections that the calls of plugins use for each of two purposes: the platform database, \
         and listing tables of projects' databases. The platform's own work uses other connections.";
    plain "ATLASHUB_PLUGIN_STREAM_IDLE_SECONDS" "60"
        "Seconds after which a stream is closed if the plugin does not read it, or reads less than 16 KiB per second \
         on average.";
    plain "ATLASHUB_PLUGIN_MAX_HTTP_BODY_MIB" "5120"
        "Maximum size of an HTTP body that a plugin sends or receives as a stream, in MiB. Also limits bodies that a \
         plugin only forwards, for example into an object. These do not count towards \
         `ATLASHUB_PLUGIN_MAX_HOST_CALL_MIB`.";
    plain "ATLASHUB_PLUGIN_STATE_KIB" "1024"
        "Maximum size of the state that a plugin keeps for one project, or for the platform, in KiB.";
    plain "ATLASHUB_PLUGIN_MAX_FILE_MIB" "64"
        "Maximum size of a plugin's file, in MiB. The file is in memory while it is checked and compiled. The \
         machine code of a loaded plugin, up to twice that size, stays in memory.";
    plain "ATLASHUB_PLUGIN_COMPILE_MEMORY_MIB" "1024"
        "Maximum memory of the process that compiles a plugin, in MiB. A plugin that needs more is rejected. A plugin \
         in Python (20 MB) needs about 400, one of 1 MB less than 128. One plugin is compiled at a time.";
    plain "ATLASHUB_HTTP_ALLOWED_HOSTS" ""
        "Comma-separated hosts that jobs may send HTTP requests to: `[scheme://]host[:port][+private]`. The host is a \
         name, an IP address (IPv6 in brackets), `*.suffix`, or `*` for any public host. Without a scheme, `http` and \
         `https` are allowed; without a port, all ports except those of other protocols, such as 25 and 5432. \
         `+private` permits private addresses, except with `*`. Unset: none.";
    plain "ATLASHUB_CA_FILE" ""
        "PEM file with your own certificate authorities; HTTP requests of jobs and plugins, webhooks and mail trust \
         them in addition to the public ones. For Postgres set `sslrootcert` in its URL; the store's certificate is \
         checked with the machine's authorities.";
    plain "ATLASHUB_BACKUP_AGE_RECIPIENTS" ""
        "Comma-separated public keys of `age-keygen`, to which backups are encrypted. Unset: backups are not \
         encrypted. Set it for every process that runs jobs.";
    secret "ATLASHUB_BACKUP_AGE_IDENTITY" ""
        "Content of the file of `age-keygen` that opens encrypted backups, so that jobs can verify them. Unset, which \
         protects backups better: the identity is sent with each request to verify or restore a backup.";
    plain "ATLASHUB_DISK_LOW_PERCENT" "10"
        "Free space of the disk with `ATLASHUB_DATA_DIR`, in percent, below which a notification is sent; 0 for \
         never.";
    plain "ATLASHUB_LOG" "info" "Log filter, for example `info,atlashub=debug`.";
    plain "ATLASHUB_LOG_FORMAT" "text" "`text` or `json`. The default in production is `json`.";
}
