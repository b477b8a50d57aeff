//! A limit of memory for a while.

use unloop::{memory_in_use, release_memory, set_memory_limit};

/// While it lives, no more memory may be taken than is in use when it is made, and some bytes more.
pub struct Limit(());

impl Limit {
    /// The limit for so many bytes more.
    pub fn of(bytes: usize) -> Limit {
        release_memory();
        set_memory_limit(memory_in_use() + bytes);
        Limit(())
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        set_memory_limit(usize::MAX);
    }
}
