//! The network of a province: namespaces, and links between them that can be cut and slowed.
//!
//! | module | holds |
//! |---|---|
//! | `namespace` | network namespaces |
//! | `veths` | links as pairs of veths, delayed by the kernel's netem where it has it |
//! | `wire` | links as delay lines of this process, between TUN devices |
//! | `link` | what is known of a link, whatever carries it |
//!
//! Every two of the seven places have a link of their own, and every city one to its clients.

pub(super) mod link;
pub(super) mod namespace;
mod veths;
mod wire;

use nix::unistd::geteuid;

use super::city::{City, Site};
use super::error::Failure;
use super::layout::{Apart, Layout, Map, Started};
use link::{Link, WireReport};
use veths::Veths;
use wire::Wire;
pub(super) use wire::make_urgent;

/// What makes latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LatencyBy {
    /// The kernel's netem, on the veths
    Netem,
    /// This program's own wire: it carries every packet and holds it back
    Wire,
    /// Nothing: links are as fast as veths are
    None,
}

/// The network while it is there. It is removed by [`Network::remove`].
#[derive(Debug)]
pub(super) enum Network {
    /// The loopback network of the machine, without links.
    Loopback,
    /// Pairs of veths.
    Veths(Veths),
    /// The wire.
    Wire(Wire),
}

/// How the links are to be, and what is to be said about it.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// How places are kept apart, and the delays.
    pub(super) started: Started,
    /// A word for the person at the terminal.
    pub(super) remark: Option<&'static str>,
}

/// Whether this user may make namespaces.
///
/// # Errors
/// It is not root.
pub(super) fn permitted() -> Result<(), Failure> {
    if geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::Usage(
        "--netns makes network namespaces, which only root may: run idprovince as root, or leave --netns out"
            .to_owned(),
    ))
}

/// Decides how places are kept apart in namespaces.
///
/// # Errors
/// The kernel has no netem, and it was asked for.
pub(super) fn choose(
    layout: &Layout,
    by: Option<LatencyBy>,
    between_ms: f64,
    city_ms: f64,
) -> Result<Choice, Failure> {
    let started = |apart, between_ms, city_ms| Started {
        apart,
        between_ms,
        city_ms,
    };
    let choice = |apart, remark| Choice {
        started: started(apart, between_ms, city_ms),
        remark,
    };
    let no_netem = "this kernel has no netem (CONFIG_NET_SCH_NETEM)";
    match by {
        Some(LatencyBy::Wire) => Ok(choice(Apart::Wire, None)),
        Some(LatencyBy::None) => Ok(Choice {
            started: started(Apart::Veths, 0.0, 0.0),
            remark: None,
        }),
        Some(LatencyBy::Netem) if veths::has_netem(layout)? => Ok(choice(Apart::Veths, None)),
        Some(LatencyBy::Netem) => Err(Failure::Usage(format!(
            "--latency-by netem: {no_netem}; --latency-by wire does without"
        ))),
        None if veths::has_netem(layout)? => {
            Ok(choice(Apart::Veths, Some("latency by the kernel's netem")))
        }
        None => Ok(choice(
            Apart::Wire,
            Some("this kernel has no netem: latency by idprovince's own wire"),
        )),
    }
}

impl Network {
    /// Makes namespaces and links. What was made when it fails is for [`sweep`] to remove.
    ///
    /// # Errors
    /// The system refuses something.
    pub(super) fn make(map: &Map, started: &Started) -> Result<Self, Failure> {
        if map.apart() == Apart::Addresses {
            return Ok(Self::Loopback);
        }
        for site in Site::all() {
            namespace::make(&map.namespace(site).unwrap_or_default())?;
        }
        for city in City::ALL {
            namespace::make(&map.client_namespace(city).unwrap_or_default())?;
        }
        Ok(match map.apart() {
            Apart::Wire => Self::Wire(Wire::make(map, started)?),
            _ => Self::Veths(Veths::make(map, started)?),
        })
    }

    /// Cuts the link between two places.
    ///
    /// # Errors
    /// There are no links; the system refuses.
    pub(super) fn cut(&mut self, a: Site, b: Site) -> Result<(), Failure> {
        match self {
            Self::Loopback => Err(no_links()),
            Self::Veths(veths) => veths.cut(a, b),
            Self::Wire(wire) => {
                wire.cut(a, b);
                Ok(())
            }
        }
    }

    /// Sets how long the link between two places takes, one way.
    ///
    /// # Errors
    /// There are no links, or none that delay; the system refuses.
    pub(super) fn slow(&mut self, a: Site, b: Site, one_way_ms: f64) -> Result<(), Failure> {
        match self {
            Self::Loopback => Err(no_links()),
            Self::Veths(veths) => veths.slow(a, b, one_way_ms),
            Self::Wire(wire) => {
                wire.slow(a, b, one_way_ms);
                Ok(())
            }
        }
    }

    /// Makes the link between two places what it was at the beginning.
    ///
    /// # Errors
    /// There are no links; the system refuses.
    pub(super) fn heal(&mut self, a: Site, b: Site) -> Result<(), Failure> {
        match self {
            Self::Loopback => Err(no_links()),
            Self::Veths(veths) => veths.heal(a, b),
            Self::Wire(wire) => {
                wire.heal(a, b);
                Ok(())
            }
        }
    }

    /// All links between places, as they are now.
    pub(super) fn links(&self) -> Vec<Link> {
        match self {
            Self::Loopback => Vec::new(),
            Self::Veths(veths) => veths.links(),
            Self::Wire(wire) => wire.links(),
        }
    }

    /// How well the wire keeps time, if there is one.
    pub(super) fn wire(&self) -> Option<WireReport> {
        match self {
            Self::Wire(wire) => Some(wire.report()),
            Self::Loopback | Self::Veths(_) => None,
        }
    }

    /// Stops what runs of it. Its namespaces are for [`sweep`] to remove.
    pub(super) fn stop(&mut self) {
        if let Self::Wire(wire) = self {
            wire.stop();
        }
    }
}

fn no_links() -> Failure {
    Failure::Usage("there are no links: the province was started without --netns".to_owned())
}

/// Processes in namespaces of this directory's province.
pub(super) fn processes(map: &Map) -> Vec<i32> {
    let names = namespace::beginning_with(&map.namespace_prefix());
    names
        .iter()
        .flat_map(|name| namespace::processes(name))
        .collect()
}

/// Removes all namespaces of this directory's province, and with them their devices; how many.
///
/// # Errors
/// The system refuses.
pub(super) fn sweep(map: &Map) -> Result<usize, Failure> {
    let names = namespace::beginning_with(&map.namespace_prefix());
    for name in &names {
        namespace::remove(name)?;
    }
    Ok(names.len())
}
