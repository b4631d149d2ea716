//! A panic ends the run with a trap, which says nothing of why. So the reason goes to the log first.

use std::sync::Once;

use serde_json::{Map, Value};

/// Set up before each run; only the first time counts.
pub fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or("a value that is no text");
            let mut fields = Map::new();
            if let Some(place) = panic.location() {
                fields.insert("file".to_owned(), Value::from(place.file()));
                fields.insert("line".to_owned(), Value::from(place.line()));
            }
            crate::log::write(crate::log::Level::Error, &format!("the plugin panicked: {message}"), &fields);
        }));
    });
}
