//! Signs users up, in and out.

use std::sync::Arc;

use api_types::{LogIn, LogOutScope, SignUp, SignedInUser, SignedUp, User, UserRole};
use axum::http::StatusCode;
use chrono::{SubsecRound as _, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    AuthState,
    email_address::EmailAddress,
    events::{ANONYMOUS, event, record_refusal, separate_refusal, set_refused, with_email},
    limits::Attempt,
    links::{can_mail, mail_link, mail_notice},
    mail::MailKind,
    mailed_tokens::Purpose,
    methods::Method,
    password_policy,
    queries::{self, Account, NewUser, email_taken},
    request::ClientFacts,
    second_factor::{self, FirstFactor},
    sessions::{SignInProof, open_session, signed_in},
    users::UserData,
};
use crate::{
    db::audit,
    error::{ApiError, ApiResult, Code},
    projects::{Caller, SignedInCaller, StoredAuthSettings, UserClaims},
};

/// Creates a user, and signs the user in unless the e-mail address must be verified first.
///
/// # Errors
/// Returns 400 for an invalid field or a `weak_password`, 403 `signup_disabled` if users can't sign up themselves, 404
/// `auth_disabled` if login is off, 429 after too many attempts, and 503 if too many passwords are being hashed. If the
/// e-mail address is taken, returns 409 `email_taken`, unless the address must be verified first.
pub(super) async fn sign_up(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    request: SignUp,
) -> ApiResult<SignedUp> {
    let project = caller.project.id.as_str();
    let settings = state.settings.enabled(project).await?;
    if !settings.allow_signup {
        return Err(ApiError::new(Code::SignupDisabled, "This project does not let users sign up themselves.")
            .with_hint("The project's owner can create the user."));
    }
    let SignUp { email, password, data } = request;
    let password = Zeroizing::new(password);
    let email = EmailAddress::parse(&email)?;
    let data = UserData::parse(data)?;
    password_policy::check(&password, settings.password_min_length, email.as_str())?;
    let _charged = state.limits.begin(Attempt::SignUp, caller, client.address, Some(email.as_str()))?;
    // The password is hashed even if the e-mail address is taken, so that both cases take the same time.
    let hash = state.hasher.hash(password).await?;
    let id = Uuid::new_v4().to_string();
    let new = NewUser {
        id: &id,
        email: &email,
        role: UserRole::Member.as_str(),
        data: &data,
        is_verified: false,
        password_hash: Some(&hash),
    };
    let entry = with_email(event("auth.signup", project, Some(&id), client), email.as_str());
    let created = audit::recorded(&state.projects.platform, entry, async |entry| {
        let created = queries::insert_user(&state.database, project, &new).await?;
        if created.is_none() {
            entry.target = None;
            entry.actor = ANONYMOUS.to_owned();
            set_refused(entry, &email_taken());
            if settings.require_verified_email {
                // The client receives the same response as for a new e-mail address.
                entry.status = Some(StatusCode::CREATED.as_u16());
            }
        }
        Ok::<_, ApiError>(created)
    })
    .await?;
    let is_new = created.is_some();
    let signed_up = match created {
        // A new e-mail address gives the same response as a taken one. The inserted row is not returned, because its
        // `data` has the order and spelling of jsonb, which would reveal that the address is new.
        _ if settings.require_verified_email => SignedUp { user: unverified_user(&id, &email, &data), session: None },
        None => return Err(email_taken()),
        Some(_) => {
            let proof = SignInProof::only(Method::Password, Some(&hash));
            let open = open_session(state, project, &settings, &id, proof, client).await?;
            let open = open.ok_or_else(email_taken)?;
            let SignedInUser { user, session } = signed_in(state, project, &settings, open).await?;
            mail_after_sign_up(state, caller, &settings, Some(&id), &email);
            return Ok(SignedUp { user, session: Some(session) });
        }
    };
    mail_after_sign_up(state, caller, &settings, is_new.then_some(id.as_str()), &email);
    Ok(signed_up)
}

