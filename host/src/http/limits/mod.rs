//! Limits on the number, duration and body size of requests, divided into shares.
//!
//! A request passes these limits after its caller is known: `middleware` counts the request in the caller's share
//! (`shares`), receives the body (`receive`), waits for a *turn* (a permit for one of the requests that handlers run at
//! the same time), and runs the handler within the time limit. A request takes its turn only after its body has
//! arrived. So a slow body takes no turn, and a client that is slow or sends a lot uses only its own share.
//!
//! Deliberately absent: requests per second (`projects::gate`), limits on connections (`http::connections`).

mod middleware;
mod receive;
mod shares;

pub use middleware::{RequestLimits, limit_requests};
pub use shares::{Holder, ShareHolder};
