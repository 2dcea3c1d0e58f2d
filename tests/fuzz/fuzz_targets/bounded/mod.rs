//! Holds decoders to the memory that their input pays for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Bytes that one allocation may have for each of the input: the largest thing that is made of the
/// fewest octets on the wire.
const BYTES_PER_OCTET: usize = 32;
/// And bytes that it may have whatever the input: texts of errors.
const BYTES: usize = 4_096;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: usize) {
    LARGEST.with(|largest| largest.set(largest.get().max(bytes)));
}

// SAFETY: everything is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes);
        unsafe { System.realloc(place, layout, bytes) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
}

/// What is decoded from an input. No allocation for it is larger than a multiple of the input,
/// whatever counts and lengths the input declares.
pub fn decoded<T>(input: &[u8], decode: impl FnOnce() -> T) -> T {
    LARGEST.set(0);
    let decoded = decode();
    let (largest, limit) = (LARGEST.get(), BYTES + BYTES_PER_OCTET * input.len());
    assert!(largest <= limit, "{largest} bytes at once for {}", input.len());
    decoded
}
