//! A national node that does what the stand-in never does: a script answers over HTTP.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use idnode_proto::epp::enterprise::{Change, EnterpriseUpdate};
use idnode_proto::epp::identifier::{Checked, IdentifierCreate, IdentifierInfo, Kind};
use idnode_proto::epp::prefix::Audit;
use idnode_proto::epp::{
    Command, Data, Document, Greeting, MessageQueue, NS_IDENTIFIER, Operation, Poll, Response,
    ResultCode,
};
use idnode_tests::api::CODES;
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::{Idctl, until};

/// A prefix at which the server always breaks off.
const BREAKS: &str = "88.118.66";
/// A prefix whose first application is lost, and nothing about which is answered until it may be.
const LOST: &str = "88.118.77";

/// A prefix that this client may not apply for, until it may.
const DENIED: &str = "88.118.44";

/// A prefix that is applied for without an answer, and is there then.
const FOUND: &str = "88.118.55";
/// The server's name for that application, which its message alone tells.
const FOUND_AS: &str = "S-55";

/// A prefix whose handle another client has registered.
const ANOTHERS: &str = "88.118.33";

/// What the server knows.
#[derive(Default)]
struct There {
    enterprise: bool,
    /// Prefixes applied for, each with its transaction.
    created: Vec<(String, String)>,
    updates: Vec<EnterpriseUpdate>,
    /// Messages: their ids, and what is in `resData`.
    queue: Vec<(String, Option<String>)>,
    answers_lost: bool,
    /// To it, having found nothing is a success.
    succeeds_in_finding_nothing: bool,
    allows_denied: bool,
    /// Languages it has texts in; none: the usual one.
    languages: Vec<String>,
    /// Those that clients have logged in with.
    logged_in: Vec<String>,
    logged_out: usize,
    /// It is strict about HTTP: one request a connection, a query, two cookies.
    is_strict: bool,
    /// Requests that it has turned away.
    turned_away: Vec<String>,
    /// It offers identifiers.
    has_identifiers: bool,
    /// Identifiers that it has, and how many commands about any it was asked.
    identifiers: Vec<IdentifierCreate>,
    identifier_commands: usize,
    /// What it answers to whoever registers an identifier of a name.
    refuses: Vec<(String, ResultCode)>,
}

/// The path and the query that a strict server is asked at.
const STRICT_AT: &str = "/epp?service=shr&node=118";

impl There {
    /// The answer to a command; `None`: the connection is closed.
    fn answer(&mut self, command: Command) -> Option<String> {
        let client_id = command.client_id.unwrap();
        let answer = |code, data: Option<Data>| {
            let response = Response {
                data,
                ..Response::new(code, Some(client_id.clone()), "S-1")
            };
            Some(Document::Response(response).encode())
        };
        let plain = |code| answer(code, None);
        match command.operation {
            Operation::Login(login) => {
                self.logged_in.push(login.language);
                plain(ResultCode::OK)
            }
            Operation::Logout => {
                self.logged_out += 1;
                plain(ResultCode::ENDING)
            }
            Operation::Poll(Poll::Request) => {
                let Some((id, data)) = self.queue.first() else {
                    return plain(ResultCode::NO_MESSAGES);
                };
                Some(message(&client_id, id, data.as_deref()))
            }
            Operation::Poll(Poll::Acknowledge(id)) => {
                self.queue.retain(|(waiting, _)| *waiting != id);
                plain(ResultCode::OK)
            }
            Operation::CheckEnterprise(_) if self.enterprise => {
                answer(ResultCode::OK, Some(Data::CheckedEnterprise("E1".into())))
            }
            Operation::CheckEnterprise(_) if self.succeeds_in_finding_nothing => {
                plain(ResultCode::OK)
            }
            Operation::CheckEnterprise(_) => plain(ResultCode::NOT_FOUND),
            Operation::CreateEnterprise(_) => {
                self.enterprise = true;
                answer(ResultCode::OK, Some(Data::CreatedEnterprise("E1".into())))
            }
            Operation::UpdateEnterprise(update) => {
                let refused = matches!(&update.change, Change::Some { reach, .. }
                    if reach.city.is_none() && reach.website.is_some());
                self.updates.push(*update);
                plain(match refused {
                    true => ResultCode::VALUE_SYNTAX,
                    false => ResultCode::OK,
                })
            }
            Operation::CheckPrefix(check) if check.prefix == LOST && !self.answers_lost => None,
            Operation::CheckPrefix(check)
                if check.prefix == FOUND && !self.names(FOUND).is_empty() =>
            {
                // The review is over only after the node has asked.
                let message = passed(FOUND, &self.names(FOUND)[0]).replace("S-1", FOUND_AS);
                self.queue.push(("found".into(), Some(message)));
                plain(ResultCode::EXISTS)
            }
            Operation::CheckPrefix(_) => plain(ResultCode::OK),
            Operation::CreatePrefix(create) if create.prefix == DENIED && !self.allows_denied => {
                plain(ResultCode::UNAUTHORISED)
            }
            Operation::CreatePrefix(create) => {
                let prefix = create.prefix;
                self.created.push((prefix.clone(), client_id.clone()));
                if prefix == FOUND {
                    return None;
                }
                if prefix == BREAKS || (prefix == LOST && !self.answers_lost) {
                    return None;
                }
                let id = format!("m{}", self.created.len());
                self.queue.push((id, Some(passed(&prefix, &client_id))));
                plain(ResultCode::PENDING)
            }
            operation => {
                self.identifier_commands += 1;
                let (code, data) = self.about_identifiers(operation);
                answer(code, data)
            }
        }
    }

