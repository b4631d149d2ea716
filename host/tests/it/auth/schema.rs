//! The schema `auth` in the project's database: its privileges, and its state after a restore.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::Connection as _;

use super::{PASSWORD, enable, execute, log_in, query, refresh, sign_up, start};
use crate::support::{TestApp, TestProject, code};

/// Runs a statement in the SQL editor. Returns the SQLSTATE if Postgres refused it.
async fn editor(project: &TestProject, sql: &str) -> Option<String> {
    let (status, body) = project.admin().post(&project.path("/sql"), json!({ "sql": sql })).await;
    match status {
        StatusCode::OK => None,
        _ => Some(body["error"]["details"]["sqlstate"].as_str().unwrap_or(code(&body)).to_owned()),
    }
}

#[tokio::test]
async fn owner_can_reference_and_read_users_and_change_nothing() {
    let (_app, project) = start("Owner's rights").await;
    sign_up(&project, "a@example.com").await;
    for allowed in [
        "SELECT id, email, data FROM auth.users",
        "CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE)",
        "CREATE VIEW people AS SELECT id FROM auth.users",
    ] {
        assert_eq!(editor(&project, allowed).await, None, "{allowed}");
    }
    for refused in [
        "UPDATE auth.users SET role = 'owner'",
        "INSERT INTO auth.users (id, email) VALUES (gen_random_uuid(), 'b@example.com')",
        "DELETE FROM auth.users",
        "SELECT hash FROM auth.passwords",
        "SELECT hash FROM auth.refresh_tokens",
        "SELECT id FROM auth.sessions",
        "DROP TABLE auth.users CASCADE",
        "DROP SCHEMA auth CASCADE",
        "ALTER TABLE auth.users ADD COLUMN x int",
        "CREATE TABLE auth.mine (id int)",
        "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS $$ SELECT NULL::uuid $$",
        "CREATE TRIGGER t AFTER INSERT ON auth.users EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE TABLE by_email (email text REFERENCES auth.users (email))",
    ] {
        assert_eq!(editor(&project, refused).await.as_deref(), Some("42501"), "{refused}");
    }
}

#[tokio::test]
async fn public_api_never_reaches_schema_auth() {
    let (_app, project) = start("Unreachable").await;
    sign_up(&project, "a@example.com").await;
    for table in ["users", "auth.users", "passwords", "sessions", "refresh_tokens"] {
        let (status, body) = project.secret().get(&format!("/v1/db/{table}")).await;
        assert_eq!((status, code(&body)), (StatusCode::NOT_FOUND, "unknown_table"), "{table}: {body}");
    }
    let (_, tables) = project.secret().get("/v1/db/tables").await;
    assert_eq!(tables, json!({ "tables": [] }));
}

#[tokio::test]
async fn backup_role_reads_every_table() {
    let (_app, project) = start("Backup").await;
    let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = 'auth' AND c.relkind = 'r'";
    let readable = format!("{tables} AND has_table_privilege('proj_{}_backup', c.oid, 'SELECT')", project.id);
    let (all, readable) = (query::<i64>(&project, tables).await, query::<i64>(&project, &readable).await);
    assert_eq!((all, readable), (9, 9));
}

/// Puts the database in the state in which a restore leaves it: everything belongs to the project's owner, other roles
/// have no privileges, and a trigger of the archive is attached to `auth.users`.
pub(super) async fn pretend_restore(project: &TestProject) {
    let owner = format!("proj_{}_owner", project.id);
    execute(
        project,
        &format!(
            "ALTER SCHEMA auth OWNER TO {owner};
             DO $$ DECLARE t text; BEGIN
                 FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'auth'::regnamespace AND relkind = 'r' LOOP
                     EXECUTE format('ALTER TABLE auth.%I OWNER TO {owner}', t);
                     EXECUTE format('REVOKE ALL ON auth.%I FROM PUBLIC, proj_{id}_auth, proj_{id}_backup', t);
                 END LOOP;
             END $$;
             REVOKE ALL ON SCHEMA auth FROM proj_{id}_auth, proj_{id}_app, proj_{id}_user, proj_{id}_anon;
             CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
             CREATE TRIGGER evil BEFORE INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION evil();",
            id = project.id,
        ),
    )
    .await;
}

