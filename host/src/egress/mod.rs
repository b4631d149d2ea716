//! HTTP requests out of the platform, for jobs and notifications: to hosts on the allowlist, and never by accident
//! into the network that the platform itself is in.
//!
//! A target is checked in this order: the URL as parsed once, the allowlist, the caller's scope, the port, then every
//! address that the name resolves to. The addresses that passed are the ones dialled, on a connection of the
//! request's own: nothing is looked up a second time, and no connection outlives its check. A redirect's target goes
//! through all of it again.
//!
//! Deliberately absent: proxies (also those of the environment), cookies, kept connections, decompression, HTTP/2,
//! certificates of authorities that are neither public nor the owner's (`ATLASHUB_CA_FILE`). The platform's own requests to its store or to Cloudflare
//! Access don't pass here; their addresses are configuration.
//!
//! Reading order: `address` (which addresses are private), `request`, `error`, `target` (the checks), `resolver`,
//! `hop` (one request and the one that follows a redirect), `exchange` (all hops, within their limits).

mod address;
mod error;
mod exchange;
mod hop;
mod request;
mod resolver;
mod target;

pub use error::{EgressError, tls_reason};
pub use exchange::Egress;
pub use request::{EgressBody, EgressHeader, EgressRequest, EgressResponse, HeaderText, MAX_RESPONSE_BYTES};
pub use resolver::{ResolveHost, SystemResolver};
