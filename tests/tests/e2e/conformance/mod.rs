//! The DNS front by the letter: RFC 8906 section 8, the cases of the EDNS compliance tester of
//! ISC, and points of other RFCs that clients and resolvers stumble over when they are missed.
//! Each test asks over UDP and TCP, with messages made byte by byte.

mod basic;
mod broken;
mod edns;
mod extended;
mod negative;
mod tcp;

use std::net::SocketAddr;
use std::sync::Arc;

use idnode_tests::dns::{Ask, Said, flag, rcode, rtype, tcp, udp};

use crate::zones::World;

/// What is asked of, and by what transports.
struct Server {
    world: Arc<World>,
}

impl Server {
    fn new() -> Self {
        Self {
            world: World::shared(),
        }
    }

    fn at(&self) -> SocketAddr {
        self.world.node.at.dns
    }

    /// The answers over UDP and TCP, which all have what any answer must have.
    fn both(&self, ask: &Ask) -> [Said; 2] {
        [self.udp(ask), self.tcp(ask)]
    }

    fn udp(&self, ask: &Ask) -> Said {
        checked(ask, &udp(self.at(), &ask.bytes()))
    }

    fn tcp(&self, ask: &Ask) -> Said {
        checked(ask, &tcp(self.at(), &ask.bytes()))
    }
}

/// What any answer must have: the query's id, opcode and question, QR, no flags that mean
/// nothing, an OPT record of version 0 where the query has one and else none.
fn checked(ask: &Ask, answer: &[u8]) -> Said {
    let (said, asked) = (Said::read(answer), Said::read(&ask.bytes()));
    assert_eq!(said.id, asked.id, "{said:?}");
    assert_eq!(said.opcode, asked.opcode, "{said:?}");
    assert!(said.has(flag::QR), "{said:?}");
    assert!(!said.has(flag::RA) && !said.has(flag::Z), "{said:?}");
    assert!(!said.has(flag::AD), "{said:?}");
    assert_eq!(said.has(flag::RD), asked.has(flag::RD), "{said:?}");
    if said.question_count > 0 {
        assert_eq!(said.questions, asked.questions, "{said:?}");
    }
    assert_eq!(said.edns.len(), asked.edns.len(), "{said:?}");
    for edns in &said.edns {
        assert_eq!(edns.version, 0, "{said:?}");
        assert!(edns.payload >= 512, "{said:?}");
    }
    said
}

/// NOERROR, with authority, the SOA record the answer.
fn assert_soa(said: &Said) {
    assert_eq!(said.rcode, rcode::NOERROR, "{said:?}");
    assert!(said.has(flag::AA) && !said.has(flag::TC), "{said:?}");
    assert_eq!(said.answer_types(), [rtype::SOA], "{said:?}");
    assert_eq!(said.question_count, 1, "{said:?}");
}

/// A response code and no records.
fn assert_bare(said: &Said, rcode: u16) {
    assert_eq!(said.rcode, rcode, "{said:?}");
    assert!(said.sections.iter().all(Vec::is_empty), "{said:?}");
    assert!(!said.has(flag::AA) && !said.has(flag::TC), "{said:?}");
}
