//! The state of the handlers of end-user login.

use crate::{
    auth::{
        access_tokens::TokenSigner, database::AuthDatabase, hashing::PasswordHasher, limits::AttemptLimits,
        mail::Mailer, schema, second_factor::DataKeys,
    },
    config::{AuthConfig, TrustedCertificates},
    error::ApiResult,
    projects::{AuthResources, AuthSettingsCache, UserTokens},
};

/// State of the handlers of end-user login.
#[derive(Clone)]
pub struct AuthState {
    pub(super) projects: AuthResources,
    pub(super) settings: AuthSettingsCache,
    /// Issuer and public keys of access tokens.
    pub(super) tokens: UserTokens,
    pub(super) database: AuthDatabase,
    pub(super) signer: TokenSigner,
    pub(super) hasher: PasswordHasher,
    pub(super) limits: AttemptLimits,
    pub(super) mailer: Mailer,
    /// Keys that seal values in projects' databases.
    pub(super) data_keys: DataKeys,
}

impl AuthState {
    /// Creates the state.
    ///
    /// # Errors
    /// Fails if TLS for mail can't be set up.
    pub fn new(
        projects: AuthResources,
        settings: AuthSettingsCache,
        tokens: UserTokens,
        config: &AuthConfig,
        trusted: &TrustedCertificates,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            database: AuthDatabase::new(projects.clone()),
            signer: TokenSigner::new(projects.platform.clone(), projects.sealer.clone()),
            hasher: PasswordHasher::new(config.hash_concurrency),
            limits: AttemptLimits::default(),
            mailer: Mailer::new(config.smtp.as_ref(), trusted)?,
            data_keys: DataKeys::new(projects.platform.clone(), projects.sealer.clone()),
            projects,
            settings,
            tokens,
        })
    }

    /// Makes the login role the owner of the tables of schema `auth` in a database that is being restored, if it has
    /// them.
    ///
    /// # Errors
    /// Returns 409 if schema `auth` contains tables or other objects that can't be taken over.
    pub async fn take_over_restored(&self, project: &str, database: &str) -> ApiResult<()> {
        schema::take_over_restored(&self.projects, project, database).await
    }

    /// Removes what is cached about a project that was deleted, or whose database was replaced.
    pub fn forget_project(&self, project: &str) {
        self.settings.forget(project);
        self.tokens.forget(project);
        self.signer.forget(project);
        self.database.forget(project);
    }
}
