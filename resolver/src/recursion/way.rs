//! One question's way from service to service, in the time that it has.

use super::exchange::{Question, Server};
use super::kept::MAX_SERVERS;
use super::{MAX_HOPS, Recursion, RecursionError, refused};
use crate::clock::now_s;
use idnode_proto::handle::{
    OpFlags, RequestHead, Response, ResponseBody, ResponseCode, Site, decode_handle_data,
};
use idnode_proto::value::{Value, types};
use std::io;
use std::time::{Duration, Instant};

/// A question's way.
pub(super) struct Way<'a> {
    recursion: &'a Recursion,
    /// Who was asked for the handle.
    visited: Vec<Server>,
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
            hops,
            until: Instant::now() + recursion.options.timeout,
        }
    }

    /// Services it has passed through, those before this node among them.
    pub(super) fn hops(&self) -> u8 {
        self.hops
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
        let (servers, mut failure) = self.askable(servers, value_types.is_empty());
        for (place, server) in servers.iter().enumerate() {
            let share = (servers.len() - place + others) as u32;
            let within = self.until.saturating_duration_since(Instant::now()) / share;
            if value_types.is_empty() {
                self.visited.push(*server);
            }
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
    /// Who refers to a handle is asked for that one too, so that only the one that the client
    /// wants (`for_the_handle`) goes in circles.
    fn askable(&self, servers: &[Server], for_the_handle: bool) -> (Vec<Server>, RecursionError) {
        let (mut askable, mut failure) = (Vec::new(), RecursionError::NoWay);
        for server in servers.iter().take(MAX_SERVERS) {
            if !self.recursion.may_ask(server) || askable.contains(server) {
                continue;
            }
            let was_asked = for_the_handle && self.visited.contains(server);
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
        let id = getrandom::u32().map_err(io::Error::other)?;
        let mut head = RequestHead::new(id);
        head.flags = OpFlags::PUBLIC_ONLY | OpFlags::REQUEST_DIGEST;
        head.recursion_count = self.hops;
        let request = head
            .resolve(handle, &[], value_types)
            .map_err(io::Error::other)?;
        let question = Question {
            request: &request,
            id,
            handle,
        };
        server.ask(&question, within).await
    }

    /// The servers that a referral of `by` names, and how long it holds, seconds.
    pub(super) async fn referred(
        &mut self,
        by: Server,
        referral: &Response,
    ) -> Result<(Vec<Server>, u32), RecursionError> {
        let ResponseBody::Referral { handle, sites } = &referral.body else {
            return Err(RecursionError::NoWay);
        };
        let mut values = sites.clone();
        let mut of = handle.clone();
        // A handle alone: whoever names it resolves it, to sites or to the service that has them.
        while !values.iter().any(is_site) {
            let next = service(&values).unwrap_or(of);
            if next.is_empty() {
                return Err(RecursionError::NoWay);
            }
            let wanted = [types::HS_SITE, types::HS_SERV];
            let (_, response) = self.ask(&[by], &next, &wanted, 0).await?;
            if response.values().is_empty() {
                return Err(RecursionError::NoWay);
            }
            values = response.values().to_vec();
            of = next;
        }
        let servers: Vec<_> = values
            .iter()
            .filter(|value| is_site(value))
            .filter_map(|value| Site::decode(&value.data).ok())
            .flat_map(|site| Server::of_site(&site).collect::<Vec<_>>())
            .take(MAX_SERVERS)
            .collect();
        let ttl_s = values.iter().map(|value| value.ttl.remaining_s(now_s()));
        Ok((servers, ttl_s.min().unwrap_or(0)))
    }
}

fn is_site(value: &Value) -> bool {
    value.value_type == types::HS_SITE
}

/// The handle of a service, HS_SERV.
fn service(values: &[Value]) -> Option<String> {
    let value = values.iter().find(|it| it.value_type == types::HS_SERV)?;
    decode_handle_data(&value.data).ok().map(str::to_owned)
}
