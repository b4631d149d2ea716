//! The owner's settings of end-user login.

use api_types::{AuthSettings, MailText, MailTexts, UpdateAuthSettings};
use sqlx::{PgConnection, types::Json};

use super::AuthState;
use crate::{
    error::{ApiError, ApiResult},
    projects::{StoredAuthSettings, read_auth_settings},
};

const MAX_ACCESS_TOKEN_SECONDS: i32 = 24 * 3600;
/// Minimum lifetime. Clients refresh a token about 90 seconds before it expires. With a lifetime below 90 seconds, they
/// would refresh at every request, and with a slightly longer lifetime, at nearly every request.
const MIN_ACCESS_TOKEN_SECONDS: i32 = 120;
/// Maximum lifetime for tests. Lifetimes from one second up to this maximum are also allowed.
const MAX_TEST_SECONDS: i32 = 30;
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Settings of a project that never changed them. The migration has the same defaults.
fn defaults() -> StoredAuthSettings {
    StoredAuthSettings {
        enabled: false,
        allow_signup: true,
        require_verified_email: false,
        allow_magic_link: false,
        access_token_seconds: 900,
        refresh_token_days: 30,
        password_min_length: 8,
        check_session: false,
        site_url: None,
        issuer: None,
        verify_path: "/auth/verify".to_owned(),
        reset_path: "/auth/reset".to_owned(),
        magic_link_path: "/auth/magic-link".to_owned(),
        mail_texts: MailTexts::default(),
    }
}

/// Returns a project's settings.
pub(super) async fn get(state: &AuthState, project: &str) -> ApiResult<AuthSettings> {
    let stored = state.settings.get(project).await?;
    let stored = stored.map_or_else(defaults, |stored| (*stored).clone());
    Ok(to_wire(state, project, stored))
}

/// Changes a project's settings. If login is on after the change, prepares schema `auth` first. Changes of several
/// requests at the same time are all kept.
///
/// # Errors
/// Returns 400 for a value that is not allowed, and 409 if schema `auth` contains tables or other objects that can't be
/// taken over.
pub(super) async fn update(state: &AuthState, project: &str, request: UpdateAuthSettings) -> ApiResult<AuthSettings> {
    state.settings.forget(project);
    let current = state.settings.get(project).await?;
    let current = current.map_or_else(defaults, |stored| (*stored).clone());
    // If another request switches login on after this check, that request prepares the schema.
    if apply(current, request.clone())?.enabled {
        state.database.prepare(project).await?;
    }
    let mut transaction = state.projects.platform.begin().await?;
    // Without this lock, the changes of a request that stores its settings between this one's read and write would be
    // lost.
    sqlx::query("SELECT FROM projects WHERE id = $1 FOR NO KEY UPDATE")
        .bind(project)
        .execute(&mut *transaction)
        .await?;
    let current = read_auth_settings(&mut *transaction, project).await?.unwrap_or_else(defaults);
    let changed = apply(current, request)?;
    store(&mut transaction, project, &changed).await?;
    transaction.commit().await?;
    state.settings.forget(project);
    Ok(to_wire(state, project, changed))
}

