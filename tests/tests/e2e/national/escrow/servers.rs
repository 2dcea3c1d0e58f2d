//! The node with a server that is not ours, and our server with a client that is not ours.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use idnode_tests::node::DataDir;
use idnode_tests::run::{Done, success, until};
use tempfile::TempDir;

use super::world::{Keys, USER, create, deposits, node, until_newest};

/// OpenSSH's server for one user, on a port of this machine alone.
pub struct Sshd {
    child: Child,
    pub at: SocketAddr,
    pub host_key: String,
    pub user: String,
    dir: TempDir,
}

impl Sshd {
    pub fn start(keys: &Keys) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        success(
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(file("host")),
        );
        fs::copy(keys.file("login.pub"), file("authorized")).unwrap();
        fs::create_dir(file("deposits")).unwrap();
        // Where it puts itself when it is started by root.
        fs::create_dir_all("/run/sshd").ok();
        let at = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let configuration = format!(
            "ListenAddress {at}\nHostKey {}\nPidFile {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin prohibit-password\nForceCommand internal-sftp -d {}\n\
             Subsystem sftp internal-sftp\n",
            file("host").display(),
            file("pid").display(),
            file("authorized").display(),
            file("deposits").display(),
        );
        fs::write(file("sshd_config"), configuration).unwrap();
        let log = File::create(file("log")).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(file("sshd_config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd (openssh-server) is installed");
        let host_key = fs::read_to_string(file("host.pub")).unwrap();
        let host_key: Vec<&str> = host_key.split(' ').take(2).collect();
        let server = Self {
            child,
            at,
            host_key: host_key.join(" "),
            user: success(Command::new("id").arg("-un")).trim().to_owned(),
            dir,
        };
        until("sshd listens", || TcpStream::connect(at).is_ok());
        server
    }

    /// Where deposits are.
    pub fn deposits(&self) -> PathBuf {
        self.dir.path().join("deposits")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!(
                "sshd: {}",
                fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
            );
        }
    }
}

/// Runs OpenSSH's client with a batch of commands.
pub fn sftp(keys: &Keys, at: SocketAddr, batch: &str) -> Done {
    let file = keys.dir.path().join("batch");
    let mut out = File::create(&file).unwrap();
    out.write_all(batch.as_bytes()).unwrap();
    let mut command = Command::new("sftp");
    command
        .arg("-q")
        .arg("-b")
        .arg(&file)
        .arg("-i")
        .arg(keys.file("login"));
    command.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]);
    command.args([
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "IdentityAgent=none",
        "-F",
        "/dev/null",
    ]);
    command.arg("-P").arg(at.port().to_string());
    Done::of(command.arg(format!("{USER}@{}", at.ip())))
}

/// A deposit of a small registry, made for a server that is not ours.
pub fn deposited(keys: &Keys, sshd: &Sshd, more: &[&str]) -> (DataDir, PathBuf) {
    let data = DataDir::init();
    let settings = keys.settings(sshd.at, &sshd.host_key, &sshd.user);
    let running = node(&data, &settings, more);
    let operator = running.idctl(Some(&data.token_file()));
    let one = operator.verified_enterprise("91110000600037341L");
    operator.active_prefix("88.118.8", &one);
    for number in 0..20 {
        create(
            &operator,
            &format!("88.118.8/{number}"),
            &["URL=https://example.com/"],
        );
    }
    operator.json(&["escrow", "deposit", "--full"]);
    let mut last = String::new();
    until("a deposit of all of them", || {
        let newest = super::world::newest(&operator, "88.118.8").unwrap_or_default();
        last = newest["id"].as_str().unwrap_or_default().to_owned();
        newest["status"] == "sent" && newest["identifiers"] == 20
    });
    running.stop();
    let dir = sshd.deposits().join("88.118.8").join(last);
    (data, dir)
}

