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
        "`development` or `production`. In production, the server starts only with an external Postgres and S3 store \
         and with Cloudflare Access, and does not start if `DEV_ADMIN_TOKEN` is set.";
    plain "ATLASHUB_DATA_DIR" "./.atlashub"
        "Folder with the data of the embedded Postgres and the embedded store, and with the generated secrets.";
    plain "ATLASHUB_PLUGIN_DIR" "<ATLASHUB_DATA_DIR>/plugins"
        "Folder with plugins, each as `name.wasm` and `name.wasm.minisig`. Processes that share a database should \
         see the same files.";
    plain "ATLASHUB_DASHBOARD_DIR" ""
        "Folder with the dashboard's files, for the development of the dashboard (`cargo xtask dev --watch` sets it). \
         Unset: the files in the binary.";
    plain "ATLASHUB_PUBLIC_LISTEN" "127.0.0.1:8080" "IP address and port of the listener for the public API (`/v1`).";
    plain "ATLASHUB_ADMIN_LISTEN" "127.0.0.1:8081"
        "IP address and port of the listener for the admin API (`/admin/v1`) and the dashboard.";
    plain "ATLASHUB_PUBLIC_URL" "http://<ATLASHUB_PUBLIC_LISTEN>" "Base URL under which apps reach the public API.";
    plain "ATLASHUB_ADMIN_HOSTS" ""
        "Comma-separated host names under which the admin listener may be reached, in addition to loopback, for \
         example `hub.example.com`.";
    secret "ATLASHUB_DATABASE_URL" ""
        "URL of the platform database, for example `postgres://user:password@host:5432/platform`. The databases of \
         projects are on the same server. Unset: the embedded Postgres.";
    plain "ATLASHUB_POSTGRES_BIN_DIR" ""
        "Folder with `initdb`, `postgres` and the other programs for the embedded Postgres. Unset: the newest \
         supported version that is installed is used; if none is installed, one is downloaded.";
    plain "ATLASHUB_POSTGRES_PORT" ""
        "Port of the embedded Postgres. Unset: a free port, which is kept across restarts.";
    plain "ATLASHUB_PROJECT_CONNECTIONS" "80"
        "Maximum number of connections of one process to projects' databases. Postgres's `max_connections` must also \
         allow about 16 more connections for each process, and about 33 more for each process that runs jobs.";
    plain "ATLASHUB_POOL_SIZE" "5"
        "Maximum number of connections per project and role that requests share, 1–50. As many connections again can \
         be opened for statements that need a connection of their own.";
    plain "ATLASHUB_S3_ENDPOINT" ""
        "URL under which this process reaches the S3 store, for example `http://garage:3900`. Unset: the embedded \
         store.";
    plain "ATLASHUB_S3_PUBLIC_ENDPOINT" "<ATLASHUB_S3_ENDPOINT>"
        "URL under which browsers reach the store, without a path. Signed URLs contain it.";
    plain "ATLASHUB_S3_REGION" "us-east-1" "Region of the store. It is part of signatures.";
    secret "ATLASHUB_S3_ACCESS_KEY_ID" "" "Access key of the store.";
    secret "ATLASHUB_S3_SECRET_ACCESS_KEY" "" "Secret key of the store.";
    plain "ATLASHUB_EMBEDDED_S3_LISTEN" "<127.0.0.1:8082, or a free port>"
        "IP address and port of the embedded store. Signed URLs contain this address, unless \
         `ATLASHUB_S3_PUBLIC_ENDPOINT` is set. Unset: port 8082; if it is taken and `ATLASHUB_S3_PUBLIC_ENDPOINT` is \
         not set, a free port, which is kept across restarts.";
    plain "ATLASHUB_MAX_OBJECT_BYTES" "5368709120"
        "Maximum size of an object in new buckets, in bytes. Each bucket's limit can be changed.";
    plain "ATLASHUB_MAX_OPEN_UPLOADS" "2000"
        "Maximum number of signed uploads that have not ended, per publishable key and per signed-in user. A request \
         for another one gets 429.";
    plain "ATLASHUB_MAX_OPEN_MULTIPART_UPLOADS" "50"
        "Maximum number of multipart uploads that have not ended, per publishable key and per signed-in user. A \
         request for another one gets 429.";
    secret "PLATFORM_MASTER_KEY" ""
        "Key that encrypts every stored secret: 32 bytes in base64. With the embedded Postgres, a key is created in \
         the data folder if this is unset.";
    secret "PLATFORM_MASTER_KEY_PREVIOUS" ""
        "Previous master key. It is only needed during a rotation (`atlashub keys rotate-master`).";
    secret "DEV_ADMIN_TOKEN" ""
        "Token for signing in to the dashboard and the admin API in development, at least 16 characters. With the \
         embedded Postgres, a token is created in the data folder if this is unset.";
    plain "CF_ACCESS_TEAM_DOMAIN" "" "Domain of the Cloudflare Access team, for example `team.cloudflareaccess.com`.";
    plain "CF_ACCESS_AUD" "" "Audience tag of the Cloudflare Access application.";
    plain "ATLASHUB_OWNER_EMAIL" ""
        "Comma-separated e-mail addresses that may sign in through Cloudflare Access. Service tokens are then refused. \
         Unset: everyone whom the policy of the Access application allows may sign in.";
    secret "ATLASHUB_METRICS_TOKEN" "" "Bearer token that may read `/metrics` without signing in.";
    plain "ATLASHUB_TRUSTED_PROXIES" ""
        "Comma-separated IP addresses or networks of proxies whose header `CF-Connecting-IP` is trusted.";
    plain "ATLASHUB_BODY_LIMIT_BYTES" "1048576" "Maximum size of a JSON body, in bytes.";
    plain "ATLASHUB_BODY_TIMEOUT_SECONDS" "30"
        "Time in which the whole body of a request must arrive, in seconds. Otherwise, the request gets 408.";
    plain "ATLASHUB_MAX_BODY_BYTES_IN_FLIGHT" "134217728"
        "Maximum size of all request bodies of one listener that are in memory, in bytes. A request beyond it gets \
         503. One project can take half. A value below four times `ATLASHUB_BODY_LIMIT_BYTES` is raised to that.";
    plain "ATLASHUB_REQUEST_TIMEOUT_SECONDS" "15"
        "Time limit of a request to the public API after its body has arrived, in seconds.";
    plain "ATLASHUB_MAX_CONCURRENT_REQUESTS" "512"
        "Maximum number of concurrent requests of one listener. A request beyond it waits up to a second for its turn, \
         then gets 503. A request counts after its key has been checked and its body has arrived.";
    plain "ATLASHUB_MAX_CONCURRENT_REQUESTS_PER_PROJECT" "<half of ATLASHUB_MAX_CONCURRENT_REQUESTS>"
        "Maximum number of concurrent requests of one project, so that it does not displace the others. A request \
         beyond it waits up to a second for its turn, then gets 503.";
    plain "ATLASHUB_MAX_CONNECTIONS" "2048"
        "Maximum number of connections to the public listener. The server lowers it to fit the number of files that \
         the process may open. At the maximum, a new connection replaces the one that has waited longest for a \
         request. If none is waiting, the new connection gets 503. One project can take half of the connections.";
    plain "ATLASHUB_MAX_ADMIN_CONNECTIONS" "256"
        "Maximum number of connections to the admin listener. The owner can take three quarters of them.";
    plain "ATLASHUB_HEADER_TIMEOUT_SECONDS" "10"
        "Time in which a new connection must send the headers of its first request, in seconds. For a later request, \
         the time starts with its first byte.";
    plain "ATLASHUB_IDLE_TIMEOUT_SECONDS" "100"
        "Time after which a connection without a request is closed, in seconds. Set it higher than the keep-alive time \
         of a proxy in front of the server (90 in cloudflared).";
    plain "ATLASHUB_WRITE_TIMEOUT_SECONDS" "30"
        "If a client reads nothing of its response for this time, in seconds, its connection is closed.";
    plain "ATLASHUB_MIN_BYTES_PER_SECOND" "4096"
        "Minimum average rate, in bytes per second, at which a client must send a body (after the first 5 seconds) and \
         read a response (after `ATLASHUB_WRITE_TIMEOUT_SECONDS`).";
    plain "ATLASHUB_RATE_LIMIT_PUBLISHABLE" "50"
        "Maximum number of requests per second with the publishable keys of one project, in each process. Bursts of \
         twice that number are allowed. 0: no limit.";
    plain "ATLASHUB_RATE_LIMIT_SECRET" "1000"
        "Maximum number of requests per second with the secret keys of one project, in each process. Bursts of twice \
         that number are allowed. 0: no limit.";
    plain "ATLASHUB_ROWS_DEFAULT_LIMIT" "100" "Maximum number of rows that a read without `limit` returns.";
    plain "ATLASHUB_ROWS_MAX_LIMIT" "1000"
        "Maximum number of rows that a read returns. A higher `limit` in a request is reduced to it. It also applies \
         to each embedded list.";
    plain "ATLASHUB_SHARE_LOOKUPS" "true"
        "Whether concurrent reads of one row by a unique key may be sent to Postgres together. The responses are the \
         same. `false`: each read is sent alone.";
    plain "ATLASHUB_SHARE_INSERTS" "true"
        "Whether concurrent inserts of a few rows may share a transaction, so that Postgres commits once for all of \
         them. If one of them fails, each is executed in a transaction of its own. Inserts in a shared transaction \
         have the same `now()`. `false`: each insert has its own transaction.";
    plain "ATLASHUB_RESPONSE_LIMIT_BYTES" "16777216"
        "Maximum size of a response with rows, in bytes. Instead of a larger response, the client gets 422 \
         `response_too_large`.";
    plain "ATLASHUB_MAX_RESPONSE_BYTES_IN_FLIGHT" "134217728"
        "Maximum size of all responses with rows that are in memory because clients have not read them yet, in bytes. \
         A request beyond it gets 503. One project can take half, and all projects together three quarters; the rest \
         is for the owner. A value below four times `ATLASHUB_RESPONSE_LIMIT_BYTES` is raised to that.";
    plain "ATLASHUB_SQL_CREATE_EXTENSION" "false"
        "Whether a project's SQL, for example in the SQL editor, may create extensions that Postgres marks as trusted.";
    secret "ATLASHUB_SMTP_URL" ""
        "Mail server for mail with links to end users: `smtps://user:password@mail.example.com`, or `smtp://…` with \
         STARTTLS. `smtp://` to a loopback address is not encrypted. Unset: no mail is sent to end users.";
    plain "ATLASHUB_SMTP_FROM" "" "Sender of mail to end users, for example `My app <no-reply@example.com>`.";
    plain "ATLASHUB_AUTH_HASH_CONCURRENCY" "<half of the cores>"
        "Maximum number of passwords that are hashed at the same time. Each hash takes 19 MiB, and a core for about 30 \
         ms.";
    plain "ATLASHUB_JOB_CONCURRENCY" "64"
        "Maximum number of concurrent job runs per process. Runs of one plugin can take three quarters of them. In \
         addition, four runs are reserved for backups, cleanup, exports, imports and migrations.";
    plain "ATLASHUB_JOB_LEASE_SECONDS" "30"
        "Seconds after which a run whose lease was not renewed counts as lost. The run is then retried if its job \
         allows further retries.";
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
        "Maximum amount of data that a plugin and the host exchange in one run, in MiB. Streams that a plugin only \
         forwards, such as a dump to storage, do not count.";
    plain "ATLASHUB_PLUGIN_MAX_LOG_KIB" "4096"
        "Maximum size of the log of one plugin run, in KiB, at most 4096. Later lines are dropped, and the log \
         contains their number.";
    plain "ATLASHUB_PLUGIN_MAX_CONCURRENT_RUNS" "64"
        "Maximum number of concurrent runs of one plugin per process. Further runs wait.";
    plain "ATLASHUB_PLUGIN_TOTAL_MEMORY_MIB" "512"
        "Maximum memory of all plugin runs in one process, in MiB. `ATLASHUB_PLUGIN_TOTAL_RUNS` describes the share of \
         one plugin.";
    plain "ATLASHUB_PLUGIN_TOTAL_RUNS" "64"
        "Maximum number of concurrent plugin runs per process. Further runs wait. Of this and the other totals \
         (`ATLASHUB_PLUGIN_TOTAL_…`), one plugin can use three quarters. Backups, cleanup, exports, imports and \
         migrations do not count towards the totals, and have limits of their own.";
    plain "ATLASHUB_PLUGIN_MAX_CALLS" "16"
        "Maximum number of calls to the host that one plugin run can have in progress. Further calls wait.";
    plain "ATLASHUB_PLUGIN_TOTAL_CALLS" "128"
        "Maximum number of calls to the host that all plugin runs of one process together can have in progress. \
         Further calls wait.";
    plain "ATLASHUB_PLUGIN_MAX_CALL_MEMORY_MIB" "40"
        "Maximum memory of the host for the calls and transfers of one plugin run that are in progress, in MiB. A call \
         that needs more fails. The upload of a large object needs 30 MiB.";
    plain "ATLASHUB_PLUGIN_TOTAL_CALL_MEMORY_MIB" "128"
        "Maximum memory of the host for the calls and transfers of all plugin runs in one process, in MiB.";
    plain "ATLASHUB_PLUGIN_TOTAL_DUMPS" "4"
        "Maximum number of dumps, backup verifications, exports and imports of all plugin runs in one process that are \
         in progress. Further ones wait.";
    plain "ATLASHUB_PLUGIN_TOTAL_QUERIES" "4"
        "Maximum number of queries on projects' databases of all plugin runs in one process that are in progress. \
         Further queries wait. Each query uses a connection of its own.";
    plain "ATLASHUB_PLUGIN_QUERY_SECONDS" "60"
        "Maximum duration of a plugin's query, including the time in which the plugin reads its rows, in seconds.";
    plain "ATLASHUB_PLUGIN_CONNECTIONS" "4"
        "Maximum number of connections for the calls of plugins, for each of two purposes: the platform database, and \
         listing tables of projects' databases. AtlasHub's own work uses other connections.";
    plain "ATLASHUB_PLUGIN_STREAM_IDLE_SECONDS" "60"
        "Seconds after which a stream from the host to a plugin is closed if the plugin does not read it, or reads \
         less than 16 KiB per second on average.";
    plain "ATLASHUB_PLUGIN_MAX_HTTP_BODY_MIB" "5120"
        "Maximum size of an HTTP body that a plugin sends or receives as a stream, in MiB. This includes bodies that a \
         plugin only forwards, for example into an object. Forwarded bodies do not count towards \
         `ATLASHUB_PLUGIN_MAX_HOST_CALL_MIB`.";
    plain "ATLASHUB_PLUGIN_STATE_KIB" "1024"
        "Maximum total size of the values that a plugin keeps between runs for one project, or for the platform, in \
         KiB.";
    plain "ATLASHUB_PLUGIN_MAX_FILE_MIB" "64"
        "Maximum size of a plugin's file, in MiB. The file is in memory while it is checked and compiled. The \
         machine code of a loaded plugin, up to twice that size, stays in memory.";
    plain "ATLASHUB_PLUGIN_COMPILE_MEMORY_MIB" "1024"
        "Maximum memory of the process that compiles a plugin, in MiB. A plugin that needs more is rejected. A plugin \
         in Python (20 MB) needs about 400 MiB, a plugin of 1 MB less than 128 MiB. Plugins are compiled one at a \
         time.";
    plain "ATLASHUB_HTTP_ALLOWED_HOSTS" ""
        "Comma-separated hosts to which jobs and plugins may send HTTP requests, each as \
         `[scheme://]host[:port][+private]`. The host is a name, an IP address (IPv6 in brackets), `*.suffix`, or `*` \
         for any public host. Without a scheme, `http` and `https` are allowed. Without a port, all ports are allowed \
         except those of other protocols, such as 25 and 5432. `+private` permits private IP addresses, and can't \
         follow `*`. Unset: no host.";
    plain "ATLASHUB_CA_FILE" ""
        "PEM file with certificate authorities that HTTP requests of jobs and plugins, webhooks and mail trust in \
         addition to the public ones. For Postgres, set `sslrootcert` in its URL. The certificate of the S3 store is \
         checked with the certificate authorities of the machine.";
    plain "ATLASHUB_BACKUP_AGE_RECIPIENTS" ""
        "Comma-separated public keys (from `age-keygen`) to which backups are encrypted. Set it in every process that \
         runs jobs. Unset: backups are not encrypted.";
    secret "ATLASHUB_BACKUP_AGE_IDENTITY" ""
        "Content of the file that `age-keygen` wrote, with the private key that decrypts backups, so that jobs can \
         verify them. Unset: the key must be sent with each request to verify or restore an encrypted backup, which \
         protects backups better.";
    plain "ATLASHUB_DISK_LOW_PERCENT" "10"
        "Percentage of free space on the disk with `ATLASHUB_DATA_DIR`, below which a notification is sent. 0: never.";
    plain "ATLASHUB_LOG" "info" "Log filter, for example `info,atlashub=debug`.";
    plain "ATLASHUB_LOG_FORMAT" "text" "Format of the log: `text` or `json`. In production, the default is `json`.";
}
