//! Sessions and commands, whatever they come over. What changes something happens once for each
//! name that a client gives a transaction: asked again, it is answered again.

use std::sync::atomic::{AtomicU64, Ordering};

use idnode_proto::epp::session::{LANGUAGE, OBJECTS, VERSION};
use idnode_proto::epp::{
    Command, Data, Document, Greeting, Login, MessageQueue, Operation, Poll, Refused, Response,
    ResultCode,
};
use sha2::{Digest, Sha256};

use super::Review;
use super::objects;
use super::store::{ANSWERS, Answered, QUEUE, Queued, queue_key};
use crate::national::book::{Book, Page};
use crate::national::{Failure, now_ms};

/// Failed log-ins after which a connection ends (RFC 5730 section 3, code 2501).
const MAX_LOGINS: u32 = 3;

/// A secondary node that may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its user (clID and shrUserId).
    pub user: String,
    /// Its password.
    password: String,
    /// Its prefixes.
    pub prefixes: Vec<String>,
}

impl std::fmt::Debug for Account {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Reads `USER:PASSWORD:PREFIX[,PREFIX]`.
    ///
    /// # Errors
    /// A part is missing.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut parts = text.splitn(3, ':');
        let (user, password, prefixes) = (parts.next(), parts.next(), parts.next());
        match (user, password, prefixes) {
            (Some(user), Some(password), Some(prefixes)) if !user.is_empty() => Ok(Self {
                user: user.to_owned(),
                password: password.to_owned(),
                prefixes: prefixes.split(',').map(str::to_owned).collect(),
            }),
            _ => Err("an account is not of the form USER:PASSWORD:PREFIX[,PREFIX]".into()),
        }
    }
}

/// One client's session.
#[derive(Debug, Default)]
pub struct Session {
    account: Option<Account>,
    failed_logins: u32,
}

/// What is sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The document.
    pub document: String,
    /// Whether the connection ends behind it.
    pub closes: bool,
}

/// The server, without its listeners.
#[derive(Debug)]
pub struct Engine {
    pub(super) book: Book,
    accounts: Vec<Account>,
    /// Who reviews prefixes.
    pub review: Review,
    started_at_ms: u64,
    answered: AtomicU64,
    /// Sessions that are open.
    pub sessions: AtomicU64,
}

impl Engine {
    /// A server over a book.
    pub fn new(book: Book, accounts: Vec<Account>, review: Review) -> Self {
        Self {
            book,
            accounts,
            review,
            started_at_ms: now_ms(),
            answered: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
        }
    }

    /// What is said to whoever connects.
    pub fn greeting(&self) -> String {
        Document::Greeting(Greeting::of_server("idnational", utc(now_ms()))).encode()
    }

    /// Answers a document. Blocks on the book.
    pub fn answer(&self, session: &mut Session, document: &[u8]) -> Reply {
        match Document::parse(document) {
            Ok(Document::Hello) => Reply {
                document: self.greeting(),
                closes: false,
            },
            Ok(Document::Command(command)) => self.command(session, command, document),
            Ok(Document::Greeting(_) | Document::Response(_)) => {
                let reason = "a client sends hello or a command";
                self.reply(self.refused(Refused::new(ResultCode::SYNTAX, reason)))
            }
            Err(refused) => self.reply(self.refused(refused)),
        }
    }

    fn reply(&self, response: Response) -> Reply {
        Reply {
            closes: response.code.closes(),
            document: Document::Response(response).encode(),
        }
    }

    fn refused(&self, refused: Refused) -> Response {
        Response {
            reason: Some(refused.reason),
            ..Response::new(refused.code, refused.client_id, self.server_id())
        }
    }

    /// A name for a transaction that changes nothing.
    fn server_id(&self) -> String {
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        format!("Q-{}-{number}", self.started_at_ms)
    }

    fn command(&self, session: &mut Session, command: Command, document: &[u8]) -> Reply {
        let client_id = command.client_id.clone();
        let named = |refused: Refused| {
            self.reply(self.refused(Refused {
                client_id: client_id.clone(),
                ..refused
            }))
        };
        let Some(account) = session.account.clone() else {
            return match command.operation {
                Operation::Login(login) => match self.log_in(session, &login) {
                    Ok(()) => self.done(ResultCode::OK, client_id),
                    Err(refused) => named(refused),
                },
                _ => named(Refused::new(ResultCode::USE, "log in first")),
            };
        };
        let answered = match command.operation {
            Operation::Login(_) => Ok(Err(Refused::new(
                ResultCode::USE,
                "this session is logged in",
            ))),
            Operation::Logout => return self.done(ResultCode::ENDING, client_id),
            Operation::Poll(poll) => self.poll(&account, &poll),
            operation if operation.transforms() => {
                return match self.transform(&account, &client_id, operation, document) {
                    Ok(document) => Reply {
                        document,
                        closes: false,
                    },
                    Err(failure) => named(Refused::new(ResultCode::FAILED, failure.to_string())),
                };
            }
            operation => objects::query(&self.book, &account, &operation),
        };
        match answered {
            Ok(Ok(answer)) => self.reply(Response {
                queue: answer.queue,
                data: answer.data,
                ..Response::new(answer.code, client_id, self.server_id())
            }),
            Ok(Err(refused)) => named(refused),
            Err(failure) => named(Refused::new(ResultCode::FAILED, failure.to_string())),
        }
    }

