//! The integration tests: the built binary with real processes.
