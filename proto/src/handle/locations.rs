//! The data of `10320/loc` values: several places to lead to, and how one of them is chosen, as
//! the public proxies of the Handle System document it (DOI Handbook, "10320/loc").

use crate::xml::{Element, XmlError};
use thiserror::Error;

/// The value type, compared like all without regard to case.
pub const LOCATIONS: &str = "10320/loc";

/// Heaviest weight that counts: more of them than there may be still have a finite sum.
const MAX_WEIGHT: f64 = 1e9;

/// Why data says no locations.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LocationsError {
    /// It is no XML that is read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Its outermost element is another.
    #[error("is not in an element locations, but in {0:.40}")]
    NotLocations(String),
}

/// A way to leave locations out of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// By an attribute that the client names.
    Attribute,
    /// By the client's country.
    Country,
    /// By chance and weight, which leaves one.
    Weighted,
}

/// One place.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// Where it is.
    pub href: String,
    /// All attributes, `href` too.
    attributes: Vec<(String, String)>,
    /// How often it is chosen in comparison to the others; 0: only when nothing else is left.
    weight: f64,
}

impl Location {
    fn has(&self, name: &str, value: &str) -> bool {
        // Country codes are written in either case.
        let equal = |own: &str| match name {
            "country" => own.eq_ignore_ascii_case(value),
            _ => own == value,
        };
        self.attributes
            .iter()
            .any(|(key, own)| key == name && equal(own))
    }

    fn has_any(&self, name: &str) -> bool {
        self.attributes.iter().any(|(key, _)| key == name)
    }
}

/// Several places, and how one of them is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Locations {
    methods: Vec<Method>,
    locations: Vec<Location>,
}

/// What is chosen, and by what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice<'a> {
    /// The place.
    pub location: &'a Location,
    /// Whether another might have been chosen for the same question.
    pub by_chance: bool,
}

impl Locations {
    /// Reads a value's data. Elements that are no locations, and locations without `href`, are
    /// passed over, like methods that are unknown.
    ///
    /// # Errors
    /// It is no XML, or other XML.
    pub fn parse(data: &[u8]) -> Result<Self, LocationsError> {
        let root = Element::parse(data)?;
        if root.name != "locations" {
            return Err(LocationsError::NotLocations(root.name));
        }
        let methods = root
            .attribute("chooseby")
            .unwrap_or("locatt,country,weighted");
        let methods = methods.split(',').filter_map(|name| match name.trim() {
            "locatt" => Some(Method::Attribute),
            "country" => Some(Method::Country),
            "weighted" => Some(Method::Weighted),
            _ => None,
        });
        let methods = methods.collect();
        let locations = root.children.into_iter().filter_map(location).collect();
        Ok(Self { methods, locations })
    }

    /// The places, in order.
    pub fn all(&self) -> &[Location] {
        &self.locations
    }

    /// Chooses among the places that are usable. `wanted` is an attribute that the client names
    /// and its value; that it is its country is known from there alone. `draw` is evenly
    /// distributed over all numbers.
    ///
    /// Method after method leaves fewer; one that would leave none leaves all.
    pub fn choose(
        &self,
        usable: impl Fn(&Location) -> bool,
        wanted: Option<(&str, &str)>,
        draw: u64,
    ) -> Option<Choice<'_>> {
        let mut left: Vec<&Location> = self.locations.iter().filter(|it| usable(it)).collect();
        for method in &self.methods {
            let kept = match method {
                _ if left.len() <= 1 => break,
                Method::Weighted => break,
                Method::Attribute => match wanted {
                    Some((name, value)) => only(&left, |it| it.has(name, value)),
                    None => continue,
                },
                Method::Country => in_country(&left, wanted),
            };
            if !kept.is_empty() {
                left = kept;
            }
        }
        let by_chance = left.len() > 1 && left.iter().filter(|it| it.weight > 0.0).count() != 1;
        weighted(&left, draw).map(|location| Choice {
            location,
            by_chance,
        })
    }
}

fn location(element: Element) -> Option<Location> {
    let href = element
        .attribute("href")
        .filter(|_| element.name == "location")?;
    // One that is no number is as good as none.
    let weight: Option<f64> = element
        .attribute("weight")
        .and_then(|text| text.trim().parse().ok());
    let weight = weight.filter(|weight| weight.is_finite()).unwrap_or(1.0);
    Some(Location {
        href: href.to_owned(),
        weight: weight.clamp(0.0, MAX_WEIGHT),
        attributes: element.attributes,
    })
}

fn only<'a>(left: &[&'a Location], keep: impl Fn(&Location) -> bool) -> Vec<&'a Location> {
    left.iter().copied().filter(|it| keep(it)).collect()
}

/// Those of the client's country, else those of none: a place for other countries is not for it.
fn in_country<'a>(left: &[&'a Location], wanted: Option<(&str, &str)>) -> Vec<&'a Location> {
    if let Some(("country", country)) = wanted {
        let there = only(left, |it| it.has("country", country));
        if !there.is_empty() {
            return there;
        }
    }
    only(left, |it| !it.has_any("country"))
}

