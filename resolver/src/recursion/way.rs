//! One question's way from service to service, in the time that it has.

use super::exchange::{Question, Server};
use super::kept::MAX_SERVERS;
use super::{MAX_HOPS, Recursion, RecursionError, refused};
use idnode_proto::handle::body::challenge::VerifyRequest;
use idnode_proto::handle::{OpCode, OpFlags, RequestHead, Response, ResponseCode};
use idnode_proto::identifier::Identifier;
use std::io;
use std::time::{Duration, Instant};

/// A question's way.
pub(super) struct Way<'a> {
    recursion: &'a Recursion,
    /// Who was asked for which handle.
    visited: Vec<(Box<str>, Server)>,
    /// Keys of the services that are looked for: each for the one before it.
    services: Vec<Box<[u8]>>,
    /// Services it has passed through, those before this node among them.
    hops: u8,
    /// When it must be at its end.
    until: Instant,
}

impl<'a> Way<'a> {
    /// Of a question that has passed through `hops` services before it came here.
    pub(super) fn new(recursion: &'a Recursion, hops: u8) -> Self {
        Self {
            recursion,
            visited: Vec::new(),
            services: Vec::new(),
            hops,
            until: Instant::now() + recursion.options.timeout,
        }
    }

    /// The first answer that one of the servers gives to a resolution of public values. One that
    /// says it is not responsible shares the site with one that is. Each has an equal part of the
    /// time that is left, and `others` besides: one that is silent must not take it all.
    pub(super) async fn ask(
        &mut self,
        servers: &[Server],
        handle: &str,
        value_types: &[&str],
        others: usize,
    ) -> Result<(Server, Response), RecursionError> {
        self.hops += 1;
        if self.hops > MAX_HOPS {
            return Err(RecursionError::TooDeep);
        }
        let (servers, mut failure) = self.askable(servers, handle);
        for (place, server) in servers.iter().enumerate() {
            let share = (servers.len() - place + others) as u32;
            let within = self.until.saturating_duration_since(Instant::now()) / share;
            self.visited.push((handle.into(), *server));
            match self.exchange(server, handle, value_types, within).await {
                Ok(response) if response.code == ResponseCode::NOT_RESPONSIBLE => {
                    failure = refused(server.address, response.code, &response);
                }
                Ok(response) => return Ok((*server, response)),
                Err(error) => {
                    failure = RecursionError::Unreachable {
                        server: server.address,
                        cause: error.to_string(),
                    };
                }
            }
        }
        Err(failure)
    }

    /// Those of the servers that may be asked, and why there is no answer if none of them may.
    /// Who refers to a handle is asked for that one too: a circle is to be asked for the same one
    /// again.
    fn askable(&self, servers: &[Server], handle: &str) -> (Vec<Server>, RecursionError) {
        let (mut askable, mut failure) = (Vec::new(), RecursionError::NoWay);
        for server in servers.iter().take(MAX_SERVERS) {
            if !self.recursion.may_ask(server) || askable.contains(server) {
                continue;
            }
            let mut visited = self.visited.iter();
            let was_asked =
                visited.any(|(asked, it)| it == server && asked.eq_ignore_ascii_case(handle));
            if self.recursion.is_own(server) || was_asked {
                failure = RecursionError::Circle;
            } else {
                askable.push(*server);
            }
        }
        (askable, failure)
    }

    async fn exchange(
        &self,
        server: &Server,
        handle: &str,
        value_types: &[&str],
        within: Duration,
    ) -> io::Result<Response> {
        if within.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let head = self.head(OpFlags::PUBLIC_ONLY | OpFlags::REQUEST_DIGEST)?;
        let request = head
            .resolve(handle, &[], value_types)
            .map_err(io::Error::other)?;
        let question = Question {
            request: &request,
            id: head.request_id,
            op_code: OpCode::RESOLVE,
            handle,
        };
        server.ask(&question, within).await
    }

    /// Has a server say whether an answer to a challenge proves a secret key that it keeps (RFC 3652
    /// §3.5.3).
    pub(super) async fn verify(
        &self,
        server: &Server,
        proof: &VerifyRequest<'_>,
    ) -> io::Result<Response> {
        let head = self.head(OpFlags::REQUEST_DIGEST)?;
        let request = head.verify_answer(proof).map_err(io::Error::other)?;
        let question = Question {
            request: &request,
            id: head.request_id,
            op_code: OpCode::VERIFY_ANSWER,
            handle: proof.handle,
        };
        let within = self.until.saturating_duration_since(Instant::now());
        server.ask_over_tcp(&question, within).await
    }

    /// Of a request with a number that nobody can foresee.
    fn head(&self, flags: OpFlags) -> io::Result<RequestHead> {
        let mut head = RequestHead::new(getrandom::u32().map_err(io::Error::other)?);
        head.flags = flags;
        head.recursion_count = self.hops;
        Ok(head)
    }

    /// Begins to look for a service, on the way to another one if that is not at its end.
    ///
    /// # Errors
    /// [`RecursionError::Circle`]: it is being looked for; [`RecursionError::TooDeep`].
    pub(super) fn enter(&mut self, service: &Identifier) -> Result<(), RecursionError> {
        if self.services.iter().any(|it| **it == *service.key()) {
            return Err(RecursionError::Circle);
        }
        if self.services.len() >= usize::from(MAX_HOPS) {
            return Err(RecursionError::TooDeep);
        }
        self.services.push(service.key().into());
        Ok(())
    }

    /// The last one that was entered is found, or not.
    pub(super) fn leave(&mut self) {
        self.services.pop();
    }
}
