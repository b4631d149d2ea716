//! The choice of the tab that acts for all tabs of the browser, by a Web Lock.

use std::{cell::RefCell, rc::Rc};

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortController;

/// Interval at which a waiting tab checks whether it should still become the leader.
const CHECK_MS: u32 = 500;

/// The right to act for all tabs of the browser. When it is dropped, another tab can acquire it.
pub(super) struct Leadership {
    release: Rc<RefCell<Option<Function>>>,
}

impl Leadership {
    /// Waits until no other tab leads. Returns `None` if `gives_up` returns true before that. In browsers without Web
    /// Locks, every tab leads.
    pub(super) async fn acquire(name: &str, gives_up: impl Fn() -> bool) -> Option<Self> {
        let release = Rc::new(RefCell::new(None));
        let Some((locks, request)) = lock_manager() else { return Some(Self { release }) };
        let (granted, mut is_granted) = oneshot::channel();
        let mut granted = Some(granted);
        let held = release.clone();
        let callback = Closure::<dyn FnMut(JsValue) -> Promise>::new(move |_lock: JsValue| {
            if let Some(granted) = granted.take() {
                let _ = granted.send(());
            }
            // The lock is held until this promise ends.
            Promise::new(&mut |resolve, _| drop(held.replace(Some(resolve))))
        });
        let aborted = AbortController::new().ok()?;
        let options = Object::new();
        let _ = Reflect::set(&options, &"signal".into(), &aborted.signal());
        let arguments = js_sys::Array::of3(&name.into(), &options, callback.as_ref());
        let promise = request.apply(&locks, &arguments).ok()?.dyn_into::<Promise>().ok()?;
        // An aborted request is not an error.
        spawn_local(async move {
            let _ = JsFuture::from(promise).await;
            drop(callback);
        });
        let leadership = Self { release };
        loop {
            if let Either::Left((granted, _)) = select(&mut is_granted, TimeoutFuture::new(CHECK_MS)).await {
                return granted.ok().map(|()| leadership);
            }
            if gives_up() {
                aborted.abort();
                return None;
            }
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

fn lock_manager() -> Option<(JsValue, Function)> {
    let navigator = web_sys::window()?.navigator();
    let locks = Reflect::get(&navigator, &"locks".into()).ok()?;
    let request = Reflect::get(&locks, &"request".into()).ok()?.dyn_into().ok()?;
    Some((locks, request))
}
