//! A session: one command after another, each with its own answer.

use super::Options;
use super::link::{Link, LinkError, unusable};
use idnode_proto::epp::session::OBJECTS;
use idnode_proto::epp::{Command, Document, Greeting, Login, Operation, Response};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most answers that are not to what was asked and are passed over.
const MAX_STALE: usize = 4;

/// A session that is logged in.
pub(super) struct Session {
    link: Link,
    timeout: Duration,
    /// What begins the names of the session's own transactions, which change nothing there.
    name: String,
    asked: u64,
    /// The name that was asked under before: its answer may come once more.
    last: String,
    /// Once cancelled, nothing more is asked than to log out.
    stopping: CancellationToken,
    /// Namespaces of the objects that it may speak of.
    objects: Vec<String>,
}

impl Session {
    /// Connects and logs in.
    pub async fn begin(options: &Options, stopping: CancellationToken) -> Result<Self, LinkError> {
        let timeout = options.timeout;
        let connect = Link::connect(options);
        let mut link = within(timeout, connect).await?;
        let greeting = within(timeout, link.greeting()).await?;
        let greeting = match Document::parse(greeting.as_bytes()) {
            Ok(Document::Greeting(greeting)) => greeting,
            Ok(_) => return Err(LinkError::Answer("the server does not greet".into())),
            Err(error) => return Err(LinkError::Answer(format!("the greeting: {error}"))),
        };
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(|error| LinkError::Answer(error.to_string()))?;
        let mut session = Self {
            link,
            timeout,
            name: data_encoding::HEXLOWER.encode(&random),
            asked: 0,
            last: String::new(),
            stopping,
            objects: Vec::new(),
        };
        session.log_in(options, &greeting).await?;
        Ok(session)
    }

    async fn log_in(&mut self, options: &Options, greeting: &Greeting) -> Result<(), LinkError> {
        let file = options.password_file.clone();
        let read = tokio::task::spawn_blocking(move || {
            std::fs::read_to_string(&file).map_err(|error| unusable(&file, error))
        });
        let password = read
            .await
            .map_err(|it| LinkError::Answer(it.to_string()))??;
        let mut login = Login::of_client(&options.client_id, password.trim());
        greeting.language().clone_into(&mut login.language);
        // Of what the node speaks of, what the server has.
        login.objects = OBJECTS
            .into_iter()
            .filter(|ours| greeting.objects.iter().any(|theirs| theirs == ours))
            .map(str::to_owned)
            .collect();
        if login.objects.is_empty() {
            let reason = "the server serves neither enterprises nor prefixes";
            return Err(LinkError::Answer(reason.into()));
        }
        self.objects.clone_from(&login.objects);
        let answer = self.ask(Operation::Login(login)).await?;
        match answer.code.is_success() {
            true => Ok(()),
            false => Err(LinkError::LogIn(super::plan::reason(&answer))),
        }
    }

    /// Whether the server serves objects of a namespace.
    pub fn serves(&self, namespace: &str) -> bool {
        self.objects.iter().any(|it| it == namespace)
    }

    /// Asks what changes nothing there, under a name of the session's own.
    pub async fn ask(&mut self, operation: Operation) -> Result<Response, LinkError> {
        let (client_id, command) = self.named(operation);
        self.tell(&client_id, &command).await
    }

    fn named(&mut self, operation: Operation) -> (String, String) {
        self.asked += 1;
        let client_id = format!("{}-{}", self.name, self.asked);
        let command = Document::Command(Command::new(&client_id, operation)).encode();
        (client_id, command)
    }

    /// Sends a command that has its name already.
    pub async fn tell(&mut self, client_id: &str, command: &str) -> Result<Response, LinkError> {
        match self.stopping.is_cancelled() {
            true => Err(LinkError::Stopping),
            false => self.exchange(client_id, command).await,
        }
    }

    async fn exchange(&mut self, client_id: &str, command: &str) -> Result<Response, LinkError> {
        let (timeout, link, last) = (self.timeout, &mut self.link, &self.last);
        let answered = within(timeout, async {
            let mut document = link.exchange(command).await?;
            for _ in 0..MAX_STALE {
                let response = answer(&document)?;
                let theirs = response.as_ref().and_then(|it| it.client_id.as_deref());
                match response {
                    Some(response) if theirs == Some(client_id) => return Ok(response),
                    // What could not be read has no name.
                    Some(response) if theirs.is_none() && !response.code.is_success() => {
                        return Ok(response);
                    }
                    Some(_) if theirs != Some(&**last) => break,
                    // An answer or a greeting that has come twice.
                    _ => document = link.further().await?,
                }
            }
            Err(LinkError::Answer(
                "the server answers something else than what was asked".into(),
            ))
        });
        let response = answered.await?;
        client_id.clone_into(&mut self.last);
        match response.code.closes() && !response.code.is_success() {
            true => Err(LinkError::Answer(super::plan::reason(&response))),
            false => Ok(response),
        }
    }

    /// Keeps a silent session alive.
    pub async fn hello(&mut self) -> Result<(), LinkError> {
        let hello = Document::Hello.encode();
        let (timeout, link) = (self.timeout, &mut self.link);
        within(timeout, async {
            let mut document = link.exchange(&hello).await?;
            for _ in 0..MAX_STALE {
                if answer(&document)?.is_none() {
                    return Ok(());
                }
                document = link.further().await?;
            }
            Err(LinkError::Answer("no greeting answers a hello".into()))
        })
        .await
    }

    /// Logs out; the answer is of no interest.
    pub async fn end(mut self) {
        let (client_id, command) = self.named(Operation::Logout);
        let _ = self.exchange(&client_id, &command).await;
        self.link.close().await;
    }
}

/// An answer, or `None` for a greeting.
fn answer(document: &str) -> Result<Option<Response>, LinkError> {
    match Document::parse(document.as_bytes()) {
        Ok(Document::Response(response)) => Ok(Some(response)),
        Ok(Document::Greeting(_)) => Ok(None),
        Ok(_) => Err(LinkError::Answer(
            "the server asks instead of answering".into(),
        )),
        Err(error) => Err(LinkError::Answer(format!("an answer: {error}"))),
    }
}

async fn within<T>(
    timeout: Duration,
    part: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    let late = LinkError::TimedOut(timeout.as_millis() as u64);
    tokio::time::timeout(timeout, part)
        .await
        .unwrap_or(Err(late))
}
