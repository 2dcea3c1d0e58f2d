//! Hours, days and months as reports count them: in Beijing time, which is UTC+8 all year round.

use crate::calendar::{BEIJING_MS, civil};
use std::fmt;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Days from 1970-01-01 to a Thursday: that day was one.
const THURSDAY: u64 = 3;
/// Working days until the monthly report is due (docking guide).
const DUE_WORKING_DAYS: u32 = 10;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first to the last day.
    Month,
}

/// One hour, day or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    unit: Unit,
    /// Hours or days since 1970-01-01 00:00 in Beijing; months since January 1970.
    number: u64,
}

impl Period {
    /// The one that a moment is in, milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(unit: Unit, ms: u64) -> Self {
        let local_ms = ms.saturating_add(BEIJING_MS);
        let number = match unit {
            Unit::Hour => local_ms / HOUR_MS,
            Unit::Day => local_ms / DAY_MS,
            Unit::Month => {
                let (year, month, _) = civil(local_ms / DAY_MS);
                year * 12 + u64::from(month) - 1 - 1970 * 12
            }
        };
        Self { unit, number }
    }

    /// By its number, see [`Period::number`].
    #[must_use]
    pub fn numbered(unit: Unit, number: u64) -> Self {
        Self { unit, number }
    }

    /// How long it is.
    #[must_use]
    pub fn unit(self) -> Unit {
        self.unit
    }

    /// The how many-eth since the one that 1970 began with in Beijing.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// When it begins, milliseconds since the Unix epoch; 0 for one that began before.
    #[must_use]
    pub fn begins_ms(self) -> u64 {
        let local_ms = match self.unit {
            Unit::Hour => self.number.saturating_mul(HOUR_MS),
            Unit::Day => self.number.saturating_mul(DAY_MS),
            Unit::Month => {
                let (years, month) = (self.number / 12, self.number % 12);
                days(years.saturating_add(1970), month as u32 + 1, 1).saturating_mul(DAY_MS)
            }
        };
        local_ms.saturating_sub(BEIJING_MS)
    }

    /// When it is over, milliseconds since the Unix epoch: the first moment that is not in it.
    #[must_use]
    pub fn ends_ms(self) -> u64 {
        self.next().begins_ms()
    }

    /// Whether a moment, milliseconds since the Unix epoch, is in it.
    #[must_use]
    pub fn has(self, ms: u64) -> bool {
        Self::at(self.unit, ms) == self
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            ..self
        }
    }

    /// The one before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self {
            number: self.number.saturating_sub(1),
            ..self
        }
    }

    /// The days of it that this is one of, in order; none for an hour.
    pub fn days(self) -> impl Iterator<Item = Self> {
        let first = Self::at(Unit::Day, self.begins_ms()).number;
        let end = match self.unit {
            Unit::Hour => first,
            Unit::Day | Unit::Month => Self::at(Unit::Day, self.ends_ms()).number,
        };
        (first..end).map(|number| Self::numbered(Unit::Day, number))
    }

    /// Which day of its month it begins on, from 1.
    #[must_use]
    pub fn day_of_month(self) -> u32 {
        let (_, _, day) = civil(self.begins_ms().saturating_add(BEIJING_MS) / DAY_MS);
        day
    }

    /// When the monthly report is due: the end of the tenth day from Monday to Friday after this.
    /// Public holidays are not known here, which makes it early, never late.
    #[must_use]
    pub fn due_ms(self) -> u64 {
        let mut day = Self::at(Unit::Day, self.ends_ms());
        let mut left = DUE_WORKING_DAYS;
        loop {
            // 0 is Monday.
            let weekday = (day.number + THURSDAY) % 7;
            left -= u32::from(weekday < 5);
            if left == 0 {
                return day.ends_ms();
            }
            day = day.next();
        }
    }

    /// Reads what [`fmt::Display`] writes; `None`: it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |part: &str| {
            let plain = !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
            plain.then(|| part.parse::<u32>().ok()).flatten()
        };
        let (date, hour) = match text.split_once('T') {
            Some((date, hour)) => (date, Some(number(hour).filter(|it| *it < 24)?)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let year = number(parts.next()?).filter(|it| (1970..10_000).contains(it))?;
        let month = number(parts.next()?).filter(|it| (1..=12).contains(it))?;
        let day = parts.next().map(|part| number(part).unwrap_or(0));
        if parts.next().is_some() {
            return None;
        }
        let period = match (day, hour) {
            (None, None) => {
                let months = u64::from(year - 1970) * 12 + u64::from(month) - 1;
                Self::numbered(Unit::Month, months)
            }
            (Some(day), hour) => {
                let date = days(u64::from(year), month, day);
                match hour {
                    None => Self::numbered(Unit::Day, date),
                    Some(hour) => Self::numbered(Unit::Hour, date * 24 + u64::from(hour)),
                }
            }
            (None, Some(_)) => return None,
        };
        // One spelling each: no 30th of February, no missing zeros.
        (period.to_string() == text).then_some(period)
    }
}

/// `2026-11`, `2026-11-28`, `2026-11-28T07`: in Beijing time.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local_days = match self.unit {
            Unit::Hour => self.number / 24,
            Unit::Day => self.number,
            Unit::Month => {
                let (year, month) = (self.number / 12 + 1970, self.number % 12 + 1);
                return write!(f, "{year:04}-{month:02}");
            }
        };
        let (year, month, day) = civil(local_days);
        write!(f, "{year:04}-{month:02}-{day:02}")?;
        match self.unit {
            Unit::Hour => write!(f, "T{:02}", self.number % 24),
            Unit::Day | Unit::Month => Ok(()),
        }
    }
}

/// Days from 1970-01-01 to a date.
fn days(year: u64, month: u32, day: u32) -> u64 {
    let month = u64::from(month);
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + u64::from(day);
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    // The first of March is day 0 of its year: `day` counts from 1.
    (era * 146_097 + of_era).saturating_sub(719_469)
}
