#!/usr/bin/env bash
# croner 4.0.3: when the clock changes, `30 2 * * *` and `30 0,2,4 * * *` treat 02:30 differently.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'croner = "=4.0.3"
chrono = "=0.4.45"
chrono-tz = "=0.10.4"' '
use chrono::TimeZone as _;
use croner::Cron;

fn main() {
    let zone = chrono_tz::Europe::Berlin;
    for (change, month, day) in [("forward", 3, 29), ("back", 10, 25)] {
        for expression in ["30 2 * * *", "0,30 2 * * *", "30 0,2,4 * * *", "30 */2 * * *"] {
            let cron: Cron = expression.parse().unwrap();
            let start = zone.with_ymd_and_hms(2026, month, day - 1, 23, 59, 0).unwrap();
            let end = zone.with_ymd_and_hms(2026, month, day, 5, 0, 0).unwrap();
            let times: Vec<_> = cron.iter_after(start).take_while(|time| *time < end).collect();
            let times: Vec<_> = times.iter().map(|time| time.format("%H:%M%z").to_string()).collect();
            println!("{change}, {expression}: {}", times.join(" "));
        }
    }
}'

echo 'croner 4.0.3, Europe/Berlin, the nights to 2026-03-29 and 2026-10-25:'
run_rust_program | expect 'forward, 30 2 * * *: 03:00+0200
forward, 0,30 2 * * *: 
forward, 30 0,2,4 * * *: 00:30+0100 04:30+0200
forward, 30 */2 * * *: 00:30+0100 04:30+0200
back, 30 2 * * *: 02:30+0200
back, 0,30 2 * * *: 02:00+0200 02:30+0200 02:00+0100 02:30+0100
back, 30 0,2,4 * * *: 00:30+0200 02:30+0200 02:30+0100 04:30+0100
back, 30 */2 * * *: 00:30+0200 02:30+0200 02:30+0100 04:30+0100'
