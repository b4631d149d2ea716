//! Extractors of bodies, query strings and paths whose rejections are [`ApiError`]s.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, RawPathParams, Request, rejection::PathRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{ApiError, Code};

use super::decode;

/// Maximum number of characters of a name in a message.
const MAX_SHOWN_CHARACTERS: usize = 80;

/// A decoded JSON body of a request, or a JSON response. Its rejections are [`ApiError`]s.
#[derive(Debug, Clone)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let JsonBody(body) = JsonBody::from_request(request, state).await?;
        decode::from_json(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for ApiJson<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

/// A JSON body that may be left out. The body `null` counts as left out, too.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let bytes = bytes.map_err(|_| ApiError::invalid("The body could not be read completely."))?;
        if bytes.is_empty() || bytes.as_ref() == b"null" {
            return Ok(Self(T::default()));
        }
        let request = Request::from_parts(parts, axum::body::Body::from(bytes));
        ApiJson::<T>::from_request(request, state).await.map(|ApiJson(value)| Self(value))
    }
}

/// An empty object, for routes whose body has no fields.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

/// A JSON body that is not parsed yet.
#[derive(Debug, Clone)]
pub struct JsonBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !has_json_content_type(&request) {
            return Err(ApiError::new(
                Code::UnsupportedMediaType,
                "Send the body with the header `content-type: application/json`.",
            ));
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::new(Code::BodyTooLarge, "The body is larger than this endpoint allows.")
            } else {
                ApiError::invalid("The body could not be read completely. Send the request again.")
            }
        })
    }
}

/// Returns whether the content type is `application/json` or `application/<name>+json`.
fn has_json_content_type(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}

/// The query string, decoded. Its rejections are [`ApiError`]s.
#[derive(Debug, Clone)]
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        decode::from_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// A query string without parameters. Any parameter is rejected.
#[derive(Debug, Clone, Copy)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match parts.uri.query().filter(|query| !query.is_empty()) {
            None => Ok(Self),
            Some(query) => {
                let name = query.split(['=', '&']).next().unwrap_or_default();
                Err(ApiError::invalid(format!("Unknown parameter `{name}`. This route has no parameters in its URL.")))
            }
        }
    }
}

/// `axum::extract::Path` whose rejections are [`ApiError`]s. The decoded segments contain no NUL character.
#[derive(Debug, Clone)]
pub struct ApiPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if parts.uri.path().contains("%00") {
            return Err(unknown_name(parts).await);
        }
        Path::<T>::from_request_parts(parts, state)
            .await
            .map(|Path(value)| Self(value))
            // No resource has a path that does not parse.
            .map_err(|_rejection: PathRejection| ApiError::not_found("path"))
    }
}

/// Returns the error for a path with a NUL character. Postgres can't store this character, so no resource has such a
/// name.
async fn unknown_name(parts: &mut Parts) -> ApiError {
    let segments = RawPathParams::from_request_parts(parts, &()).await;
    let table = segments.ok().and_then(|segments| {
        let mut tables = segments.iter().filter(|(segment, _)| *segment == "table").map(|(_, value)| value);
        tables.find(|value| value.contains('\0')).map(|value| value.replace('\0', "%00"))
    });
    match table {
        Some(table) => {
            let table: String = table.chars().take(MAX_SHOWN_CHARACTERS).collect();
            let message = format!("Unknown table `{table}`: a name can't contain a NUL character.");
            ApiError::new(Code::UnknownTable, message)
        }
        None => ApiError::not_found("resource"),
    }
}
