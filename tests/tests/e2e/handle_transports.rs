//! The transports of the Handle front: UDP, TCP and TLS, as many clients and unkind ones use them.
//!
//! | module | holds |
//! |---|---|
//! | `world` | a node with a few handles |
//! | `bounds` | half-sent requests, junk, silence, many connections, answers that are long |
//! | `kept` | answers that are kept encoded |
//! | `load` | the load generator, over every transport |
//! | `writes` | `idctl handle`, over TCP and TLS |
//! | `tls` | connections with TLS, and their certificate |

mod bounds;
mod kept;
mod load;
mod tls;
mod world;
mod writes;