#[tokio::test]
async fn schema_of_a_restored_database_is_taken_over_and_its_sessions_end() {
    let (_app, project) = start("Restored").await;
    let old = sign_up(&project, "a@example.com").await;
    pretend_restore(&project).await;
    let (status, body) = log_in(&project, "a@example.com", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["user"]["id"], old["user"]["id"]);
    assert_eq!(refresh(&project, &old["session"]["refreshToken"]).await.0, StatusCode::UNAUTHORIZED);
    sign_up(&project, "b@example.com").await;
    assert_eq!(editor(&project, "UPDATE auth.users SET role = 'owner'").await.as_deref(), Some("42501"));
    let usable = format!("SELECT has_schema_privilege('proj_{}_user', 'auth', 'USAGE')", project.id);
    assert!(query::<bool>(&project, &usable).await);
}

/// A backup by an earlier version has the tables of the first two migrations only.
#[tokio::test]
async fn missing_migrations_are_applied_to_a_restored_database() {
    let (_app, project) = start("Older").await;
    sign_up(&project, "a@example.com").await;
    pretend_restore(&project).await;
    execute(
        &project,
        "DROP TABLE auth.totp_factors, auth.recovery_codes, auth.mfa_challenges;
         ALTER TABLE auth.users DROP COLUMN second_factor_at;
         ALTER TABLE auth.sessions DROP COLUMN methods, DROP COLUMN has_second_factor;
         DELETE FROM auth.schema_migrations WHERE version = 3",
    )
    .await;
    let (status, body) = log_in(&project, "a@example.com", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM auth.schema_migrations").await, 3);
}

/// Query for what belongs to the tables of schema `auth`, except their columns, and for the privileges on them.
const CATALOGUE: &str = "
    WITH t AS (SELECT * FROM pg_class WHERE relnamespace = 'auth'::regnamespace AND relkind = 'r' AND relname <> 'mine')
    SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
        SELECT format('%s is of %s, row-level security %s', relname, relowner::regrole, relrowsecurity) AS line FROM t
        UNION ALL SELECT format('%s: %s', k.conname, pg_get_constraintdef(k.oid))
            FROM t JOIN pg_constraint k ON t.oid IN (k.conrelid, k.confrelid) WHERE k.contype <> 'n'
        UNION ALL SELECT format('%s.%s: %s', relname, adnum, pg_get_expr(adbin, adrelid))
            FROM t JOIN pg_attrdef ON adrelid = t.oid
        UNION ALL SELECT pg_get_indexdef(indexrelid) FROM t JOIN pg_index ON indrelid = t.oid
        UNION ALL SELECT tgname FROM t JOIN pg_trigger ON tgrelid = t.oid WHERE NOT tgisinternal
        UNION ALL SELECT rulename FROM t JOIN pg_rewrite ON ev_class = t.oid
        UNION ALL SELECT polname FROM t JOIN pg_policy ON polrelid = t.oid
        UNION ALL SELECT stxname FROM t JOIN pg_statistic_ext ON stxrelid = t.oid
        UNION ALL SELECT format('%s: %s for %s', relname, privilege_type, grantee::regrole)
            FROM t, aclexplode(relacl) WHERE grantee <> relowner
        UNION ALL SELECT format('%s.%s: %s for %s', relname, attname, privilege_type, grantee::regrole)
            FROM t JOIN pg_attribute ON attrelid = t.oid, aclexplode(attacl) WHERE grantee <> relowner
        UNION ALL SELECT format('schema: %s for %s', privilege_type, grantee::regrole)
            FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'auth' AND grantee <> nspowner
    ) AS lines";

