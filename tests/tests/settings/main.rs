//! What is of the whole process: a limit of memory, profiles (which have the steps of all threads), tests of
//! steps that others must not disturb. One test at a time.

mod insight;
mod limits;
mod parts;
mod reductions;
mod unrolled;

use std::sync::{Mutex, MutexGuard, PoisonError};

static ALONE: Mutex<()> = Mutex::new(());

/// As long as it lives, no other test of these runs.
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
