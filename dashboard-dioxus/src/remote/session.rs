//! The session: reads who is signed in, and signs in and out.

use api_types::{CreateSession, Session, SignInWay};
use dioxus::prelude::*;

use super::{Failure, Method, cache, client};

/// The state of the owner's session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionState {
    /// The server has not responded yet.
    Unknown,
    SignedIn {
        actor: String,
    },
    /// Nobody is signed in. `by_access` is true if the server accepts only sign-ins through Cloudflare Access.
    SignedOut {
        by_access: bool,
    },
    /// The session ended while the dashboard was in use, or a proxy such as Cloudflare Access requires a sign-in. A
    /// page that is open stays as it is, under a dialog.
    Ended,
    /// The server did not respond.
    Unreachable,
    /// The server responded without saying who is signed in, for example because it can't reach its database, or
    /// because the account is not an owner's.
    Unchecked(Failure),
}

static STATE: GlobalSignal<SessionState> = Signal::global(|| SessionState::Unknown);

/// Returns the state, and subscribes the component to changes.
pub fn state() -> SessionState {
    STATE.read().clone()
}

/// Returns the state without subscribing.
pub fn peek() -> SessionState {
    STATE.peek().clone()
}

/// Signs in with the code in the address, if there is one, and reads who is signed in.
pub async fn start() {
    if let Some(code) = take_code() {
        // A code that was already used is ignored: the owner may be signed in.
        let _ = sign_in(&CreateSession { code: Some(code), token: None }).await;
    }
    check().await;
}

/// Removes the one-time sign-in code from the address and the history, and returns it.
fn take_code() -> Option<String> {
    let window = web_sys::window()?;
    let code = window.location().hash().ok()?.strip_prefix("#code=")?.to_owned();
    let history = window.history().ok()?;
    let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&crate::address::path_and_query()));
    Some(code)
}

/// Reads from the server who is signed in.
pub async fn check() {
    let state = match client::get::<Session>("/session").await {
        Ok(session) => SessionState::SignedIn { actor: session.actor },
        Err(Failure::Unreachable) => SessionState::Unreachable,
        // Cloudflare Access or another proxy requires a sign-in.
        Err(Failure::SignedOut) => SessionState::Ended,
        Err(failure) if failure.is_unauthorized() => {
            SessionState::SignedOut { by_access: sign_in_way(&failure) == Some(SignInWay::Access) }
        }
        Err(failure) => SessionState::Unchecked(failure),
    };
    *STATE.write() = state;
}

/// Returns how the owner must sign in, from the details of a 401.
fn sign_in_way(failure: &Failure) -> Option<SignInWay> {
    failure.details()?.get("signIn")?.as_str()?.parse().ok()
}

/// Signs in with a token or a one-time code.
///
/// # Errors
/// Returns the errors of [`crate::remote::get`]. A wrong token or code is [`Failure::Refused`].
pub async fn sign_in(credentials: &CreateSession) -> Result<(), Failure> {
    let session: Session = client::send(Method::Post, "/session", credentials).await?;
    cache::forget_all();
    *STATE.write() = SessionState::SignedIn { actor: session.actor };
    Ok(())
}

/// Ends the session on the server. Behind Cloudflare Access, returns the address that the browser must open to end the
/// sign-in, and the state stays as it is until then.
///
/// # Errors
/// Returns the errors of [`crate::remote::get`].
pub async fn sign_out() -> Result<Option<String>, Failure> {
    let session = client::get::<Session>("/session").await.ok();
    client::delete("/session").await?;
    let address = session.and_then(|session| session.sign_out_url);
    if address.is_none() {
        cache::forget_all();
        *STATE.write() = SessionState::SignedOut { by_access: false };
    }
    Ok(address)
}

/// Records that the server, or a proxy in front of it, no longer accepts the session. Does nothing if nobody was signed
/// in.
pub(super) fn end() {
    let was_signed_in = matches!(*STATE.peek(), SessionState::SignedIn { .. });
    if was_signed_in {
        *STATE.write() = SessionState::Ended;
    }
}
