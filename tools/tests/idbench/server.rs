//! A stand-in DNS server: it answers every question without records, and misbehaves as told.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it is looked whether the server shall end.
const TICK: Duration = Duration::from_millis(30);

/// What is wrong with the server.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Every so manieth query goes unanswered.
    pub drop_every: Option<usize>,
    /// Queries are held until so many have come; more than that within a tick count too.
    pub hold: Option<usize>,
    /// After the first query, when it stops to answer, and for how long.
    pub stall: Option<(Duration, Duration)>,
    /// Answers are to another question, and come twice.
    pub lie: bool,
    /// A connection is closed after so many answers.
    pub close_after: Option<usize>,
}

#[derive(Debug, Default)]
struct Seen {
    stop: AtomicBool,
    bytes_sent: AtomicUsize,
    most_held: AtomicUsize,
}

/// A running stand-in; it ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn udp(behaviour: Behaviour) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let address = socket.local_addr().unwrap();
        Self::run(address, move |seen| serve_udp(&socket, &behaviour, seen))
    }

    pub fn tcp(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self::run(address, move |seen| {
            std::thread::scope(|scope| {
                while !seen.stop.load(Ordering::Relaxed) {
                    match listener.accept() {
                        Ok((stream, _)) => {
                            scope.spawn(|| serve_tcp(stream, &behaviour, seen));
                        }
                        Err(_) => std::thread::sleep(Duration::from_millis(1)),
                    }
                }
            });
        })
    }

    fn run(address: SocketAddr, serve: impl FnOnce(&Seen) + Send + 'static) -> Self {
        let seen = Arc::new(Seen::default());
        let threads = Arc::clone(&seen);
        Self {
            address,
            seen,
            thread: Some(std::thread::spawn(move || serve(&threads))),
        }
    }

    /// Bytes of all answers.
    pub fn bytes_sent(&self) -> usize {
        self.seen.bytes_sent.load(Ordering::Relaxed)
    }

    /// The most queries that waited for their answer at once.
    pub fn most_held(&self) -> usize {
        self.seen.most_held.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, behaviour: &Behaviour, seen: &Seen) {
    let mut buffer = [0; 2048];
    let mut held: Vec<(Vec<u8>, SocketAddr)> = Vec::new();
    let mut began = None;
    let mut stalled = false;
    let mut count = 0;
    while !seen.stop.load(Ordering::Relaxed) {
        let came = socket.recv_from(&mut buffer).ok();
        let quiet = came.is_none();
        if let Some((length, peer)) = came {
            count += 1;
            let began = *began.get_or_insert_with(Instant::now);
            if let Some((after, pause)) = behaviour.stall
                && !stalled
                && began.elapsed() > after
            {
                stalled = true;
                std::thread::sleep(pause);
            }
            if behaviour.drop_every.is_none_or(|every| count % every != 0) {
                held.push((buffer[..length].to_vec(), peer));
                seen.most_held.fetch_max(held.len(), Ordering::Relaxed);
            }
        }
        // What is held goes when no more comes.
        if behaviour
            .hold
            .is_some_and(|most| held.len() <= most && !quiet)
        {
            continue;
        }
        for (query, peer) in held.drain(..) {
            let answer = answer(&query, behaviour.lie);
            for _ in 0..1 + usize::from(behaviour.lie) {
                seen.bytes_sent.fetch_add(answer.len(), Ordering::Relaxed);
                let _ = socket.send_to(&answer, peer);
            }
        }
    }
}

fn serve_tcp(mut stream: TcpStream, behaviour: &Behaviour, seen: &Seen) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(TICK)).unwrap();
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    let mut answered = 0;
    while !seen.stop.load(Ordering::Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => buffer.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        }
        let mut out = Vec::new();
        let mut together = 0;
        while let [high, low, rest @ ..] = &buffer[..] {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if rest.len() < length {
                break;
            }
            let answer = answer(&rest[..length], behaviour.lie);
            out.extend_from_slice(&(answer.len() as u16).to_be_bytes());
            out.extend_from_slice(&answer);
            buffer.drain(..2 + length);
            together += 1;
            answered += 1;
            if behaviour.close_after.is_some_and(|most| answered >= most) {
                let _ = stream.write_all(&out);
                return;
            }
        }
        seen.most_held.fetch_max(together, Ordering::Relaxed);
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

/// The answer without records to a query that `idbench` makes.
fn answer(query: &[u8], lie: bool) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2] |= 0x84;
    let missing = query[13..].starts_with(b"no");
    answer[3] = if missing { 3 } else { 0 };
    if lie {
        answer[13] = b'x';
    }
    answer
}
