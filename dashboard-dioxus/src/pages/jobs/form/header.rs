//! The headers of an HTTP job's request, and the merge of their changes with those of another tab.

use serde::{Deserialize, Serialize};

/// A request header. The server does not send stored values to the browser.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Header {
    /// Identifies the row of the form while names are typed, and while other rows are removed.
    #[serde(skip)]
    pub(super) id: usize,
    pub(super) name: String,
    #[serde(skip)]
    pub(super) value: String,
    /// Whether the server has a value for this name.
    pub(super) is_stored: bool,
    /// The name of a stored header that the owner has renamed.
    #[serde(default)]
    pub(super) renamed_from: Option<String>,
}

/// Compares everything but `id`, the row in the form.
impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.value == other.value
            && self.is_stored == other.is_stored
            && self.renamed_from == other.renamed_from
    }
}

impl Header {
    /// Returns an empty header, which has another id than these headers.
    pub(super) fn beside(headers: &[Self]) -> Self {
        let id = headers.iter().map(|header| header.id + 1).max().unwrap_or_default();
        Self { id, ..Self::default() }
    }

    /// Changes the name. A stored value belongs to its name, so it is kept only if the header has its old name again.
    pub(super) fn rename(&mut self, name: String) {
        let stored = if self.is_stored { Some(self.name.clone()) } else { self.renamed_from.take() };
        self.name = name;
        self.is_stored = stored.as_ref().is_some_and(|stored| stored.trim().to_lowercase() == self.key());
        self.renamed_from = stored.filter(|_| !self.is_stored);
    }

    /// Returns the name in lower case, which identifies a header.
    pub(super) fn key(&self) -> String {
        self.name.trim().to_lowercase()
    }

    /// Returns whether one of these headers has the same name.
    pub(super) fn is_in(&self, headers: &[Self]) -> bool {
        !self.key().is_empty() && headers.iter().any(|other| other.key() == self.key())
    }
}

/// Returns the headers `saved` with the changes that lead from `base` to `draft`.
pub(super) fn rebased(draft: &[Header], base: &[Header], saved: &[Header]) -> Vec<Header> {
    let is_saved = |name: &str| saved.iter().any(|saved| saved.key() == name.trim().to_lowercase());
    let mut headers = Vec::new();
    for header in draft {
        if !base.contains(header) {
            headers.push(Header {
                // The server may no longer have a value that could be kept.
                is_stored: header.is_stored && is_saved(&header.name),
                renamed_from: header.renamed_from.clone().filter(|name| is_saved(name)),
                ..header.clone()
            });
        } else if let Some(saved) = saved.iter().find(|saved| saved.key() == header.key()) {
            headers.push(Header { id: header.id, ..saved.clone() });
        }
    }
    // Headers that another client has added. Ids of removed headers are not used again.
    let added = saved.iter().filter(|saved| !saved.is_in(base) && !saved.is_in(draft));
    headers.extend((Header::beside(draft).id..).zip(added).map(|(id, added)| Header { id, ..added.clone() }));
    headers
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::{changes::is_changed, draft::Draft},
        *,
    };

    fn stored(id: usize, name: &str) -> Header {
        Header { id, name: name.to_owned(), is_stored: true, ..Header::default() }
    }

    fn typed(id: usize, name: &str) -> Header {
        Header { value: "typed".to_owned(), ..stored(id, name) }
    }

    fn draft(headers: &[Header]) -> Draft {
        Draft { headers: headers.to_vec(), ..Draft::new("UTC".to_owned()) }
    }

    /// Returns headers as they are sent.
    fn sent(headers: &[Header]) -> Value {
        let fields = draft(headers).fields(false, &[]).ok().and_then(|fields| serde_json::to_value(fields).ok());
        fields.and_then(|fields| fields.get("httpHeaders").cloned()).unwrap_or_default()
    }

    #[test]
    fn header_that_another_tab_adds_is_kept_beside_typed_values() {
        let (base, saved) = ([stored(0, "a"), stored(1, "c")], [stored(0, "a"), stored(1, "b"), stored(2, "c")]);
        let merged = rebased(&[typed(0, "a"), stored(1, "c")], &base, &saved);
        assert_eq!(sent(&merged), json!({ "a": "typed", "b": null, "c": null }));
        let followed = rebased(&base, &base, &saved);
        assert!(!is_changed(&draft(&followed), &draft(&saved)), "the order of headers is no change");
        let ids: Vec<usize> = followed.iter().map(|header| header.id).collect();
        assert_eq!(ids, [0, 1, 2], "each row has another id");
    }

    #[test]
    fn header_that_another_tab_removes_is_not_sent_unless_its_value_was_typed() {
        let base = [stored(0, "a"), stored(1, "b")];
        assert_eq!(sent(&rebased(&[typed(0, "a"), stored(1, "b")], &base, &[stored(0, "a")])), json!({ "a": "typed" }));
        let mut merged = rebased(&[stored(0, "a"), typed(1, "b")], &base, &[]);
        assert_eq!(sent(&merged), json!({ "b": "typed" }));
        assert_eq!(merged.first().map(|header| header.id), Some(1), "the row keeps its id");
        // The typed value can be removed again, and then there is no stored one to keep.
        merged.iter_mut().for_each(|header| header.value.clear());
        assert_eq!(sent(&merged), json!({ "b": "" }));
    }
}
