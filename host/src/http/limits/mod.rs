//! Limits on requests: how many at once, how long, how large their bodies, and whose.
//!
//! A request passes these after its caller is known: `middleware` takes a place in the caller's share (`shares`),
//! receives the body (`receive`), takes a turn, and runs the handler within the time limit. So a slow body takes no
//! turn, and whoever is slow or sends much uses their own share.
//!
//! Not here: requests per second (`projects::gate`), limits on connections (`http::connections`).

mod middleware;
mod receive;
mod shares;

pub use middleware::{RequestLimits, limit_requests};
pub use shares::{Holder, ShareHolder};
