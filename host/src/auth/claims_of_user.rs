//! Makes the claims of a user, so that the owner can read rows as this user.

use async_trait::async_trait;
use chrono::Utc;
use uuid::Uuid;

use super::{
    AuthState,
    access_tokens::TokenFacts,
    database::{Bind as _, read},
    methods::Assurance,
    users::{UserRow, user_columns},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::{ClaimsOfUser, UserClaims},
};

#[async_trait]
impl ClaimsOfUser for AuthState {
    async fn claims_of_user(&self, project: &str, user: Uuid) -> ApiResult<UserClaims> {
        let settings = self.settings.enabled(project).await?;
        let text = concat!("SELECT ", user_columns!(), " FROM auth.users u WHERE u.id = $1::pg_catalog.uuid");
        let rows = self.database.rows(project, &read(text).bind(user.to_string())).await?;
        let row = rows.first().map(UserRow::parse).transpose()?.ok_or_else(|| ApiError::not_found("user"))?;
        if row.disabled_at.is_some() {
            return Err(ApiError::new(Code::Unprocessable, "The user is disabled, so they can't read any rows.")
                .with_hint("Enable the user first."));
        }
        // A user who has a second factor can only sign in with it. Which methods they would use is not known.
        let assurance = Assurance { methods: Vec::new(), has_second_factor: row.second_factor_at.is_some() };
        let default_issuer = self.tokens.issuer(project);
        let issued_at = Utc::now().timestamp();
        let facts = TokenFacts {
            project,
            issuer: settings.issuer.as_deref().unwrap_or(&default_issuer),
            session: None,
            assurance: &assurance,
            issued_at,
            expires_at: issued_at + i64::from(settings.access_token_seconds),
        };
        let json = facts.claims_json(&row.user)?;
        Ok(UserClaims { sub: row.user.id, session_id: None, json })
    }
}
