//! The Handle System's HTTP API, asked by clients that were made for other servers.

mod kept;
mod pyhandle;
mod tls;
