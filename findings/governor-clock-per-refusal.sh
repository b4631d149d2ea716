#!/usr/bin/env bash
# governor 0.10.4: a refusal takes many times as long if a new clock computes its wait time, as in the documentation.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"
export CARGO_PROFILE_DEV_OPT_LEVEL=3

rust_program 'governor = "=0.10.4"
quanta = "=0.12.6"' '
use std::{hint::black_box, num::NonZeroU32, time::{Duration, Instant}};

use governor::{Quota, RateLimiter, clock::{Clock, DefaultClock}};

const CALLS: u32 = 20_000;

/// Returns the shortest time per call of ten rounds.
fn time(mut call: impl FnMut() -> Duration) -> Duration {
    let round = || {
        let begin = Instant::now();
        for _ in 0..CALLS { black_box(call()); }
        begin.elapsed() / CALLS
    };
    std::iter::repeat_with(round).take(10).min().unwrap()
}

fn main() {
    let limiter = RateLimiter::direct(Quota::per_hour(NonZeroU32::MIN));
    limiter.check().unwrap();
    let own = time(|| limiter.check().unwrap_err().wait_time_from(limiter.clock().now()));
    let new = time(|| limiter.check().unwrap_err().wait_time_from(DefaultClock::default().now()));
    eprintln!("refusal with the clock of the limiter: {own:?}, with a new clock: {new:?}");
    println!("a new clock makes a refusal more than 4 times as slow: {}", new > own * 4);
}'

echo 'governor 0.10.4, quanta 0.12.6:'
run_rust_program | expect 'a new clock makes a refusal more than 4 times as slow: true'
