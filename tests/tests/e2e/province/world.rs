//! A province as a process.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use idnode_tests::run::{Done, Idctl, binary, output, success};
use serde_json::Value;
use tempfile::TempDir;

/// The six cities and the national node.
pub const PLACES: [&str; 7] = [
    "taiyuan", "datong", "yangquan", "luliang", "changzhi", "linfen", "national",
];

/// A province that runs; ended when dropped.
pub struct Province {
    child: Child,
    stdout: BufReader<ChildStdout>,
    home: TempDir,
    /// The first document it printed.
    pub first: Value,
}

/// `idprovince` with arguments.
pub fn idprovince(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("idprovince"));
    command.args(arguments);
    command
}

impl Province {
    /// `idprovince up` with further arguments; waits until everything is up.
    pub fn up(arguments: &[&str]) -> Self {
        Self::up_in(tempfile::tempdir().unwrap(), arguments)
    }

    /// The same in a directory.
    pub fn up_in(home: TempDir, arguments: &[&str]) -> Self {
        let log = File::options()
            .append(true)
            .create(true)
            .open(home.path().join("up.log"))
            .unwrap();
        let mut command = idprovince(&["up", "--json", "--interval-ms", "200", "--dir"]);
        let mut child = command
            .arg(home.path().join("p"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let first = serde_json::from_str(&line).unwrap_or_else(|error| {
            child.wait().ok();
            panic!("{error}: {line:?}\n{}", read(&home.path().join("up.log")))
        });
        Self {
            child,
            stdout,
            home,
            first,
        }
    }

    /// Its directory.
    pub fn dir(&self) -> PathBuf {
        self.home.path().join("p")
    }

    /// The process of `idprovince up`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next document it prints.
    pub fn next(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// A command about it, whatever comes of it.
    pub fn run(&self, arguments: &[&str]) -> Done {
        let dir = self.dir().display().to_string();
        Done::of(&mut idprovince(&[arguments, &["--dir", &dir]].concat()))
    }

    /// A command about it that must succeed.
    pub fn told(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.stdout
    }

    /// How everything is.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.told(&["status", "--json"])).unwrap()
    }

    /// A place in it.
    pub fn node(&self, name: &str) -> Value {
        node(&self.status(), name)
    }

    /// `idctl` of a city's operator, from inside the city.
    pub fn idctl(&self, city: &str) -> Operator {
        let node = node(&self.first, city);
        let address = node["address"].as_str().unwrap();
        Operator {
            namespace: node["namespace"].as_str().map(str::to_owned),
            idctl: Idctl {
                server: format!("http://{address}:{}", node["ports"]["grpc"]),
                token_file: Some(self.dir().join(city).join("data/operator.token")),
            },
        }
    }

    /// What the national node's page answers to a GET, from inside its namespace: status and body.
    pub fn national(&self, path: &str) -> (u32, String) {
        let node = node(&self.first, "national");
        let address = node["address"].as_str().unwrap();
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "10", "-w", "\n%{http_code}"]);
        curl.arg(format!(
            "http://{address}:{}{path}",
            node["ports"]["status"]
        ));
        let text = success(&mut within(node["namespace"].as_str(), &curl));
        let (body, code) = text.rsplit_once('\n').unwrap();
        (code.parse().unwrap(), body.to_owned())
    }

    /// A load that must find everything right; its report.
    pub fn load(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[&["load", "--json"], arguments].concat());
        assert_eq!(done.code, 0, "{done:?}");
        done.document()
    }

    /// SIGKILL to `idprovince up` alone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `idprovince down`; it must end well and leave nothing. Its directory.
    pub fn down(mut self) -> TempDir {
        let remains = Remains::of(&self);
        self.told(&["down"]);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        remains.assert_none();
        let other = tempfile::tempdir().unwrap();
        std::mem::replace(&mut self.home, other)
    }

    /// A signal to `idprovince up` by its name; it must end well and leave nothing.
    pub fn signal(mut self, name: &str) {
        let remains = Remains::of(&self);
        success(Command::new("kill").args(["-s", name, &self.pid().to_string()]));
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        remains.assert_none();
    }
}

