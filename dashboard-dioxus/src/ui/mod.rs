//! The components that pages are built from. Most of their styles are in `style/ui.css` and `style/surfaces.css`, those
//! of [`grid`] in `style/grid.css`.
//!
//! The components use native elements: `<dialog>` keeps the focus inside and closes with Esc, a `popover` closes at a
//! click elsewhere, and form elements have their roles and keys. Components take their accessible name as a property.

mod code_text;
mod copy;
mod countdown;
mod dialog;
mod drop_target;
mod field;
pub mod finder;
pub mod grid;
mod icon;
mod link;
mod mark;
mod menu;
pub mod messages;
pub mod narrow;
mod nav_link;
mod popover;
mod radio;
mod sheet;
mod states;
mod tab_links;
mod updated;

pub use code_text::CodeText;
pub use copy::CopyButton;
pub use countdown::use_countdown;
pub use dialog::{Confirm, Dialog, ModalDialog};
pub use drop_target::DropTarget;
pub use field::{Field, FormError, RequiredMark, SearchBox, focus_mounted};
pub use finder::{Finder, FinderOption};
pub use icon::{Icon, IconName};
pub use link::Link;
pub use mark::{Mark, Shape};
pub use menu::{Menu, MenuItem};
pub use nav_link::NavLink;
pub use popover::Popover;
pub use radio::RadioOption;
pub use sheet::Sheet;
pub use states::{Empty, ErrorBox, LoadingTable};
pub use tab_links::{TabLink, TabLinks};
pub use updated::Updated;
