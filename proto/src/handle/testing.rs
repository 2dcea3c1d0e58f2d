//! Seeded malformed inputs, the same on every run.

#![allow(clippy::indexing_slicing)]

/// How many malformed inputs each codec gets.
pub(crate) fn rounds() -> u32 {
    1_000_000
}

/// Breaks valid messages the way broken and hostile peers do.
pub(crate) struct Mutator {
    state: u64,
    buffer: Vec<u8>,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            buffer: Vec::new(),
        }
    }

    /// SplitMix64: enough randomness to pick places and bytes.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            (self.next() % end as u64) as usize
        }
    }

    /// One of the seeds with one to three things wrong, or plain noise.
    pub(crate) fn mutate(&mut self, seeds: &[Vec<u8>]) -> &[u8] {
        let seed = self.below(seeds.len());
        self.buffer.clear();
        self.buffer.extend_from_slice(&seeds[seed]);
        for _ in 0..1 + self.below(3) {
            self.break_once();
        }
        &self.buffer
    }

    fn break_once(&mut self) {
        let len = self.buffer.len();
        let at = self.below(len);
        match self.below(8) {
            0 => self.buffer.truncate(at),
            1 => self.number_at(at, u32::MAX),
            2 => self.number_at(at, 0x8000_0000),
            3 => {
                let small = self.below(300) as u32;
                self.number_at(at, small);
            }
            4 | 5 => {
                let byte = self.next() as u8;
                if let Some(slot) = self.buffer.get_mut(at) {
                    *slot = byte;
                }
            }
            6 => {
                let extra = self.next().to_be_bytes();
                self.buffer.splice(at..at, extra);
            }
            _ => {
                let noise = self.below(64);
                self.buffer.truncate(at);
                for _ in 0..noise {
                    let byte = self.next() as u8;
                    self.buffer.push(byte);
                }
            }
        }
    }

    fn number_at(&mut self, at: usize, number: u32) {
        // Lengths stand at any offset, but more often than not at a multiple of four.
        let at = if self.below(2) == 0 { at & !3 } else { at };
        if let Some(slot) = self.buffer.get_mut(at..at + 4) {
            slot.copy_from_slice(&number.to_be_bytes());
        }
    }
}
