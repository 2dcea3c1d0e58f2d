//! A wire of this process's own between the places: a TUN device in each namespace, whose packets a
//! thread reads, holds back for as long as the link takes, and writes to the device of the place
//! they go to. Every protocol over IPv4 passes, and finds links that take their time, can be cut,
//! and are never out of order.
//!
//! | module | holds |
//! |---|---|
//! | `line` | one way of a link: a delay line |
//! | `fabric` | all lines, and which of them a packet takes |
//!
//! Its precision is measured as it runs ([`Wire::report`]): by how much packets left later than
//! they were due. They never leave early.

mod fabric;
mod line;

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::link::{Link, WireReport};
use super::namespace::{inside, ip};
use crate::province::city::{City, Site};
use crate::province::error::Failure;
use crate::province::layout::{Map, Started};
use fabric::{Fabric, Port};

/// The longest sleep of the thread.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Packets read from one device before the others have their turn.
const BATCH: usize = 64;
/// The longest packet.
const PACKET_BYTES: usize = 65_536;

/// What is done to the lines, on the thread that carries packets: it must not wait for a lock that
/// a thread has which waits for a processor.
type Task = Box<dyn FnOnce(&mut Fabric) + Send>;

/// The wire while it runs.
#[derive(Debug)]
pub(in crate::province) struct Wire {
    carrier: Option<Carrier>,
    between_ms: f64,
}

/// The thread that carries packets, which ends when nobody can give it tasks any more.
#[derive(Debug)]
struct Carrier {
    tasks: mpsc::Sender<Task>,
    /// Wakes it.
    bell: UnixStream,
    thread: JoinHandle<()>,
    /// Whether it goes before others.
    urgent: bool,
}

impl Wire {
    /// Makes the devices in namespaces that are there, and starts.
    pub(super) fn make(map: &Map, started: &Started) -> Result<Self, Failure> {
        let nodes = Site::all().map(|site| (map.namespace(site), map.address(site)));
        let clients = City::ALL.map(|city| (map.client_namespace(city), map.client_address(city)));
        let places: Vec<_> = nodes.chain(clients).collect();
        let addresses: Vec<_> = places.iter().map(|(_, address)| *address).collect();
        let mut fabric = Fabric::new(&addresses);
        for (a, b) in Site::pairs() {
            fabric.join(a.index(), b.index(), nanoseconds(started.between_ms));
        }
        for city in City::ALL {
            let node = Site::City(city).index();
            fabric.join(node, clients_port(city), nanoseconds(started.city_ms));
        }
        let device_name = map.device("wire");
        let mut devices = Vec::new();
        for (namespace, address) in &places {
            let namespace = namespace.as_deref().unwrap_or_default();
            devices.push(device(namespace, &device_name, &address.to_string())?);
        }
        Ok(Self {
            carrier: Some(Carrier::start(fabric, devices)?),
            between_ms: started.between_ms,
        })
    }

    /// Does something to the lines; nothing once the wire has stopped.
    fn on_lines<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Fabric) -> T + Send + 'static,
    ) -> Option<T> {
        self.carrier.as_ref()?.ask(task)
    }

    pub(super) fn cut(&self, a: Site, b: Site) {
        self.on_lines(move |lines| lines.cut(a.index(), b.index()));
    }

    pub(super) fn slow(&self, a: Site, b: Site, one_way_ms: f64) {
        let delay_ns = nanoseconds(one_way_ms);
        self.on_lines(move |lines| lines.set_delay(a.index(), b.index(), delay_ns));
    }

    pub(super) fn heal(&self, a: Site, b: Site) {
        self.on_lines(move |lines| lines.mend(a.index(), b.index()));
        self.slow(a, b, self.between_ms);
    }

    pub(super) fn links(&self) -> Vec<Link> {
        let links = self.on_lines(|lines| {
            let links = Site::pairs().map(|(a, b)| {
                let (up, one_way_ms, carried) = lines.link(a.index(), b.index());
                Link {
                    a: a.name().to_owned(),
                    b: b.name().to_owned(),
                    up,
                    one_way_ms,
                    carried,
                }
            });
            links.collect()
        });
        links.unwrap_or_default()
    }

    pub(super) fn report(&self) -> WireReport {
        let urgent = self.carrier.as_ref().is_some_and(|it| it.urgent);
        let lateness = self.on_lines(|lines| lines.lateness());
        lateness
            .flatten()
            .map_or_else(WireReport::default, |late_us| WireReport {
                packets: late_us.len(),
                late_p50_us: late_us.value_at_quantile(0.5),
                late_p99_us: late_us.value_at_quantile(0.99),
                late_p999_us: late_us.value_at_quantile(0.999),
                late_max_us: late_us.max(),
                urgent,
            })
    }

    pub(super) fn stop(&mut self) {
        if let Some(carrier) = self.carrier.take() {
            carrier.stop();
        }
    }
}