    fn about_identifiers(&mut self, operation: Operation) -> (ResultCode, Option<Data>) {
        let find = |name: &str| self.identifiers.iter().position(|it| it.name == name);
        match operation {
            Operation::CheckIdentifiers(names) => {
                let checked = names.iter().map(|name| Checked {
                    name: name.clone(),
                    available: find(name).is_none(),
                    reason: None,
                });
                let data = Data::CheckedIdentifiers(checked.collect());
                (ResultCode::OK, Some(data))
            }
            Operation::InfoIdentifier(name) => match find(&name) {
                // It is of another client.
                Some(_) if name == ANOTHERS => (ResultCode::UNAUTHORISED, None),
                Some(at) => {
                    let info = IdentifierInfo {
                        object: self.identifiers[at].clone(),
                        statuses: vec!["ok".to_owned()],
                    };
                    (ResultCode::OK, Some(Data::Identifier(Box::new(info))))
                }
                None => (ResultCode::NOT_FOUND, None),
            },
            Operation::CreateIdentifier(create) => {
                let refusal = self.refuses.iter().find(|(name, _)| *name == create.name);
                if let Some((_, code)) = refusal {
                    return (*code, None);
                }
                assert_eq!(find(&create.name), None, "it is there");
                self.identifiers.push(*create);
                (ResultCode::OK, None)
            }
            other => panic!("{other:?}"),
        }
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let of_prefix = self.created.iter().filter(|(it, _)| it == prefix);
        of_prefix.map(|(_, name)| name.clone()).collect()
    }
}

/// What is in the message that a prefix is granted.
fn passed(prefix: &str, client_id: &str) -> String {
    let audit = Audit {
        client_id: client_id.into(),
        server_id: "S-1".into(),
        enterprise_id: "E1".into(),
        prefix: prefix.into(),
        state: Audit::GOOD.into(),
        result: Audit::GOOD.into(),
        message: String::new(),
    };
    let response = Response {
        data: Some(Data::Audit(audit)),
        ..Response::new(ResultCode::OK, None, "S-1")
    };
    let document = Document::Response(response).encode();
    let (_, data) = document.split_once("<resData>").unwrap();
    data.split_once("</resData>").unwrap().0.to_owned()
}

fn message(client_id: &str, id: &str, data: Option<&str>) -> String {
    let response = Response {
        queue: Some(MessageQueue {
            count: 1,
            id: id.into(),
            date: None,
            text: None,
        }),
        ..Response::new(ResultCode::MESSAGE, Some(client_id.into()), "S-1")
    };
    let document = Document::Response(response).encode();
    let data = data.map_or_else(String::new, |data| format!("<resData>{data}</resData>"));
    document.replacen("<trID>", &format!("{data}<trID>"), 1)
}

fn serve(there: Arc<Mutex<There>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let there = there.clone();
            // How a connection ends is of no interest.
            std::thread::spawn(move || converse(stream, &there).ok());
        }
    });
    url
}

