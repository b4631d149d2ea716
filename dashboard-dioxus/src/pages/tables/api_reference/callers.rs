//! Which callers may send a request.

use api_types::{ApiCaller, CallerAccess, RowAccess, TableAccess, TableDetail};

use super::{super::access::exposure_of, calls::Operation};

/// Returns the rows that an operation reaches for a caller.
fn rows(access: &CallerAccess, operation: Operation) -> RowAccess {
    let written = match operation {
        Operation::Read => return access.select,
        Operation::Insert => return access.insert,
        Operation::Update => access.update,
        Operation::Delete => access.delete,
    };
    // The filter of the request finds only rows that the caller may read.
    match (written, access.select) {
        (RowAccess::None, _) | (_, RowAccess::None) => RowAccess::None,
        (_, RowAccess::Policies) => RowAccess::Policies,
        _ => written,
    }
}

fn can(access: &CallerAccess, operation: Operation) -> bool {
    rows(access, operation) != RowAccess::None
}

/// Returns the caller that the code shows: the first of publishable key, signed-in user and secret key that may perform
/// the operation.
pub(super) fn shown(detail: &TableDetail, operation: Operation) -> ApiCaller {
    let can = |wanted: ApiCaller| detail.access.iter().any(|access| access.caller == wanted && can(access, operation));
    [ApiCaller::Publishable, ApiCaller::SignedIn]
        .into_iter()
        .find(|caller| can(*caller))
        .unwrap_or(ApiCaller::SecretKey)
}

/// Returns whether a caller can read rows.
pub(super) fn reads(detail: &TableDetail, caller: ApiCaller) -> bool {
    detail.access.iter().any(|access| access.caller == caller && can(access, Operation::Read))
}

/// Returns who may perform an operation, and what the others need.
pub(super) fn in_words(detail: &TableDetail, operation: Operation) -> String {
    let (able, others): (Vec<_>, Vec<_>) = detail.access.iter().partition(|access| can(access, operation));
    let names: Vec<String> = able.into_iter().map(|access| name_of(access, operation)).collect();
    let works = match names.as_slice() {
        [] => "No caller may do this.".to_owned(),
        [name] => format!("Works with {name}."),
        [first @ .., last] => format!("Works with {}, or {last}.", first.join(", ")),
    };
    let (needed, label) =
        if operation == Operation::Read { (TableAccess::Read, "Read") } else { (TableAccess::Write, "Write") };
    let lacks_policy = |caller: ApiCaller| detail.row_level_security && exposure_of(caller, detail) >= needed;
    let with_access = others.iter().filter(|access| lacks_policy(access.caller)).count();
    match (others.len(), with_access) {
        (0, _) => works,
        (_, 0) => format!("{works} For other callers, set the access “{label}” on the tab Access."),
        (count, with_access) if count == with_access => {
            format!("{works} Other callers have access, but lack a policy: write one on the tab Access.")
        }
        _ => format!("{works} For other callers, set the access “{label}” and write policies on the tab Access."),
    }
}

fn name_of(access: &CallerAccess, operation: Operation) -> String {
    let name = match access.caller {
        ApiCaller::SecretKey => "the secret key",
        ApiCaller::Publishable => "the publishable key",
        ApiCaller::SignedIn => "the publishable key and a user's access token",
    };
    let limit = if rows(access, operation) == RowAccess::Policies { " (rows limited by policies)" } else { "" };
    format!("{name}{limit}")
}
