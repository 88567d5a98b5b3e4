//! Tests of the rule for what a secret is, with tables, and of properties of the removal.

mod forms;
mod known;
mod lines;
mod names;
mod ordinary;
mod programs;
mod time;
mod values;
mod visible;
mod wrapped;
