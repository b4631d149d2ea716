//! Sends bytes to the object store in one request, and reports the progress.

use std::collections::BTreeMap;

use futures_channel::mpsc::{UnboundedReceiver, unbounded};
use futures_util::StreamExt as _;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{Blob, ProgressEvent, XmlHttpRequest};

use super::state::Stop;

/// Minimum time between two reports of progress.
const REPORT_MS: f64 = 100.0;

/// The end of a request to the store.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    Response {
        status: u16,
        etag: Option<String>,
        text: String,
    },
    /// The connection broke, or the browser did not let the page read the response.
    Broken,
    Stopped,
}

enum Event {
    Sent(f64),
    Ended(Ended),
}

/// Sends a body with `PUT` and reports the number of bytes sent so far. Uses `XMLHttpRequest`, because `fetch` can't
/// report that.
pub(super) async fn put(
    url: &str,
    headers: &BTreeMap<String, String>,
    body: &Blob,
    stop: &Stop,
    mut on_sent: impl FnMut(i64),
) -> Ended {
    if stop.is_requested() {
        return Ended::Stopped;
    }
    let Some((request, mut events)) = start(url, headers, body) else { return Ended::Broken };
    stop.set_request(Some(request.request.clone()));
    let mut reported_at = 0.0;
    let ended = loop {
        match events.next().await {
            Some(Event::Sent(bytes)) => {
                let now = js_sys::Date::now();
                if now - reported_at >= REPORT_MS {
                    reported_at = now;
                    on_sent(bytes as i64);
                }
            }
            Some(Event::Ended(ended)) => break ended,
            None => break Ended::Broken,
        }
    };
    stop.set_request(None);
    ended
}

/// A request and its listeners, which live as long as it does.
struct Listened {
    request: XmlHttpRequest,
    listeners: Vec<Closure<dyn FnMut(ProgressEvent)>>,
}

impl Drop for Listened {
    fn drop(&mut self) {
        if let Ok(upload) = self.request.upload() {
            upload.set_onprogress(None);
        }
        self.request.set_onload(None);
        self.request.set_onerror(None);
        self.request.set_ontimeout(None);
        self.request.set_onabort(None);
        self.listeners.clear();
    }
}

fn start(url: &str, headers: &BTreeMap<String, String>, body: &Blob) -> Option<(Listened, UnboundedReceiver<Event>)> {
    let request = XmlHttpRequest::new().ok()?;
    request.open("PUT", url).ok()?;
    for (name, value) in headers {
        // Browsers set this header themselves and don't allow pages to set it.
        if !name.eq_ignore_ascii_case("content-length") {
            request.set_request_header(name, value).ok()?;
        }
    }
    let (sender, receiver) = unbounded();
    let progress = {
        let sender = sender.clone();
        Closure::<dyn FnMut(ProgressEvent)>::new(move |event: ProgressEvent| {
            let _ = sender.unbounded_send(Event::Sent(event.loaded()));
        })
    };
    let loaded = {
        let (sender, request) = (sender.clone(), request.clone());
        Closure::<dyn FnMut(ProgressEvent)>::new(move |_| {
            let status = request.status().unwrap_or_default();
            let etag = request.get_response_header("etag").ok().flatten();
            let text = request.response_text().ok().flatten().unwrap_or_default();
            let _ = sender.unbounded_send(Event::Ended(Ended::Response { status, etag, text }));
        })
    };
    let broken = {
        let sender = sender.clone();
        Closure::<dyn FnMut(ProgressEvent)>::new(move |_| {
            let _ = sender.unbounded_send(Event::Ended(Ended::Broken));
        })
    };
    let stopped = Closure::<dyn FnMut(ProgressEvent)>::new(move |_| {
        let _ = sender.unbounded_send(Event::Ended(Ended::Stopped));
    });
    request.upload().ok()?.set_onprogress(Some(progress.as_ref().unchecked_ref()));
    request.set_onload(Some(loaded.as_ref().unchecked_ref()));
    request.set_onerror(Some(broken.as_ref().unchecked_ref()));
    request.set_ontimeout(Some(broken.as_ref().unchecked_ref()));
    request.set_onabort(Some(stopped.as_ref().unchecked_ref()));
    request.send_with_opt_blob(Some(body)).ok()?;
    Some((Listened { request, listeners: vec![progress, loaded, broken, stopped] }, receiver))
}