#[test]
fn a_node_deposits_at_a_server_that_is_not_ours() {
    let keys = Keys::new();
    let sshd = Sshd::start(&keys);
    let (data, first) = deposited(&keys, &sshd, &["upward.escrow.part_bytes=1024"]);
    assert!(first.join("part-00002").exists() && !first.join("part-00001.partial").exists());
    assert!(keys.read(&first).contains("88.118.8/19"));
    // It goes on with DIFFs there, though nobody says what was found.
    let settings = keys.settings(sshd.at, &sshd.host_key, &sshd.user);
    let running = node(&data, &settings, &["upward.escrow.directory=below/it"]);
    let operator = running.idctl(Some(&data.token_file()));
    create(&operator, "88.118.8/more", &["URL=https://example.com/"]);
    operator.json(&["escrow", "deposit"]);
    let id = first.file_name().unwrap().to_str().unwrap();
    let diff = until_newest(&operator, "88.118.8", "sent", Some(id));
    assert_eq!(
        (diff["type"].as_str(), diff["prev_id"].as_str()),
        (Some("DIFF"), Some(id))
    );
    running.stop();
    let below = sshd
        .deposits()
        .join("below/it/88.118.8")
        .join(diff["id"].as_str().unwrap());
    let prefix = sshd.deposits().join("88.118.8");
    fs::rename(&below, prefix.join(diff["id"].as_str().unwrap())).unwrap();
    fs::remove_dir_all(sshd.deposits().join("below")).unwrap();
    assert_eq!(
        keys.verify(&sshd.deposits())["prefixes"][0]["identifiers"],
        21
    );
}

#[test]
fn an_upload_goes_on_where_it_was_cut_off() {
    let keys = Keys::new();
    let sshd = Sshd::start(&keys);
    // Where the deposits would be there is a file: nothing can be uploaded yet.
    let in_the_way = sshd.deposits().join("88.118.8");
    fs::write(&in_the_way, "").unwrap();
    let data = DataDir::init();
    let settings = keys.settings(sshd.at, &sshd.host_key, &sshd.user);
    let running = node(&data, &settings, &["upward.escrow.compression=zstd"]);
    let operator = running.idctl(Some(&data.token_file()));
    let one = operator.verified_enterprise("91110000600037341L");
    for number in 0..60 {
        let mut random = vec![0; 90_000];
        getrandom::fill(&mut random).unwrap();
        let value = format!("BIN:encoding=base64={}", base64_of(&random));
        if number == 0 {
            // The first deposit is made as soon as there is a prefix; the one that counts follows.
            operator.active_prefix("88.118.8", &one);
        }
        create(&operator, &format!("88.118.8/{number}"), &[&value]);
    }
    let waiting = until_newest(&operator, "88.118.8", "sending", None);
    assert!(
        waiting["reason"]
            .as_str()
            .is_some_and(|it| it.contains("88.118.8")),
        "{waiting}"
    );
    fs::remove_file(&in_the_way).unwrap();
    until_newest(&operator, "88.118.8", "sent", None);
    fs::rename(&in_the_way, sshd.deposits().join("aside")).unwrap();
    fs::write(&in_the_way, "").unwrap();
    operator.json(&["escrow", "deposit", "--full"]);
    let first = waiting["id"].as_str().unwrap();
    let waiting = until_newest(&operator, "88.118.8", "sending", Some(first));
    let id = waiting["id"].as_str().unwrap();
    until("an attempt", || {
        super::world::newest(&operator, "88.118.8")
            .is_some_and(|it| it["attempts"].as_u64() > Some(0))
    });
    // Most of the part has arrived; its first byte is another, and its end was never written.
    let whole = fs::read(
        data.path()
            .join("escrow/88.118.8")
            .join(id)
            .join("part-00001"),
    )
    .unwrap();
    assert!(whole.len() > 5_000_000, "{}", whole.len());
    let mut partial = whole[..4_000_000].to_vec();
    partial[0] ^= 1;
    partial[3_900_000..].fill(0);
    fs::remove_file(&in_the_way).unwrap();
    fs::create_dir_all(in_the_way.join(id)).unwrap();
    fs::write(in_the_way.join(id).join("part-00001.partial"), partial).unwrap();
    until_newest(&operator, "88.118.8", "sent", Some(first));
    let part = in_the_way.join(id).join("part-00001");
    let mut arrived = fs::read(&part).unwrap();
    assert_eq!(
        arrived[0],
        whole[0] ^ 1,
        "it was uploaded from its beginning"
    );
    arrived[0] ^= 1;
    assert!(arrived == whole);
    fs::write(&part, arrived).unwrap();
    fs::remove_dir_all(sshd.deposits().join("aside")).unwrap();
    assert_eq!(
        keys.verify(&sshd.deposits())["prefixes"][0]["identifiers"],
        60
    );
    running.stop();
}