fn converse(stream: TcpStream, there: &Mutex<There>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line)?;
        let greets = line.starts_with("GET ");
        let mut head = line.clone();
        if line.is_empty() {
            return Ok(());
        }
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line)?;
            let lower = line.to_ascii_lowercase();
            head.push_str(&lower);
            if let Some(text) = lower.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if there.lock().unwrap().is_strict {
            let has_cookies = head.contains("cookie: epp=1; route=b") || greets;
            if !head.contains(&format!(" {STRICT_AT} ")) || !has_cookies {
                there.lock().unwrap().turned_away.push(head);
                return write!(stream, "HTTP/1.1 403 no\r\ncontent-length: 0\r\n\r\n");
            }
        }
        let document = match greets {
            true => greeting(&there.lock().unwrap()),
            false => match Document::parse(&body).unwrap() {
                Document::Command(command) => {
                    let Some(answer) = there.lock().unwrap().answer(command) else {
                        return Ok(());
                    };
                    answer
                }
                _ => greeting(&there.lock().unwrap()),
            },
        };
        let cookies = match greets {
            true => "set-cookie: route=b; Path=/\r\nset-cookie: epp=1; HttpOnly\r\n",
            false => "",
        };
        let is_strict = there.lock().unwrap().is_strict;
        let connection = if is_strict { "close" } else { "keep-alive" };
        write!(
            stream,
            "HTTP/1.1 200 OK\r\n{cookies}connection: {connection}\r\ncontent-length: {}\r\n\r\n\
             {document}",
            document.len()
        )?;
        if is_strict {
            return Ok(());
        }
    }
}

fn greeting(there: &There) -> String {
    let mut greeting = Greeting::of_server("script", "2026-11-28T00:00:00Z");
    if !there.languages.is_empty() {
        greeting.languages.clone_from(&there.languages);
    }
    if !there.has_identifiers {
        greeting.objects.retain(|it| it != NS_IDENTIFIER);
    }
    Document::Greeting(greeting).encode()
}

/// A node below the script.
struct World {
    there: Arc<Mutex<There>>,
    node: Node,
    dir: DataDir,
    enterprise: String,
}

impl World {
    fn new(there: There) -> Self {
        let is_strict = there.is_strict;
        let there = Arc::new(Mutex::new(there));
        let mut url = serve(there.clone());
        if is_strict {
            url = format!("{}{STRICT_AT}", url.trim_end_matches('/'));
        }
        let dir = DataDir::init();
        let password = dir.path().join("password");
        std::fs::write(&password, "secret\n").unwrap();
        let settings = [
            "upward.prefixes=88.118".to_owned(),
            "upward.user=shanxi-118".to_owned(),
            format!("upward.epp.server={url}"),
            format!("upward.epp.password_file={}", password.display()),
            "upward.epp.poll_ms=50".to_owned(),
            "upward.epp.timeout_ms=700".to_owned(),
            "upward.epp.max_backoff_ms=200".to_owned(),
        ];
        let flags: Vec<&str> = settings
            .iter()
            .flat_map(|it| ["--set", it.as_str()])
            .collect();
        let node = Node::run_at(&dir, &Addresses::free(), &flags);
        let operator = node.idctl(Some(&dir.token_file()));
        let enterprise = operator.verified_enterprise(CODES[0]);
        Self {
            there,
            node,
            dir,
            enterprise,
        }
    }

    fn operator(&self) -> Idctl {
        self.node.idctl(Some(&self.dir.token_file()))
    }

    fn until(&self, prefix: &str, state: &str) {
        until(&format!("{prefix} {state}"), || {
            self.operator().json(&["prefix", "get", prefix])["state"] == state
        });
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        self.there.lock().unwrap().names(prefix)
    }
}

#[test]
fn messages_that_are_not_understood_hold_up_nothing() {
    let foreign = "<x:resData xmlns:x='urn:x'><x:state>1</x:state></x:resData>";
    let short = "<p:resData xmlns:p='urn:ietf:params:xml:ns:idis-entprefix-1.0'><p:state>1</p:state></p:resData>";
    let there = There {
        queue: vec![
            ("1".into(), Some(foreign.into())),
            ("2".into(), Some(short.into())),
            ("3".into(), None),
            ("4".into(), Some(format!("{foreign}{short}"))),
            ("5".into(), Some(passed("88.118.99", "of-nobody"))),
        ],
        ..There::default()
    };
    let world = World::new(there);
    world
        .operator()
        .active_prefix("88.118.8", &world.enterprise);
    world.until("88.118.8", "active");
    until("an empty queue", || {
        world.there.lock().unwrap().queue.is_empty()
    });
}

