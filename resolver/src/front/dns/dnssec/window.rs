//! When a signature is valid. All signatures of a set made within one step of time have the same
//! times, so that one that was made stays good for the whole step; each owner's steps begin at
//! another moment, so that not everything has to be signed anew at once.

/// How long before now a signature becomes valid, for validators whose clocks are slow, seconds.
const INCEPTION_SKEW_S: u64 = 3_600;
/// A signature is made anew when this part of its validity has passed.
const STEPS: u32 = 8;

/// The times of a signature (RFC 4034 §3.1.5), seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) inception_s: u32,
    pub(super) expiration_s: u32,
    /// From then on another signature is made.
    pub(super) until_s: u64,
}

impl Window {
    /// At a moment; `phase` places the steps of an owner.
    pub(super) fn at(now_s: u64, validity_s: u32, phase: u32) -> Self {
        let step = u64::from((validity_s / STEPS).max(1));
        let phase = u64::from(phase) % step;
        let begin = (now_s + phase) / step * step;
        let begin = begin.saturating_sub(phase);
        Self {
            // Serial numbers: modulo 2³² (RFC 1982).
            inception_s: begin.saturating_sub(INCEPTION_SKEW_S) as u32,
            expiration_s: (begin + u64::from(validity_s)) as u32,
            until_s: begin + step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// It is valid now and, until the next is made, for seven eighths of its validity.
        #[test]
        fn a_window_holds_while_it_is_used(
            now_s in 1_700_000_000_u64..4_000_000_000,
            validity_s in 86_400_u32..5_184_000,
            phase: u32,
        ) {
            let window = Window::at(now_s, validity_s, phase);
            prop_assert!(u64::from(window.inception_s) + INCEPTION_SKEW_S <= now_s);
            prop_assert!(now_s < window.until_s);
            let last = window.until_s - 1;
            prop_assert!(u64::from(window.expiration_s) - last > u64::from(validity_s) / 8 * 7);
            prop_assert_eq!(Window::at(last, validity_s, phase), window);
            let first = u64::from(window.inception_s) + INCEPTION_SKEW_S;
            prop_assert_eq!(Window::at(first, validity_s, phase), window);
            prop_assert_ne!(Window::at(window.until_s, validity_s, phase), window);
        }
    }
}
