//! A program on numbers, as data.

use unloop_graph::DType;
use unloop_kernel::{Expr, ExprId};

use super::memory::Store;

/// A program on numbers. `Expr::Load(i)` is one of `loads`.
pub(super) struct Scalars {
    pub exprs: Vec<Expr>,
    pub dtypes: Vec<DType>,
    pub loads: Vec<Load>,
    pub block: Vec<Entry>,
    /// The elements of each output; none of those that a loop writes.
    pub outputs: Vec<Vec<ExprId>>,
    /// Elements that loops keep for others.
    pub kept: usize,
}

/// An element of what lies in memory; of the entry of a loop's run if `step`, the distance of entries, is
/// given.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub of: Store,
    pub element: usize,
    pub step: Option<isize>,
}

/// What is done, in order.
pub(super) enum Entry {
    Compute(ExprId),
    Repeat(Repeat),
}

/// A loop: what stands in `head` is computed, then `until` decides whether `body` is, and then the loop
/// begins again with the next values.
pub(super) struct Repeat {
    pub head: Vec<Entry>,
    pub until: Until,
    pub body: Vec<Entry>,
    pub passed: Vec<Passed>,
    pub stacked: Vec<Stacked>,
}

#[derive(Clone, Copy)]
pub(super) enum Until {
    /// As long as `on` is true, for any example; `limit` times at most.
    False { on: ExprId, limit: Option<usize> },
    /// This often; the last entries first if `reverse`.
    Count { count: usize, reverse: bool },
}

/// What a loop passes on: within the loop and after it, `value` is the latest.
pub(super) struct Passed {
    pub value: ExprId,
    pub start: ExprId,
    pub next: ExprId,
}

/// What each run of a loop writes.
pub(super) struct Stacked {
    pub value: ExprId,
    pub of: Store,
    /// The element that the first entry has it at, and the distance of entries.
    pub element: usize,
    pub step: isize,
}
