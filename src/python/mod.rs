//! Python's view of data: JSON as `json.loads` reads it and `json.dumps` writes it, and what `str` and `repr` make of it.
//!
//! The scripts that run under footplate were written for variables and arguments made by Python, so these must be the
//! same to the letter: `1e-05`, `True`, lists as `repr`, integers of any size, NaN. Contracts: Python's `json` module
//! and `float.__repr__` (CPython 3.11), and the recorded runs in `tests/parity`.
//!
//! Nothing here touches a file, a process or a clock.

mod number;
mod parse;
mod text;
mod value;
mod write;

pub use parse::{ParseError, Parser, parse};
pub use text::Text;
pub use value::{Dict, Value};
pub use write::Separators;
