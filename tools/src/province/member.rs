//! A place of the province as its supervisor sees it: the process, what it last said of itself.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::{Map as Json, json};

use super::api;
use super::child::Running;
use super::city::{City, Site};
use super::layout::{
    DNS_PORT, EPP_PORT, GRPC_PORT, HANDLE_PORT, HTTP_PORT, HTTPS_PORT, Map, REPORT_PORT,
    STATUS_PORT, SYNC_PORT,
};
use super::meter::Reading;
use super::status::{Node, State};

/// The longest wait before a node that crashes again and again is started again.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// What one look at a place has brought.
#[derive(Debug)]
pub(super) struct Look {
    at: Instant,
    /// Whether it is ready, or why not.
    ready: Result<(), String>,
    /// Its metrics, if it has some.
    reading: Option<Reading>,
}

impl Look {
    /// Looks at a place.
    pub(super) async fn at(map: Map, site: Site) -> Self {
        let (port, path) = match site {
            Site::City(_) => (HTTP_PORT, "/readyz"),
            Site::National => (STATUS_PORT, "/status"),
        };
        let (ready, page) = match api::get(&map, site, port, path).await {
            Ok((200, body)) => (Ok(()), body),
            Ok((status, body)) => (Err(reason(status, &body)), Vec::new()),
            Err(error) => (Err(error.to_string()), Vec::new()),
        };
        let reading = match site {
            Site::City(_) => {
                let metrics = api::get(&map, site, HTTP_PORT, "/metrics").await;
                let text = metrics.map(|(_, body)| String::from_utf8_lossy(&body).into_owned());
                text.ok().map(|text| Reading::parse(&text))
            }
            Site::National => Reading::of_national(&page),
        };
        Self {
            at: Instant::now(),
            ready,
            reading,
        }
    }
}

/// Why a node is not ready, by its own words (RFC 9457).
fn reason(status: u16, body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.and_then(|it| Some(it.get("detail")?.as_str()?.to_owned()));
    detail.unwrap_or_else(|| format!("status {status}"))
}

/// A place.
#[derive(Debug)]
pub(super) struct Member {
    /// Which.
    pub(super) site: Site,
    /// Its process, while it lives.
    pub(super) running: Option<Running>,
    state: State,
    why: String,
    restarts: u32,
    /// When it is to be started again.
    again: Option<Instant>,
    /// The last two readings and when they were taken, the newer one last.
    readings: [Option<(Instant, Reading)>; 2],
}

impl Member {
    /// One that has not been started.
    pub(super) fn new(site: Site) -> Self {
        Self {
            site,
            running: None,
            state: State::Down,
            why: String::new(),
            restarts: 0,
            again: None,
            readings: [None, None],
        }
    }

    /// It has a process.
    pub(super) fn started(&mut self, running: Running) {
        self.running = Some(running);
        self.state = State::Starting;
        self.why.clear();
        self.readings = [None, None];
    }

    /// It cannot be started.
    pub(super) fn failed(&mut self, why: String) {
        (self.state, self.why) = (State::Down, why);
        self.plan_again();
    }

    /// Looks whether its process has ended; with `restart`, it is to be started again after a
    /// while.
    pub(super) fn reap(&mut self, restart: bool) {
        let Some(status) = self.running.as_mut().and_then(Running::ended) else {
            return;
        };
        self.running = None;
        self.state = State::Down;
        self.why = told(status);
        self.readings = [None, None];
        if restart {
            self.plan_again();
        }
    }

    fn plan_again(&mut self) {
        let wait = Duration::from_millis(500) * (1 << self.restarts.min(8));
        self.again = Some(Instant::now() + wait.min(LONGEST_BACKOFF));
    }

    /// Whether it is to be started again now; it counts.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.again.is_some_and(|at| at <= Instant::now());
        if due {
            self.again = None;
            self.restarts += 1;
        }
        due
    }

    /// Takes in what a look has brought.
    pub(super) fn looked(&mut self, look: Look) {
        if self.running.is_none() {
            return;
        }
        match look.ready {
            Ok(()) => {
                (self.state, self.why) = (State::Up, String::new());
            }
            Err(_) if self.state == State::Starting => {}
            Err(why) => (self.state, self.why) = (State::NotReady, why),
        }
        if let Some(reading) = look.reading {
            let [before, last] = &mut self.readings;
            *before = last.take();
            *last = Some((look.at, reading));
        }
    }

    /// Whether it is up.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// As it is shown.
    pub(super) fn node(&self, map: &Map) -> Node {
        let (chinese, role, prefix) = match self.site {
            Site::City(city) => (city.chinese(), city.role().name(), city.prefix()),
            Site::National => ("国家", "", "88".to_owned()),
        };
        let last = match &self.readings {
            [_, Some((_, last))] => Some(last),
            _ => None,
        };
        let of_city = |count: Option<u64>| count.filter(|_| self.site != Site::National);
        let figures = self.figures();
        let (queries_per_s, p50_us, p99_us) = figures.unwrap_or_default();
        let ms = |us: Option<f64>| us.map(|us| us / 1_000.0);
        Node {
            name: self.site.name().to_owned(),
            chinese: chinese.to_owned(),
            role: role.to_owned(),
            prefix,
            state: self.state,
            why: self.why.clone(),
            pid: self.running.as_ref().map(Running::pid),
            restarts: self.restarts,
            queries_per_s,
            p50_ms: ms(p50_us),
            p99_ms: ms(p99_us),
            backlog: of_city(last.map(|it| it.backlog)),
            channels_down: of_city(last.map(|it| it.channels_down)),
            address: map.address(self.site).to_string(),
            namespace: map.namespace(self.site),
            ports: ports(self.site),
        }
    }

    /// Between the last two looks: requests a second, their median and 99th percentile in
    /// microseconds.
    fn figures(&self) -> Option<(Option<f64>, Option<f64>, Option<f64>)> {
        let [Some((then, before)), Some((now, last))] = &self.readings else {
            return None;
        };
        if !last.follows(before) {
            return None;
        }
        let seconds = now.duration_since(*then).as_secs_f64();
        let requests = last.requests.saturating_sub(before.requests);
        let per_s = (seconds > 0.0).then(|| requests as f64 / seconds);
        let percentile = |of_hundred| last.percentile_us(before, of_hundred);
        Some((per_s, percentile(50.0), percentile(99.0)))
    }
}

fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

fn ports(site: Site) -> Json<String, serde_json::Value> {
    let all: &[(&str, u16)] = match site {
        Site::City(_) => &[
            ("handle", HANDLE_PORT),
            ("grpc", GRPC_PORT),
            ("dns", DNS_PORT),
            ("http", HTTP_PORT),
            ("https", HTTPS_PORT),
        ],
        Site::National => &[
            ("handle", HANDLE_PORT),
            ("status", STATUS_PORT),
            ("epp", EPP_PORT),
            ("report", REPORT_PORT),
            ("sync", SYNC_PORT),
        ],
    };
    let pairs = all
        .iter()
        .map(|(name, port)| ((*name).to_owned(), json!(port)));
    pairs.collect()
}

/// All members, in the order of [`Site::all`].
pub(super) fn all() -> Vec<Member> {
    debug_assert_eq!(Site::all().count(), City::ALL.len() + 1);
    Site::all().map(Member::new).collect()
}
