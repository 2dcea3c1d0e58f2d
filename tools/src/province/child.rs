//! The programs of a province as processes: started, asked whether they live, ended; and those that
//! an earlier run has left behind.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::city::Site;
use super::error::Failure;
use super::layout::{Layout, Map};
use super::net;

/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(120);
/// How long a program that was told to end may take, before it is killed.
const END: Duration = Duration::from_secs(15);

/// Where the programs are.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// In a directory; by default that of this program.
    ///
    /// # Errors
    /// One of them is not there.
    pub(super) fn find(dir: Option<&Path>) -> Result<Self, Failure> {
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => {
                let own = std::env::current_exe().map_err(Failure::io("this program's path"))?;
                own.parent().unwrap_or(Path::new(".")).to_owned()
            }
        };
        for name in ["idnode", "idnational"] {
            if !dir.join(name).is_file() {
                return Err(Failure::Usage(format!(
                    "there is no {name} in {}; --bin-dir says where it is",
                    dir.display()
                )));
            }
        }
        let dir = fs::canonicalize(&dir).map_err(Failure::io(dir.display().to_string()))?;
        Ok(Self { dir })
    }

    /// A program, which runs in a place's namespace if it has one. What the environment would set
    /// of it is left out.
    fn command(&self, program: &str, namespace: Option<&str>) -> Command {
        let path = self.dir.join(program);
        let mut command = match namespace {
            // Becomes the program: the process is the same.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(path);
                command
            }
            None => Command::new(path),
        };
        let own = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("IDNODE_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| own(name)) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Makes a city's registry, if there is none yet.
    ///
    /// # Errors
    /// `idnode init` fails.
    pub(super) fn init(&self, layout: &Layout, city: super::city::City) -> Result<(), Failure> {
        if layout.operator_token(city).exists() {
            return Ok(());
        }
        let mut command = self.command("idnode", None);
        command.arg("init").arg("--data-dir");
        command.arg(layout.file(Site::City(city), "data"));
        let done = command.output().map_err(Failure::io("idnode init"))?;
        match done.status.success() {
            true => Ok(()),
            false => Err(Failure::Program(format!(
                "{city}: idnode init: {}",
                String::from_utf8_lossy(&done.stderr).trim(),
                city = city.name()
            ))),
        }
    }

    /// Starts a place's program. It is in a process group of its own: what the terminal sends to
    /// this one does not reach it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(&self, layout: &Layout, map: &Map, site: Site) -> Result<Running, Failure> {
        use std::os::unix::process::CommandExt as _;
        let (program, verb) = match site {
            Site::City(_) => ("idnode", "run"),
            Site::National => ("idnational", "serve"),
        };
        let log = layout.log(site);
        let log = File::options()
            .append(true)
            .create(true)
            .open(&log)
            .map_err(Failure::io(log.display().to_string()))?;
        let namespace = map.namespace(site);
        let mut command = self.command(program, namespace.as_deref());
        command.arg(verb).arg("--config").arg(layout.config(site));
        command.stdout(Stdio::piped()).stderr(log).process_group(0);
        let child = command.spawn().map_err(Failure::io(program))?;
        Ok(Running::new(site, child))
    }
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Running {
    site: Site,
    child: Child,
    /// Its first line, once it is there.
    said: mpsc::Receiver<String>,
}

impl Running {
    fn new(site: Site, mut child: Child) -> Self {
        let (first, said) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            // Ends with the program: its output is closed then.
            std::thread::spawn(move || {
                let mut lines = BufReader::new(output).lines().map_while(Result::ok);
                if let Some(line) = lines.next() {
                    let _ = first.send(line);
                }
                lines.for_each(drop);
            });
        }
        Self { site, child, said }
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said where it listens.
    ///
    /// # Errors
    /// It ended before, or takes too long.
    pub(super) async fn until_it_listens(&self, layout: &Layout) -> Result<(), Failure> {
        let until = Instant::now() + START;
        loop {
            match self.said.try_recv() {
                Ok(_) => return Ok(()),
                Err(mpsc::TryRecvError::Empty) if Instant::now() < until => {}
                Err(_) => break,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let log = layout.log(self.site);
        let text = fs::read_to_string(&log).unwrap_or_default();
        let mut last: Vec<_> = text.lines().rev().take(3).collect();
        last.reverse();
        Err(Failure::Program(format!(
            "{} does not start ({}): {}",
            self.site,
            log.display(),
            last.join(" / ")
        )))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Tells it to end.
    pub(super) fn terminate(&self) {
        signal(self.child.id(), Signal::SIGTERM);
    }

    /// Waits for its end, and ends it if that takes too long.
    pub(super) fn wait(&mut self) {
        let until = Instant::now() + END;
        while self.ended().is_none() {
            if Instant::now() >= until {
                // It is gone already, or goes now.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Processes of the province: those that name one of its configuration files on their command
/// line, and those in its namespaces.
fn left_behind(layout: &Layout, map: &Map) -> Vec<i32> {
    let configs: Vec<_> = Site::all().map(|site| layout.config(site)).collect();
    let names_one = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = line.split(|byte| *byte == 0);
        arguments.any(|argument| {
            configs
                .iter()
                .any(|config| config.as_os_str().as_encoded_bytes() == argument)
        })
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<i32> = all.filter(|pid| names_one(*pid)).collect();
    found.extend(net::processes(map));
    let own = std::process::id();
    found.retain(|pid| u32::try_from(*pid) != Ok(own));
    found.sort_unstable();
    found.dedup();
    found
}

/// Ends all processes of the province that are left; how many there were.
pub(super) fn sweep(layout: &Layout, map: &Map) -> usize {
    let found = left_behind(layout, map);
    for pid in &found {
        let _ = kill(Pid::from_raw(*pid), Signal::SIGTERM);
    }
    let until = Instant::now() + END;
    while Instant::now() < until && !left_behind(layout, map).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    for pid in left_behind(layout, map) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until && !left_behind(layout, map).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    found.len()
}
