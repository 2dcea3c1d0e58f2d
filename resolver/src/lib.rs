//! What is answered: the resolution core, its hot cache, the fronts over it, and the wiring of
//! a node.
//!
//! | module | holds |
//! |---|---|
//! | [`resolve`] | [`resolve::Resolver`]: how an answer is found |
//! | [`cache`] | the hot cache and its rule against stale answers |
//! | [`front`] | gRPC, DNS, Handle and HTTP: decode, resolve, encode |
//! | [`health`] | the node's checks of itself, which raise fault events |
//! | [`measure`] | what reports are computed from: queries, sources, latencies |
//! | [`udp`] | the batched UDP loop of the fronts |
//! | `clock` | the time of day |
//! | `odds` | whether asking memory first is worth it |
//! | `urgency` | UDP threads before others |
//! | [`trust`] | the key that signs what is registered, verdicts for trusted queries |
//! | [`upward`] | the tasks that speak with the national node, started as configured |
//! | [`node`] | the one place that knows all parts |
//! | [`allocator`] | what memory goes back to the system |
//! | [`config`], [`cli`], [`logging`] | what an operator sets |
//! | [`demo`] | the real data set of `idnode demo` |

pub mod allocator;
pub mod cache;
pub mod cli;
mod clock;
pub mod config;
pub mod demo;
pub mod front;
pub mod health;
pub mod logging;
pub mod measure;
pub mod node;
mod odds;
pub mod recursion;
pub mod resolve;
pub mod trust;
pub mod udp;
pub mod upward;
mod urgency;
