//! Readers of tracebacks: they convert the lines of a log to the exceptions that the lines report.
//!
//! Each form in which programs print exceptions has a file and a line in the table in [`forms`]. All forms yield the
//! same structure, [`Traceback`]. The time to read a log is proportional to its length: a reader moves past the lines
//! that it has read, or inspects a bounded number of lines.

mod build;
mod crash;
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
mod matlab;
mod message;
mod mpi;
mod nim;
mod ocaml;
mod panel;
mod prolog;
mod pytest;
mod python;
mod r;
mod racket;
mod rich;
mod ruby;
mod runner;
mod rust;
mod sanitizer;
mod spring;
mod stacked;
mod swift;
mod tcl;
mod toolkit;
mod traceback;
mod uncaught;
mod zig;

pub(super) use crash::crash;
pub(super) use forms::tracebacks;
pub(super) use message::{COMPILER_ERROR, REMOTE_ERROR};
pub(super) use panel::{content, title};
pub(super) use python::{fatal, fatal_before, timed_out};
pub(super) use swift::is_error as is_error_of_swift;
pub(super) use traceback::{Link, Origin, Raised, Traceback};
pub(super) use zig::is_panic as is_panic_of_zig;