#[tokio::test]
async fn restored_login_tables_lose_what_the_archive_attached_to_them() {
    let (_app, project) = start("Attached").await;
    sign_up(&project, "a@example.com").await;
    let new: String = query(&project, CATALOGUE).await;
    pretend_restore(&project).await;
    let app = format!("proj_{}_app", project.id);
    execute(
        &project,
        &format!(
            "GRANT ALL ON auth.passwords, auth.users TO {app}, PUBLIC; GRANT SELECT (hash) ON auth.passwords TO {app};
             GRANT CREATE ON SCHEMA auth TO {app};
             CREATE TABLE leak (id uuid); CREATE TABLE auth.mine (id int);
             CREATE FUNCTION spy(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'spied'; END $$;
             ALTER TABLE auth.users ADD CONSTRAINT spy CHECK (spy(email)) NOT VALID, DROP CONSTRAINT users_role_check,
                 ALTER COLUMN role SET DEFAULT 'owner', ALTER COLUMN created_at DROP DEFAULT;
             ALTER TABLE auth.mailed_tokens DROP CONSTRAINT mailed_tokens_purpose_check,
                 ADD CONSTRAINT mailed_tokens_purpose_check CHECK (spy(purpose)) NOT VALID;
             CREATE RULE leak AS ON INSERT TO auth.sessions DO ALSO INSERT INTO public.leak VALUES (new.id);
             CREATE INDEX spied ON auth.sessions (spy(user_agent)) WHERE id IS NULL;
             DROP INDEX auth.users_created_at_idx;
             CREATE STATISTICS spied ON (spy(email)), email FROM auth.users;
             ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY; ALTER TABLE auth.users FORCE ROW LEVEL SECURITY;
             CREATE POLICY spied ON auth.users USING (spy(email));
             CREATE TABLE holds (id uuid REFERENCES auth.sessions (id));
             CREATE TABLE keeps (id uuid REFERENCES auth.users (id))"
        ),
    )
    .await;
    let (status, body) = log_in(&project, "a@example.com", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    sign_up(&project, "b@example.com").await;
    let kept: String =
        query(&project, "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'keeps_id_fkey'").await;
    let expected = format!("{new}\nkeeps_id_fkey: {kept}");
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&query::<String>(&project, CATALOGUE).await), sorted(&expected));
    assert_eq!(query::<i64>(&project, "SELECT count(*) FROM leak").await, 0);
}

#[tokio::test]
async fn restored_table_with_a_generated_column_is_refused_and_the_column_is_named() {
    let (_app, project) = start("Generated").await;
    sign_up(&project, "a@example.com").await;
    pretend_restore(&project).await;
    execute(&project, "ALTER TABLE auth.users ADD COLUMN spied text GENERATED ALWAYS AS (lower(email)) STORED").await;
    let (status, body) = log_in(&project, "a@example.com", PASSWORD).await;
    assert_eq!((status, code(&body)), (StatusCode::CONFLICT, "conflict"), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("`spied`"), "{body}");
}

#[tokio::test]
async fn missing_schema_is_created_when_login_is_used() {
    let (_app, project) = start("Earlier").await;
    sign_up(&project, "a@example.com").await;
    execute(&project, "DROP SCHEMA auth CASCADE").await;
    assert_eq!(log_in(&project, "a@example.com", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    sign_up(&project, "a@example.com").await;
}

#[tokio::test]
async fn table_of_the_project_is_not_taken_over() {
    let app = TestApp::start().await;
    let project = app.create_project("Own tables").await;
    project.sql("CREATE TABLE auth.users (id int PRIMARY KEY)").await;
    let (status, body) = project.admin().patch(&project.path("/auth"), json!({ "enabled": true })).await;
    assert_eq!((status, code(&body)), (StatusCode::CONFLICT, "conflict"), "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("`users`"), "{body}");
    let (_, settings) = project.admin().get(&project.path("/auth")).await;
    assert_eq!(settings["enabled"], false);
    project.sql("DROP TABLE auth.users").await;
    enable(&project).await;
}

#[tokio::test]
async fn deleted_project_leaves_no_role() {
    let (app, project) = start("Deleted").await;
    sign_up(&project, "a@example.com").await;
    let (status, body) = app.admin().delete_with(&project.path(""), json!({ "confirm": "Deleted" })).await;
    assert!(status.is_success(), "{body}");
    let mut connection = sqlx::PgConnection::connect(app.services.database_url.expose()).await.unwrap();
    let roles: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1)")
        .bind(format!("proj_{}_", project.id))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(roles, 0);
}