/// Mails the user the link that verifies the e-mail address. If `user` is `None`, the address is taken, and a notice is
/// mailed to its holder instead. The mail is prepared in the background, so that both cases take the same time. Does
/// nothing if no link can be mailed, or after too many mails to the address.
fn mail_after_sign_up(
    state: &AuthState,
    caller: &Caller,
    settings: &Arc<StoredAuthSettings>,
    user: Option<&str>,
    email: &EmailAddress,
) {
    if !can_mail(state, settings) {
        return;
    }
    let (state, project, settings) = (state.clone(), caller.project.clone(), settings.clone());
    let (user, email) = (user.map(str::to_owned), email.clone());
    if state.limits.charge_account(Attempt::Recover, &project.id, email.as_str()).is_err() {
        return;
    }
    tokio::spawn(async move {
        let Some(user) = user else {
            return mail_notice(&state, &project, &settings, MailKind::EmailTaken, &email);
        };
        if let Err(error) = mail_link(&state, &project, &settings, &user, Purpose::Verify, &email).await {
            tracing::error!(
                project = project.id,
                cause = error.cause(),
                "a link to verify an e-mail address was not mailed"
            );
        }
    });
}

/// Returns a new user as the request describes it, whether the e-mail address was free or taken.
fn unverified_user(id: &str, email: &EmailAddress, data: &UserData) -> User {
    let now = Utc::now().trunc_subsecs(6);
    User {
        id: id.to_owned(),
        email: email.as_str().to_owned(),
        email_verified_at: None,
        role: UserRole::Member,
        data: serde_json::from_str(&data.set()).unwrap_or_else(|_| json!({})),
        created_at: now,
        updated_at: now,
        last_sign_in_at: None,
    }
}

/// Signs a user in with e-mail address and password.
///
/// # Errors
/// Returns 401 `invalid_credentials` for an unknown user, a disabled one and a wrong password alike. Returns 403
/// `mfa_required` if the user has a second factor, 403 `email_not_verified` if the project requires a verified e-mail
/// address and the user's is not, 404 `auth_disabled` if login is off, 429 after too many attempts, and 503 if too many
/// passwords are being hashed.
pub(super) async fn log_in(
    state: &AuthState,
    caller: &Caller,
    client: &ClientFacts,
    request: LogIn,
) -> ApiResult<SignedInUser> {
    let project = caller.project.id.as_str();
    let settings = state.settings.enabled(project).await?;
    let LogIn { email: given_email, password } = request;
    let password = Zeroizing::new(password);
    let account_name = given_email.to_lowercase();
    let charged = state.limits.begin(Attempt::LogIn, caller, client.address, Some(&account_name))?;
    let account = match EmailAddress::parse(&given_email) {
        Ok(email) => queries::account_by_email(&state.database, project, &email).await?,
        Err(_) => None,
    };
    match check_password(state, account, password).await? {
        Ok(account) => {
            // The password is correct, even if the login fails for another reason.
            charged.refund();
            let user = account.row.user.id.clone();
            let entry = with_email(event("auth.login", project, Some(&user), client), &given_email);
            if settings.require_verified_email && account.row.user.email_verified_at.is_none() {
                // The first link may have expired.
                if let Ok(email) = EmailAddress::parse(&account.row.user.email) {
                    mail_after_sign_up(state, caller, &settings, Some(&user), &email);
                }
                let error = email_not_verified(can_mail(state, &settings));
                record_refusal(&state.projects.platform, entry, &error).await;
                return Err(error);
            }
            let (method, password_hash) = (Method::Password, account.password_hash.as_deref());
            if account.row.second_factor_at.is_some() {
                let first = FirstFactor { method, password_hash, new_password_hash: None };
                let gone = invalid_credentials();
                return Err(second_factor::require(state, project, client, &account.row, first, gone).await);
            }
            audit::recorded(&state.projects.platform, entry, async |entry| {
                let proof = SignInProof::only(method, password_hash);
                let open = open_session(state, project, &settings, &user, proof, client).await?;
                // `None` means that since the check, the user was deleted or disabled, the password was changed, or a
                // second factor was set up.
                match separate_refusal(entry, open.ok_or_else(invalid_credentials))? {
                    Ok(open) => signed_in(state, project, &settings, open).await.map(Ok),
                    Err(error) => Ok(Err(error)),
                }
            })
            .await?
        }
        Err(known) => {
            let error = invalid_credentials();
            let entry = with_email(event("auth.login", project, known.as_deref(), client), &given_email);
            record_refusal(&state.projects.platform, entry, &error).await;
            Err(error)
        }
    }
}

