//! Notifications: channels, delivery, retries.

pub mod channels;
pub mod delivery;
pub mod recipients;
pub mod retries;
