use std::{num::NonZeroU32, sync::Arc, time::Duration};

use api_types::KeyType;
use dashmap::DashMap;
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use crate::{
    config::LimitsConfig,
    error::{ApiError, ApiResult, Code},
};

/// Requests per second of one project and kind of key; bursts of twice that.
#[derive(Debug)]
pub(super) struct Limiter(DefaultDirectRateLimiter);

impl Limiter {
    pub(super) fn check(&self) -> ApiResult<()> {
        self.0.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            too_many(wait)
        })
    }
}

pub(super) fn too_many(wait: Duration) -> ApiError {
    ApiError::new(Code::RateLimited, "Too many requests.")
        .with_hint("Wait as long as `Retry-After` says, then try again.")
        .with_retry_after(wait)
}

/// Limiters of every project in use.
#[derive(Clone)]
pub struct RateLimits {
    publishable: Option<NonZeroU32>,
    secret: Option<NonZeroU32>,
    limiters: Arc<DashMap<(String, KeyType), Arc<Limiter>>>,
}

impl RateLimits {
    pub fn new(limits: &LimitsConfig) -> Self {
        Self {
            publishable: NonZeroU32::new(limits.publishable_per_second),
            secret: NonZeroU32::new(limits.secret_per_second),
            limiters: Arc::default(),
        }
    }

    /// The project's limiter; none where there is no limit.
    pub(super) fn limiter(&self, project: &str, key_type: KeyType) -> Option<Arc<Limiter>> {
        let per_second = match key_type {
            KeyType::Publishable => self.publishable,
            KeyType::Secret => self.secret,
        }?;
        let limiter = self.limiters.entry((project.to_owned(), key_type)).or_insert_with(|| {
            let burst = per_second.saturating_add(per_second.get());
            Arc::new(Limiter(RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst))))
        });
        Some(limiter.clone())
    }
}
