//! Programs hold programs: conditions, loops, derivatives. What walks them calls itself once a level,
//! and so deep a nest needs more stack than a thread begins with.

/// Bytes of stack that one level of any walk may need.
const LEVEL: usize = 256 << 10;

/// Bytes of stack that are added at a time.
const ADDED: usize = 4 << 20;

/// Runs one level of a walk through nested programs, on a new piece of stack if little is left.
pub fn deeper<R>(f: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(LEVEL, ADDED, f)
}
