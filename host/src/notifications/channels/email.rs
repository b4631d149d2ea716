//! Sends messages by e-mail.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use super::{ChannelError, Retry, Sent, TIMEOUT};
use crate::{
    config::TrustedCertificates,
    egress::{SmtpServer, tls_reason},
    notifications::{NotificationState, notification::Message, settings::EmailSettings},
};

/// Time limit of connecting to one IP address of the mail server. It leaves time to try its other IP addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of all messages of one attempt. E-mail addresses to which no message was sent by then are tried again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(40);

/// Sends the message as plain text to each e-mail address on its own, so that a refused address does not affect the
/// others. The server's certificate must be issued by a public or a configured authority. A server with a private IP
/// address needs an allowlist entry with `+private`.
pub(super) async fn send(
    settings: &EmailSettings,
    message: &Message,
    recipient: Option<&str>,
    state: &NotificationState,
) -> Result<Sent, ChannelError> {
    let mut seen = BTreeSet::new();
    let mailboxes = settings.to.iter().filter(|mailbox| seen.insert(mailbox.email.to_string()));
    let is_wanted = |mailbox: &&Mailbox| recipient.is_none_or(|address| mailbox.email.to_string() == address);
    let mailboxes: Vec<&Mailbox> = mailboxes.filter(is_wanted).collect();
    if mailboxes.is_empty() {
        return Err(ChannelError::never("The e-mail address was removed from the channel."));
    }
    let started = Instant::now();
    let resolving = state.egress.resolve(&settings.host, settings.port);
    // The connections use these checked IP addresses, because the host could resolve to others a moment later.
    let addresses = tokio::time::timeout(TIMEOUT, resolving).await.map_err(|_| no_response())??;
    let server = Server { settings, addresses, trusted: &state.trusted };
    let mut sent = Sent::default();
    let is_only_address = recipient.is_none() && mailboxes.len() == 1;
    let of_address = |mailbox: &Mailbox, error: &ChannelError| {
        let text = if is_only_address { error.text.clone() } else { format!("{}: {}", mailbox.email, error.text) };
        (mailbox.email.to_string(), ChannelError { text, ..error.clone() })
    };
    for (index, mailbox) in mailboxes.iter().enumerate() {
        let error = match server.send_to(mailbox, message, started).await {
            Ok(()) => {
                sent.any = true;
                continue;
            }
            Err(error) => error,
        };
        if !error.concerns_address {
            if !sent.any && sent.failed.is_empty() {
                return Err(error.error);
            }
            // The rest would fail in the same way.
            sent.failed.extend(mailboxes[index..].iter().map(|mailbox| of_address(mailbox, &error.error)));
            break;
        }
        sent.failed.push(of_address(mailbox, &error.error));
    }
    let retry = sent.failed.first().map_or(Retry::Never, |(_, error)| error.retry);
    let failed_alike = sent.failed.iter().all(|(_, error)| error.retry == retry);
    match sent.error() {
        Some(text) if !sent.any && failed_alike => Err(ChannelError { text, retry }),
        _ => Ok(sent),
    }
}

/// The reason why a message could not be sent to one e-mail address.
struct SendError {
    error: ChannelError,
    /// Whether the server refused this e-mail address or message, so that others can still succeed.
    concerns_address: bool,
}

/// A mail server at the IP addresses that passed the checks.
struct Server<'a> {
    settings: &'a EmailSettings,
    addresses: Vec<SocketAddr>,
    trusted: &'a TrustedCertificates,
}

