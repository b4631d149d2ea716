//! The SQL editor.
mod command_tag;
mod refusals;
mod statement;
mod syntax_tree;
mod values;
