//! The resolver's sockets, UDP and TCP on one port, and what goes wrong on purpose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use idnode_proto::handle::{
    FrameStatus, MAX_DATAGRAM_LEN, Reassembler, ReassemblyLimits, Transport, datagrams, tcp_frame,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::Answerer;
use crate::national::faults::{Channel, Fault, Faults, Kind};
use crate::national::{Failure, Task};

/// Connections at once, and answers that come late.
const MAX_AT_ONCE: usize = 256;
/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(30);
/// How often a port is looked for that is free for both transports.
const TRIES: usize = 16;

/// Both sockets.
pub(super) struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
    /// Where they are.
    pub(super) at: SocketAddr,
}

/// What all tasks share.
#[derive(Clone)]
struct Desk {
    answerer: Arc<Answerer>,
    faults: Arc<Faults>,
    places: Arc<Semaphore>,
}

/// How an answer goes out.
#[derive(Debug, Default)]
struct Delivery {
    messages: Vec<Vec<u8>>,
    after: Duration,
    /// It waits for the next one.
    held_back: bool,
    /// It breaks off in the middle.
    half: bool,
    /// The connection ends without it.
    down: bool,
}

impl Sockets {
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let mut tries = 0;
        loop {
            let tcp = TcpListener::bind(address).await?;
            let at = tcp.local_addr()?;
            match UdpSocket::bind(at).await {
                Ok(udp) => return Ok(Self { udp, tcp, at }),
                // Any port will do, but not every one that is free for TCP is for UDP.
                Err(_) if address.port() == 0 && tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn tasks(self, answerer: &Arc<Answerer>, faults: &Arc<Faults>) -> Vec<Task> {
        let desk = Desk {
            answerer: answerer.clone(),
            faults: faults.clone(),
            places: Arc::new(Semaphore::new(MAX_AT_ONCE)),
        };
        let udp = over_udp(desk.clone(), Arc::new(self.udp));
        let tcp = over_tcp(desk, self.tcp);
        vec![Box::pin(udp), Box::pin(tcp)]
    }
}

impl Desk {
    fn delivery(&self, message: &[u8], transport: Transport) -> Delivery {
        let fault = self.faults.next(Channel::Resolve);
        if matches!(&fault, Some(fault) if fault.kind == Kind::Down) {
            return Delivery {
                down: true,
                ..Delivery::default()
            };
        }
        let answer = match &fault {
            Some(fault) if fault.kind == Kind::WrongAnswer => {
                self.answerer.wrong_answer(message, transport)
            }
            _ => self.answerer.answer(message, transport),
        };
        let Some(answer) = answer else {
            return Delivery::default();
        };
        Delivery::of(answer, fault.as_ref())
    }
}

impl Delivery {
    fn of(answer: Vec<u8>, fault: Option<&Fault>) -> Self {
        let plain = Self {
            messages: vec![answer.clone()],
            ..Self::default()
        };
        let Some(fault) = fault else {
            return plain;
        };
        match fault.kind {
            Kind::Drop | Kind::Down => Self::default(),
            Kind::WrongAnswer => plain,
            Kind::Delay => Self {
                after: Duration::from_millis(fault.delay_ms),
                ..plain
            },
            Kind::Duplicate => Self {
                messages: vec![answer.clone(), answer],
                ..plain
            },
            Kind::Reorder => Self {
                held_back: true,
                ..plain
            },
            Kind::HalfAnswer => Self {
                half: true,
                ..plain
            },
        }
    }
}

fn half(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len() / 2).unwrap_or_default()
}

async fn over_udp(desk: Desk, socket: Arc<UdpSocket>) {
    let mut reassembler = Reassembler::new(ReassemblyLimits::default());
    let mut buffer = [0; 4 * MAX_DATAGRAM_LEN];
    let began = Instant::now();
    let mut late: Vec<(SocketAddr, Delivery)> = Vec::new();
    loop {
        // Errors are those of datagrams that were sent before: nobody listens there any more.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let datagram = buffer.get(..length).unwrap_or_default();
        let now_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Ok(Some(message)) = reassembler.accept(&from, datagram, now_ms) else {
            continue;
        };
        let delivery = desk.delivery(&message, Transport::Udp);
        if delivery.held_back && late.len() < MAX_AT_ONCE {
            late.push((from, delivery));
            continue;
        }
        if delivery.after.is_zero() {
            send(&socket, from, &delivery).await;
        } else if let Ok(place) = desk.places.clone().try_acquire_owned() {
            let socket = socket.clone();
            tokio::spawn(async move {
                let _place = place;
                tokio::time::sleep(delivery.after).await;
                send(&socket, from, &delivery).await;
            });
        }
        for (from, delivery) in late.drain(..) {
            send(&socket, from, &delivery).await;
        }
    }
}

async fn send(socket: &UdpSocket, to: SocketAddr, delivery: &Delivery) {
    let mut bytes = Vec::with_capacity(MAX_DATAGRAM_LEN);
    for message in &delivery.messages {
        for datagram in datagrams(message) {
            bytes.clear();
            datagram.encode(&mut bytes);
            let sent = match delivery.half {
                true => socket.send_to(half(&bytes), to).await,
                false => socket.send_to(&bytes, to).await,
            };
            // Who does not get it asks again.
            drop(sent);
        }
    }
}

async fn over_tcp(desk: Desk, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors are left, perhaps: it does not help to try at once.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = desk.places.clone().try_acquire_owned() else {
            continue;
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            let _place = place;
            // A connection that breaks is the client's affair.
            drop(converse(&desk, stream).await);
        });
    }
}

async fn converse(desk: &Desk, mut stream: TcpStream) -> std::io::Result<()> {
    let mut received = Vec::new();
    let mut late: Vec<Vec<u8>> = Vec::new();
    loop {
        let length = match tcp_frame(&received) {
            FrameStatus::Complete { len } => len,
            FrameStatus::Invalid(_) => return Ok(()),
            FrameStatus::NeedMore(_) => {
                let read = timeout(IDLE, stream.read_buf(&mut received)).await;
                match read {
                    Ok(Ok(more)) if more > 0 => continue,
                    Ok(Err(error)) => return Err(error),
                    _ => return Ok(()),
                }
            }
        };
        let message: Vec<u8> = received.drain(..length).collect();
        let delivery = desk.delivery(&message, Transport::Tcp);
        if delivery.down {
            return Ok(());
        }
        tokio::time::sleep(delivery.after).await;
        if delivery.held_back {
            late.extend(delivery.messages);
            continue;
        }
        for answer in delivery.messages.iter().chain(&late) {
            if delivery.half {
                return timeout(IDLE, stream.write_all(half(answer))).await?;
            }
            timeout(IDLE, stream.write_all(answer)).await??;
        }
        late.clear();
    }
}