/// One of them by chance, each as often as it weighs; as often as the others if none weighs.
fn weighted<'a>(left: &[&'a Location], draw: u64) -> Option<&'a Location> {
    let last = left.len().checked_sub(1)?;
    let share = draw as f64 / (u64::MAX as f64 + 1.0);
    let total: f64 = left.iter().map(|it| it.weight).sum();
    if total <= 0.0 {
        let at = (share * left.len() as f64) as usize;
        return left.get(at.min(last)).copied();
    }
    let mut rest = share * total;
    let weighing = || left.iter().copied().filter(|it| it.weight > 0.0);
    for location in weighing() {
        if rest < location.weight {
            return Some(location);
        }
        rest -= location.weight;
    }
    // Rounding may leave a little behind the last one.
    weighing().next_back()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// The handbook's example.
    const EXAMPLE: &str = r#"<locations>
        <location id="0" href="http://uk.example.com/" country="gb" weight="0" />
        <location id="1" href="http://www1.example.com/" weight="1" />
        <location id="2" href="http://www2.example.com/" weight="1" />
        </locations>"#;

    fn ids(text: &str, wanted: Option<(&str, &str)>) -> Vec<String> {
        let locations = Locations::parse(text.as_bytes()).unwrap();
        let mut ids: Vec<String> = (0..1_000_u64)
            .filter_map(|at| locations.choose(|_| true, wanted, at * (u64::MAX / 999)))
            .map(|choice| {
                let mut attributes = choice.location.attributes.iter();
                let id = attributes.find(|(key, _)| key == "id");
                id.map(|(_, id)| id.clone()).unwrap_or_default()
            })
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    #[test]
    fn the_documented_example_is_chosen_from_as_documented() {
        assert_eq!(ids(EXAMPLE, None), ["1", "2"]);
        assert_eq!(ids(EXAMPLE, Some(("id", "1"))), ["1"]);
        assert_eq!(ids(EXAMPLE, Some(("id", "0"))), ["0"]);
        assert_eq!(ids(EXAMPLE, Some(("country", "GB"))), ["0"]);
        assert_eq!(ids(EXAMPLE, Some(("country", "us"))), ["1", "2"]);
        assert_eq!(ids(EXAMPLE, Some(("id", "9"))), ["1", "2"]);
        let locations = Locations::parse(EXAMPLE.as_bytes()).unwrap();
        let choice = |wanted| locations.choose(|_| true, wanted, 7).unwrap();
        assert!(choice(None).by_chance);
        assert!(!choice(Some(("id", "0"))).by_chance);
    }

    #[test]
    fn methods_come_in_the_order_that_is_given() {
        let places = r#"<location id="a" country="cn" href="x"/><location id="b" href="y"/>"#;
        let of =
            |chooseby: &str| format!("<locations chooseby=\"{chooseby}\">{places}</locations>");
        assert_eq!(ids(&of("locatt,country"), Some(("id", "a"))), ["a"]);
        assert_eq!(ids(&of("country,locatt"), Some(("id", "a"))), ["b"]);
        assert_eq!(ids(&of("weighted,country"), None), ["a", "b"]);
        // Unknown ones are passed over, chance is always last.
        assert_eq!(ids(&of(" language , country "), None), ["b"]);
        assert_eq!(ids(&of(""), Some(("id", "a"))), ["a", "b"]);
    }

    #[test]
    fn weights_share_the_choice() {
        let text = r#"<locations><location id="a" href="x" weight="3"/>
            <location id="b" href="y"/><location id="c" href="z" weight="0"/>
            <location id="d" href="z" weight="-1"/></locations>"#;
        let locations = Locations::parse(text.as_bytes()).unwrap();
        let [first, second] = ["x", "y"].map(|href| {
            let draws = (0..4_000_u64).map(|at| at * (u64::MAX / 4_000));
            let chosen = draws.filter_map(|draw| locations.choose(|_| true, None, draw));
            chosen.filter(|choice| choice.location.href == href).count()
        });
        assert_eq!(first + second, 4_000);
        assert!((2_990..=3_010).contains(&first), "{first}");
        // Where nothing weighs all are alike, and what is not usable is not there.
        let none = text
            .replace("weight=\"3\"", "weight=\"0\"")
            .replace("<location id=\"b\" href=\"y\"/>", "");
        assert_eq!(ids(&none, None), ["a", "c", "d"]);
        let choice = locations.choose(|it| it.href == "z", None, u64::MAX);
        assert_eq!(choice.unwrap().location.href, "z");
        assert_eq!(locations.choose(|_| false, None, 0), None);
    }

    #[test]
    fn other_data_is_refused_or_empty() {
        assert!(matches!(
            Locations::parse(b"<location href='x'/>"),
            Err(LocationsError::NotLocations(_))
        ));
        assert!(matches!(
            Locations::parse(b"http://e.com"),
            Err(LocationsError::Xml(_))
        ));
        let empty = Locations::parse(b"<locations><location/><other href='x'/></locations>");
        assert_eq!(empty.unwrap().all(), []);
        let odd = r#"<locations><location id="a" href="x" weight="NaN"/>
            <location id="b" href="y" weight="1e400"/><location id="c" href="z" weight="?"/>
            </locations>"#;
        assert_eq!(ids(odd, None), ["a", "b", "c"]);
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_is_usable(
            weights in proptest::collection::vec("-?[0-9]{0,4}(\\.[0-9]{1,3})?|inf|1e300", 1..20),
            by in "(locatt|country|weighted|x|,| ){0,5}",
            draw: u64,
        ) {
            let places: String = weights.iter().enumerate().map(|(at, weight)| {
                let country = ["", " country='cn'", " country='de'"].get(at % 3).unwrap();
                format!("<location id='{at}' href='{at}' weight='{weight}'{country}/>")
            }).collect();
            let text = format!("<locations chooseby='{by}'>{places}</locations>");
            let locations = Locations::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(locations.all().len(), weights.len());
            for wanted in [None, Some(("id", "1")), Some(("country", "CN"))] {
                let usable = |it: &Location| it.href.len() == 1;
                let choice = locations.choose(usable, wanted, draw).unwrap();
                prop_assert!(usable(choice.location));
                let weighing = locations.all().iter().filter(|it| usable(it) && it.weight > 0.0);
                if by.is_empty() && weighing.count() > 0 {
                    prop_assert!(choice.location.weight > 0.0);
                }
            }
        }
    }
}
