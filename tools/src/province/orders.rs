//! Orders that come over the control socket while a province runs.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::city::Site;
use super::control::{Asked, Order};
use super::error::Failure;
use super::net::Network;
use super::up::Province;

impl Province {
    /// Does what an order says; what is answered.
    ///
    /// # Errors
    /// The order is about what is not there, or the system refuses.
    pub(super) fn obey(&mut self, order: Order) -> Result<Value, Failure> {
        match order {
            Order::Status => {
                serde_json::to_value(self.status()).map_err(|e| Failure::Program(e.to_string()))
            }
            Order::Down => Ok(json!({})),
            Order::Cut { a, b } => {
                let links = links(Some(&a), b.as_deref())?;
                self.on_links(links, |network, a, b| network.cut(a, b))
            }
            Order::Heal { a, b } => {
                let links = links(a.as_deref(), b.as_deref())?;
                self.on_links(links, |network, a, b| network.heal(a, b))
            }
            Order::Slow { a, b, one_way_ms } => {
                if !(0.0..=60_000.0).contains(&one_way_ms) {
                    return Err(Failure::Usage(
                        "allowed: 0 to 60000 milliseconds".to_owned(),
                    ));
                }
                let links = links(Some(&a), Some(&b))?;
                self.on_links(links, |network, a, b| network.slow(a, b, one_way_ms))
            }
        }
    }

    fn on_links(
        &mut self,
        links: Vec<(Site, Site)>,
        act: impl Fn(&mut Network, Site, Site) -> Result<(), Failure>,
    ) -> Result<Value, Failure> {
        for (a, b) in &links {
            act(&mut self.network, *a, *b)?;
        }
        let names = links.iter().map(|(a, b)| json!([a.name(), b.name()]));
        Ok(json!({ "links": names.collect::<Vec<_>>() }))
    }
}

/// The links that an order is about: between two places, all of one, or all.
fn links(a: Option<&str>, b: Option<&str>) -> Result<Vec<(Site, Site)>, Failure> {
    let site = |name: &str| name.parse::<Site>().map_err(Failure::Usage);
    let (a, b) = (a.map(site).transpose()?, b.map(site).transpose()?);
    match (a, b) {
        (Some(a), Some(b)) if a == b => {
            let text = format!("{a} has no link to itself");
            Err(Failure::Usage(text))
        }
        (Some(a), Some(b)) => Ok(vec![(a.min(b), a.max(b))]),
        (Some(one), None) | (None, Some(one)) => {
            let its = Site::pairs().filter(|(a, b)| *a == one || *b == one);
            Ok(its.collect())
        }
        (None, None) => Ok(Site::pairs().collect()),
    }
}

/// Answers orders during the start; comes when one is to end.
pub(super) async fn told_to_end(orders: &mut mpsc::Receiver<Asked>) {
    while let Some((order, reply)) = orders.recv().await {
        let is_down = order == Order::Down;
        let answer = match is_down {
            true => Ok(json!({})),
            false => Err("the province is starting".to_owned()),
        };
        let _ = reply.send(answer);
        if is_down {
            return;
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::province::city::City;

    #[test]
    fn orders_name_links() {
        assert_eq!(links(None, None).unwrap().len(), 21);
        assert_eq!(links(Some("datong"), None).unwrap().len(), 6);
        let one = (Site::City(City::Datong), Site::City(City::Linfen));
        assert_eq!(links(Some("linfen"), Some("datong")).unwrap(), [one]);
        assert!(links(Some("linfen"), Some("linfen")).is_err());
        assert!(links(Some("linfen"), Some("moon")).is_err());
    }
}
