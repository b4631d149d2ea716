//! Connections and bodies of both listeners.

mod bodies;
mod connections;
mod malformed;
mod open_files;
