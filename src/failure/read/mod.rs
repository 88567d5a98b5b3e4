//! Reading tracebacks: from the lines of a log to the exceptions that they tell of.
//!
//! Each form in which programs print exceptions has a file and a line of the table in [`forms`]. All forms yield the same
//! structure, [`Traceback`]. Reading a log takes time in proportion to its length: a reader passes what it has read, or looks
//! at a bounded number of lines.

mod build;
mod cursor;
mod elixir;
mod forms;
mod go;
mod haskell;
mod hooks;
mod ipython;
mod java;
mod javascript;
mod julia;
mod lua;
mod message;
mod mpi;
mod ocaml;
mod panel;
mod pytest;
mod python;
mod r;
mod rich;
mod ruby;
mod rust;
mod sanitizer;
mod tcl;
mod toolkit;
mod traceback;
mod uncaught;

pub(super) use forms::tracebacks;
pub(super) use message::COMPILER_ERROR;
pub(super) use panel::{content, title};
pub(super) use python::{fatal, timed_out};
pub(super) use traceback::{Link, Origin, Raised, Traceback};
