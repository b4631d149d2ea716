//! Measures end-user login: the latency of other requests during a storm of logins, the cost of a signed-in read, the
//! speed of a project with many users compared with one with few users, and whether response times reveal that an
//! account exists.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{
    load::{Load, Outcome, Request},
    platform::Platform,
    project::Project,
    signed_in_read,
    statistics::{REPETITIONS, mann_whitney_z, median},
};

const PASSWORD: &str = "correct horse battery";
/// Connections of the paced load, and of the storm that runs at the same time.
const CONNECTIONS: usize = 16;
/// Paced requests per second, far below what the server can do, so that the p99 measures waiting and not saturation.
const PACED_PER_SECOND: f64 = 500.0;
/// Minimum duration of each measurement with or without a storm. In a shorter one, a few slow requests would decide the
/// p99.
const MIN_STORM_DURATION: Duration = Duration::from_secs(10);
/// Number of users in each project who can log in.
const ACTIVE_USERS: usize = 10;
const MANY_USERS: usize = 100_000;
const EXPIRED_TOKENS_PER_USER: usize = 10;
/// Number of requests of each kind. The result is the median of their times.
const SAMPLES: usize = 60;
/// Pause before each request whose time is compared.
const PAUSE: Duration = Duration::from_millis(20);
/// Number of compared logins of each kind: known accounts and unknown accounts.
const TIMED_LOGINS: usize = 200;

/// p99 of reads by key without and with a storm of logins, and the rate of these logins.
pub struct Storm {
    pub without: Duration,
    pub with: Duration,
    pub logins_per_second: f64,
}

/// Reads by primary key per second.
pub struct Reads {
    pub secret_key: f64,
    /// All requests have the access token of one session, so that they can share statements.
    pub one_session: f64,
    /// Each request has the access token of another session.
    pub many_sessions: f64,
}

/// Median times of one request in the small and in the large project.
pub struct Sizes {
    pub name: &'static str,
    pub few: Duration,
    pub many: Duration,
    /// The goal for `many`, for the report.
    pub goal: &'static str,
}

/// Median times for known and unknown accounts, and the significance of their difference.
pub struct Timing {
    pub name: &'static str,
    pub known: Duration,
    pub unknown: Duration,
    /// Standard score of the Mann-Whitney test. Beyond ±1.96, the times differ with a confidence of 95 %.
    pub z: f64,
}

/// Results of the bench.
pub struct Figures {
    pub storm: Storm,
    pub reads: Reads,
    pub sizes: Vec<Sizes>,
    pub timings: Vec<Timing>,
}

/// Measures all figures. `tokens` are access tokens of a user who can read the table `notes`.
pub async fn measure(platform: &Platform, tokens: &[String], duration: Duration) -> Result<Figures> {
    let few = project_with_users(platform, "few users").await?;
    let storm = storm(platform, &few, duration.max(MIN_STORM_DURATION)).await?;
    eprintln!("bench: logins, reads");
    let reads = reads(platform, tokens, duration).await?;
    eprintln!("bench: logins, sizes");
    let many = project_with_users(platform, "many users").await?;
    add_many_users(platform, &many).await?;
    let sizes = sizes(platform, &few, &many).await?;
    eprintln!("bench: logins, timings");
    let timings = vec![
        timing(platform, &few, "login, wrong password", "login", TIMED_LOGINS).await?,
        timing(platform, &few, "request for a reset link", "recover", TIMED_LOGINS / 4).await?,
    ];
    Ok(Figures { storm, reads, sizes, timings })
}

fn email(number: usize) -> String {
    format!("active{number}@example.com")
}

/// Creates a project with login and [`ACTIVE_USERS`].
async fn project_with_users(platform: &Platform, name: &str) -> Result<Project> {
    let project = Project::create(platform, name).await?;
    platform.admin_patch(&project.path("/auth"), &json!({ "enabled": true })).await?;
    for number in 0..ACTIVE_USERS {
        let user = json!({ "email": email(number), "password": PASSWORD });
        platform.admin_post(&project.path("/users"), &user).await?;
    }
    Ok(project)
}

