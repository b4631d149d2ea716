//! Outgoing HTTP requests of plugins and notifications. Those of plugins reach only hosts on the allowlist. Those of a
//! notification channel reach only the origin of the URL that the owner entered. Both reach private IP addresses only
//! if the allowlist permits it explicitly.
//!
//! A target is checked in this order: the URL (parsed once), the allowlist, the caller's scope, the port, then every IP
//! address that the host name resolves to. The client connects only to the addresses that passed, on a new connection
//! for each request. It does not resolve the name again, and reuses no connection for a later request. The target of a
//! redirect passes all checks again.
//!
//! Deliberately absent: proxies (including those of the environment), cookies, connection reuse, HTTP/2, and
//! certificate authorities that are neither public nor listed in `ATLASHUB_CA_FILE`. The platform's own requests to its
//! store or to Cloudflare Access don't use this module; their URLs come from the configuration.
//!
//! Modules in reading order:
//! - `address`: kinds of IP addresses.
//! - `request`, `error`: the public types.
//! - `target`, `resolver`: the checks of one target.
//! - `hop`: one request, and the request that follows a redirect.
//! - `client`: the HTTP client for one connection.
//! - `body`: reads and decodes a response body.
//! - `upload`: sends a request body that is a stream.
//! - `exchange`: all hops of a request, within their limits.
//! - `smtp`: connections to mail servers, which are not HTTP.

mod address;
mod body;
mod client;
mod error;
mod exchange;
mod hop;
mod request;
mod resolver;
mod smtp;
mod target;
mod upload;

pub use error::{EgressError, tls_reason};
pub use exchange::Egress;
pub use request::{
    EgressBody, EgressHeader, EgressRequest, EgressResponse, EgressStream, HeaderText, MAX_RESPONSE_BYTES,
};
pub use resolver::{ResolveHost, SystemResolver};
pub use smtp::SmtpServer;
pub use upload::EgressUpload;
