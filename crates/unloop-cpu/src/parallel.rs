//! The one place that decides about threads. Work is cut by its size, never by the number of
//! threads, so results do not depend on it.

use faer::Par;
use rayon::prelude::*;

/// Predicted nanoseconds below which starting threads costs more than it gains.
const THRESHOLD_NS: f64 = 30_000.0;

/// Predicted nanoseconds of a piece of work that one thread takes at a time.
const PIECE_NS: f64 = 15_000.0;

/// Whether work of this many predicted nanoseconds is shared among threads.
pub(crate) fn is_worth_it(ns: f64) -> bool {
    ns > THRESHOLD_NS && rayon::current_num_threads() > 1
}

/// Runs `f` on ranges that cover `0..units`, in parallel if the predicted time of all of it says
/// so. The result must not depend on how the range is cut.
pub(crate) fn for_ranges(units: usize, ns: f64, f: impl Fn(std::ops::Range<usize>) + Send + Sync) {
    if units < 2 || !is_worth_it(ns) {
        if units > 0 {
            f(0..units);
        }
        return;
    }
    let threads = rayon::current_num_threads();
    let pieces = ((ns / PIECE_NS) as usize).clamp(2, 8 * threads).min(units);
    (0..pieces).into_par_iter().for_each(|i| f(i * units / pieces..(i + 1) * units / pieces));
}

/// Rows of a matrix from which several threads work on it.
const LARGE: usize = 384;

/// How each of `count` matrices with this many rows or columns is worked on.
pub(crate) fn within(count: usize, rows: usize) -> Par {
    match count == 1 && rows >= LARGE && rayon::current_num_threads() > 1 {
        true => Par::rayon(0),
        false => Par::Seq,
    }
}