impl Carrier {
    fn start(fabric: Fabric, devices: Vec<SyncDevice>) -> Result<Self, Failure> {
        let named = || Failure::io("the wire");
        let (tasks, received) = mpsc::channel();
        let (bell, door) = UnixStream::pair().map_err(named())?;
        door.set_nonblocking(true).map_err(named())?;
        let (told, urgent) = mpsc::channel();
        let carry = move || {
            // Whoever starts the wire waits for this.
            let _ = told.send(make_urgent());
            carry(fabric, &devices, &received, &door);
        };
        let builder = std::thread::Builder::new().name("wire".to_owned());
        let thread = builder.spawn(carry).map_err(named())?;
        let urgent = urgent.recv().unwrap_or(false);
        Ok(Self {
            tasks,
            bell,
            thread,
            urgent,
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Fabric) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, replied) = mpsc::channel();
        let task = Box::new(move |lines: &mut Fabric| {
            // Whoever asked waits for it.
            let _ = reply.send(task(lines));
        });
        self.tasks.send(task).ok()?;
        self.ring();
        replied.recv().ok()
    }

    fn ring(&self) {
        // Where the thread has ended nobody hears it.
        let _ = (&self.bell).write(&[1]);
    }

    fn stop(self) {
        drop(self.tasks);
        // The other end is closed with it, which wakes the thread.
        drop(self.bell);
        // A thread that has panicked carries nothing any more either.
        let _ = self.thread.join();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The port of a city's clients; those of the nodes go before.
fn clients_port(city: City) -> Port {
    City::ALL.len() + 1 + city.index()
}

fn nanoseconds(milliseconds: f64) -> u64 {
    (milliseconds * 1e6) as u64
}

/// A TUN device with an address, which everything in its namespace goes to. It goes away with the
/// process.
fn device(namespace: &str, name: &str, address: &str) -> Result<SyncDevice, Failure> {
    let made = inside(Some(namespace), || {
        let device = DeviceBuilder::new()
            .name(name)
            .layer(Layer::L3)
            .inherit_enable_state()
            .build_sync()?;
        device.set_nonblocking(true)?;
        Ok(device)
    });
    let device = made.map_err(Failure::io(format!("a TUN device in {namespace}")))?;
    let address = format!("{address}/32");
    ip(&["-n", namespace, "addr", "add", &address, "dev", name])?;
    ip(&["-n", namespace, "link", "set", name, "up"])?;
    ip(&["-n", namespace, "route", "add", "default", "dev", name])?;
    Ok(device)
}

/// Puts this thread into the real-time class at its lowest priority, where the system permits it:
/// the wire stands in for fibres, which share no processor with nodes. Whether it is there.
pub(in crate::province) fn make_urgent() -> bool {
    // Sleeps end when they should, not up to 50 us later; in the real-time class they do anyway.
    let _ = nix::sys::prctl::set_timerslack(1);
    let thread = nix::unistd::gettid().to_string();
    let set = Command::new("chrt")
        .args(["--fifo", "--pid", "1", &thread])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    set.is_ok_and(|status| status.success())
}

/// Carries packets, and does what it is told in between, until nobody can tell it any more.
fn carry(
    mut lines: Fabric,
    devices: &[SyncDevice],
    tasks: &mpsc::Receiver<Task>,
    door: &UnixStream,
) {
    let began = Instant::now();
    let now_ns = || began.elapsed().as_nanos() as u64;
    let mut packet = vec![0; PACKET_BYTES];
    loop {
        let sleep = lines.next_due_ns().map_or(LONGEST_SLEEP, |due_ns| {
            Duration::from_nanos(due_ns.saturating_sub(now_ns())).min(LONGEST_SLEEP)
        });
        let readable = wait(devices, door, sleep);
        let mut read = 0;
        let ports = devices.iter().enumerate();
        for port in ports.filter(|(port, _)| readable & (1 << port) != 0) {
            read += take_in(&mut lines, port, &mut packet, now_ns);
        }
        lines.take(now_ns(), |port, packet| {
            if let Some(device) = devices.get(port) {
                // A device that takes no more loses it, like one whose namespace is gone.
                let _ = device.send(packet);
            }
        });
        if readable & DOOR != 0 {
            let _ = (&mut &*door).read(&mut [0; 64]);
            loop {
                match tasks.try_recv() {
                    Ok(task) => task(&mut lines),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
        } else if readable != 0 && read == 0 {
            // A device is gone, and says so again and again.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Takes in what waits at a port, up to a batch; how many packets that was.
fn take_in(
    lines: &mut Fabric,
    (port, device): (Port, &SyncDevice),
    packet: &mut [u8],
    now_ns: impl Fn() -> u64,
) -> usize {
    for taken in 0..BATCH {
        let Ok(length) = device.recv(packet) else {
            return taken;
        };
        lines.put(port, packet.get(..length).unwrap_or_default(), now_ns());
    }
    BATCH
}

/// The bit of the door in what [`wait`] returns.
const DOOR: u64 = 1 << 63;

/// Sleeps until a packet or a task comes, but no longer than `limit`; which ports have packets, by
/// bits, and whether there are tasks.
fn wait(devices: &[SyncDevice], door: &UnixStream, limit: Duration) -> u64 {
    let fds = devices.iter().map(SyncDevice::as_fd).chain([door.as_fd()]);
    let mut polled: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    if ppoll(&mut polled, Some(TimeSpec::from_duration(limit)), None).is_err() {
        return 0;
    }
    let bits = (0..devices.len()).map(|port| 1 << port).chain([DOOR]);
    let ready = polled.iter().zip(bits);
    let ready = ready.filter(|(fd, _)| fd.any().unwrap_or(false));
    ready.fold(0, |all, (_, bit)| all | bit)
}
