//! The one place that decides about threads. Work is cut by its size, never by the number of
//! threads, so results do not depend on it.

use std::ops::Range;

use faer::Par;
use rayon::prelude::*;
use unloop_graph::ErrorKind;
use unloop_graph::cancel::{self, Scope};

/// Predicted nanoseconds below which starting threads costs more than it gains.
const THRESHOLD_NS: f64 = 30_000.0;

/// Predicted nanoseconds of a piece of work that one thread takes at a time.
const PIECE_NS: f64 = 15_000.0;

/// Predicted nanoseconds of work after which somebody is asked whether it is still wanted.
const ASK_NS: f64 = 1_000_000.0;

/// Whether work of this many predicted nanoseconds is shared among threads.
pub(crate) fn is_worth_it(ns: f64) -> bool {
    ns > THRESHOLD_NS && rayon::current_num_threads() > 1
}

/// Work on a range of units.
type Task<'a> = dyn Fn(Range<usize>) -> Result<(), ErrorKind> + Sync + 'a;

/// Runs `f` on ranges that cover `0..units`, in parallel if the predicted time of all of it says
/// so. The result must not depend on how the range is cut. One of the failures comes back.
pub(crate) fn for_ranges(
    units: usize,
    ns: f64,
    f: impl Fn(Range<usize>) -> Result<(), ErrorKind> + Sync,
) -> Result<(), ErrorKind> {
    dispatch(units, ns, &f)
}

/// Compiled once, as rayon's part of it is large.
fn dispatch(units: usize, ns: f64, f: &Task<'_>) -> Result<(), ErrorKind> {
    if units < 2 || !is_worth_it(ns) {
        return in_turn(0..units, ns, f);
    }
    let threads = rayon::current_num_threads();
    let pieces = ((ns / PIECE_NS) as usize).clamp(2, 8 * threads).min(units);
    let scope = Scope::current();
    (0..pieces).into_par_iter().try_for_each(|i| {
        let piece = i * units / pieces..(i + 1) * units / pieces;
        scope.run(|| in_turn(piece, ns / pieces as f64, f))
    })
}

/// Runs `f` on ranges one after the other, for as long as the work is wanted.
fn in_turn(units: Range<usize>, ns: f64, f: &Task<'_>) -> Result<(), ErrorKind> {
    let count = units.len();
    let pieces = ((ns / ASK_NS) as usize).clamp(1, count.max(1));
    for i in 0..pieces {
        cancel::check()?;
        let piece = units.start + i * count / pieces..units.start + (i + 1) * count / pieces;
        if !piece.is_empty() {
            f(piece)?;
        }
    }
    Ok(())
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
