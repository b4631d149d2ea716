//! Counts the memory of all responses, by project.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dashmap::DashMap;

use super::{ResponseBuffer, ResponseError};

/// Limits on the memory of responses.
#[derive(Debug, Clone, Copy)]
pub struct ResponseLimits {
    /// Maximum size of one response, in bytes.
    pub max_bytes: usize,
    /// Maximum size of all responses that are in memory, in bytes.
    pub max_bytes_in_flight: usize,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_bytes_in_flight: 128 << 20 }
    }
}

/// The memory of all responses.
#[derive(Clone)]
pub struct ResponseMemory(Arc<Inner>);

struct Inner {
    limits: ResponseLimits,
    used: AtomicUsize,
    /// Counted bytes of each project.
    used_by: DashMap<String, Arc<AtomicUsize>>,
}

/// The receiver of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient<'a> {
    Owner,
    /// A client of the project with this id.
    Project(&'a str),
}

impl ResponseMemory {
    pub fn new(limits: ResponseLimits) -> Self {
        Self(Arc::new(Inner { limits, used: AtomicUsize::new(0), used_by: DashMap::new() }))
    }

    /// Returns the maximum size of one response.
    pub fn max_response_bytes(&self) -> usize {
        self.0.limits.max_bytes
    }

    /// Returns the number of counted bytes.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Starts an empty response. `capacity` is the expected size, in bytes.
    pub fn response(&self, recipient: Recipient<'_>, capacity: usize) -> ResponseBuffer {
        let project = match recipient {
            Recipient::Owner => None,
            Recipient::Project(id) => Some(id.to_owned()),
        };
        ResponseBuffer::new(self.clone(), project, capacity)
    }

    /// Counts a response that is complete.
    pub(super) fn reserve_whole(&self, recipient: Recipient<'_>, bytes: usize) -> Result<Reservation, ResponseError> {
        if bytes > self.max_response_bytes() {
            return Err(ResponseError::TooLarge(self.max_response_bytes()));
        }
        let mut reserved = self.reserve(match recipient {
            Recipient::Owner => None,
            Recipient::Project(id) => Some(id),
        });
        if reserved.grow(bytes) { Ok(reserved) } else { Err(ResponseError::MemoryFull) }
    }

    pub(super) fn reserve(&self, project: Option<&str>) -> Reservation {
        let share = project.map(|id| match self.0.used_by.get(id) {
            Some(share) => share.clone(),
            None => self.0.used_by.entry(id.to_owned()).or_default().clone(),
        });
        Reservation { memory: self.0.clone(), share, bytes: 0 }
    }
}

/// Bytes that are counted until this value is dropped.
pub(super) struct Reservation {
    memory: Arc<Inner>,
    /// The bytes of the project. `None` for the owner.
    share: Option<Arc<AtomicUsize>>,
    bytes: usize,
}

impl Reservation {
    /// Returns the number of counted bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts more bytes. Returns whether there is room for them.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let whole = self.memory.limits.max_bytes_in_flight;
        let max = if self.share.is_some() { whole / 4 * 3 } else { whole };
        if let Some(share) = &self.share
            && !add_below(share, bytes, whole / 2)
        {
            return false;
        }
        if !add_below(&self.memory.used, bytes, max) {
            if let Some(share) = &self.share {
                share.fetch_sub(bytes, Ordering::Relaxed);
            }
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// Moves some of the bytes to a reservation of their own.
    pub(super) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { memory: self.memory.clone(), share: self.share.clone(), bytes }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Adds to a counter, unless the sum would exceed `max`.
fn add_below(counter: &AtomicUsize, bytes: usize, max: usize) -> bool {
    let add = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= max);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}