fn apply(mut settings: StoredAuthSettings, request: UpdateAuthSettings) -> ApiResult<StoredAuthSettings> {
    let UpdateAuthSettings {
        enabled,
        allow_signup,
        require_verified_email,
        allow_magic_link,
        access_token_seconds,
        refresh_token_days,
        password_min_length,
        check_session,
        site_url,
        issuer,
        verify_path,
        reset_path,
        magic_link_path,
        mail_texts,
    } = request;
    set(&mut settings.enabled, enabled);
    set(&mut settings.allow_signup, allow_signup);
    set(&mut settings.require_verified_email, require_verified_email);
    set(&mut settings.allow_magic_link, allow_magic_link);
    set(&mut settings.check_session, check_session);
    set(&mut settings.access_token_seconds, access_token_seconds.map(check_lifetime).transpose()?);
    let in_range = |name: &str, value: Option<i32>, min: i32, max: i32| match value {
        Some(value) if !(min..=max).contains(&value) => {
            Err(ApiError::invalid(format!("`{name}` must be {min} to {max}.")))
        }
        value => Ok(value),
    };
    set(&mut settings.refresh_token_days, in_range("refreshTokenDays", refresh_token_days, 1, 3650)?);
    set(&mut settings.password_min_length, in_range("passwordMinLength", password_min_length, 6, 128)?);
    if let Some(site_url) = site_url {
        settings.site_url = site_url.map(|url| check_url("siteUrl", &url)).transpose()?;
    }
    if let Some(issuer) = issuer {
        settings.issuer = issuer.map(|issuer| check_issuer(&issuer)).transpose()?;
    }
    set(&mut settings.verify_path, verify_path.map(|path| check_path("verifyPath", path)).transpose()?);
    set(&mut settings.reset_path, reset_path.map(|path| check_path("resetPath", path)).transpose()?);
    set(&mut settings.magic_link_path, magic_link_path.map(|path| check_path("magicLinkPath", path)).transpose()?);
    if let Some(texts) = mail_texts {
        let MailTexts { verify, reset, change_email, email_taken, magic_link } = &texts;
        for (kind, text) in [
            ("verify", verify),
            ("reset", reset),
            ("changeEmail", change_email),
            ("emailTaken", email_taken),
            ("magicLink", magic_link),
        ] {
            text.as_ref().map_or(Ok(()), |text| check_text(kind, text))?;
        }
        settings.mail_texts = texts;
    }
    Ok(settings)
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn check_lifetime(seconds: i32) -> ApiResult<i32> {
    match seconds {
        1..=MAX_TEST_SECONDS | MIN_ACCESS_TOKEN_SECONDS..=MAX_ACCESS_TOKEN_SECONDS => Ok(seconds),
        31..MIN_ACCESS_TOKEN_SECONDS => Err(ApiError::invalid(format!(
            "`accessTokenSeconds` must be at least {MIN_ACCESS_TOKEN_SECONDS}: clients refresh a token about 90 \
             seconds before it expires, so they would refresh this one at nearly every request."
        ))
        .with_hint(format!("Use {MIN_ACCESS_TOKEN_SECONDS} or more. 1 to {MAX_TEST_SECONDS} are allowed for tests."))),
        _ => Err(ApiError::invalid(format!(
            "`accessTokenSeconds` must be {MIN_ACCESS_TOKEN_SECONDS} to {MAX_ACCESS_TOKEN_SECONDS}, or 1 to \
             {MAX_TEST_SECONDS} for tests."
        ))),
    }
}

/// Returns an `http` or `https` URL without a slash at its end.
fn check_url(field: &str, text: &str) -> ApiResult<String> {
    let url = url::Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let url = url.ok_or_else(|| {
        ApiError::invalid(format!("`{field}` is not a URL of a site."))
            .with_hint("Use `scheme://host`, with a path if the app has one, e.g. https://app.example.com.")
    })?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Checks an issuer. Verifiers compare it character by character, so it stays as it was sent.
fn check_issuer(text: &str) -> ApiResult<String> {
    check_url("issuer", text)?;
    Ok(text.to_owned())
}

fn check_path(field: &str, path: String) -> ApiResult<String> {
    let is_valid = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 200
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~?=&%".contains(&byte));
    match is_valid {
        true => Ok(path),
        false => Err(ApiError::invalid(format!("`{field}` must be a path such as `/auth/verify`."))
            .with_hint("Use one slash at the start, and at most 200 letters, digits and characters of `/-._~?=&%`.")),
    }
}

fn check_text(kind: &str, text: &MailText) -> ApiResult<()> {
    let MailText { subject, text, html } = text;
    if subject.trim().is_empty() || subject.chars().count() > 200 || subject.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "The subject of mail `{kind}` must be one line of 1 to 200 characters."
        )));
    }
    let html = html.as_deref().unwrap_or_default();
    if text.trim().is_empty() || text.len() > MAX_TEXT_BYTES || html.len() > MAX_TEXT_BYTES {
        return Err(ApiError::invalid(format!("The text of mail `{kind}` must have 1 to {MAX_TEXT_BYTES} bytes."))
            .with_hint("The HTML has the same maximum, but may be left out."));
    }
    if text.contains('\0') || html.contains('\0') {
        return Err(ApiError::unstorable_text());
    }
    let needs_link = kind != "emailTaken";
    if needs_link && (!text.contains("{{link}}") || !html.is_empty() && !html.contains("{{link}}")) {
        return Err(ApiError::invalid(format!("The text of mail `{kind}` does not contain `{{{{link}}}}`."))
            .with_hint("Add it to the plain text and, if there is one, to the HTML."));
    }
    Ok(())
}

