//! The Handle System's HTTP API, asked by clients that were made for other servers.

mod pyhandle;
mod tls;
