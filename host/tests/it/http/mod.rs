//! Connections, bodies and unusual requests of both listeners.

mod bodies;
mod connections;
mod malformed;
mod nul;
mod open_files;