async fn store(db: &mut PgConnection, project: &str, settings: &StoredAuthSettings) -> ApiResult<()> {
    sqlx::query(
        "INSERT INTO auth_settings (project_id, enabled, allow_signup, require_verified_email, access_token_seconds,
             refresh_token_days, password_min_length, check_session, site_url, issuer, verify_path, reset_path,
             mail_texts, allow_magic_link, magic_link_path)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT (project_id) DO UPDATE SET enabled = excluded.enabled, allow_signup = excluded.allow_signup,
             require_verified_email = excluded.require_verified_email,
             access_token_seconds = excluded.access_token_seconds, refresh_token_days = excluded.refresh_token_days,
             password_min_length = excluded.password_min_length, check_session = excluded.check_session,
             site_url = excluded.site_url, issuer = excluded.issuer, verify_path = excluded.verify_path,
             reset_path = excluded.reset_path, mail_texts = excluded.mail_texts,
             allow_magic_link = excluded.allow_magic_link, magic_link_path = excluded.magic_link_path,
             updated_at = now()",
    )
    .bind(project)
    .bind(settings.enabled)
    .bind(settings.allow_signup)
    .bind(settings.require_verified_email)
    .bind(settings.access_token_seconds)
    .bind(settings.refresh_token_days)
    .bind(settings.password_min_length)
    .bind(settings.check_session)
    .bind(&settings.site_url)
    .bind(&settings.issuer)
    .bind(&settings.verify_path)
    .bind(&settings.reset_path)
    .bind(Json(&settings.mail_texts))
    .bind(settings.allow_magic_link)
    .bind(&settings.magic_link_path)
    .execute(db)
    .await?;
    Ok(())
}

fn to_wire(state: &AuthState, project: &str, stored: StoredAuthSettings) -> AuthSettings {
    AuthSettings {
        enabled: stored.enabled,
        allow_signup: stored.allow_signup,
        require_verified_email: stored.require_verified_email,
        allow_magic_link: stored.allow_magic_link,
        access_token_seconds: stored.access_token_seconds,
        refresh_token_days: stored.refresh_token_days,
        password_min_length: stored.password_min_length,
        check_session: stored.check_session,
        site_url: stored.site_url,
        issuer: stored.issuer.unwrap_or_else(|| state.tokens.issuer(project)),
        verify_path: stored.verify_path,
        reset_path: stored.reset_path,
        magic_link_path: stored.magic_link_path,
        mail_texts: stored.mail_texts,
        mail_configured: state.mailer.is_configured(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_below_two_minutes_are_refused_except_those_for_tests() {
        for (seconds, is_allowed) in
            [(0, false), (1, true), (30, true), (31, false), (119, false), (120, true), (86_400, true), (86_401, false)]
        {
            assert_eq!(check_lifetime(seconds).is_ok(), is_allowed, "{seconds}");
        }
        let error = check_lifetime(0).unwrap_err();
        assert!(error.message().contains("must be 120 to 86400, or 1 to 30 for tests"), "{}", error.message());
    }

    #[test]
    fn only_urls_of_sites_and_plain_paths_are_accepted() {
        for (url, expected) in [
            ("https://app.example.com", Some("https://app.example.com")),
            ("https://app.example.com/", Some("https://app.example.com")),
            ("http://localhost:3000/app", Some("http://localhost:3000/app")),
            ("javascript:alert(1)", None),
            ("https://user:password@example.com", None),
            ("https://example.com?a=b", None),
            ("example.com", None),
        ] {
            assert_eq!(check_url("siteUrl", url).ok().as_deref(), expected, "{url}");
        }
        for (path, is_allowed) in [
            ("/auth/verify", true),
            ("/a?kind=x", true),
            ("//evil.example.com", false),
            ("auth", false),
            ("/a\r\nb", false),
        ] {
            assert_eq!(check_path("verifyPath", path.to_owned()).is_ok(), is_allowed, "{path:?}");
        }
    }
}