#[test]
fn a_command_that_the_server_cannot_bear_holds_up_no_other() {
    let world = World::new(There::default());
    let operator = world.operator();
    operator.active_prefix(BREAKS, &world.enterprise);
    until("a broken session", || !world.names(BREAKS).is_empty());
    for prefix in ["88.118.8", "88.118.9"] {
        operator.active_prefix(prefix, &world.enterprise);
    }
    world.until("88.118.8", "active");
    world.until("88.118.9", "active");
    let before = world.names(BREAKS).len();
    until("one more attempt", || world.names(BREAKS).len() > before);
}

#[test]
fn what_may_have_been_sent_keeps_its_name_through_another_approval() {
    let world = World::new(There::default());
    let operator = world.operator();
    operator.active_prefix(LOST, &world.enterprise);
    until("an application there", || !world.names(LOST).is_empty());
    operator.json(&["prefix", "reject", LOST, "--message", "once more"]);
    operator.json(&["prefix", "reapply", LOST]);
    operator.json(&["prefix", "start-review", LOST]);
    operator.json(&["prefix", "approve", LOST]);
    // The node looks at what is new also while it is cut off.
    std::thread::sleep(std::time::Duration::from_millis(500));
    world.there.lock().unwrap().answers_lost = true;
    world.until(LOST, "active");
    let names = world.names(LOST);
    assert!(
        names.len() > 1 && names.iter().all(|it| *it == names[0]),
        "{names:?}"
    );
}

#[test]
fn a_change_that_was_refused_is_told_with_the_next_one() {
    let world = World::new(There::default());
    let operator = world.operator();
    operator.active_prefix("88.118.8", &world.enterprise);
    world.until("88.118.8", "active");
    let update = |further: &[&str]| {
        operator.json(&[&["enterprise", "update", &world.enterprise], further].concat());
    };
    update(&["--website", "https://example.com/"]);
    let refused = || {
        let listed = operator.json(&["upward", "transactions", "--kind", "update-enterprise"]);
        let made = listed["transactions"].as_array().unwrap().clone();
        made.iter().any(|it| it["state"] == "refused")
    };
    until("a refusal", refused);
    // It is not told again and again, and is no backlog.
    until("no backlog", || {
        operator.json(&["upward", "status"])["channels"][0]["backlog"] == 0
    });
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(world.there.lock().unwrap().updates.len(), 1);
    update(&["--city-code", "140200"]);
    until("another change", || {
        world.there.lock().unwrap().updates.len() == 2
    });
    let there = world.there.lock().unwrap();
    let Change::Some { reach, .. } = &there.updates[1].change else {
        panic!("{:?}", there.updates)
    };
    assert_eq!(reach.city.as_deref(), Some("140200"));
    assert_eq!(reach.website.as_deref(), Some("https://example.com/"));
}

#[test]
fn an_enterprise_is_registered_where_a_check_succeeds_in_finding_nothing() {
    let world = World::new(There {
        succeeds_in_finding_nothing: true,
        ..There::default()
    });
    let operator = world.operator();
    operator.active_prefix("88.118.8", &world.enterprise);
    world.until("88.118.8", "active");
    let listed = operator.json(&["upward", "transactions", "--kind", "create-enterprise"]);
    let made = &listed["transactions"][0];
    assert_eq!(
        (&made["state"], &made["attempts"]),
        (&"done".into(), &1.into())
    );
}

#[test]
fn what_this_client_may_not_do_is_shown_and_holds_up_no_other() {
    let world = World::new(There::default());
    let operator = world.operator();
    operator.active_prefix(DENIED, &world.enterprise);
    until("a trouble", || {
        let channel = &operator.json(&["upward", "status"])["channels"][0];
        let error = channel["last_error"].as_str().unwrap_or_default();
        error.contains(DENIED) && error.contains("2201") && channel["state"] == "up"
    });
    let listed = operator.json(&["upward", "transactions", "--subject", DENIED]);
    assert_eq!(listed["transactions"][0]["code"], 2201);
    operator.active_prefix("88.118.8", &world.enterprise);
    world.until("88.118.8", "active");
    world.there.lock().unwrap().allows_denied = true;
    world.until(DENIED, "active");
    assert_eq!(world.names(DENIED).len(), 1);
}

