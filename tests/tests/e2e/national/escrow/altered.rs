//! Deposits that are signed and sealed as they should be, and do not tell what the node had.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use idnode_proto::escrow::manifest::Manifest;
use idnode_proto::escrow::object::{Enterprise, LegalPerson, Object, Template};
use idnode_proto::escrow::package::{PackOptions, Packer, open};
use idnode_proto::escrow::part::{PartSink, PartSource, part_name};
use idnode_proto::trust::{PrivateKey, TrustKey};
use idnode_tests::node::{DataDir, Node};
use idnode_tests::run::{Done, binary};

use super::servers::Sshd;
use super::world::{Keys, create, node, until_newest};

/// Parts as files of a directory.
struct Parts(PathBuf);

impl PartSource for Parts {
    type Part = File;

    fn open(&self, number: u32) -> io::Result<File> {
        File::open(self.0.join(part_name(number)))
    }
}

impl PartSink for Parts {
    type Part = File;

    fn begin(&mut self, number: u32) -> io::Result<File> {
        File::create(self.0.join(part_name(number)))
    }

    fn end(&mut self, _: File) -> io::Result<()> {
        Ok(())
    }
}

/// What becomes of an object; `None`: it is left out.
type Change<'c> = &'c dyn Fn(Object) -> Option<Object>;

/// The deposit in a directory once more in another, with other objects, and the summary that it had: by who
/// has every key.
fn altered(keys: &Keys, deposit: &Path, to: &Path, change: Change<'_>) {
    let read = |name: &str| fs::read_to_string(keys.file(name)).unwrap();
    let receiver = PrivateKey::from_pem(&read("receiver.pem")).unwrap();
    let signer = PrivateKey::from_pem(&read("signer.pem")).unwrap();
    let public = |name: &str| TrustKey::from_pem(&read(name)).unwrap();
    let manifest = fs::read(deposit.join("manifest")).unwrap();
    let manifest = Manifest::verify(&manifest, &public("signer.pem.pub")).unwrap();
    let mut document = open(&manifest, Parts(deposit.to_owned()), &receiver).unwrap();
    fs::create_dir_all(to).unwrap();
    let options = PackOptions::new(public("receiver.pem.pub"));
    let mut packer = Packer::new(Parts(to.to_owned()), document.head().clone(), &options).unwrap();
    while let Some(object) = document.next().unwrap() {
        if let Some(object) = change(object) {
            packer.document().put(&object).unwrap();
        }
    }
    let summary = document.summary().unwrap().clone();
    let (_, manifest) = packer.finish(summary).unwrap();
    fs::write(to.join("manifest"), manifest.sign(&signer).unwrap()).unwrap();
}

fn restored(keys: &Keys, deposits: &Path, to: &Path) -> Done {
    let mut idctl = Command::new(binary("idctl"));
    idctl.args(["--json", "escrow", "restore"]).arg(deposits);
    idctl.arg("--key").arg(keys.file("receiver.pem"));
    idctl.arg("--signer").arg(keys.file("signer.pem.pub"));
    Done::of(idctl.arg("--data-dir").arg(to))
}

fn of_enterprise(object: Object, change: impl Fn(&mut Enterprise)) -> Option<Object> {
    Some(match object {
        Object::Enterprise(mut enterprise) => {
            change(&mut enterprise);
            Object::Enterprise(enterprise)
        }
        other => other,
    })
}

fn of_template(object: Object, change: impl Fn(&mut Template)) -> Option<Object> {
    Some(match object {
        Object::Template(mut template) => {
            change(&mut template);
            Object::Template(template)
        }
        other => other,
    })
}

#[test]
fn a_deposit_with_another_enterprise_or_template_than_the_node_had_is_not_restored() {
    let keys = Keys::new();
    let sshd = Sshd::start(&keys);
    let data = DataDir::init();
    let settings = keys.settings(sshd.at, &sshd.host_key, &sshd.user);
    let running = node(&data, &settings, &[]);
    let operator = running.idctl(Some(&data.token_file()));
    let one = operator.verified_enterprise("91110000600037341L");
    operator.json(&["enterprise", "set-quota", &one, "--registrations", "1000"]);
    operator.active_prefix("88.118.8", &one);
    let attributes = data.path().join("car.json");
    fs::write(
        &attributes,
        r#"{"name":"car","title":"平板车","attributes":[{"name":"axles","type":"integer"}]}"#,
    )
    .unwrap();
    operator.json(&["template", "put", &attributes.display().to_string()]);
    create(&operator, "88.118.8/A-1", &["URL=https://example.com/a1"]);
    operator.json(&["escrow", "deposit", "--full"]);
    let head = operator.json(&["stats"])["sequence"].as_u64();
    let mut newest = until_newest(&operator, "88.118.8", "sent", None);
    while newest["revision"].as_u64() < head {
        let behind = newest["id"].as_str().unwrap().to_owned();
        newest = until_newest(&operator, "88.118.8", "sent", Some(&behind));
    }
    running.stop();
    let id = newest["id"].as_str().unwrap();
    let deposit = sshd.deposits().join("88.118.8").join(id);

    let attempt = |name: &str, change: Change<'_>| {
        let deposits = keys.file(name);
        altered(&keys, &deposit, &deposits.join("88.118.8").join(id), change);
        let to = DataDir::empty();
        let done = restored(&keys, &deposits, &to.path());
        (done, to)
    };
    let refused = |name: &str, change: Change<'_>, reason: &str| {
        let (done, to) = attempt(name, change);
        assert!(done.code != 0 && done.stderr.contains(reason), "{done:?}");
        assert!(!to.path().join("registry").exists());
    };
    let lead = format!("the deposits up to {id} lead to");
    let of_one = format!("{lead} enterprise 1 (");
    refused(
        "named",
        &|it| of_enterprise(it, |it| it.name.push('市')),
        &of_one,
    );
    refused(
        "person",
        &|it| of_enterprise(it, |it| it.legal_person = Some(LegalPerson::default())),
        &of_one,
    );
    refused(
        "quota",
        &|it| {
            of_enterprise(it, |it| {
                let quota = it.quota.as_mut().unwrap();
                quota.registrations = Some(1_001);
            })
        },
        &of_one,
    );
    refused(
        "nobodys",
        &|it| (!matches!(it, Object::Enterprise(_))).then_some(it),
        &format!("{lead} no enterprise"),
    );
    let templates = format!("{lead} 1 templates");
    refused(
        "titled",
        &|it| of_template(it, |it| it.title.push('x')),
        &templates,
    );
    refused(
        "required",
        &|it| of_template(it, |it| it.attributes[0].required = true),
        &templates,
    );
    refused(
        "untemplated",
        &|it| (!matches!(it, Object::Template(_))).then_some(it),
        &format!("{lead} 0 templates"),
    );
    // As it was, it is restored, and is a registry.
    let (done, to) = attempt("as-it-was", &Some);
    assert_eq!(done.code, 0, "{done:?}");
    let again = Node::run(&to);
    let operator = again.idctl(Some(&to.token_file()));
    assert_eq!(
        operator.json(&["template", "list"])["templates"][0]["name"],
        "car"
    );
    again.stop();
}
