//! What operators and enterprises use beside the node.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@bench`] | `idbench`, the load generator |
//! | [`bulk`] | the files of bulk registration (批量注册): CSV and JSON Lines, compression, chunks |
//! | [`ctl`] | `idctl`, the operator and enterprise CLI |
//! | [`escrow`] | deposits in directories, for `idctl` and `idnational` |
//! | [`national`] | `idnational`, a stand-in for the national top-level node |
//! | [`province`] | `idprovince`, six nodes and a national node on one machine |
//! | `report_json` | reports to the national node as JSON, for `idctl` and `idnational` |
//! | `handle_client`, `tls` | connections to a Handle server, and whom TLS trusts, for both |

pub mod bench;
pub mod bulk;
pub mod ctl;
pub mod escrow;
mod handle_client;
pub mod national;
pub mod province;
mod report_json;
mod tls;
