//! Running `idctl`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// `idctl` against a server, with nothing of the environment.
pub fn command(server: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_idctl"));
    command
        .env_clear()
        .args(["--server", server])
        .stdin(Stdio::null());
    command
}

/// Runs to the end.
pub fn idctl(server: &str, arguments: &[&str]) -> Output {
    command(server).args(arguments).output().unwrap()
}

/// Runs to the end with something on standard input.
pub fn idctl_reading(server: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = start(command(server).args(arguments).stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Starts and does not wait.
pub fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Asserts the exit status and gives standard output.
pub fn expect(output: &Output, status: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(status),
        "stdout: {stdout}\nstderr: {stderr}"
    );
    stdout
}

/// Standard output as one JSON document.
pub fn document(output: &Output, status: i32) -> Value {
    serde_json::from_str(&expect(output, status)).unwrap()
}

/// The error that `--json` puts on standard error.
pub fn error(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    let document: Value = serde_json::from_str(&text).expect(&text);
    document["error"].clone()
}

/// A file's lines as JSON.
pub fn json_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A directory that goes away, with a file in it.
pub fn file(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

/// The path with something behind it.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
