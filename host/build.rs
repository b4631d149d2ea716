//! Builds anew when a migration is added: the compiler only watches the files that were there.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
