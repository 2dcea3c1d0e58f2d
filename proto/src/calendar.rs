//! The Gregorian calendar by the number of a day.

/// How far Beijing time (UTC+8 all year round) is ahead of UTC, milliseconds.
pub const BEIJING_MS: u64 = 8 * 3_600_000;

/// Year, month and day of a number of days since 1970-01-01: days are counted from the first of March on, in
/// eras of 400 years.
#[must_use]
pub fn civil(days: u64) -> (u64, u32, u32) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    (year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_years_and_ends_of_years_are_as_they_are() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (364, (1970, 12, 31)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (19_783, (2024, 3, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date);
        }
        // No day panics.
        let _ = civil(u64::MAX);
    }
}
