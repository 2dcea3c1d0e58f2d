//! Links as pairs of veths, one pair a link, each end in the namespace of its place. The kernel's
//! netem delays what leaves at each end, where it has it. A link of its own for every two places
//! asks of the kernel no more than netem: a bridge between all of them would have to tell pairs
//! apart by filters and classes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::link::{Carried, Link};
use super::namespace::{ip, make, remove, run};
use crate::province::city::{City, Site};
use crate::province::error::Failure;
use crate::province::layout::{Layout, Map, Started};

/// All links, as they were set.
#[derive(Debug)]
pub(in crate::province) struct Veths {
    map: Map,
    between_ms: f64,
    links: BTreeMap<(Site, Site), Setting>,
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    up: bool,
    one_way_ms: f64,
}

/// One end of a link: a device in a namespace.
struct End {
    namespace: String,
    device: String,
    /// Its own address, and what is behind the device.
    own: String,
    behind: String,
}

/// Whether the kernel has netem: it is tried in a namespace of its own.
///
/// # Errors
/// No namespace can be made.
pub(super) fn has_netem(layout: &Layout) -> Result<bool, Failure> {
    let name = format!("idp-{}-trial", layout.tag());
    make(&name)?;
    let tried = netem("replace", &name, "lo", 1.0);
    remove(&name)?;
    Ok(tried.is_ok())
}

fn netem(action: &str, namespace: &str, device: &str, one_way_ms: f64) -> Result<(), Failure> {
    let delay = format!("{}us", (one_way_ms * 1_000.0).round());
    let whole = [
        "-n", namespace, "qdisc", action, "dev", device, "root", "netem", "delay", &delay, "limit",
        "100000",
    ];
    run("tc", &whole).map(drop)
}

impl Veths {
    /// Makes the devices in namespaces that are there.
    pub(super) fn make(map: &Map, started: &Started) -> Result<Self, Failure> {
        for (a, b) in Site::pairs() {
            join(&ends(map, a, b), started.between_ms)?;
        }
        for city in City::ALL {
            join(&client_ends(map, city), started.city_ms)?;
        }
        let setting = Setting {
            up: true,
            one_way_ms: started.between_ms,
        };
        Ok(Self {
            map: map.clone(),
            between_ms: started.between_ms,
            links: Site::pairs().map(|pair| (pair, setting)).collect(),
        })
    }

    pub(super) fn cut(&mut self, a: Site, b: Site) -> Result<(), Failure> {
        for end in ends(&self.map, a, b) {
            ip(&["-n", &end.namespace, "link", "set", &end.device, "down"])?;
        }
        self.set(a, b, |setting| setting.up = false);
        Ok(())
    }

    pub(super) fn heal(&mut self, a: Site, b: Site) -> Result<(), Failure> {
        for end in ends(&self.map, a, b) {
            end.rise()?;
        }
        self.set(a, b, |setting| setting.up = true);
        match self.between_ms > 0.0 {
            true => self.slow(a, b, self.between_ms),
            false => Ok(()),
        }
    }

    pub(super) fn slow(&mut self, a: Site, b: Site, one_way_ms: f64) -> Result<(), Failure> {
        if self.between_ms == 0.0 {
            return Err(Failure::Usage(
                "these links delay nothing: the province was started with --latency-by none"
                    .to_owned(),
            ));
        }
        for end in ends(&self.map, a, b) {
            netem("replace", &end.namespace, &end.device, one_way_ms)?;
        }
        self.set(a, b, |setting| setting.one_way_ms = one_way_ms);
        Ok(())
    }

    fn set(&mut self, a: Site, b: Site, change: impl FnOnce(&mut Setting)) {
        if let Some(setting) = self.links.get_mut(&(a.min(b), a.max(b))) {
            change(setting);
        }
    }

    pub(super) fn links(&self) -> Vec<Link> {
        let counted: BTreeMap<Site, Value> = Site::all()
            .map(|site| (site, self.counters(site)))
            .collect();
        let links = self.links.iter().map(|((a, b), setting)| {
            let device = self.map.device(b.name());
            let counters = counted.get(a).and_then(|all| {
                let mut devices = all.as_array()?.iter();
                devices.find(|it| it["ifname"] == device.as_str())
            });
            Link {
                a: a.name().to_owned(),
                b: b.name().to_owned(),
                up: setting.up,
                one_way_ms: setting.one_way_ms,
                carried: counters.map(carried).unwrap_or_default(),
            }
        });
        links.collect()
    }

    /// The counters of all devices of a place.
    fn counters(&self, site: Site) -> Value {
        let namespace = self.map.namespace(site).unwrap_or_default();
        let printed = ip(&["-n", &namespace, "-s", "-j", "link", "show"]);
        printed
            .ok()
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default()
    }
}

fn carried(device: &Value) -> Carried {
    let count = |way: &str, what: &str| {
        let counter = device.pointer(&format!("/stats64/{way}/{what}"));
        counter.and_then(Value::as_u64).unwrap_or(0)
    };
    let both = |what: &str| count("rx", what) + count("tx", what);
    Carried {
        packets: both("packets"),
        bytes: both("bytes"),
        ..Carried::default()
    }
}

fn ends(map: &Map, a: Site, b: Site) -> [End; 2] {
    [(a, b), (b, a)].map(|(here, there)| End {
        namespace: map.namespace(here).unwrap_or_default(),
        device: map.device(there.name()),
        own: map.address(here).to_string(),
        behind: format!("{}/32", map.address(there)),
    })
}

fn client_ends(map: &Map, city: City) -> [End; 2] {
    let node = Site::City(city);
    let (own, clients) = (map.address(node), map.client_address(city));
    [
        End {
            namespace: map.namespace(node).unwrap_or_default(),
            device: map.device("clients"),
            own: own.to_string(),
            behind: format!("{clients}/32"),
        },
        End {
            namespace: map.client_namespace(city).unwrap_or_default(),
            device: map.device(city.name()),
            own: clients.to_string(),
            behind: format!("{own}/32"),
        },
    ]
}

/// Makes the two devices of a link. Addresses are on the loopback device: a place has one address,
/// however many links it has.
fn join([one, other]: &[End; 2], one_way_ms: f64) -> Result<(), Failure> {
    ip(&[
        "link",
        "add",
        &one.device,
        "netns",
        &one.namespace,
        "type",
        "veth",
        "peer",
        "name",
        &other.device,
        "netns",
        &other.namespace,
    ])?;
    for end in [one, other] {
        let address = format!("{}/32", end.own);
        ip(&[
            "-n",
            &end.namespace,
            "addr",
            "replace",
            &address,
            "dev",
            "lo",
        ])?;
        if one_way_ms > 0.0 {
            netem("add", &end.namespace, &end.device, one_way_ms)?;
        }
    }
    one.rise()?;
    other.rise()
}

impl End {
    /// Sets the device up, and the route over it, which is gone whenever it was down.
    fn rise(&self) -> Result<(), Failure> {
        let (namespace, device) = (&self.namespace, &self.device);
        ip(&["-n", namespace, "link", "set", device, "up"])?;
        ip(&[
            "-n",
            namespace,
            "route",
            "replace",
            &self.behind,
            "dev",
            device,
            "src",
            &self.own,
        ])?;
        Ok(())
    }
}
