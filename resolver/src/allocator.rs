//! The allocator's options. RocksDB takes its memtables' memory 8 MiB at a time and gives it back
//! with each flush: a bulk load would spend a twentieth of its time on having the same pages mapped
//! again, if they went back to the system in between.

#![expect(
    unsafe_code,
    reason = "the allocator's options are set by a C function"
)]

use libmimalloc_sys::mi_option_set;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, the same number in its versions 2 and 3.
const PURGE_DELAY: i32 = 15;
/// How long freed memory stays with the process, milliseconds; 1,000 by default.
const KEPT_MS: i64 = 2_000;

/// Lets freed memory stay for a while. To be called before other threads are started.
pub fn keep_freed_memory() {
    // SAFETY: the function is documented as not safe for several threads, and there is one yet; it
    // takes two numbers, and knows the option.
    unsafe { mi_option_set(PURGE_DELAY, KEPT_MS) }
}