    fn done(&self, code: ResultCode, client_id: Option<String>) -> Reply {
        self.reply(Response::new(code, client_id, self.server_id()))
    }

    fn log_in(&self, session: &mut Session, login: &Login) -> Result<(), Refused> {
        let refuse = |code, reason: &str| Err(Refused::new(code, reason));
        if login.version != VERSION {
            return refuse(ResultCode::VERSION, "version 1.0 is spoken");
        }
        if login.language != LANGUAGE {
            return refuse(ResultCode::UNIMPLEMENTED_OPTION, "texts are in en");
        }
        if !login.objects.iter().all(|it| OBJECTS.contains(&&**it)) {
            return refuse(ResultCode::UNIMPLEMENTED_OBJECT, "an objURI is not served");
        }
        if login.new_password.is_some() {
            return refuse(ResultCode::UNIMPLEMENTED_OPTION, "newPW is not taken");
        }
        let mut accounts = self.accounts.iter();
        let known = accounts.find(|it| it.user == login.client && it.password == login.password);
        if let Some(account) = known {
            session.account = Some(account.clone());
            return Ok(());
        }
        session.failed_logins += 1;
        let code = match session.failed_logins < MAX_LOGINS {
            true => ResultCode::AUTHENTICATION,
            false => ResultCode::AUTHENTICATION_CLOSING,
        };
        refuse(code, "the user is not known, or its password is another")
    }

    /// Does what changes something, together with its answer, or answers what was done before.
    fn transform(
        &self,
        account: &Account,
        client_id: &Option<String>,
        operation: Operation,
        document: &[u8],
    ) -> Result<String, Failure> {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(document));
        self.book.write(|page| {
            let key = client_id
                .as_ref()
                .map(|id| format!("{}/{id}", account.user));
            if let Some(key) = &key
                && let Some(before) = page.get::<Answered>(ANSWERS, key)?
            {
                if before.digest == digest {
                    return Ok(before.answer);
                }
                let reason = "this clTRID was used for another command";
                return Ok(self.document(Refused::new(ResultCode::POLICY, reason), client_id));
            }
            let server_id = format!("SV-{}", page.next("epp transaction")?);
            let ids = (client_id.clone().unwrap_or_default(), server_id.clone());
            match objects::transform(page, account, ids, operation, self.review)? {
                Err(refused) => Ok(self.document(refused, client_id)),
                Ok(answer) => {
                    let response = Response {
                        data: answer.data,
                        ..Response::new(answer.code, client_id.clone(), server_id)
                    };
                    let answer = Document::Response(response).encode();
                    if let Some(key) = &key {
                        let answer = answer.clone();
                        page.put(ANSWERS, key, &Answered { digest, answer })?;
                    }
                    Ok(answer)
                }
            }
        })
    }

    fn document(&self, refused: Refused, client_id: &Option<String>) -> String {
        let refused = Refused {
            client_id: client_id.clone(),
            ..refused
        };
        Document::Response(self.refused(refused)).encode()
    }

    fn poll(&self, account: &Account, poll: &Poll) -> objects::Answered {
        match poll {
            Poll::Request => {
                let queue = messages(&self.book.all(QUEUE)?, account);
                let Some((id, first)) = queue.first() else {
                    return Ok(Ok(objects::Answer::of(ResultCode::NO_MESSAGES)));
                };
                Ok(Ok(objects::Answer {
                    code: ResultCode::MESSAGE,
                    queue: Some(MessageQueue {
                        count: queue.len() as u64,
                        id: id.clone(),
                        date: Some(utc(first.at_ms)),
                        text: Some(format!("the review of {}", first.prefix)),
                    }),
                    data: Some(Data::Audit(first.audit())),
                }))
            }
            Poll::Acknowledge(id) => self.book.write(|page| acknowledge(page, account, id)),
        }
    }
}

fn acknowledge(page: &Page, account: &Account, id: &str) -> objects::Answered {
    let number = id.parse::<u64>().ok();
    let key = number.map(|number| queue_key(&account.user, number));
    let was_there = match &key {
        Some(key) => page.remove(QUEUE, key)?,
        None => false,
    };
    if !was_there {
        let reason = "there is no such message";
        return Ok(Err(Refused::new(ResultCode::NOT_FOUND, reason)));
    }
    let left = messages(&page.all(QUEUE)?, account);
    Ok(Ok(objects::Answer {
        queue: Some(MessageQueue {
            count: left.len() as u64,
            id: id.to_owned(),
            date: None,
            text: None,
        }),
        ..objects::Answer::of(ResultCode::OK)
    }))
}

/// The messages of one client with their ids, the first first.
fn messages(all: &[(String, Queued)], account: &Account) -> Vec<(String, Queued)> {
    let own = all.iter().filter_map(|(key, message)| {
        let (client, number) = key.rsplit_once('/')?;
        let number: u64 = number.parse().ok()?;
        (client == account.user).then(|| (number.to_string(), message.clone()))
    });
    own.collect()
}

/// A time in UTC, with `T` and `Z`.
fn utc(at_ms: u64) -> String {
    let time = i64::try_from(at_ms)
        .ok()
        .and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}