/// Base64 (RFC 4648 section 4).
fn base64_of(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(bytes.len() % 3, 0);
    let digit = |bits: u32, shift: u32| char::from(ALPHABET[(bits >> shift & 63) as usize]);
    let groups = bytes.chunks(3).flat_map(|three| {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        [18, 12, 6, 0].map(|shift| digit(bits, shift))
    });
    groups.collect()
}

#[test]
fn a_node_speaks_with_no_other_server_than_the_one_that_is_meant() {
    let keys = Keys::new();
    let (sshd, other) = (Sshd::start(&keys), Sshd::start(&keys));
    let data = DataDir::init();
    for (host_key, user, reason) in [
        (&other.host_key, sshd.user.as_str(), "host key"),
        (
            &sshd.host_key,
            "nobody-at-all",
            "does not let user nobody-at-all in",
        ),
    ] {
        let settings = keys.settings(sshd.at, host_key, user);
        let running = node(&data, &settings, &[]);
        let operator = running.idctl(Some(&data.token_file()));
        if super::world::newest(&operator, "88.118.8").is_none() {
            let one = operator.verified_enterprise("91110000600037341L");
            operator.active_prefix("88.118.8", &one);
        }
        operator.json(&["escrow", "deposit"]);
        until(reason, || {
            let newest = super::world::newest(&operator, "88.118.8").unwrap_or_default();
            newest["reason"]
                .as_str()
                .is_some_and(|it| it.contains(reason))
        });
        assert_eq!(
            operator.json(&["upward", "status"])["channels"][0]["state"],
            "down"
        );
        running.stop();
    }
    assert_eq!(deposits(&sshd.deposits()), Vec::<PathBuf>::new());
}

#[test]
fn another_client_deposits_with_the_national_node() {
    let keys = Keys::new();
    let sshd = Sshd::start(&keys);
    let (_data, deposit) = deposited(&keys, &sshd, &["upward.escrow.part_bytes=1024"]);
    let dir = tempfile::tempdir().unwrap();
    let national = keys.national(dir.path(), None);
    let id = deposit.file_name().unwrap().to_str().unwrap();
    let at = national.at("sftp");
    let batch = format!(
        "mkdir 88.118.8\nmkdir 88.118.8/{id}\nput {deposit}/part-* 88.118.8/{id}/\nput {deposit}/manifest 88.118.8/{id}/manifest.partial\n\
         rename 88.118.8/{id}/manifest.partial 88.118.8/{id}/manifest\nls -l 88.118.8/{id}\npwd\n",
        deposit = deposit.display(),
    );
    let done = sftp(&keys, at, &batch);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout.contains("part-00001") && done.stdout.contains("Remote working directory: /"),
        "{done:?}"
    );
    until("a verdict", || {
        national.status()["escrow"]["deposits"][0]["accepted"] == true
    });
    let here = dir.path().join("got");
    let batch = format!("get /88.118.8/{id}/receipt {}\n", here.display());
    until("a receipt", || sftp(&keys, at, &batch).code == 0);
    assert!(
        fs::read_to_string(&here)
            .unwrap()
            .contains("\"accepted\":true")
    );
    // What is held is not changed any more, and nothing above it is within reach.
    for (batch, what) in [
        (
            format!("put {} /88.118.8/{id}/part-00001\n", here.display()),
            "a part",
        ),
        (format!("rm /88.118.8/{id}/manifest\n"), "the manifest"),
        (
            format!("put {} /88.118.8/{id}/receipt\n", here.display()),
            "the receipt",
        ),
        ("get ../../book.redb x\n".to_owned(), "the book"),
        (format!("ln -s /etc/passwd 88.118.8/{id}/link\n"), "a link"),
    ] {
        let done = sftp(&keys, at, &batch);
        assert_ne!(done.code, 0, "{what}: {done:?}");
    }
    assert!(!Path::new("x").exists());
}
