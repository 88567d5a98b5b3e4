//! JSON and values as Python reads and writes them: `json.loads`, `json.dumps`, `str` and `repr`.
//!
//! The scripts that run under footplate were written for variables and arguments made by Python, so every character
//! must match: `1e-05`, `True`, lists as `repr`, integers of any size, NaN. The contracts are Python's `json` module
//! and `float.__repr__` (CPython 3.11), and the recorded runs in `tests/parity`.
//!
//! This folder must not use files, processes or clocks.

mod decode;
mod number;
mod parse;
mod text;
mod value;
mod write;

pub use parse::{ParseError, Parser, parse};
pub use text::Text;
pub use value::{Dict, Value};
pub use write::Separators;
