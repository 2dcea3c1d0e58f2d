//! DNS messages as bytes: queries of any kind, good ones and others, and what answers say. Read
//! and written here, so that no library of the node's stands between the test and the wire.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Flags of a header (RFC 1035 section 4.1.1, RFC 4035 section 3), and of an OPT record.
pub mod flag {
    /// A response.
    pub const QR: u16 = 0x8000;
    /// Authoritative.
    pub const AA: u16 = 0x0400;
    /// Truncated.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
    /// Recursion available.
    pub const RA: u16 = 0x0080;
    /// Reserved.
    pub const Z: u16 = 0x0040;
    /// Authentic data.
    pub const AD: u16 = 0x0020;
    /// Checking disabled.
    pub const CD: u16 = 0x0010;
    /// EDNS: signatures are wanted (RFC 3225).
    pub const DO: u16 = 0x8000;
}

/// Types.
pub mod rtype {
    #![allow(missing_docs)]
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const SOA: u16 = 6;
    pub const HINFO: u16 = 13;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const NAPTR: u16 = 35;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const DNSKEY: u16 = 48;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
    pub const URI: u16 = 256;
}

/// Response codes.
pub mod rcode {
    #![allow(missing_docs)]
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const BADVERS: u16 = 16;
}

/// Codes of EDNS options.
pub mod option {
    #![allow(missing_docs)]
    pub const NSID: u16 = 3;
    pub const SUBNET: u16 = 8;
    pub const EXPIRE: u16 = 9;
    pub const COOKIE: u16 = 10;
    pub const KEEPALIVE: u16 = 11;
    pub const EXTENDED_ERROR: u16 = 15;
}

/// The id of every query that is not given another.
pub const ID: u16 = 0x3c96;

/// An OPT record (RFC 6891 section 6.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edns {
    /// UDP payload size, bytes.
    pub payload: u16,
    /// The upper bits of the response code.
    pub rcode_high: u8,
    /// Version.
    pub version: u8,
    /// Flags.
    pub flags: u16,
    /// Options, by code.
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Edns {
    /// As clients send it.
    pub fn v(version: u8) -> Self {
        Self {
            payload: 1_232,
            version,
            ..Self::default()
        }
    }

    /// With another payload size.
    #[must_use]
    pub fn payload(mut self, bytes: u16) -> Self {
        self.payload = bytes;
        self
    }

    /// With flags.
    #[must_use]
    pub fn flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    /// With one more option.
    #[must_use]
    pub fn option(mut self, code: u16, data: &[u8]) -> Self {
        self.options.push((code, data.to_vec()));
        self
    }

    /// The data of its first option of a code.
    pub fn find(&self, code: u16) -> Option<&[u8]> {
        let mut options = self.options.iter();
        options
            .find(|(found, _)| *found == code)
            .map(|(_, data)| &data[..])
    }

    /// The record.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(rtype::OPT.to_be_bytes());
        bytes.extend(self.payload.to_be_bytes());
        bytes.extend([self.rcode_high, self.version]);
        bytes.extend(self.flags.to_be_bytes());
        let mut data = Vec::new();
        for (code, option) in &self.options {
            data.extend(code.to_be_bytes());
            data.extend((option.len() as u16).to_be_bytes());
            data.extend(option);
        }
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
        bytes
    }
}

/// A query.
#[derive(Debug, Clone)]
pub struct Ask {
    id: u16,
    flags: u16,
    questions: Vec<u8>,
    question_count: u16,
    edns: Option<Edns>,
}

impl Ask {
    /// One question of class IN, nothing else.
    pub fn of(name: &str, qtype: u16) -> Self {
        Self::header().question(name, qtype, 1)
    }

    /// No question.
    pub fn header() -> Self {
        Self {
            id: ID,
            flags: 0,
            questions: Vec::new(),
            question_count: 0,
            edns: None,
        }
    }

    /// With one more question.
    #[must_use]
    pub fn question(mut self, name: &str, qtype: u16, class: u16) -> Self {
        self.questions.extend(wire_name(name));
        self.questions.extend(qtype.to_be_bytes());
        self.questions.extend(class.to_be_bytes());
        self.question_count += 1;
        self
    }