/// Returns the account if the password is correct and the user is not disabled. Otherwise returns the user's id, or
/// `None` if there is no such user. Takes the same time in all cases, except if the password is too long.
async fn check_password(
    state: &AuthState,
    account: Option<Account>,
    password: Zeroizing<String>,
) -> ApiResult<Result<Account, Option<String>>> {
    let hash = account.as_ref().and_then(|account| account.password_hash.as_deref());
    // No user has a longer password. The client knows the length that it sent, so an early refusal reveals nothing.
    let is_right = password.len() <= password_policy::MAX_BYTES && state.hasher.verify(password, hash).await?;
    Ok(match account {
        Some(account) if is_right && account.row.disabled_at.is_none() => Ok(account),
        account => Err(account.map(|account| account.row.user.id)),
    })
}

pub(super) fn invalid_credentials() -> ApiError {
    ApiError::new(Code::InvalidCredentials, "The e-mail address or the password is wrong.")
}

fn email_not_verified(can_mail: bool) -> ApiError {
    let hint = match can_mail {
        true => "Open the link in the mail that was sent to the address.",
        false => {
            "No link can be mailed for this project. Its owner can configure a mail server and `siteUrl`, or turn \
             `requireVerifiedEmail` off."
        }
    };
    ApiError::new(Code::EmailNotVerified, "The e-mail address is not verified yet.").with_hint(hint)
}

/// Ends sessions of the signed-in user.
pub(super) async fn log_out(
    state: &AuthState,
    caller: &SignedInCaller,
    client: &ClientFacts,
    scope: LogOutScope,
) -> ApiResult<()> {
    let project = caller.project.id.as_str();
    let (user, session) = ids_of(&caller.user)?;
    let entry = event("auth.logout", project, Some(user), client);
    let mut entry = match email_of(caller) {
        Some(email) => with_email(entry, &email),
        None => entry,
    };
    entry.details["scope"] = json!(scope);
    audit::recorded(&state.projects.platform, entry, async |entry| {
        let (only, except) = match scope {
            LogOutScope::Local => (Some(session), None),
            LogOutScope::Others => (None, Some(session)),
            LogOutScope::Global => (None, None),
        };
        let ended = queries::end_sessions(&state.database, project, user, only, except).await?;
        entry.details["sessions"] = ended.into();
        Ok(())
    })
    .await
}

/// Returns the e-mail address in the claims. It is the one that the user had when the access token was signed.
fn email_of(caller: &SignedInCaller) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        email: String,
    }
    serde_json::from_str::<Claims>(&caller.user.json).ok().map(|claims| claims.email)
}

/// Returns the ids of user and session from the claims.
///
/// # Errors
/// Returns 401 if the claims don't contain both ids.
pub(super) fn ids_of(user: &UserClaims) -> ApiResult<(&str, &str)> {
    let is_id = |text: &str| text.parse::<Uuid>().is_ok();
    match user.session_id.as_deref() {
        Some(session) if is_id(session) && is_id(&user.sub) => Ok((&user.sub, session)),
        _ => Err(session_ended()),
    }
}

pub(super) fn session_ended() -> ApiError {
    ApiError::new(Code::Unauthorized, "The session has ended.").with_hint("Sign in again.")
}