impl Server<'_> {
    async fn send_to(&self, mailbox: &Mailbox, message: &Message, started: Instant) -> Result<(), SendError> {
        let of_channel = |error| SendError { error, concerns_address: false };
        let mail = mail(self.settings, mailbox, message).map_err(|error| SendError {
            error: ChannelError::never(format!("The e-mail could not be created: {error}.")),
            concerns_address: true,
        })?;
        let sending = async {
            let mut outcome = Err(of_channel(ChannelError::later("The mail server has no IP address.")));
            for address in &self.addresses {
                let transport = transport(self.settings, address.ip(), self.trusted).map_err(of_channel)?;
                match transport.send(mail.clone()).await {
                    Ok(_) => return Ok(()),
                    Err(error) => {
                        outcome = Err(failure(self.settings, &error));
                        // The server replied, or its certificate is wrong: another IP address would make no difference.
                        if error.is_permanent() || error.is_transient() || error.is_client() || error.is_tls() {
                            break;
                        }
                    }
                }
            }
            outcome
        };
        // The transport limits only the time of connecting.
        let timeout = TIMEOUT.min(ATTEMPT_TIMEOUT.saturating_sub(started.elapsed()));
        tokio::time::timeout(timeout, sending).await.unwrap_or_else(|_| Err(of_channel(no_response())))
    }
}

fn no_response() -> ChannelError {
    ChannelError::later("The mail server did not respond in time.")
}

fn failure(settings: &EmailSettings, error: &lettre::transport::smtp::Error) -> SendError {
    let reason = tls_reason(error)
        .map_or_else(|| hide_password(&error.to_string(), settings), |reason| format!("TLS: {reason}"));
    let text = format!("The mail server reported: {reason}.");
    // A permanent refusal, or a feature that the server lacks.
    let is_permanent = error.is_permanent() || error.is_client();
    SendError {
        error: if is_permanent { ChannelError::never(text) } else { ChannelError::later(text) },
        concerns_address: error.is_client() || error.status().is_some_and(|code| !is_about_session(code.into())),
    }
}

/// Returns whether a reply is about the session or its authentication (RFC 5321, section 4.2.3, and RFC 4954, section
/// 6). It would be the same for every e-mail address.
fn is_about_session(code: u16) -> bool {
    matches!(code, 421 | 432 | 454 | 500..=504 | 521 | 530 | 534 | 535 | 538)
}

fn transport(
    settings: &EmailSettings,
    address: IpAddr,
    trusted: &TrustedCertificates,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, ChannelError> {
    let server = SmtpServer {
        address: &address.to_string(),
        host: &settings.host,
        port: settings.port,
        tls: settings.tls,
        credentials: settings.credentials.as_ref(),
        connect_timeout: CONNECT_TIMEOUT,
    };
    server.transport(trusted).map_err(|error| ChannelError::later(format!("TLS could not be set up: {error}.")))
}

fn mail(
    settings: &EmailSettings,
    mailbox: &Mailbox,
    message: &Message,
) -> Result<lettre::Message, lettre::error::Error> {
    lettre::Message::builder()
        .from(settings.from.clone())
        .to(mailbox.clone())
        .subject(format!("[AtlasHub] {}", message.headline()))
        // The id stays the same on retries, so that mail programs show one message.
        .message_id(Some(format!("<{}@{}>", message.id, settings.from.email.domain())))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN)
        .body(text_of(message))
}

fn text_of(message: &Message) -> String {
    let mut text = message.text();
    text.push('\n');
    let fields = message.fields();
    if !fields.is_empty() {
        text.push('\n');
    }
    for (name, value) in fields {
        // Writing to a `String` can't fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    if let Some(link) = &message.notification.link {
        let _ = writeln!(text, "\n{link}");
    }
    text.push_str("\n-- \nAtlasHub\n");
    text
}

/// Removes the password from a server's reply, which may repeat its input. Puts the reply on one line of at most 300
/// UTF-16 units.
fn hide_password(text: &str, settings: &EmailSettings) -> String {
    let text = match &settings.credentials {
        Some((_, password)) if !password.expose().is_empty() => text.replace(password.expose(), "***"),
        _ => text.to_owned(),
    };
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::notifications::notification::truncate(one_line.trim_end_matches('.'), 300)
}