#[test]
fn the_servers_name_is_learnt_from_the_message_where_the_answer_was_lost() {
    let world = World::new(There::default());
    let operator = world.operator();
    operator.active_prefix(FOUND, &world.enterprise);
    world.until(FOUND, "active");
    let listed = operator.json(&["upward", "transactions", "--subject", FOUND]);
    let made = &listed["transactions"][0];
    assert_eq!(
        (&made["state"], &made["server_id"]),
        (&"done".into(), &FOUND_AS.into())
    );
    assert_eq!(world.names(FOUND).len(), 1);
}

#[test]
fn a_node_logs_in_in_a_language_of_the_server_and_out_when_it_stops() {
    let there = There {
        languages: vec!["zh-CN".into(), "fr".into()],
        ..There::default()
    };
    let World {
        there, node, dir, ..
    } = World::new(there);
    let operator = node.idctl(Some(&dir.token_file()));
    until("a session", || {
        operator.json(&["upward", "status"])["channels"][0]["state"] == "up"
    });
    assert_eq!(there.lock().unwrap().logged_in, ["zh-CN"]);
    assert_eq!(there.lock().unwrap().logged_out, 0);
    node.stop();
    assert_eq!(there.lock().unwrap().logged_out, 1);
}

#[test]
fn a_server_may_close_each_connection_and_set_several_cookies_at_a_url_with_a_query() {
    let there = There {
        is_strict: true,
        ..There::default()
    };
    let world = World::new(there);
    for prefix in ["88.118.8", "88.118.9"] {
        world.operator().active_prefix(prefix, &world.enterprise);
        world.until(prefix, "active");
        assert_eq!(world.names(prefix).len(), 1);
    }
    let there = world.there.lock().unwrap();
    assert_eq!(there.turned_away, [""; 0]);
    // All of it was one session.
    assert_eq!(there.logged_in.len(), 1);
}

#[test]
fn a_server_that_does_not_offer_identifiers_is_asked_about_none() {
    let world = World::new(There::default());
    let operator = world.operator();
    operator.active_prefix("88.118.8", &world.enterprise);
    world.until("88.118.8", "active");
    until("no backlog", || {
        operator.json(&["upward", "status"])["channels"][0]["backlog"] == 0
    });
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(world.there.lock().unwrap().identifier_commands, 0);
}

#[test]
fn identifiers_that_are_refused_or_another_clients_hold_up_nothing() {
    let of_another = IdentifierCreate {
        name: ANOTHERS.into(),
        kind: Kind::Handle,
        contacts: Vec::new(),
        urls: Vec::new(),
        administrators: Vec::new(),
        sites: Vec::new(),
    };
    let there = There {
        has_identifiers: true,
        identifiers: vec![of_another.clone()],
        refuses: vec![
            ("88.118.31".into(), ResultCode::POLICY),
            ("88.118.32".into(), ResultCode::UNAUTHORISED),
        ],
        ..There::default()
    };
    let world = World::new(there);
    let operator = world.operator();
    for prefix in ["88.118.31", "88.118.32", ANOTHERS, "88.118.8"] {
        operator.active_prefix(prefix, &world.enterprise);
        world.until(prefix, "active");
    }
    let made = |prefix: &str| {
        let kind = ["--kind", "create-identifier"];
        let listed = ["upward", "transactions", "--subject", prefix];
        let listed = operator.json(&[&listed[..], &kind].concat());
        listed["transactions"][0].clone()
    };
    until("one that is registered", || {
        made("88.118.8")["state"] == "done"
    });
    until("a refusal", || {
        let made = made("88.118.31");
        made["state"] == "refused" && made["code"] == 2306
    });
    until("one that is another's", || {
        let made = made(ANOTHERS);
        made["state"] == "refused" && made["code"] == 2201
    });
    // What this client may not do is asked again, and shown; what was refused is not.
    until("a trouble", || {
        let channel = &operator.json(&["upward", "status"])["channels"][0];
        let error = channel["last_error"].as_str().unwrap_or_default();
        let is_told = error.contains("88.118.32") && error.contains("2201");
        is_told && channel["state"] == "up" && channel["backlog"] == 1
    });
    world.there.lock().unwrap().refuses.clear();
    until("the last one", || made("88.118.32")["state"] == "done");
    assert_eq!(made("88.118.31")["attempts"], 1);
    let there = world.there.lock().unwrap();
    assert_eq!(there.identifiers[0], of_another);
    let names: Vec<_> = there.identifiers.iter().map(|it| &it.name).collect();
    assert_eq!(names, [ANOTHERS, "88.118.8", "88.118.32"]);
}
