//! The rule for what a secret is, by tables, and properties of the removal.

mod forms;
mod known;
mod names;
mod time;
mod values;
mod visible;
