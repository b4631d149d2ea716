use std::{error::Error, io, time::Duration};

use rustls::CertificateError;

/// Why there is no answer. Every message can be shown to whoever made the request: none says which address a name
/// has, and none repeats a URL's path or a header's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error("the URL is not allowed: {0}")]
    InvalidUrl(&'static str),
    #[error("the request is not allowed: {0}")]
    InvalidRequest(String),
    /// `origin` as it would be written into the allowlist.
    #[error("{origin} is not on the allowlist; the owner can add it to ATLASHUB_HTTP_ALLOWED_HOSTS")]
    NotAllowed { origin: String },
    #[error("`{host}` is beyond the hosts that were granted")]
    OutOfScope { host: String },
    #[error(
        "port {port} of `{host}` belongs to another protocol; it is used only where ATLASHUB_HTTP_ALLOWED_HOSTS names it (`{host}:{port}`)"
    )]
    PortNotAllowed { host: String, port: u16 },
    #[error(
        "`{host}` resolves to a private address; if that is meant, add `{host}+private` to ATLASHUB_HTTP_ALLOWED_HOSTS"
    )]
    PrivateAddress { host: String },
    #[error("`{host}` can't be resolved")]
    Unresolved { host: String },
    #[error("`{host}` can't be reached: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("the exchange with `{host}` broke off: {reason}")]
    Broken { host: String, reason: String },
    #[error("no complete answer within {} s", after.as_secs_f64())]
    Timeout { after: Duration },
    #[error("there were more than {max} redirects")]
    TooManyRedirects { max: u32 },
    #[error("a redirect was not followed: {0}")]
    Redirect(#[source] Box<EgressError>),
}

impl EgressError {
    /// True where the same request will be refused again until somebody changes it, or the configuration.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::InvalidUrl(_)
            | Self::InvalidRequest(_)
            | Self::NotAllowed { .. }
            | Self::OutOfScope { .. }
            | Self::PortNotAllowed { .. }
            | Self::PrivateAddress { .. } => true,
            Self::Redirect(inner) => inner.is_refusal(),
            Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Timeout { .. }
            | Self::TooManyRedirects { .. } => false,
        }
    }

    /// True where the owner's allowlist, or a grant, is what stands in the way.
    pub fn is_denial(&self) -> bool {
        match self {
            Self::NotAllowed { .. }
            | Self::OutOfScope { .. }
            | Self::PortNotAllowed { .. }
            | Self::PrivateAddress { .. } => true,
            Self::Redirect(inner) => inner.is_denial(),
            _ => false,
        }
    }
}

/// What went wrong below HTTP, in words that name no address.
pub(super) fn reason_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it doesn't answer".to_owned();
    }
    if let Some(reason) = tls_reason(error) {
        return format!("TLS: {reason}");
    }
    let mut found = None;
    for cause in causes(error) {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.kind() != io::ErrorKind::Other
        {
            found = Some(io.kind().to_string());
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            if http.is_parse() || http.is_parse_too_large() {
                found.get_or_insert("the answer is not HTTP, or its headers are too many".to_owned());
            } else if http.is_incomplete_message() {
                found.get_or_insert("the connection was closed".to_owned());
            }
        }
    }
    found.unwrap_or_else(|| "the connection failed".to_owned())
}

/// Why no secure connection could be made, with the remedy where the owner has one; none where TLS is not the reason.
pub fn tls_reason(error: &(dyn Error + 'static)) -> Option<String> {
    let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())?;
    let rustls::Error::InvalidCertificate(wrong) = tls else { return Some(tls.to_string()) };
    Some(match wrong {
        CertificateError::UnknownIssuer => {
            "its certificate is of an authority that is not trusted; a private one's goes into the file that \
             ATLASHUB_CA_FILE names"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        _ => tls.to_string(),
    })
}

/// The error and what lies below it, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        // Its own `source` skips the error that it wraps.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| cause.source())
    })
}
