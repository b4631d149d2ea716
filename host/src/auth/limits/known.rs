//! The IP addresses from which users have lately signed in or refreshed a session.

use std::{collections::HashMap, mem, net::IpAddr};

use parking_lot::Mutex;

use super::Key;

/// Maximum number of IP addresses per account.
const MAX_ADDRESSES: usize = 8;
/// Maximum number of accounts per generation.
const MAX_ACCOUNTS: usize = 5000;

type Generation = HashMap<Key, Vec<IpAddr>>;

/// The last IP addresses from which users have signed in or refreshed their session, for up to 10 000 accounts.
#[derive(Default)]
pub(super) struct KnownAddresses(Mutex<Generations>);

/// When `recent` is full, it replaces `older`. So accounts to which nobody has signed in for long are forgotten.
#[derive(Default)]
struct Generations {
    recent: Generation,
    older: Generation,
}

impl KnownAddresses {
    pub(super) fn remember(&self, account: Key, address: IpAddr) {
        let mut guard = self.0.lock();
        let generations = &mut *guard;
        let known = generations.recent.remove(&account).or_else(|| generations.older.remove(&account));
        let mut addresses = known.unwrap_or_default();
        addresses.retain(|known| *known != address);
        if addresses.len() == MAX_ADDRESSES {
            addresses.remove(0);
        }
        addresses.push(address);
        if generations.recent.len() == MAX_ACCOUNTS {
            generations.older = mem::take(&mut generations.recent);
        }
        generations.recent.insert(account, addresses);
    }

    pub(super) fn contains(&self, account: &Key, address: IpAddr) -> bool {
        let generations = self.0.lock();
        let addresses = generations.recent.get(account).or_else(|| generations.older.get(account));
        addresses.is_some_and(|addresses| addresses.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::sha256;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn last_addresses_of_an_account_are_known() {
        let known = KnownAddresses::default();
        for last in 0..10 {
            known.remember([1; 32], address(last));
        }
        // Used again, so newer than the others.
        known.remember([1; 32], address(2));
        known.remember([1; 32], address(10));
        let found: Vec<u8> = (0..=10).filter(|last| known.contains(&[1; 32], address(*last))).collect();
        assert_eq!(found, [2, 4, 5, 6, 7, 8, 9, 10]);
        assert!(!known.contains(&[2; 32], address(2)));
    }

    #[test]
    fn number_of_accounts_is_bounded_and_used_ones_stay() {
        let known = KnownAddresses::default();
        let account = |number: usize| sha256(&number.to_le_bytes());
        for number in 0..4 * MAX_ACCOUNTS {
            known.remember(account(number), address(1));
            known.remember([1; 32], address(1));
        }
        let generations = known.0.lock();
        assert!(generations.recent.len() + generations.older.len() <= 2 * MAX_ACCOUNTS);
        drop(generations);
        assert!(known.contains(&[1; 32], address(1)) && !known.contains(&account(0), address(1)));
        assert!(known.contains(&account(4 * MAX_ACCOUNTS - 1), address(1)));
    }
}
