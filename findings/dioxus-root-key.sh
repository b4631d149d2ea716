#!/usr/bin/env bash
# dioxus 0.7.10: a component keeps its state when its key changes, unless it is an item of a list.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'dioxus = { version = "=0.7.10", default-features = false, features = ["macro", "html", "signals", "hooks"] }
dioxus-ssr = "=0.7.10"' '
use dioxus::prelude::*;

static PAGE: GlobalSignal<u32> = Signal::global(|| 1);

/// Remembers the page for which it was created.
#[component]
fn Page(number: u32) -> Element {
    let created_for = use_hook(|| number);
    rsx! { "page {number}, state of {created_for}. " }
}

fn alone() -> Element {
    let number = PAGE();
    rsx! { Page { key: "{number}", number } }
}

fn in_a_list() -> Element {
    let number = PAGE();
    rsx! {
        for number in [number] {
            Page { key: "{number}", number }
        }
    }
}

fn show(name: &str, app: fn() -> Element) {
    let mut dom = VirtualDom::new(app);
    dom.rebuild_in_place();
    dom.in_runtime(|| *PAGE.write() = 2);
    dom.render_immediate(&mut dioxus::core::NoOpMutations);
    println!("{name}: {}", dioxus_ssr::render(&dom).trim());
}

fn main() {
    show("alone", alone);
    show("in a list", in_a_list);
}'

echo 'dioxus 0.7.10:'
run_rust_program | expect 'alone: page 2, state of 1.
in a list: page 2, state of 2.'
