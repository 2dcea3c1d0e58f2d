//! The real processes: `idnode`, and `idctl` on it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::items::PREFIX;

/// Clock ticks a second in `/proc/*/stat` (`USER_HZ`, 100 on every Linux architecture in use).
const TICKS_PER_S: f64 = 100.0;

/// A 统一社会信用代码 whose check character is right.
const CERTIFICATE_CODE: &str = "91110000600037341L";

/// The programs under test.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The node.
    pub idnode: PathBuf,
    /// Its command-line client.
    pub idctl: PathBuf,
}

/// A node on a data directory of its own. Killed when dropped.
#[derive(Debug)]
pub struct Node {
    binaries: Binaries,
    data_dir: PathBuf,
    process: Option<Child>,
    grpc: String,
}

impl Node {
    /// Makes an empty registry and starts a node on it, on ports of its own.
    pub fn init_and_start(binaries: &Binaries, data_dir: &Path) -> Outcome<Self> {
        let made = Command::new(&binaries.idnode)
            .arg("init")
            .arg("--data-dir")
            .arg(data_dir)
            .stdout(Stdio::null())
            .status()?;
        if !made.success() {
            return Err(format!("idnode init: {made}").into());
        }
        let mut node = Self {
            binaries: binaries.clone(),
            data_dir: data_dir.to_owned(),
            process: None,
            grpc: String::new(),
        };
        node.start()?;
        Ok(node)
    }

    /// Starts the node; how long until it said its ports.
    pub fn start(&mut self) -> Outcome<Duration> {
        let any = "127.0.0.1:0";
        let started = Instant::now();
        let mut process = Command::new(&self.binaries.idnode)
            .arg("run")
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--grpc", any, "--http", any, "--dns", any, "--handle", any])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = process.stdout.take().ok_or("idnode has no output")?;
        self.process = Some(process);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let took = started.elapsed();
        let ports: serde_json::Value = serde_json::from_str(&line)
            .map_err(|error| format!("idnode said {line:?}, not its ports: {error}"))?;
        let grpc = ports.get("grpc").and_then(|address| address.as_str());
        self.grpc = grpc.ok_or("the ports have no grpc")?.to_owned();
        Ok(took)
    }

    /// Registers an enterprise and an active prefix for it.
    pub fn prepare(&self) -> Outcome<()> {
        let enterprise = self.idctl(&[
            "enterprise",
            "create",
            "--name",
            "Benchmark Motors",
            "--certificate-code",
            CERTIFICATE_CODE,
        ])?;
        let id = ["id", "enterprise_id"]
            .iter()
            .find_map(|name| enterprise.get(name))
            .or_else(|| enterprise.pointer("/enterprise/id"))
            .and_then(|id| id.as_str())
            .ok_or_else(|| format!("no id in {enterprise}"))?;
        self.idctl(&["enterprise", "review", id, "verify"])?;
        self.idctl(&["prefix", "apply", PREFIX, "--enterprise-id", id])?;
        self.idctl(&["prefix", "start-review", PREFIX])?;
        self.idctl(&["prefix", "approve", PREFIX])?;
        Ok(())
    }

    /// `idctl import FILE`: its wall clock, and its CPU time in seconds, user and system.
    pub fn import(&self, file: &Path) -> Outcome<(Duration, (f64, f64))> {
        let before = children_cpu_s()?;
        let started = Instant::now();
        let status = self
            .command()
            .args(["import", "--restart"])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .status()?;
        let took = started.elapsed();
        if !status.success() {
            return Err(format!("idctl import: {status}").into());
        }
        let after = children_cpu_s()?;
        Ok((took, (after.0 - before.0, after.1 - before.1)))
    }

    /// How many identifiers the node has.
    pub fn identifiers(&self) -> Outcome<u64> {
        let statistics = self.idctl(&["stats"])?;
        let count = statistics.get("identifiers");
        Ok(count
            .and_then(|count| count.as_u64())
            .ok_or_else(|| format!("no identifiers in {statistics}"))?)
    }

    /// Resident memory of the node, bytes: the highest since its start, and now.
    pub fn resident_bytes(&self) -> Outcome<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let field = |name: &str| -> Outcome<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next());
            Ok(kib.ok_or_else(|| format!("no {name}"))?.parse::<u64>()? << 10)
        };
        Ok((field("VmHWM:")?, field("VmRSS:")?))
    }

    /// CPU time of the node, seconds: user and system.
    pub fn cpu_s(&self) -> Outcome<(f64, f64)> {
        cpu_s(&format!("/proc/{}/stat", self.pid()?), 11)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits until the node has drained.
    pub fn stop(&mut self) -> Outcome<()> {
        if let Some(mut process) = self.process.take() {
            Command::new("kill")
                .args(["-TERM", &process.id().to_string()])
                .status()?;
            let ended = process.wait()?;
            if !ended.success() {
                return Err(format!("idnode ended with {ended}").into());
            }
        }
        Ok(())
    }

    fn pid(&self) -> Outcome<u32> {
        Ok(self.process.as_ref().ok_or("the node is not running")?.id())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binaries.idctl);
        command
            .arg("--server")
            .arg(format!("http://{}", self.grpc))
            .arg("--token-file")
            .arg(self.data_dir.join("operator.token"));
        command
    }

    fn idctl(&self, arguments: &[&str]) -> Outcome<serde_json::Value> {
        let output = self
            .command()
            .arg("--json")
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("idctl {arguments:?}: {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing can be done about a failure here.
        let _ = self.kill();
    }
}

/// CPU time of this process's children that have ended, seconds: user and system.
fn children_cpu_s() -> Outcome<(f64, f64)> {
    cpu_s("/proc/self/stat", 13)
}

/// Two neighbouring times of a `/proc/*/stat` line, counted from after the command's name,
/// which is field 2 and may hold blanks (proc(5): utime is field 14, cutime 16).
fn cpu_s(stat: &str, place: usize) -> Outcome<(f64, f64)> {
    let text = std::fs::read_to_string(stat)?;
    let (_, fields) = text.rsplit_once(')').ok_or("an odd stat line")?;
    let mut times = fields.split_whitespace().skip(place).map(str::parse::<f64>);
    let mut next =
        || -> Outcome<f64> { Ok(times.next().ok_or("a short stat line")?? / TICKS_PER_S) };
    Ok((next()?, next()?))
}
