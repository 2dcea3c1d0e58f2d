//! Criterion benches and whole-process comparisons.
