//! End-to-end tests of the real binaries, spoken to with real clients.
