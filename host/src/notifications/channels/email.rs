use std::{fmt::Write as _, net::IpAddr};

use api_types::SmtpTls;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    message::{
        Mailboxes,
        header::{self, ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{ChannelError, TIMEOUT};
use crate::{
    config::TrustedCertificates,
    egress::{Egress, tls_reason},
    notifications::{notification::Message, settings::EmailSettings},
};

/// Sends the message as plain text. The server's certificate must be issued by a public or a configured authority. A
/// server with a private address needs an allowlist entry with `+private`.
pub(super) async fn send(
    settings: &EmailSettings,
    message: &Message,
    egress: &Egress,
    trusted: &TrustedCertificates,
) -> Result<(), ChannelError> {
    let mail = mail(settings, message)
        .map_err(|error| ChannelError::never(format!("The e-mail could not be created: {error}.")))?;
    let sending = async {
        let mut outcome = Err(ChannelError::later("The mail server has no address."));
        // The checked addresses are used: the host could resolve to others a moment later.
        for address in egress.resolve(&settings.host, settings.port).await? {
            match transport(settings, address.ip(), trusted)?.send(mail.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    outcome = Err(failure(settings, &error));
                    // The server answered, or its certificate is wrong: another address would make no difference.
                    if error.is_permanent() || error.is_transient() || error.is_client() || error.is_tls() {
                        break;
                    }
                }
            }
        }
        outcome
    };
    // The transport's own timeout applies to each command, this one to all together.
    tokio::time::timeout(TIMEOUT, sending).await.unwrap_or_else(|_| {
        Err(ChannelError::later(format!("The mail server did not respond within {} s.", TIMEOUT.as_secs())))
    })
}

fn transport(
    settings: &EmailSettings,
    address: IpAddr,
    trusted: &TrustedCertificates,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, ChannelError> {
    let tls = || {
        tls_parameters(&settings.host, trusted)
            .map_err(|error| ChannelError::later(format!("TLS could not be set up: {error}.")))
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.to_string())
        .port(settings.port)
        .timeout(Some(TIMEOUT))
        .tls(match settings.tls {
            SmtpTls::Starttls => Tls::Required(tls()?),
            SmtpTls::Tls => Tls::Wrapper(tls()?),
            SmtpTls::None => Tls::None,
        });
    if let Some((username, password)) = &settings.credentials {
        transport = transport.credentials(Credentials::new(username.clone(), password.expose().to_owned()));
    }
    Ok(transport.build())
}

fn failure(settings: &EmailSettings, error: &lettre::transport::smtp::Error) -> ChannelError {
    let reason = tls_reason(error)
        .map_or_else(|| hide_password(&error.to_string(), settings), |reason| format!("TLS: {reason}"));
    let text = format!("The mail server reported: {reason}.");
    // A permanent refusal, or a feature that the server lacks.
    if error.is_permanent() || error.is_client() { ChannelError::never(text) } else { ChannelError::later(text) }
}

fn tls_parameters(host: &str, trusted: &TrustedCertificates) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    for certificate in trusted.iter() {
        parameters = parameters.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
    }
    parameters.build()
}

fn mail(settings: &EmailSettings, message: &Message) -> Result<lettre::Message, lettre::error::Error> {
    let recipients: Mailboxes = settings.to.iter().cloned().collect();
    lettre::Message::builder()
        .from(settings.from.clone())
        .mailbox(header::To::from(recipients))
        .subject(format!("[AtlasHub] {}", message.headline()))
        // Stays the same on retries, so that mail programs show one message.
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

/// Removes the password from a server's reply, which may repeat its input.
fn hide_password(text: &str, settings: &EmailSettings) -> String {
    let text = match &settings.credentials {
        Some((_, password)) if !password.expose().is_empty() => text.replace(password.expose(), "***"),
        _ => text.to_owned(),
    };
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::notifications::notification::truncate(one_line.trim_end_matches('.'), 300)
}
