//! End-user login: users of a project's app, their sessions, and the owner's view of them.
//!
//! Users and sessions are in schema `auth` of the project's own database, so that apps can reference `auth.users` and
//! backups contain them. The role `proj_<id>_auth` owns the schema, and only this slice connects as this role. Settings
//! and signing keys are in the platform database.
//!
//! In reading order:
//! - `state`: the state of the handlers. `request`: facts about a request's client. `events`: login events in the audit
//!   log.
//! - `database`, `schema`: statements on schema `auth`, and its migrations.
//! - `email_address`, `password_policy`, `hashing`: checks of e-mail addresses and passwords, and the hashes of
//!   passwords.
//! - `limits`: attempts per client IP address and per account.
//! - `users`, `queries`: users as rows. `methods`: how users prove who they are. `access_tokens`, `sessions`,
//!   `refresh`: tokens of a session. `session_check`: the gate's check that a session still exists.
//! - `login`, `account`, `account_queries`: signing up, in and out; changes that users make to themselves.
//! - `mail`, `mailed_tokens`, `links`, `requested_links`, `recovery`, `magic_link`: mailed links and their use.
//! - `second_factor`: authenticator apps and recovery codes, and the second step of a login.
//! - `settings`, `administration`: the owner's settings and operations. `detail`: one user with sessions and
//!   references. `claims_of_user`: the claims with which the owner reads rows as a user.
//! - `routes`: the handlers, those of the public surface and those of the owner.
//! - `sweep`: removal of expired sessions, tokens and challenges.
//!
//! Deliberately absent: verifying access tokens (`projects::gate`), and access of signed-in users to rows, which
//! Postgres decides through grants and policies.

mod access_tokens;
mod account;
mod account_queries;
mod administration;
mod claims_of_user;
mod database;
mod detail;
mod email_address;
mod events;
mod hashing;
mod limits;
mod links;
mod login;
mod magic_link;
mod mail;
mod mailed_tokens;
mod methods;
mod password_policy;
mod queries;
mod recovery;
mod refresh;
mod request;
mod requested_links;
mod schema;
mod second_factor;
mod session_check;
mod sessions;
mod settings;
mod state;
mod sweep;
mod users;

pub(crate) mod routes;

pub use second_factor::SEALED_COLUMNS;
pub use state::AuthState;
pub use sweep::sweep_ended_sessions;