/// Adds users, each with an expired session whose tokens were not deleted yet.
async fn add_many_users(platform: &Platform, project: &Project) -> Result<()> {
    for sql in [
        format!(
            "INSERT INTO auth.users (id, email, created_at)
             SELECT gen_random_uuid(), 'user' || i || '@example.com', now() - make_interval(mins => i)
             FROM generate_series(1, {MANY_USERS}) AS i"
        ),
        "INSERT INTO auth.sessions (id, user_id, created_at, refreshed_at, expires_at)
         SELECT gen_random_uuid(), id, now() - interval '60 days', now() - interval '40 days',
             now() - interval '10 days' FROM auth.users WHERE email LIKE 'user%'"
            .to_owned(),
        format!(
            "INSERT INTO auth.refresh_tokens (hash, session_id, expires_at, used_at, successor_salt)
             SELECT sha256((s.id::text || n)::bytea), s.id, now() - interval '10 days', now() - interval '40 days',
                 sha256(n::text::bytea)
             FROM auth.sessions s, generate_series(1, {EXPIRED_TOKENS_PER_USER}) AS n
             WHERE s.expires_at < now()"
        ),
        "ANALYZE auth.users, auth.sessions, auth.refresh_tokens".to_owned(),
    ] {
        project.execute(platform, &sql).await?;
    }
    Ok(())
}

/// Measures reads by primary key at a constant rate, without and with a storm of successful logins in another project.
async fn storm(platform: &Platform, project: &Project, duration: Duration) -> Result<Storm> {
    let key = [("x-api-key", platform.secret_key())];
    let reads: Vec<_> = (1..1000).map(|id| Request::get(&format!("/v1/db/items?eq.id={id}"), &key)).collect();
    let headers = [("x-api-key", project.secret_key.as_str()), ("content-type", "application/json")];
    let login = |number| json!({ "email": email(number), "password": PASSWORD }).to_string();
    let logins: Vec<_> =
        (0..ACTIVE_USERS).map(|number| Request::post("/v1/auth/login", &headers, &login(number))).collect();
    let address = platform.gateway_address();
    let (reads, logins) = (Load::new(address, &reads), Load::new(address, &logins));
    let (mut without, mut with, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        eprintln!("bench: logins, storm");
        without.push(p99_ms(&reads.run_paced(CONNECTIONS, duration, PACED_PER_SECOND)?));
        // The storm runs on its own thread, because the paced load blocks this one.
        let outcomes = std::thread::scope(|scope| -> Result<_> {
            let storm = scope.spawn(|| -> Result<Outcome> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(logins.run(CONNECTIONS, duration))
            });
            let paced = reads.run_paced(CONNECTIONS, duration, PACED_PER_SECOND)?;
            let storm = storm.join().map_err(|_| anyhow::anyhow!("the thread of the storm panicked"))??;
            Ok((paced, storm))
        })?;
        with.push(p99_ms(&outcomes.0));
        rates.push(outcomes.1.per_second());
    }
    let time = |ms: Vec<f64>| Duration::from_secs_f64(median(ms) / 1e3);
    Ok(Storm { without: time(without), with: time(with), logins_per_second: median(rates) })
}

fn p99_ms(outcome: &Outcome) -> f64 {
    outcome.percentile(0.99).as_secs_f64() * 1e3
}

/// Measures reads of the same table with the secret key and as a signed-in user, in turn.
async fn reads(platform: &Platform, tokens: &[String], duration: Duration) -> Result<Reads> {
    let key = [("x-api-key", platform.secret_key())];
    let secret_key: Vec<_> = (1..1000).map(|id| Request::get(&format!("/v1/db/notes?eq.id={id}"), &key)).collect();
    let signed_in = |tokens: &[String]| -> Vec<_> {
        (1..1000).zip(tokens.iter().cycle()).map(|(id, token)| signed_in_read(platform, token, id)).collect()
    };
    let requests = [secret_key, signed_in(&tokens[..1]), signed_in(tokens)];
    let loads = requests.map(|requests| Load::new(platform.gateway_address(), &requests));
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..REPETITIONS {
        for (load, rates) in loads.iter().zip(&mut rates) {
            rates.push(load.run(2 * CONNECTIONS, duration).await?.per_second());
        }
    }
    let [secret_key, one_session, many_sessions] = rates.map(median);
    Ok(Reads { secret_key, one_session, many_sessions })
}

