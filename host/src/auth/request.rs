//! Facts about the client of a request.

use std::{convert::Infallible, net::IpAddr};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use crate::http::{ClientAddress, RequestId};

const MAX_USER_AGENT_CHARS: usize = 256;

/// Facts about the client of a request, for limits, sessions and the audit log.
#[derive(Debug, Clone)]
pub(crate) struct ClientFacts {
    pub address: IpAddr,
    pub request_id: Option<String>,
    pub user_agent: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for ClientFacts {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            address,
            request_id: parts.extensions.get::<RequestId>().map(|id| id.0.to_string()),
            user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT_CHARS).collect()),
        })
    }
}
