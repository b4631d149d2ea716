//! Turns of IP addresses at an account whose limit is exceeded.
//!
//! Strangers, which are IP addresses that are not known (`known`), wait in one queue, and each has one place in it
//! however often it asks. Their turns are [`TURN_INTERVAL`] apart. So they have 50 attempts per second in total, and
//! each has at most one in 20 seconds. A stranger that asks while 2200 others attack has its turn within 49 seconds:
//! the queue begins at most [`MIN_WAIT`] from now, and contains at most 2200 turns, which take 44 seconds.
//!
//! If the queue reaches [`MAX_WAIT`] ahead, there are more strangers than turns, and nothing distinguishes the user
//! from the others. Then lots decide who is in the queue: each stranger has one lot per [`LOT_LIFETIME`], and the
//! lowest lots stay. An address that is known does not wait in the queue. Its turn comes after [`MIN_WAIT`].
//!
//! The memory is bounded to about 4600 IP addresses per account: every stranger in it has or had a turn of its own, and
//! is removed at most [`KEPT`] plus [`REST`] after that turn.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

/// Time between two turns of strangers.
const TURN_INTERVAL: Duration = Duration::from_millis(20);
/// Time until the first possible turn of an IP address.
const MIN_WAIT: Duration = Duration::from_secs(5);
/// Maximum time until a turn. It is short enough that a user who obeys `Retry-After`, which is in whole seconds, has
/// the turn within a minute.
const MAX_WAIT: Duration = Duration::from_secs(50);
/// Time for which a turn can be used after it has come.
const KEPT: Duration = Duration::from_secs(20);
/// Time after an IP address has used its turn, during which it can't wait for another one.
const REST: Duration = Duration::from_secs(20);
const LOT_LIFETIME: Duration = Duration::from_secs(20);
/// Minimum time between two removals of unused turns and of IP addresses that have rested.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(1);

/// The client that makes an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    /// Whether the user has signed in from the IP address lately (`known`).
    pub(super) is_known: bool,
}

