#!/usr/bin/env bash
# mimalloc 3 (crate mimalloc 0.1.52): memory that a program freed is not returned to the system while it is idle,
# although the purge delay is one second. Blocks of 100 bytes are not even returned when the program works again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'mimalloc = { version = "=0.1.52", default-features = false }' '
use std::{thread::sleep, time::Duration};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Resident memory, in MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

fn report(state: &str) {
    println!("{state}: {}", if resident() >= 95 { "at least 95 MiB" } else { "less than 40 MiB" });
    assert!(resident() >= 95 || resident() < 40);
}

fn main() {
    let size = std::env::args().nth(1).unwrap().parse().unwrap();
    let fill = |total: usize| -> Vec<Vec<u8>> { (0..total / size).map(|_| vec![1; size]).collect() };
    let blocks = fill(100 << 20);
    report("filled");
    drop(blocks);
    sleep(Duration::from_secs(5));
    report("idle for 5 s");
    for _ in 0..10 {
        drop(fill(size * 100));
        sleep(Duration::from_millis(200));
    }
    report("after 2 s of work");
}
'
echo 'mimalloc 0.1.52 (mimalloc 3), 100 MiB freed, then idle, then 100 blocks every 200 ms:'
{
    for size in 100 1000; do
        echo "blocks of $size bytes"
        run_rust_program "$size"
    done
    echo 'blocks of 100 bytes, MIMALLOC_PURGE_DELAY=0'
    MIMALLOC_PURGE_DELAY=0 run_rust_program 100
} | expect 'blocks of 100 bytes
filled: at least 95 MiB
idle for 5 s: at least 95 MiB
after 2 s of work: at least 95 MiB
blocks of 1000 bytes
filled: at least 95 MiB
idle for 5 s: at least 95 MiB
after 2 s of work: less than 40 MiB
blocks of 100 bytes, MIMALLOC_PURGE_DELAY=0
filled: at least 95 MiB
idle for 5 s: less than 40 MiB
after 2 s of work: less than 40 MiB'
