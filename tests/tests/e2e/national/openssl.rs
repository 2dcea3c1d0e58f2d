//! `openssl s_client` speaks EPP with the national node.

use super::world::{National, PASSWORD, USER, certify, epp_arguments};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

struct Client(Child);

impl Client {
    fn connect(national: &National, home: &std::path::Path) -> Self {
        let child = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-connect"])
            .arg(national.at("epp").to_string())
            .arg("-CAfile")
            .arg(home.join("authority.pem"))
            .arg("-cert")
            .arg(home.join("client.pem"))
            .arg("-key")
            .arg(home.join("client.key"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// The next document, by the length before it.
    fn read(&mut self) -> String {
        let out = self.0.stdout.as_mut().unwrap();
        let mut length = [0; 4];
        out.read_exact(&mut length).unwrap();
        let mut document = vec![0; u32::from_be_bytes(length) as usize - 4];
        out.read_exact(&mut document).unwrap();
        String::from_utf8(document).unwrap()
    }

    fn ask(&mut self, document: &str) -> String {
        let length = u32::try_from(document.len() + 4).unwrap();
        let input = self.0.stdin.as_mut().unwrap();
        input.write_all(&length.to_be_bytes()).unwrap();
        input.write_all(document.as_bytes()).unwrap();
        input.flush().unwrap();
        self.read()
    }

    /// A command under a name; what is answered must have this code.
    fn command(&mut self, inside: &str, id: &str, code: u16) -> String {
        let answer = self.ask(&format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<epp xmlns=\"urn:ietf:params:xml:ns:epp-1.0\">\n  \
             <command>\n    {inside}\n    <clTRID>{id}</clTRID>\n  </command>\n</epp>\n"
        ));
        assert!(
            answer.contains(&format!("<result code=\"{code}\">")),
            "{answer}"
        );
        assert!(
            answer.contains(&format!("<clTRID>{id}</clTRID>")),
            "{answer}"
        );
        answer
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

const ENT: &str = "xmlns:ent=\"urn:ietf:params:xml:ns:idis-ent-1.0\"";

fn login(password: &str) -> String {
    format!(
        "<login><clID>{USER}</clID><pw>{password}</pw><options><version>1.0</version>\
         <lang>en</lang></options><svcs><objURI>urn:ietf:params:xml:ns:idis-ent-1.0</objURI>\
         <objURI>urn:ietf:params:xml:ns:idis-entprefix-1.0</objURI></svcs></login>"
    )
}

fn check_enterprise(code: &str) -> String {
    format!(
        "<check><ent:check {ENT}><ent:shrUserId>{USER}</ent:shrUserId>\
         <ent:entCrtType>1</ent:entCrtType><ent:entCrtCode>{code}</ent:entCrtCode>\
         </ent:check></check>"
    )
}

fn create_enterprise(code: &str) -> String {
    format!(
        "<create><ent:create {ENT}><ent:shrPrefix>88.118</ent:shrPrefix><ent:entType>1</ent:entType>\
         <ent:entCrCode>{code}</ent:entCrCode><ent:entCrtImg>aWRub2Rl</ent:entCrtImg>\
         <ent:entCrtImgType>png</ent:entCrtImgType><ent:entNameCn>太原</ent:entNameCn>\
         <ent:contact><ent:name>a</ent:name><ent:email>a@b.example</ent:email>\
         <ent:phone>1</ent:phone></ent:contact><ent:legalPerson><ent:name>b</ent:name>\
         <ent:idType>1</ent:idType><ent:idNo>2</ent:idNo><ent:idImgType>png</ent:idImgType>\
         <ent:idImg>aWRub2Rl</ent:idImg></ent:legalPerson></ent:create></create>"
    )
}

fn prefix(verb: &str, namespace: &str, prefix: &str) -> String {
    let of = if verb == "create" {
        "<prefix:entId>00000001</prefix:entId>"
    } else {
        ""
    };
    format!(
        "<{verb}><prefix:{verb} xmlns:prefix=\"urn:ietf:params:xml:ns:{namespace}\">\
         <prefix:shrPrefix>88.118</prefix:shrPrefix>{of}<prefix:prefix>{prefix}</prefix:prefix>\
         </prefix:{verb}></{verb}>"
    )
}

fn start(dir: &tempfile::TempDir) -> National {
    certify(dir.path());
    let arguments = epp_arguments(dir.path(), "127.0.0.1:0", "auto");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    National::new(dir, &arguments)
}

#[test]
fn a_whole_exchange_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let national = start(&dir);
    let mut client = Client::connect(&national, dir.path());
    let greeting = client.read();
    assert!(greeting.contains("<svID>idnational</svID>"), "{greeting}");
    assert!(
        greeting.contains("urn:ietf:params:xml:ns:idis-entprefix-1.0"),
        "{greeting}"
    );

    client.command(&check_enterprise("91110000600037341L"), "ABC-1", 2002);
    client.command(&login("guess"), "ABC-2", 2200);
    client.command(&login(PASSWORD), "ABC-3", 1000);
    client.command(&login(PASSWORD), "ABC-4", 2002);
    client.command(&check_enterprise("91110000600037341L"), "ABC-5", 2303);
    let made = client.command(&create_enterprise("91110000600037341L"), "ABC-6", 1000);
    assert!(made.contains("<ent:entId>00000001</ent:entId>"), "{made}");
    // The same again is the same answer, the same under another name a refusal.
    let again = client.command(&create_enterprise("91110000600037341L"), "ABC-6", 1000);
    assert_eq!(again, made);
    client.command(&create_enterprise("91110000600037341L"), "ABC-7", 2302);
    client.command(&create_enterprise("914403001922038216"), "ABC-6", 2306);
    let found = client.command(&check_enterprise("91110000600037341L"), "ABC-8", 1000);
    assert!(found.contains("<ent:entId>00000001</ent:entId>"), "{found}");

    let entprefix = "idis-entprefix-1.0";
    client.command(&prefix("check", entprefix, "88.118.8"), "ABC-9", 1000);
    client.command("<poll op=\"req\"/>", "ABC-10", 1300);
    // The namespace of the draft's own example is taken.
    client.command(&prefix("create", "prefix-1.0", "88.118.8"), "ABC-11", 1001);
    client.command(&prefix("check", entprefix, "88.118.8"), "ABC-12", 2302);
    client.command(&prefix("create", entprefix, "88.119.8"), "ABC-13", 2306);
    client.command(&prefix("check", entprefix, "88.118..8"), "ABC-14", 2005);
    let message = client.command("<poll op=\"req\"></poll>", "ABC-15", 1301);
    for part in [
        "<prefix:clTRID>ABC-11</prefix:clTRID>",
        "<prefix:entId>00000001</prefix:entId>",
        "<prefix:auditResult>1</prefix:auditResult>",
        "<msgQ count=\"1\" id=\"1\">",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    client.command("<poll op=\"ack\" msgID=\"2\"/>", "ABC-16", 2303);
    client.command("<poll op=\"ack\" msgID=\"1\"/>", "ABC-17", 1000);
    client.command("<poll op=\"req\"/>", "ABC-18", 1300);
    client.command("<transfer op=\"query\"/>", "ABC-19", 2101);
    client.command("<dance/>", "ABC-20", 2000);
    let refused = client.ask("<!DOCTYPE epp [<!ENTITY a 'b'>]><epp>&a;</epp>");
    assert!(refused.contains("<result code=\"2001\">"), "{refused}");
    let hello = client.ask("<epp xmlns=\"urn:ietf:params:xml:ns:epp-1.0\"><hello/></epp>");
    assert!(hello.contains("<greeting>"), "{hello}");
    client.command("<logout/>", "ABC-21", 1500);
    assert_eq!(
        client.0.stdout.as_mut().unwrap().read(&mut [0; 1]).unwrap(),
        0
    );
}

#[test]
fn identifiers_are_registered_changed_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let national = start(&dir);
    let mut client = Client::connect(&national, dir.path());
    client.read();
    client.command(&login(PASSWORD), "ABC-1", 1000);
    let of = |verb: &str, inside: &str| {
        format!(
            "<{verb}><identifier:{verb} xmlns:identifier=\"urn:ietf:params:xml:ns:identifier-1.0\">\
             {inside}</identifier:{verb}></{verb}>"
        )
    };
    let name = "<identifier:name>88.118.8</identifier:name>";
    let check = of(
        "check",
        &format!("{name}<identifier:name>88.118.9</identifier:name>"),
    );
    let create = of(
        "create",
        &format!(
            "{name}<identifier:type>handle</identifier:type>\
             <identifier:contact>jd1</identifier:contact><identifier:url>a.example</identifier:url>"
        ),
    );
    client.command(&of("info", name), "ABC-2", 2303);
    client.command(&create, "ABC-3", 1000);
    client.command(&create, "ABC-4", 2302);
    let checked = client.command(&check, "ABC-5", 1000);
    assert!(checked.contains("avail=\"false\">88.118.8<"), "{checked}");
    assert!(checked.contains("avail=\"true\">88.118.9<"), "{checked}");
    let update = of(
        "update",
        &format!(
            "{name}<identifier:add><identifier:url>b.example</identifier:url></identifier:add>\
             <identifier:rem><identifier:url>a.example</identifier:url></identifier:rem>\
             <identifier:chg><identifier:status s=\"clientDeleteProhibited\"/></identifier:chg>"
        ),
    );
    client.command(&update, "ABC-6", 1000);
    let info = client.command(&of("info", name), "ABC-7", 1000);
    assert!(
        info.contains("<identifier:url>b.example</identifier:url>"),
        "{info}"
    );
    assert!(!info.contains("a.example"), "{info}");
    client.command(&of("delete", name), "ABC-8", 2304);
    let free = format!("{name}<identifier:chg><identifier:status s=\"ok\"/></identifier:chg>");
    client.command(&of("update", &free), "ABC-9", 1000);
    client.command(&of("delete", name), "ABC-10", 1000);
    client.command(&of("info", name), "ABC-11", 2303);
    let foreign = create.replace("88.118.8", "88.119.8");
    client.command(&foreign, "ABC-12", 2201);
}
