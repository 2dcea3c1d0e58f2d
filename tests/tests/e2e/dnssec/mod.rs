//! Signed zones: what the node answers is checked by validators that others wrote: `delv` (BIND),
//! `unbound`, and dnspython.

mod access;
mod answers;
mod rollover;
mod validator;
mod world;