impl Drop for Province {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("idprovince: {}", read(&self.home.path().join("up.log")));
        }
        self.run(&["down"]);
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A place in a status document.
pub fn node(status: &Value, name: &str) -> Value {
    let nodes = status["nodes"].as_array().unwrap();
    let found = nodes.iter().find(|node| node["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {status}"))
        .clone()
}

/// A link in a status document.
pub fn link(status: &Value, a: &str, b: &str) -> Value {
    let links = status["links"].as_array().unwrap();
    let found = links
        .iter()
        .find(|link| (link["a"] == a && link["b"] == b) || (link["a"] == b && link["b"] == a));
    found
        .unwrap_or_else(|| panic!("no link of {a} and {b} in {status}"))
        .clone()
}

/// `idctl` inside a city.
pub struct Operator {
    namespace: Option<String>,
    idctl: Idctl,
}

impl Operator {
    /// The JSON document a call prints; it must succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.document()
    }

    /// A call, whatever comes of it.
    pub fn run(&self, arguments: &[&str]) -> Done {
        let mut command = self.idctl.command();
        command.arg("--json").args(arguments);
        Done::of(&mut within(self.namespace.as_deref(), &command))
    }
}

/// A command in a namespace.
fn within(namespace: Option<&str>, command: &Command) -> Command {
    let mut inside = match namespace {
        Some(name) => {
            let mut inside = Command::new("ip");
            inside
                .args(["netns", "exec", name])
                .arg(command.get_program());
            inside
        }
        None => Command::new(command.get_program()),
    };
    inside.args(command.get_args());
    inside
}

/// What a province leaves if it is not ended well.
pub struct Remains {
    dir: PathBuf,
    /// `idp-1a2b-`, if it has namespaces.
    prefix: Option<String>,
}

impl Remains {
    /// Those of a province that runs.
    pub fn of(province: &Province) -> Self {
        let namespace = node(&province.first, "national")["namespace"]
            .as_str()
            .map(|name| name.trim_end_matches("national").to_owned());
        Self {
            dir: province.dir(),
            prefix: namespace,
        }
    }

    /// Processes that name a file of the province on their command line.
    pub fn processes(&self) -> Vec<String> {
        let dir = fs::canonicalize(&self.dir).unwrap();
        let dir = format!("{}/", dir.display());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (line.contains(&dir) && line.contains("--config")).then_some(line)
        });
        lines.collect()
    }

    /// Its namespaces, and devices of the machine's own network that have its tag.
    pub fn network(&self) -> Vec<String> {
        let Some(prefix) = &self.prefix else {
            return Vec::new();
        };
        let tag = prefix.trim_start_matches("idp-").trim_end_matches('-');
        let listed = |arguments: &[&str]| {
            let done = output(Command::new("ip").args(arguments));
            String::from_utf8(done.stdout).unwrap()
        };
        let all = listed(&["netns", "list"]) + &listed(&["-o", "link", "show"]);
        let its = all
            .lines()
            .filter(|line| line.contains(prefix.as_str()) || line.contains(&format!("p{tag}-")));
        its.map(str::to_owned).collect()
    }

    /// Nothing is left.
    pub fn assert_none(&self) {
        assert_eq!(self.processes(), [] as [String; 0]);
        assert_eq!(self.network(), [] as [String; 0]);
    }
}

/// Whether this user may make network namespaces, with the program that does it; said if not.
pub fn has_namespaces() -> bool {
    let name = format!("idp-test-{}", std::process::id());
    let ip = |verb: &str| {
        let done = Command::new("ip").args(["netns", verb, &name]).output();
        done.is_ok_and(|done| done.status.success())
    };
    let has = ip("add") && ip("delete");
    if !has {
        eprintln!("not tested: network namespaces cannot be made here");
    }
    has
}
