//! Notifications: channels, delivery, retries.

pub mod channels;
pub mod delivery;
pub mod history;
pub mod recipients;
pub mod retries;
pub mod unreadable;
pub mod unsaved;