/// Measures login, refresh, the page of users and the search for a user in both projects, in turn.
async fn sizes(platform: &Platform, few: &Project, many: &Project) -> Result<Vec<Sizes>> {
    let mut logins = [Vec::new(), Vec::new()];
    let mut refreshes = [Vec::new(), Vec::new()];
    let mut pages = [Vec::new(), Vec::new()];
    let mut searches = [Vec::new(), Vec::new()];
    for sample in 0..SAMPLES {
        for (index, project) in [few, many].into_iter().enumerate() {
            let body = json!({ "email": email(sample % ACTIVE_USERS), "password": PASSWORD });
            let (time, session) = timed(platform, project, "login", &body).await?;
            logins[index].push(time);
            let body = json!({ "refreshToken": session["session"]["refreshToken"] });
            refreshes[index].push(timed(platform, project, "refresh", &body).await?.0);
            for (path, times) in [("/users?limit=50", &mut pages), ("/users?search=active3", &mut searches)] {
                let begin = Instant::now();
                platform.admin_get(&project.path(path)).await?;
                times[index].push(begin.elapsed().as_secs_f64());
            }
        }
    }
    let as_fast = "as fast as with ten users";
    let figures = [
        ("login", as_fast, logins),
        ("refresh", as_fast, refreshes),
        ("page of users", as_fast, pages),
        ("search for a user", "–", searches),
    ];
    let time = |seconds| Duration::from_secs_f64(median(seconds));
    let sizes = figures.map(|(name, goal, [few, many])| Sizes { name, few: time(few), many: time(many), goal });
    Ok(sizes.into())
}

/// Sends a request to a route of end-user login. Returns its time in seconds and the response.
async fn timed(platform: &Platform, project: &Project, route: &str, body: &Value) -> Result<(f64, Value)> {
    let begin = Instant::now();
    let (status, response) = project.auth_post(platform, route, body).await?;
    let time = begin.elapsed().as_secs_f64();
    if !status.is_success() {
        bail!("{route}: {status} {response}");
    }
    Ok((time, response))
}

/// Compares the times of a request for known and unknown accounts, in turn. Each account is used once, because the
/// attempts per account are limited.
async fn timing(
    platform: &Platform,
    project: &Project,
    name: &'static str,
    route: &str,
    samples: usize,
) -> Result<Timing> {
    let copies = format!(
        "WITH u AS (
             INSERT INTO auth.users (id, email) SELECT gen_random_uuid(), '{route}-known' || i || '@example.com'
             FROM generate_series(1, {samples}) AS i RETURNING id
         )
         INSERT INTO auth.passwords (user_id, hash) SELECT u.id, (SELECT hash FROM auth.passwords LIMIT 1) FROM u"
    );
    project.execute(platform, &copies).await?;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 1..=samples {
        for (kind, times) in [("known", &mut known), ("unknown", &mut unknown)] {
            let email = format!("{route}-{kind}{number}@example.com");
            let body = match route {
                "login" => json!({ "email": email, "password": "not the password" }),
                _ => json!({ "email": email }),
            };
            // Mails are sent after the response. They must not slow the next request down.
            tokio::time::sleep(PAUSE).await;
            let begin = Instant::now();
            let (status, response) = project.auth_post(platform, route, &body).await?;
            times.push(begin.elapsed().as_secs_f64());
            if status.as_u16() != if route == "login" { 401 } else { 202 } {
                bail!("{route}: {status} {response}");
            }
        }
    }
    let z = mann_whitney_z(&known, &unknown).context("no samples")?;
    let time = |seconds| Duration::from_secs_f64(median(seconds));
    Ok(Timing { name, known: time(known), unknown: time(unknown), z })
}
