//! Pages, and other parts of the dashboard, that are loaded when they are opened.
//!
//! In a release, the bundler moves each module of [`split_points`], with the code that only this module needs, into a
//! WebAssembly module of its own. The browser loads it when one of its components is opened, or when the pointer or the
//! focus reaches a link to one of its pages. It loads the module `background` soon after the start, or when a page
//! needs it. In development, everything is one module, and loading does nothing.
//!
//! [`pages`] lists these components; [`load`] shows them once their module is loaded; [`links`] loads modules ahead.

mod links;
mod load;
mod pages;

pub use links::watch_links;
pub use load::load_background;
pub use pages::*;