    /// With another id.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// With flags of the header.
    #[must_use]
    pub fn flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    /// With an opcode.
    #[must_use]
    pub fn opcode(self, opcode: u16) -> Self {
        self.flags(opcode << 11)
    }

    /// With an OPT record.
    #[must_use]
    pub fn edns(mut self, edns: Edns) -> Self {
        self.edns = Some(edns);
        self
    }

    /// The message.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let additional = u16::from(self.edns.is_some());
        for number in [self.id, self.flags, self.question_count, 0, 0, additional] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(&self.questions);
        bytes.extend(self.edns.iter().flat_map(Edns::bytes));
        bytes
    }
}

/// A name on the wire; labels without escapes.
pub fn wire_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Owner, in small letters, with its final dot.
    pub name: String,
    /// Type.
    pub rtype: u16,
    /// Class.
    pub class: u16,
    /// Seconds.
    pub ttl_s: u32,
    /// Data as it came.
    pub data: Vec<u8>,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Id.
    pub id: u16,
    /// Flags of the header, opcode and response code not among them.
    pub flags: u16,
    /// Opcode.
    pub opcode: u16,
    /// Response code, its upper bits from the OPT record.
    pub rcode: u16,
    /// The question section as it came.
    pub questions: Vec<u8>,
    /// How many questions there are.
    pub question_count: u16,
    /// Answer, authority and additional section, OPT records not among them.
    pub sections: [Vec<Record>; 3],
    /// Its OPT records.
    pub edns: Vec<Edns>,
    /// Length of the message, bytes.
    pub length: usize,
}

impl Said {
    /// Reads a message.
    ///
    /// # Panics
    /// It is not well formed, or something follows it.
    pub fn read(message: &[u8]) -> Self {
        let mut at = 12;
        let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        let question_count = number(4);
        for _ in 0..question_count {
            name_at(message, &mut at);
            at += 4;
        }
        let questions = message[12..at].to_vec();
        let (mut sections, mut edns) = ([const { Vec::new() }; 3], Vec::new());
        for (place, section) in sections.iter_mut().enumerate() {
            for _ in 0..number(6 + 2 * place) {
                let record = record_at(message, &mut at);
                if record.rtype == rtype::OPT {
                    assert_eq!((place, record.name.as_str()), (2, "."), "{message:02x?}");
                    edns.push(edns_of(&record));
                } else {
                    section.push(record);
                }
            }
        }
        assert_eq!(at, message.len(), "trailing bytes: {message:02x?}");
        let head = number(2);
        let high = edns.first().map_or(0, |edns: &Edns| edns.rcode_high);
        Self {
            id: number(0),
            flags: head & !0x780f,
            opcode: head >> 11 & 15,
            rcode: u16::from(high) << 4 | head & 15,
            questions,
            question_count,
            sections,
            edns,
            length: message.len(),
        }
    }

    /// Whether a flag of the header is set.
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Records of the answer section.
    pub fn answers(&self) -> &[Record] {
        &self.sections[0]
    }

    /// Records of the authority section.
    pub fn authorities(&self) -> &[Record] {
        &self.sections[1]
    }

    /// Types in the answer section.
    pub fn answer_types(&self) -> Vec<u16> {
        self.answers().iter().map(|record| record.rtype).collect()
    }

    /// Types in the authority section.
    pub fn authority_types(&self) -> Vec<u16> {
        self.authorities()
            .iter()
            .map(|record| record.rtype)
            .collect()
    }

    /// Its extended error: info-code and text (RFC 8914).
    pub fn extended_error(&self) -> Option<(u16, String)> {
        let data = self.edns.first()?.find(option::EXTENDED_ERROR)?;
        let text = String::from_utf8(data[2..].to_vec()).expect("UTF-8");
        Some((u16::from_be_bytes([data[0], data[1]]), text))
    }
}

