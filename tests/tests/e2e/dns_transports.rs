//! The transports of the DNS front: TCP, TLS, HTTPS and QUIC, asked by `kdig`, `curl` and by
//! clients that look at every byte.
//!
//! | module | holds |
//! |---|---|
//! | `world` | a node with all transports on, its certificate authority, messages |
//! | `clients` | clients of TCP, TLS, HTTPS and QUIC |
//! | `alike` | the same answers whatever carries them; many queries at once |
//! | `https` | what HTTP adds: status codes, freshness |
//! | `quic` | what QUIC adds: streams and error codes |
//! | `bounds` | connections, silence, clients that do not read |
//! | `certificates` | what is presented, and how it is replaced while the node runs |
//! | `drain` | what had been asked is answered when the node stops |

mod alike;
mod bounds;
mod certificates;
mod clients;
mod drain;
mod https;
mod quic;
pub mod world;
