//! The states of keys, and the pairs of keys that a rotation leaves for a while.

use api_types::ApiKey;
use chrono::{DateTime, Duration, Utc};

use crate::{text, ui::Shape};

/// The state of a key, as a shape and text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyState {
    pub(super) shape: Shape,
    pub(super) words: String,
    /// Whether the key no longer works.
    pub(super) ended: bool,
}

/// Returns the state of a key at a time.
pub(super) fn key_state(key: &ApiKey, now: DateTime<Utc>) -> KeyState {
    let state = |shape, words: String, ended| KeyState { shape, words, ended };
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => state(Shape::Skipped, "Revoked".to_owned(), true),
        (None, Some(expires)) if expires <= now => state(Shape::Skipped, "Expired".to_owned(), true),
        (None, Some(expires)) if key.replaced_by.is_some() => {
            state(Shape::TimedOut, format!("Rotating, old ends in {}", text::until(expires, now)), false)
        }
        (None, Some(expires)) if expires - now < Duration::days(14) => {
            state(Shape::Attention, format!("Expires in {}", text::until(expires, now)), false)
        }
        (None, Some(expires)) => {
            state(Shape::Succeeded, format!("Active, expires in {}", text::until(expires, now)), false)
        }
        (None, None) => state(Shape::Succeeded, "Active".to_owned(), false),
    }
}

/// Returns the names that active keys of both types have, such as those of the first keys of a project.
pub(super) fn ambiguous_names(keys: &[ApiKey], now: DateTime<Utc>) -> Vec<String> {
    let active = || keys.iter().filter(|key| !key_state(key, now).ended);
    let has_other = |key: &&ApiKey| active().any(|other| other.name == key.name && other.key_type != key.key_type);
    active().filter(has_other).map(|key| key.name.clone()).collect()
}

/// Returns whether there is no active key of the same type besides this one.
pub(super) fn is_last_of_type(key: &ApiKey, keys: &[ApiKey], now: DateTime<Utc>) -> bool {
    let is_other = |other: &&ApiKey| other.id != key.id && other.key_type == key.key_type;
    !keys.iter().filter(is_other).any(|other| !key_state(other, now).ended)
}

/// An entry of the list: one key, or both keys of a rotation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Listed {
    Single(ApiKey),
    /// A key and the key that it replaces. Both work.
    Pair {
        new: ApiKey,
        old: ApiKey,
    },
}

/// Combines the two keys of each rotation into one entry.
pub(super) fn pair(keys: Vec<ApiKey>, now: DateTime<Utc>) -> Vec<Listed> {
    let is_old = |key: &ApiKey| {
        !key_state(key, now).ended
            && keys.iter().any(|new| Some(&new.id) == key.replaced_by.as_ref() && !key_state(new, now).ended)
    };
    let old: Vec<ApiKey> = keys.iter().filter(|key| is_old(key)).cloned().collect();
    keys.iter()
        .filter(|key| !old.contains(key))
        .map(|key| match old.iter().find(|old| old.replaced_by.as_ref() == Some(&key.id)) {
            Some(old) => Listed::Pair { new: key.clone(), old: old.clone() },
            None => Listed::Single(key.clone()),
        })
        .collect()
}

/// Returns whether a key stops working before a time, so that it can be extended until then.
pub(super) fn ends_before(key: &ApiKey, time: DateTime<Utc>) -> bool {
    key.expires_at.is_some_and(|expires| expires < time)
}

/// Describes the use of a rotation's old key. Also returns whether the key was not used in the last 24 hours.
pub(super) fn old_key_use(old: &ApiKey, now: DateTime<Utc>) -> (String, bool) {
    match old.last_used_at {
        Some(at) if now - at < Duration::hours(24) => (format!("Old key still used {}", text::age(at, now)), false),
        None => ("The old key was never used: revoke it now".to_owned(), true),
        Some(_) => ("Nobody used the old key for 24 h: revoke it now".to_owned(), true),
    }
}

#[cfg(test)]
mod tests {
    use api_types::KeyType;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000, 0).unwrap_or_default()
    }

    fn key(id: &str) -> ApiKey {
        ApiKey {
            id: id.to_owned(),
            key_type: KeyType::Secret,
            name: "web".to_owned(),
            prefix: "ah_sec_".to_owned(),
            created_at: now(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            replaces: None,
            replaced_by: None,
            requests_24h: 0,
        }
    }

    #[test]
    fn use_of_the_old_key_is_described() {
        let used = |hours: i64| {
            let last_used_at = Some(now() - Duration::hours(hours));
            old_key_use(&ApiKey { last_used_at, ..key("1") }, now())
        };
        assert_eq!(used(2), ("Old key still used 2 h ago".to_owned(), false));
        assert_eq!(used(25), ("Nobody used the old key for 24 h: revoke it now".to_owned(), true));
        assert_eq!(old_key_use(&key("1"), now()), ("The old key was never used: revoke it now".to_owned(), true));
    }

    #[test]
    fn states_follow_revocation_and_expiry() {
        let now = now();
        let in_hours = |hours| Some(now + Duration::hours(hours));
        for (revoked_at, expires_at, replaced_by, words, ended) in [
            (None, None, None, "Active", false),
            (None, in_hours(24 * 60), None, "Active, expires in 60 days", false),
            (None, in_hours(24 * 9), None, "Expires in 9 days", false),
            (None, in_hours(-1), None, "Expired", true),
            (in_hours(-1), None, None, "Revoked", true),
            (None, in_hours(23), Some("2".to_owned()), "Rotating, old ends in 23 h", false),
            (None, in_hours(-1), Some("2".to_owned()), "Expired", true),
        ] {
            let key = ApiKey { revoked_at, expires_at, replaced_by, ..key("1") };
            let state = key_state(&key, now);
            assert_eq!((state.words.as_str(), state.ended), (words, ended));
        }
    }

    #[test]
    fn keys_of_a_rotation_are_a_pair_while_both_work() {
        let old =
            ApiKey { replaced_by: Some("2".to_owned()), expires_at: Some(now() + Duration::hours(1)), ..key("1") };
        let new = ApiKey { replaces: Some("1".to_owned()), ..key("2") };
        let paired = pair(vec![old.clone(), key("3"), new.clone()], now());
        assert_eq!(paired, [Listed::Single(key("3")), Listed::Pair { new: new.clone(), old: old.clone() }]);
        let ended = ApiKey { expires_at: Some(now()), ..old };
        assert_eq!(pair(vec![ended.clone(), new.clone()], now()), [Listed::Single(ended), Listed::Single(new)]);
    }

    #[test]
    fn key_that_works_for_longer_is_not_extended() {
        let in_days = |days| now() + Duration::days(days);
        let expiring = |days| ApiKey { expires_at: Some(in_days(days)), ..key("1") };
        assert!(ends_before(&expiring(1), in_days(7)));
        assert!(!ends_before(&expiring(30), in_days(7)) && !ends_before(&key("1"), in_days(7)));
    }

    #[test]
    fn unused_old_key_should_be_revoked() {
        let used = |minutes| ApiKey { last_used_at: Some(now() - Duration::minutes(minutes)), ..key("1") };
        assert_eq!(old_key_use(&used(3), now()), ("Old key still used 3 min ago".to_owned(), false));
        assert!(old_key_use(&used(25 * 60), now()).1 && old_key_use(&key("1"), now()).1);
    }
}
