//! Counts and durations of requests by route. Each thread caches its series: looking one up in the recorder costs
//! several allocations.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

struct Series {
    total: Counter,
    seconds: Histogram,
}

/// Method and status.
type Key = (&'static str, u16);

thread_local! {
    static SERIES: RefCell<HashMap<Box<str>, HashMap<Key, Series>>> = RefCell::default();
}

/// Records a request. `route` is the matched route, of which there are few, never the path.
pub(super) fn record(method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
    let key = (method_name(method), status.as_u16());
    SERIES.with_borrow_mut(|routes| {
        if !routes.contains_key(route) {
            routes.insert(route.into(), HashMap::new());
        }
        let Some(of_route) = routes.get_mut(route) else { return };
        let series = of_route.entry(key).or_insert_with(|| new_series(key, route));
        series.total.increment(1);
        series.seconds.record(elapsed.as_secs_f64());
    });
}

fn new_series((method, status): Key, route: &str) -> Series {
    Series {
        total: metrics::counter!("atlashub_http_requests_total",
            "method" => method, "route" => route.to_owned(), "status" => status.to_string()),
        seconds: metrics::histogram!("atlashub_http_request_seconds", "route" => route.to_owned()),
    }
}

/// Returns `other` for methods that clients invent, each of which would be a series of its own.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