fn record_at(message: &[u8], at: &mut usize) -> Record {
    let name = name_at(message, at);
    let head: [u8; 10] = message[*at..*at + 10].try_into().expect("ten bytes");
    let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
    let data = message[*at + 10..*at + 10 + length].to_vec();
    *at += 10 + length;
    Record {
        name,
        rtype: u16::from_be_bytes([head[0], head[1]]),
        class: u16::from_be_bytes([head[2], head[3]]),
        ttl_s: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        data,
    }
}

fn name_at(message: &[u8], at: &mut usize) -> String {
    let mut name = String::new();
    let (mut from, mut followed) = (*at, false);
    loop {
        let length = usize::from(message[from]);
        if length >= 0xc0 {
            if !followed {
                *at = from + 2;
            }
            let to = (length & 0x3f) << 8 | usize::from(message[from + 1]);
            assert!(to < from, "a pointer forward: {message:02x?}");
            (from, followed) = (to, true);
            continue;
        }
        from += 1;
        if length == 0 {
            break;
        }
        let label = &message[from..from + length];
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        name.push('.');
        from += length;
    }
    if !followed {
        *at = from;
    }
    if name.is_empty() {
        ".".to_owned()
    } else {
        name
    }
}

fn edns_of(record: &Record) -> Edns {
    let [rcode_high, version, flags @ ..] = record.ttl_s.to_be_bytes();
    let mut rest = &record.data[..];
    let mut options = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let code = u16::from_be_bytes([rest[0], rest[1]]);
        options.push((code, rest[4..4 + length].to_vec()));
        rest = &rest[4 + length..];
    }
    Edns {
        payload: record.class,
        rcode_high,
        version,
        flags: u16::from_be_bytes(flags),
        options,
    }
}

/// A client over UDP, with an address of its own.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    at: SocketAddr,
}

impl Udp {
    /// From an address of this machine to a server; answers from another address are not taken.
    ///
    /// # Panics
    /// The address cannot be had.
    pub fn from(source: IpAddr, at: SocketAddr) -> Self {
        let socket = UdpSocket::bind((source, 0)).expect("a socket");
        socket.connect(at).expect("a way to the server");
        Self { socket, at }
    }

    /// Sends a message.
    ///
    /// # Panics
    /// It cannot be sent.
    pub fn send(&self, message: &[u8]) {
        self.socket.send(message).expect("a message to send");
    }

    /// The next message; `None`: there is none within that time.
    ///
    /// # Panics
    /// The server is not there.
    pub fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        let socket = &self.socket;
        socket.set_read_timeout(Some(patience)).expect("a timeout");
        let mut buffer = vec![0; 65_536];
        match socket.recv(&mut buffer) {
            Ok(length) => Some(buffer[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{}: {error}", self.at),
        }
    }
}

/// How long an answer may take that must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);

/// The answer to a message over UDP.
///
/// # Panics
/// There is none.
pub fn udp(at: SocketAddr, message: &[u8]) -> Vec<u8> {
    let client = Udp::from([127, 0, 0, 1].into(), at);
    client.send(message);
    let answer = client.receive(PATIENCE);
    answer.unwrap_or_else(|| panic!("no answer to {message:02x?}"))
}

/// Whether a message draws no answer over UDP.
pub fn is_silent(at: SocketAddr, message: &[u8]) -> bool {
    let client = Udp::from([127, 0, 0, 1].into(), at);
    client.send(message);
    client.receive(SILENCE).is_none()
}

/// A client over TCP.
#[derive(Debug)]
pub struct Tcp {
    /// Its connection.
    pub stream: TcpStream,
}

impl Tcp {
    /// Connects.
    ///
    /// # Panics
    /// It cannot.
    pub fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream }
    }

    /// Sends a message with its length.
    ///
    /// # Panics
    /// It cannot be sent.
    pub fn send(&mut self, message: &[u8]) {
        let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
        bytes.extend(message);
        self.stream.write_all(&bytes).expect("bytes to send");
    }

    /// The next message; `None`: the connection ended.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).ok()?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut message).ok()?;
        Some(message)
    }
}

/// The answer to a message over TCP.
///
/// # Panics
/// There is none.
pub fn tcp(at: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut client = Tcp::connect(at);
    client.send(message);
    let answer = client.receive();
    answer.unwrap_or_else(|| panic!("no answer to {message:02x?}"))
}
