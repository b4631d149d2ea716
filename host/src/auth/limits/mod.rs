//! Limits the attempts per client address and per account. Of an IPv6 address, only the first 64 bits count.
//!
//! An attempt is charged when it begins. The charge is refunded if the password of a login, a mailed token, or the code
//! at the second step of a login is correct, so that only wrong ones count. Other attempts, such as sign-ups and
//! changes of a password, are not refunded.
//!
//! Nobody can lock another user's account. While the limit on an account's logins or sign-ups is exceeded, addresses
//! take turns at the account (`turns`). The other limits on accounts, such as that on mails, have no turns. An address
//! from which the user has signed in lately (`known`) has its turn after five seconds, whatever other addresses do. Any
//! other address has a turn within a minute while up to 2200 others attack the account. While more attack, a lottery
//! decides which addresses have turns.
//!
//! Each process counts on its own.

mod buckets;
mod known;
mod turns;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::KeyType;

use self::{
    buckets::{Buckets, Payment},
    known::KnownAddresses,
    turns::Client,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::client_network,
    projects::Caller,
    secrets::sha256,
};

/// Factor by which the secret key raises the limit of an address. The address is then that of a server, which acts for
/// many users.
const SERVER_FACTOR: u32 = 10;

/// A kind of attempt. Each kind has limits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    SignUp,
    /// Signing in with a password, or giving the current password to change it.
    LogIn,
    Refresh,
    /// Asking for a mailed link, or causing one with a sign-up, a login or a new address.
    Recover,
    /// Using the token of a mailed link.
    MailedToken,
    /// Giving a code at the second step of a login, or removing the factor with the password or a recovery code. Every
    /// code of an authenticator app also counts toward another limit, which is in the project's database.
    SecondFactor,
}

/// A limit: `burst` attempts at once, then one per `interval`.
#[derive(Debug, Clone, Copy)]
struct Quota {
    burst: u32,
    interval: Duration,
}

const fn quota(burst: u32, interval_ms: u64) -> Quota {
    Quota { burst, interval: Duration::from_millis(interval_ms) }
}

impl Attempt {
    const ALL: [Self; 6] =
        [Self::SignUp, Self::LogIn, Self::Refresh, Self::Recover, Self::MailedToken, Self::SecondFactor];

    const fn per_address(self) -> Quota {
        match self {
            Self::SignUp => quota(60, 5000),
            Self::LogIn => quota(60, 1000),
            Self::Refresh => quota(300, 100),
            Self::Recover => quota(20, 15_000),
            Self::MailedToken => quota(30, 2000),
            Self::SecondFactor => quota(60, 1000),
        }
    }

    const fn per_account(self) -> Quota {
        match self {
            Self::SignUp => quota(10, 20_000),
            Self::LogIn => quota(20, 20_000),
            Self::Refresh => quota(120, 1000),
            Self::Recover => quota(5, 300_000),
            Self::MailedToken => quota(30, 2000),
            Self::SecondFactor => quota(10, 30_000),
        }
    }
}

/// The SHA-256 of a project with an address or an account.
type Key = [u8; 32];

fn key(project: &str, name: &str) -> Key {
    sha256(format!("{project} {name}").as_bytes())
}

/// Counts attempts.
#[derive(Clone)]
pub(super) struct AttemptLimits(Arc<Shared>);

struct Shared {
    counters: [Counters; Attempt::ALL.len()],
    known: KnownAddresses,
}

struct Counters {
    addresses: Buckets,
    accounts: Buckets,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        let counters = Attempt::ALL.map(|attempt| Counters {
            addresses: Buckets::new(attempt.per_address()),
            accounts: Buckets::new(attempt.per_account()),
        });
        Self(Arc::new(Shared { counters, known: KnownAddresses::default() }))
    }
}

/// An attempt that was charged.
#[must_use = "an attempt with the correct secret must be refunded"]
pub(super) struct Charged {
    limits: AttemptLimits,
    attempt: Attempt,
    address: Key,
    cost: Duration,
    /// The account, if it was charged too.
    account: Option<Key>,
}

impl Charged {
    /// Refunds the charge, because the secret was correct.
    pub(super) fn refund(self) {
        let counters = self.limits.of(self.attempt);
        counters.addresses.refund(&self.address, self.cost);
        if let Some(account) = &self.account {
            counters.accounts.refund(account, counters.accounts.quota().interval);
        }
    }
}

impl AttemptLimits {
    fn of(&self, attempt: Attempt) -> &Counters {
        &self.0.counters[attempt as usize]
    }

    /// Charges an attempt to an address, and to an account if one is given.
    ///
    /// # Errors
    /// Returns 429 if the address is above its limit, or if the account is and the address has no turn.
    pub(super) fn begin(
        &self,
        attempt: Attempt,
        caller: &Caller,
        address: IpAddr,
        account: Option<&str>,
    ) -> ApiResult<Charged> {
        let now = Instant::now();
        let counters = self.of(attempt);
        let project = caller.project.id.as_str();
        let address = client_network(address);
        let mut cost = counters.addresses.quota().interval;
        if caller.key_type == KeyType::Secret {
            cost /= SERVER_FACTOR;
        }
        let mut charged =
            Charged { limits: self.clone(), attempt, address: key(project, &address.to_string()), cost, account: None };
        counters.addresses.charge(&charged.address, cost, None, now).map_err(too_many)?;
        let Some(account) = account else { return Ok(charged) };
        let account = key(project, account);
        let client = Client { address, is_known: self.0.known.contains(&account, address) };
        match counters.accounts.charge(&account, counters.accounts.quota().interval, Some(client), now) {
            Ok(Payment::Charge) => {
                charged.account = Some(account);
                Ok(charged)
            }
            // The turn is used up, so there is nothing to refund to the account.
            Ok(Payment::Turn) => Ok(charged),
            Err(wait) => {
                charged.refund();
                Err(too_many(wait))
            }
        }
    }

    /// Charges an account, but no address. There are no turns: while the account is above its limit, every attempt is
    /// refused.
    ///
    /// # Errors
    /// Returns 429 if the account is above its limit.
    pub(super) fn charge_account(&self, attempt: Attempt, project: &str, account: &str) -> ApiResult<()> {
        let accounts = &self.of(attempt).accounts;
        let cost = accounts.quota().interval;
        accounts.charge(&key(project, account), cost, None, Instant::now()).map(drop).map_err(too_many)
    }

    /// Remembers that a user has signed in or refreshed a session from an address. From this address, logins to the
    /// account are then possible whatever other addresses do. `email` is the user's e-mail address.
    pub(super) fn remember(&self, project: &str, email: &str, address: IpAddr) {
        self.0.known.remember(key(project, email), client_network(address));
    }
}

fn too_many(wait: Duration) -> ApiError {
    ApiError::new(Code::RateLimited, "Too many attempts.")
        .with_hint("Wait for the number of seconds in `Retry-After`, then try again.")
        .with_retry_after(wait)
}
