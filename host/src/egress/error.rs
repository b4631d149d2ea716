//! The errors of outgoing requests, and their reasons in words.

use std::{error::Error, io, time::Duration};

use rustls::CertificateError;

/// The reason why a request has no complete response. Every message may be shown to the author of the request: no
/// message contains the IP address that a host name resolves to, the path of a URL or the value of a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error("the URL is not allowed: {0}")]
    InvalidUrl(&'static str),
    #[error("the request is not allowed: {0}")]
    InvalidRequest(String),
    /// `origin` is written like an allowlist entry, in backticks.
    #[error("{origin} is not on the allowlist; the owner can add it to ATLASHUB_HTTP_ALLOWED_HOSTS")]
    NotAllowed { origin: String },
    #[error("`{host}` is not among the granted hosts")]
    OutOfScope { host: String },
    #[error(
        "port {port} of `{host}` is reserved for another protocol; to use it, add `{host}:{port}` to \
         ATLASHUB_HTTP_ALLOWED_HOSTS"
    )]
    PortNotAllowed { host: String, port: u16 },
    #[error(
        "`{host}` resolves to a private or reserved IP address; private ones are allowed if \
         ATLASHUB_HTTP_ALLOWED_HOSTS contains `{host}+private`"
    )]
    PrivateAddress { host: String },
    #[error("`{host}` can't be resolved")]
    Unresolved { host: String },
    #[error("`{host}` can't be reached: {reason}")]
    Unreachable { host: String, reason: String },
    /// `status` is set if the response had begun.
    #[error("the exchange with `{host}` failed: {reason}")]
    Broken { host: String, reason: String, status: Option<u16> },
    /// `status` is set if a response had begun.
    #[error("no complete response within {} s", after.as_secs_f64())]
    Timeout { after: Duration, status: Option<u16> },
    /// A body that is streamed, in either direction.
    #[error("the body of the {of} has more than {max} bytes")]
    TooLarge { of: &'static str, max: u64 },
    /// The stream that was to be sent ended with an error.
    #[error("the body of the request ended early, so the request was aborted: {reason}")]
    Upload { reason: String },
    #[error("more than {max} redirects")]
    TooManyRedirects { max: u32, status: u16 },
    /// `status` is that of the redirect.
    #[error("a redirect was not followed: {source}")]
    Redirect { status: u16, source: Box<EgressError> },
}

impl EgressError {
    /// Returns whether the same request will fail again unless the request or the configuration changes.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::InvalidUrl(_)
            | Self::InvalidRequest(_)
            | Self::NotAllowed { .. }
            | Self::OutOfScope { .. }
            | Self::PortNotAllowed { .. }
            | Self::PrivateAddress { .. } => true,
            Self::Redirect { source, .. } => source.is_refusal(),
            Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::Upload { .. }
            | Self::TooManyRedirects { .. } => false,
        }
    }

    /// Returns whether the owner's allowlist or a grant forbids the request.
    pub fn is_denial(&self) -> bool {
        match self {
            Self::NotAllowed { .. }
            | Self::OutOfScope { .. }
            | Self::PortNotAllowed { .. }
            | Self::PrivateAddress { .. } => true,
            Self::Redirect { source, .. } => source.is_denial(),
            _ => false,
        }
    }

    /// Returns the status of the last response that was received, or `None` if there was none or the error does not
    /// contain it.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Redirect { status, .. } | Self::TooManyRedirects { status, .. } => Some(*status),
            Self::Broken { status, .. } | Self::Timeout { status, .. } => *status,
            _ => None,
        }
    }
}

/// Describes why no response was received, without naming an IP address.
pub(super) fn reason_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not respond".to_owned();
    }
    reason_of_cause(error)
}

/// Returns whether a body could not be received, as opposed to decoded.
pub(super) fn is_of_connection(error: &io::Error) -> bool {
    request_error(error).is_some()
}

/// Describes a failure while a body was received.
pub(super) fn reason_of_body(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::InvalidData {
        return error.to_string();
    }
    request_error(error).map_or_else(|| reason_of_cause(error), reason_of)
}

fn request_error(error: &io::Error) -> Option<&reqwest::Error> {
    error.get_ref()?.downcast_ref()
}

fn reason_of_cause(error: &(dyn Error + 'static)) -> String {
    if let Some(reason) = tls_reason(error) {
        return format!("TLS: {reason}");
    }
    let mut reason = None;
    for cause in causes(error) {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.kind() != io::ErrorKind::Other
        {
            reason = Some(io.kind().to_string());
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            if http.is_parse() || http.is_parse_too_large() {
                reason.get_or_insert("the response is not HTTP, or has too many headers".to_owned());
            } else if http.is_incomplete_message() {
                reason.get_or_insert("the connection was closed".to_owned());
            }
        }
    }
    reason.unwrap_or_else(|| "the connection failed".to_owned())
}

/// Returns the reason why TLS failed, with a remedy if the owner has one. Returns `None` if TLS was not the cause.
pub fn tls_reason(error: &(dyn Error + 'static)) -> Option<String> {
    let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())?;
    let rustls::Error::InvalidCertificate(wrong) = tls else { return Some(tls.to_string()) };
    Some(match wrong {
        CertificateError::UnknownIssuer => {
            "its certificate is from an untrusted authority; add a private authority to the file in ATLASHUB_CA_FILE"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host name".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        _ => tls.to_string(),
    })
}

/// Returns the error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        // `io::Error::source` skips the wrapped error itself.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| cause.source())
    })
}
