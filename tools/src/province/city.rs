//! The six cities of the plan, and the places that links join.

use std::fmt;
use std::str::FromStr;

/// What a city is in the plan's picture of the province: one core, three poles, two edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// 核心
    Core,
    /// 极
    Pole,
    /// 边缘
    Edge,
}

impl Role {
    /// As it is shown.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Pole => "pole",
            Self::Edge => "edge",
        }
    }
}

/// A city with a secondary node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum City {
    /// 太原
    Taiyuan,
    /// 大同
    Datong,
    /// 阳泉
    Yangquan,
    /// 吕梁
    Luliang,
    /// 长治
    Changzhi,
    /// 临汾
    Linfen,
}

impl City {
    /// All six, in the order of their prefixes.
    pub(super) const ALL: [Self; 6] = [
        Self::Taiyuan,
        Self::Datong,
        Self::Yangquan,
        Self::Luliang,
        Self::Changzhi,
        Self::Linfen,
    ];

    /// Its name in commands, files and devices.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Taiyuan => "taiyuan",
            Self::Datong => "datong",
            Self::Yangquan => "yangquan",
            Self::Luliang => "luliang",
            Self::Changzhi => "changzhi",
            Self::Linfen => "linfen",
        }
    }

    /// Its name for people.
    pub(super) fn chinese(self) -> &'static str {
        match self {
            Self::Taiyuan => "太原",
            Self::Datong => "大同",
            Self::Yangquan => "阳泉",
            Self::Luliang => "吕梁",
            Self::Changzhi => "长治",
            Self::Linfen => "临汾",
        }
    }

    /// Its part in the plan.
    pub(super) fn role(self) -> Role {
        match self {
            Self::Taiyuan => Role::Core,
            Self::Datong | Self::Yangquan | Self::Luliang => Role::Pole,
            Self::Changzhi | Self::Linfen => Role::Edge,
        }
    }

    /// Its place among [`City::ALL`].
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// The last part of its prefix, which its addresses have too.
    pub(super) fn number(self) -> u8 {
        118 + self as u8
    }

    /// The prefix of its node, such as `88.119`.
    pub(super) fn prefix(self) -> String {
        format!("88.{}", self.number())
    }

    /// The prefix of the enterprise that it is seeded with, such as `88.119.8`.
    pub(super) fn enterprise_prefix(self) -> String {
        format!("88.{}.8", self.number())
    }

    /// The name of whoever runs its node.
    pub(super) fn operator(self) -> String {
        format!("{}市标识解析二级节点运营中心", self.chinese())
    }
}

/// A place that links join: a city, or the national node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Site {
    /// A city's node.
    City(City),
    /// The national node.
    National,
}

impl Site {
    /// All seven: the cities, then the national node.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let cities = City::ALL.into_iter().map(Self::City);
        cities.chain([Self::National])
    }

    /// Every two of them, once.
    pub(super) fn pairs() -> impl Iterator<Item = (Self, Self)> {
        Self::all().flat_map(|a| Self::all().filter(move |b| a < *b).map(move |b| (a, b)))
    }

    /// Its name in commands, files and devices.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::City(city) => city.name(),
            Self::National => "national",
        }
    }

    /// The part of its address that tells it from the others.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::City(city) => city.number(),
            Self::National => 88,
        }
    }

    /// Its place among [`Site::all`].
    pub(super) fn index(self) -> usize {
        match self {
            Self::City(city) => city.index(),
            Self::National => City::ALL.len(),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Site {
    type Err = String;

    /// By name, whatever its case; 吕梁 is also `lüliang` or `lvliang`, and Chinese names will do.
    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_lowercase();
        let plain = match lower.as_str() {
            "lüliang" | "lvliang" => "luliang",
            other => other,
        };
        let is_it = |site: &Self| {
            site.name() == plain || matches!(site, Self::City(city) if city.chinese() == plain)
        };
        Self::all().find(is_it).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            format!("there is no {text}; there are {}", names.join(", "))
        })
    }
}

impl FromStr for City {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Site::City(city) => Ok(city),
            Site::National => Err("the national node is no city".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_found_by_their_names() {
        for site in Site::all() {
            assert_eq!(site.name().parse::<Site>().unwrap(), site);
            assert_eq!(Site::all().nth(site.index()).unwrap(), site);
        }
        assert_eq!("Lüliang".parse::<City>().unwrap(), City::Luliang);
        assert_eq!("大同".parse::<City>().unwrap().prefix(), "88.119");
        assert!("beijing".parse::<Site>().is_err());
        assert!("national".parse::<City>().is_err());
    }

    #[test]
    fn every_two_places_are_a_pair_once() {
        let pairs: Vec<_> = Site::pairs().collect();
        assert_eq!(pairs.len(), 7 * 6 / 2);
        assert!(pairs.iter().all(|(a, b)| a < b));
    }
}