/// Turns at one account.
pub(super) struct Turns {
    addresses: HashMap<IpAddr, State>,
    /// The earliest turn that no stranger has.
    next_turn: Instant,
    next_removal: Instant,
    started_at: Instant,
    /// Draws the lots.
    lots: RandomState,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// If the queue is full, the address with the highest lot leaves it first. A known address has the lowest lot.
    Waits { turn: Instant, lot: u64 },
    /// The address has used its turn.
    Rests { until: Instant },
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { addresses: HashMap::new(), next_turn: now, next_removal: now, started_at: now, lots: RandomState::new() }
    }

    /// Uses the client's turn if it has come. Otherwise returns the time to wait, for the turn or until asking again.
    pub(super) fn take(&mut self, client: Client, now: Instant) -> Result<(), Duration> {
        self.remove_past(now);
        match self.addresses.get(&client.address).copied() {
            Some(State::Waits { turn, .. }) if turn <= now => {
                self.addresses.insert(client.address, State::Rests { until: now + REST });
                Ok(())
            }
            Some(State::Waits { turn, .. }) => Err(turn - now),
            Some(State::Rests { until }) if until > now => Err(until - now),
            _ => Err(self.enter(client, now)),
        }
    }

    /// Gives the client a turn if there is one. Returns the time to wait, for the turn or until asking again.
    fn enter(&mut self, client: Client, now: Instant) -> Duration {
        let earliest = now + MIN_WAIT;
        let (turn, lot) = match client.is_known {
            true => (earliest, 0),
            false => {
                let lot = self.lot(client.address, now);
                let Some(turn) = self.free_turn(earliest, now).or_else(|| self.turn_above(lot, earliest)) else {
                    return LOT_LIFETIME;
                };
                (turn, lot)
            }
        };
        self.addresses.insert(client.address, State::Waits { turn, lot });
        turn - now
    }

    fn lot(&self, address: IpAddr, now: Instant) -> u64 {
        let draw = (now - self.started_at).as_secs() / LOT_LIFETIME.as_secs();
        self.lots.hash_one((address, draw))
    }

    fn free_turn(&mut self, earliest: Instant, now: Instant) -> Option<Instant> {
        let turn = self.next_turn.max(earliest);
        (turn - now <= MAX_WAIT).then(|| {
            self.next_turn = turn + TURN_INTERVAL;
            turn
        })
    }

    /// Takes away the turn of the address with the highest lot, if that lot is higher than the given one. Returns the
    /// turn.
    fn turn_above(&mut self, lot: u64, earliest: Instant) -> Option<Instant> {
        let waiting = self.addresses.iter().filter_map(|(address, state)| match state {
            // An earlier turn would allow an address with a low lot more attempts than others.
            State::Waits { turn, lot } if *turn >= earliest => Some((*lot, *turn, *address)),
            _ => None,
        });
        let (_, turn, address) = waiting.max().filter(|(highest, ..)| *highest > lot)?;
        self.addresses.remove(&address);
        Some(turn)
    }

    fn remove_past(&mut self, now: Instant) {
        if now < self.next_removal {
            return;
        }
        self.next_removal = now + REMOVAL_INTERVAL;
        self.addresses.retain(|_, state| match state {
            State::Waits { turn, .. } => *turn + KEPT > now,
            State::Rests { until } => *until > now,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Attempt, Key, buckets::Buckets},
        *,
    };

    const KEY: Key = [1; 32];
    const STEP: Duration = Duration::from_millis(100);

    fn stranger(number: u32) -> Client {
        Client { address: IpAddr::from((0x0a00_0000 + number).to_be_bytes()), is_known: false }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Outcome of an attack.
    struct Attacked {
        /// How long the user had to wait.
        waited: Duration,
        /// Number of attempts of the attackers.
        guesses: u32,
        /// Duration of the attack.
        lasted: Duration,
    }

    /// Simulates attackers that try again as soon as they may, and a user who arrives after a while and obeys
    /// `Retry-After`.
    fn attack(attackers: u32, user: Client, arrival: Duration) -> Attacked {
        let buckets = Buckets::new(Attempt::LogIn.per_account());
        let (cost, start) = (buckets.quota().interval, Instant::now());
        let mut next: Vec<_> = (1..=attackers).map(|number| (stranger(number), start)).collect();
        let (mut user_next, mut guesses, mut now) = (start + arrival, 0, start);
        loop {
            for (attacker, next) in &mut next {
                if *next <= now {
                    match buckets.charge(&KEY, cost, Some(*attacker), now) {
                        Ok(_) => guesses += 1,
                        Err(wait) => *next = now + wait,
                    }
                }
            }
            if user_next <= now {
                match buckets.charge(&KEY, cost, Some(user), now) {
                    Ok(_) => return Attacked { waited: now - start - arrival, guesses, lasted: now - start },
                    // The header has whole seconds, rounded up.
                    Err(wait) => user_next = now + seconds(wait.as_secs_f64().ceil() as u64),
                }
            }
            assert!(now - start < arrival + seconds(90), "{attackers} attackers keep the user out");
            now += STEP;
        }
    }

    #[test]
    fn stranger_has_a_turn_within_a_minute() {
        for attackers in [1, 20, 1000, 1500, 2200] {
            for arrival in [0, 7, 40].map(seconds) {
                let Attacked { waited, guesses, lasted } = attack(attackers, stranger(0), arrival);
                assert!(waited < seconds(60), "{attackers} attackers, {arrival:?}: {waited:?}");
                // The burst of the account, one attempt per 20 seconds, and 50 turns per second.
                let possible = 20 + 1 + lasted.as_secs() / 20 + 50 * (lasted.as_secs() + 1);
                assert!(u64::from(guesses) <= possible, "{attackers} attackers: {guesses} guesses in {lasted:?}");
            }
        }
    }

    #[test]
    fn few_attackers_have_one_turn_each_in_twenty_seconds() {
        let mut turns = Turns::new(Instant::now());
        let (mut now, mut count) = (turns.started_at, 0);
        while now < turns.started_at + seconds(100) {
            count += (0..3).filter(|number| turns.take(stranger(*number), now).is_ok()).count();
            now += STEP;
        }
        assert!((9..=15).contains(&count), "{count} turns of 3 addresses in 100 seconds");
    }

    #[test]
    fn known_address_has_a_turn_however_many_addresses_attack() {
        let user = Client { is_known: true, ..stranger(0) };
        for arrival in [0, 9].map(seconds) {
            let Attacked { waited, .. } = attack(4000, user, arrival);
            assert!(waited <= seconds(6), "{waited:?}");
        }
    }

    #[test]
    fn lots_decide_among_too_many_strangers_and_asking_again_does_not_help() {
        let now = Instant::now();
        let mut turns = Turns::new(now);
        // The queue has no place for the last 1249.
        for number in 0..3500 {
            assert!(turns.take(stranger(number), now).is_err());
        }
        assert_eq!(turns.addresses.len(), 2251);
        let is_waiting = |turns: &Turns, number: u32| turns.addresses.contains_key(&stranger(number).address);
        let late = (2251..3500).filter(|number| is_waiting(&turns, *number)).count();
        // With equal chances, 803 are expected, with a standard deviation of 14.
        assert!((700..900).contains(&late), "{late} of 1249");
        for number in (0..3500).filter(|number| number % 3 == 0) {
            let before = is_waiting(&turns, number);
            assert!(turns.take(stranger(number), now).is_err());
            assert!(before || !is_waiting(&turns, number), "{number}");
        }
        assert_eq!(turns.addresses.len(), 2251);
        // After a while, there are other lots.
        let address = stranger(0).address;
        assert_eq!(turns.lot(address, now), turns.lot(address, now + seconds(19)));
        assert_ne!(turns.lot(address, now), turns.lot(address, now + LOT_LIFETIME));
    }

    #[test]
    fn memory_is_bounded_with_any_number_of_addresses() {
        let start = Instant::now();
        let mut turns = Turns::new(start);
        let mut most = 0;
        for number in 0..12_000 {
            // 120 new addresses per second, none of which uses its turn.
            let now = start + Duration::from_micros(8333) * number;
            assert!(turns.take(stranger(number), now).is_err());
            most = most.max(turns.addresses.len());
        }
        assert!((2251..4600).contains(&most), "{most} addresses");
    }

    #[test]
    fn turn_that_is_not_used_is_lost() {
        let now = Instant::now();
        let mut turns = Turns::new(now);
        assert_eq!(turns.take(stranger(0), now), Err(MIN_WAIT));
        assert_eq!(turns.take(stranger(0), now + seconds(1)), Err(seconds(4)));
        assert_eq!(turns.take(stranger(1), now), Err(MIN_WAIT + TURN_INTERVAL));
        assert_eq!(turns.take(stranger(0), now + seconds(24)), Ok(()));
        assert_eq!(turns.take(stranger(1), now + seconds(26)), Err(MIN_WAIT));
        assert_eq!(turns.take(stranger(0), now + seconds(26)), Err(seconds(18)));
    }
}
