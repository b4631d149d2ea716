//! Parts of error messages: client text and lists of names, each bounded in length.

use std::borrow::Cow;

/// Maximum characters of client text in a message.
const MAX_SHOWN_CHARACTERS: usize = 80;
/// Maximum names in a list.
const MAX_LISTED_NAMES: usize = 30;

/// Returns the start of a client's text, with `…` if it was cut.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Returns `, not` and the start of a client's value, or nothing if the value is empty.
pub(super) fn not_value(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(", not `{}`", shortened(value)) }
}

/// Joins names with commas. Ends with `and 3 more` if there are too many. Returns `none` if there are no names.
pub(super) fn name_list(names: &[&str]) -> String {
    match names.len() {
        0 => "none".to_owned(),
        count if count > MAX_LISTED_NAMES => {
            format!("{} and {} more", names[..MAX_LISTED_NAMES].join(", "), count - MAX_LISTED_NAMES)
        }
        _ => names.join(", "),
    }
}
