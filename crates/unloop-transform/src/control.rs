//! Control flow: choices and loops that depend on values, as operations that every transform knows.
//! A Rust `if` or `for` around tensors runs while the function is traced; these run with the
//! program. Closures may capture tensors, concrete or traced.

use std::sync::Arc;

use unloop_graph::op::{Scan, Switch, While};
use unloop_graph::stack::deeper;
use unloop_graph::{
    DType, Error, ErrorKind, Graph, Op, Place, Result, Tensor, TensorType, Trace, TracedProgram,
    Tree,
};

use crate::interpret::error;

/// A traced part of a loop or a choice: its program, what it captured, and what it returned while it
/// was traced.
pub(crate) struct Part<R> {
    pub graph: Graph,
    pub captured: Vec<Tensor>,
    pub result: R,
}

/// Traces a function of parameters of some types.
pub(crate) fn trace<R: Tree>(
    types: &[TensorType],
    f: impl FnOnce(&[Tensor]) -> R,
) -> Result<Part<R>> {
    let (trace, params) = Trace::new(types.iter().cloned());
    let result = deeper(|| f(&params));
    part(trace, result)
}

/// The same for a function that may not be called at all: nothing of it is computed outside.
fn trace_branch<R: Tree>(types: &[TensorType], f: impl FnOnce(&[Tensor]) -> R) -> Result<Part<R>> {
    let (trace, params) = Trace::new(types.iter().cloned());
    let result = trace.stage(|| deeper(|| f(&params)));
    part(trace, result)
}

fn part<R: Tree>(trace: Trace, result: R) -> Result<Part<R>> {
    let TracedProgram { graph, captures } = trace.finish(&result.leaves())?;
    Ok(Part { graph, captured: captures.into_iter().map(|c| c.tensor).collect(), result })
}

/// The program with the captures of several programs as first inputs; `own` are its own.
pub(crate) fn closed(
    graph: &Graph,
    captured: &[Tensor],
    own: std::ops::Range<usize>,
) -> Arc<Graph> {
    let params = graph.inputs().len() - own.len();
    let shift = captured.len();
    let types = captured.iter().map(Tensor::ty).chain(graph.inputs()[..params].iter().cloned());
    let place: Vec<usize> = (0..params).map(|i| shift + i).chain(own).collect();
    Arc::new(graph.with_inputs(types.collect(), &place))
}

pub(crate) fn types<T: Tree>(tree: &T) -> Result<Vec<TensorType>> {
    tree.leaves().iter().map(|leaf| leaf.check().map(|x| x.ty())).collect()
}

pub(crate) fn carrying<T: Tree>(tree: &T, e: &Error) -> T {
    tree.rebuild(&mut |leaf| Tensor::error_like(e.clone(), leaf.ty()))
}

pub(crate) fn apply(op: Op, operands: &[Tensor], place: Place) -> Vec<Tensor> {
    let operands: Vec<&Tensor> = operands.iter().collect();
    Tensor::apply(op, &operands, place).into_vec()
}

pub(crate) fn invalid<T>(name: &'static str, message: String, place: Place) -> Result<T> {
    Err(error(name, ErrorKind::InvalidArgument(message), place))
}

/// Checks that a loop's function gives back what it was given: same structure, shapes and dtypes.
fn require_same<T: Tree>(name: &'static str, given: &T, back: &T, place: Place) -> Result<()> {
    given.structure().require_same(&back.structure()).map_err(|kind| error(name, kind, place))?;
    let (given, back) = (types(given)?, types(back)?);
    match given.iter().zip(&back).find(|(a, b)| a != b) {
        None => Ok(()),
        Some((a, b)) => {
            let message = format!(
                "the function passes on {b} where it was given {a}; both must have the same shape \
                 and dtype"
            );
            invalid(name, message, place)
        }
    }
}

/// Runs `f` once for each entry along the first axis of `xs`, passing a state on: `f(&state, &x)`
/// gives the next state and a result of its own. Gives the last state and the results, stacked:
/// tensors of `xs` are `[n, …]`, with the same `n`; `f` sees entries `[…]`; what it gives besides as
/// `[…]` comes out as `[n, …]`. Without entries (`n = 0`) the state is `init`.
///
/// Gradients flow through it; the state at each step is kept for them and the rest computed anew.
///
/// # Errors
/// Carried by the results: `InvalidArgument` if `xs` has no tensor or one without axes, for sizes
/// along axis 0 that differ, and for a state whose shapes or dtypes change; `TreeMismatch` for one
/// whose structure changes.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::scan;
/// // Compound interest: the balance after each payment.
/// let payments = Tensor::from([100.0, 100.0, 50.0]);
/// let year = |balance: &Tensor, payment: &Tensor| {
///     let next = balance * 1.1 + payment;
///     (next.clone(), next)
/// };
/// let (last, all) = scan(year, &Tensor::from(0.0), &payments);
/// assert_eq!(all.shape(), [3]);
/// assert!((last.item::<f64>()? - 281.0).abs() < 1e-12);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn scan<C: Tree, X: Tree, Y: Tree>(f: impl Fn(&C, &X) -> (C, Y), init: &C, xs: &X) -> (C, Y) {
    run_scan("scan", f, init, xs, Runs::entries(false), Place::of("scan"))
}

/// [`scan`] from the last entry to the first. The result for entry `i` stands at `i`, as in `scan`.
///
/// # Errors
/// Carried by the results: those of [`scan`].
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::scan_reverse;
/// // What is still to come.
/// let add = |rest: &Tensor, x: &Tensor| (rest + x, rest.clone());
/// let (all, rest) = scan_reverse(add, &Tensor::from(0.0), &Tensor::from([1.0, 2.0, 3.0]));
/// assert_eq!(all.item::<f64>()?, 6.0);
/// assert_eq!(rest.to_vec::<f64>()?, [5.0, 3.0, 0.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn scan_reverse<C: Tree, X: Tree, Y: Tree>(
    f: impl Fn(&C, &X) -> (C, Y),
    init: &C,
    xs: &X,
) -> (C, Y) {
    run_scan("scan_reverse", f, init, xs, Runs::entries(true), Place::of("scan_reverse"))
}

/// [`scan`] without entries: runs `f` `count` times on a state, and stacks what it gives besides:
/// `[…]` of one run comes out as `[count, …]`.
///
/// # Errors
/// Carried by the results: `InvalidArgument` for a state whose shapes or dtypes change, `TreeMismatch`
/// for one whose structure changes.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::scan_times;
/// let halve = |x: &Tensor| (x * 0.5, x.clone());
/// let (last, all) = scan_times(3, halve, &Tensor::from(8.0));
/// assert_eq!(last.item::<f64>()?, 1.0);
/// assert_eq!(all.to_vec::<f64>()?, [8.0, 4.0, 2.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn scan_times<C: Tree, Y: Tree>(count: usize, f: impl Fn(&C) -> (C, Y), init: &C) -> (C, Y) {
    let step = |c: &C, _: &Vec<Tensor>| f(c);
    run_scan("scan_times", step, init, &Vec::new(), Runs::times(count), Place::of("scan_times"))
}

/// How often a loop runs, and where it begins.
#[derive(Clone, Copy)]
struct Runs {
    /// As often as there are entries, if not given.
    count: Option<usize>,
    reverse: bool,
}

impl Runs {
    fn entries(reverse: bool) -> Runs {
        Runs { count: None, reverse }
    }

    fn times(count: usize) -> Runs {
        Runs { count: Some(count), reverse: false }
    }
}

fn run_scan<C: Tree, X: Tree, Y: Tree>(
    name: &'static str,
    f: impl Fn(&C, &X) -> (C, Y),
    init: &C,
    xs: &X,
    runs: Runs,
    place: Place,
) -> (C, Y) {
    try_scan(name, &f, init, xs, runs, place).unwrap_or_else(|e| {
        let (c, y) = f(&carrying(init, &e), &carrying(xs, &e));
        (carrying(&c, &e), carrying(&y, &e))
    })
}

fn try_scan<C: Tree, X: Tree, Y: Tree>(
    name: &'static str,
    f: &impl Fn(&C, &X) -> (C, Y),
    init: &C,
    xs: &X,
    runs: Runs,
    place: Place,
) -> Result<(C, Y)> {
    let (carry, entries) = (types(init)?, types(xs)?);
    if let Some(scalar) = entries.iter().find(|ty| ty.rank() == 0) {
        return invalid(name, format!("{scalar} has no axis to run along"), place);
    }
    let mut lengths = entries.iter().map(|ty| ty.shape[0]);
    let Some(length) = runs.count.or_else(|| lengths.next()) else {
        let message = "nothing to run over; fori_loop takes a number of runs".to_string();
        return invalid(name, message, place);
    };
    if let Some(other) = lengths.find(|&other| other != length) {
        let message = format!("first axes of extents {length} and {other}; all must be equal");
        return invalid(name, message, place);
    }
    let params: Vec<TensorType> =
        carry.iter().cloned().chain(entries.iter().map(unloop_graph::op::entry_type)).collect();
    let mut wrong = Ok(());
    let part = trace(&params, |params| {
        let (c, x) = params.split_at(carry.len());
        let mut next = (c.iter(), x.iter());
        let c = init.rebuild(&mut |old| next.0.next().unwrap_or(old).clone());
        let x = xs.rebuild(&mut |old| next.1.next().unwrap_or(old).clone());
        let result = f(&c, &x);
        wrong = require_same(name, &c, &result.0, place);
        result
    });
    wrong?;
    let part = part?;
    let captured = &part.captured;
    let body = closed(&part.graph, captured, 0..captured.len());
    let reverse = runs.reverse;
    let scan = Scan { body, shared: captured.len(), carry: carry.len(), length, reverse };
    let operands = [&captured[..], &init.leaves(), &xs.leaves()].concat();
    let results = apply(Op::Scan(scan), &operands, place);
    let (last, stacks) = results.split_at(carry.len().min(results.len()));
    Ok((part.result.0.with_leaves(last)?, part.result.1.with_leaves(stacks)?))
}

/// Runs `f(i, &state)` for `i` from 0 to `count - 1`, an i64 scalar, passing the state on; gives the
/// last state, of the structure, shapes and dtypes of `init`. Gradients flow through it.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for a state whose shapes or dtypes change, `TreeMismatch`
/// for one whose structure changes.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{fori_loop, grad};
/// let power = |x: &Tensor| fori_loop(3, |_, y: &Tensor| y * x, &Tensor::from(1.0));
/// assert_eq!(grad(power)(&Tensor::from(2.0)).item::<f64>()?, 12.0);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn fori_loop<C: Tree>(count: usize, f: impl Fn(&Tensor, &C) -> C, init: &C) -> C {
    let place = Place::of("fori_loop");
    if count > MOST_NUMBERS {
        // The number is computed on the way.
        let step = |(i, state): &(Tensor, C), _: &Vec<Tensor>| {
            ((i + &Tensor::from(1i64), f(i, state)), Vec::<Tensor>::new())
        };
        let init = (Tensor::from(0i64), init.rebuild(&mut Tensor::clone));
        return run_scan("fori_loop", step, &init, &Vec::new(), Runs::times(count), place).0.1;
    }
    let numbers = Tensor::iota(DType::I64, [count], 0);
    let step = |state: &C, i: &Tensor| (f(i, state), Vec::<Tensor>::new());
    run_scan("fori_loop", step, init, &numbers, Runs::entries(false), place).0
}

/// Runs of a loop, at most, whose numbers are entries: what is computed from them alone is computed
/// for all at once.
const MOST_NUMBERS: usize = 4096;

/// Applies `f` to each entry along the first axis of `xs`, one after the other, and stacks the
/// results along a new first axis: as [`vmap`](crate::vmap) over axis 0, with the memory of one.
///
/// # Errors
/// Carried by the result: `InvalidArgument` if `xs` has no tensor or one without axes, and for sizes
/// along axis 0 that differ.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::map;
/// let x = Tensor::from([[3.0, 4.0], [6.0, 8.0]]);
/// assert_eq!(map(|row: &Tensor| row.norm(), &x).to_vec::<f64>()?, [5.0, 10.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn map<X: Tree, Y: Tree>(f: impl Fn(&X) -> Y, xs: &X) -> Y {
    let step = |none: &Vec<Tensor>, x: &X| (none.clone(), f(x));
    run_scan("map", step, &Vec::new(), xs, Runs::entries(false), Place::of("map")).1
}

/// Runs `body` on its own result for as long as `condition`, a bool scalar, is true. Under `vmap`
/// the loop runs for as long as any example's condition is true, and examples that are done keep
/// their values.
///
/// The result has the structure, shapes and dtypes of `init`, which it is if the condition is false at
/// once.
///
/// Forward derivatives (`jvp`, `jacfwd`) flow through it. Its gradient would need all states, whose
/// number is not known before: use [`scan`] or [`fori_loop`].
///
/// A condition that stays true runs forever: [`while_loop_at_most`] ends it by an error, a
/// [`CancelToken`](unloop_graph::CancelToken) from outside.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for a condition that is not a bool scalar, and for a state
/// whose shapes or dtypes change; `TreeMismatch` for one whose structure changes. Carried by a gradient:
/// `Unsupported`.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::while_loop;
/// // Halvings until a number is below one.
/// let is_large = |x: &Tensor| x.greater_equal(1.0);
/// let below_one = while_loop(is_large, |x: &Tensor| x * 0.5, &Tensor::from(10.0));
/// assert_eq!(below_one.item::<f64>()?, 0.625);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn while_loop<C: Tree>(
    condition: impl Fn(&C) -> Tensor,
    body: impl Fn(&C) -> C,
    init: &C,
) -> C {
    run_while("while_loop", condition, body, init, None, Place::of("while_loop"))
}

/// [`while_loop`] that makes at most `limit` steps. Under `vmap` the limit is of the steps that the
/// slowest example needs.
///
/// # Errors
/// Carried by the result, besides those of [`while_loop`]: [`ErrorKind::LoopLimit`] when the condition
/// is still true after `limit` steps.
///
/// ```
/// # use unloop_graph::{ErrorKind, Tensor};
/// # use unloop_transform::while_loop_at_most;
/// // Newton's method for a square root.
/// let root = |x: f64, limit: usize| {
///     let x = Tensor::from(x);
///     let far = |y: &Tensor| (y * y - &x).abs().greater(&Tensor::from(1e-9));
///     while_loop_at_most(limit, far, |y: &Tensor| (y + &x / y) * 0.5, &Tensor::from(1.0))
/// };
/// assert!((root(2.0, 20).item::<f64>()? - 2f64.sqrt()).abs() < 1e-9);
/// assert_eq!(*root(-1.0, 20).as_error().unwrap().kind(), ErrorKind::LoopLimit { limit: 20 });
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn while_loop_at_most<C: Tree>(
    limit: usize,
    condition: impl Fn(&C) -> Tensor,
    body: impl Fn(&C) -> C,
    init: &C,
) -> C {
    run_while(
        "while_loop_at_most",
        condition,
        body,
        init,
        Some(limit),
        Place::of("while_loop_at_most"),
    )
}

fn run_while<C: Tree>(
    name: &'static str,
    condition: impl Fn(&C) -> Tensor,
    body: impl Fn(&C) -> C,
    init: &C,
    limit: Option<usize>,
    place: Place,
) -> C {
    try_while(name, &condition, &body, init, limit, place)
        .unwrap_or_else(|e| carrying(&body(&carrying(init, &e)), &e))
}

fn try_while<C: Tree>(
    name: &'static str,
    condition: &impl Fn(&C) -> Tensor,
    body: &impl Fn(&C) -> C,
    init: &C,
    limit: Option<usize>,
    place: Place,
) -> Result<C> {
    let carry = types(init)?;
    let state = |params: &[Tensor]| {
        let mut next = params.iter();
        init.rebuild(&mut |old| next.next().unwrap_or(old).clone())
    };
    let asked = trace(&carry, |params| condition(&state(params)))?;
    let ty = asked.result.ty();
    if ty != TensorType::new(DType::Bool, ()) {
        let message = format!("the condition is {ty}, not a bool scalar");
        return invalid(name, message, place);
    }
    let mut wrong = Ok(());
    let step = trace(&carry, |params| {
        let now = state(params);
        let next = body(&now);
        wrong = require_same(name, &now, &next, place);
        next
    });
    wrong?;
    let step = step?;
    let captured = [&asked.captured[..], &step.captured].concat();
    let own = asked.captured.len();
    let repeat = While {
        condition: closed(&asked.graph, &captured, 0..own),
        body: closed(&step.graph, &captured, own..captured.len()),
        shared: captured.len(),
        limit,
        masked: false,
    };
    let operands = [&captured[..], &init.leaves()].concat();
    step.result.with_leaves(&apply(Op::While(repeat), &operands, place))
}

/// `on_true(&x)` where `predicate`, a bool scalar, is true, else `on_false(&x)`; only one of them is
/// computed. Neither values nor gradients of the other matter, even if they are NaN. Both give a tree
/// of the same structure, shapes and dtypes. Where each example of a `vmap` has a predicate of its own,
/// they run one after the other; [`Tensor::select`] computes both sides, for all at once.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for a predicate that is not a bool scalar, and for results
/// whose shapes or dtypes differ; `TreeMismatch` for results whose structures differ.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{cond, grad};
/// let zero = Tensor::from(0.0);
/// let root = |x: &Tensor| cond(&x.greater(&zero), |x: &Tensor| x.sqrt(), |x: &Tensor| x * 0.0, x);
/// assert_eq!(grad(root)(&Tensor::from(-1.0)).item::<f64>()?, 0.0);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn cond<X: Tree, Y: Tree>(
    predicate: &Tensor,
    on_true: impl Fn(&X) -> Y,
    on_false: impl Fn(&X) -> Y,
    x: &X,
) -> Y {
    let place = Place::of("cond");
    let index = match predicate.ty() == TensorType::new(DType::Bool, ()) {
        true => Ok(predicate.cast(DType::I32)),
        false => match predicate.as_error() {
            Some(error) => Err(error.clone()),
            None => invalid(
                "cond",
                format!("the predicate is {}, not a bool scalar", predicate.ty()),
                place,
            ),
        },
    };
    let branches: [&dyn Fn(&X) -> Y; 2] = [&on_false, &on_true];
    choose("cond", index, &branches, x, place)
}

/// Branch number `index`, an integer scalar from 0, applied to `x`; a number below 0 means the first,
/// one too large the last branch. Only that branch is computed. All of them give a tree of the same
/// structure, shapes and dtypes. [`cond`] chooses between two by a bool.
///
/// The branches are `Sync`, so that a list of them may be captured by a function that is transformed.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for a number that is not an integer scalar, and for results
/// whose shapes or dtypes differ; `TreeMismatch` for results whose structures differ.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::switch;
/// # use unloop_transform::vmap;
/// type Branch<'a> = &'a (dyn Fn(&Tensor) -> Tensor + Sync);
/// let branches: [Branch; 3] = [&|x| x + 1.0, &|x| x * 10.0, &|x| -x];
/// let y = switch(&Tensor::from(1), &branches, &Tensor::from(3.0));
/// assert_eq!(y.item::<f64>()?, 30.0);
///
/// let each = vmap(|i: &Tensor, x: &Tensor| switch(i, &branches, x), 0);
/// let y = each(&Tensor::from([0, 2]), &Tensor::from([3.0, 4.0]));
/// assert_eq!(y.to_vec::<f64>()?, [4.0, -4.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn switch<X: Tree, Y: Tree, const N: usize>(
    index: &Tensor,
    branches: &[&(dyn Fn(&X) -> Y + Sync); N],
    x: &X,
) -> Y {
    const { assert!(N > 0, "switch needs a branch") };
    let place = Place::of("switch");
    let number = match (index.dtype().is_int(), index.rank(), index.as_error()) {
        (_, _, Some(error)) => Err(error.clone()),
        (true, 0, None) => {
            let last = Tensor::from(branches.len() as i64 - 1);
            let number = index.cast(DType::I64).clamp(&Tensor::from(0i64), &last);
            Ok(number.cast(DType::I32))
        }
        _ => invalid(
            "switch",
            format!("the number of a branch is {}, not an integer scalar", index.ty()),
            place,
        ),
    };
    choose("switch", number, &branches.map(|branch| branch as &dyn Fn(&X) -> Y), x, place)
}

fn choose<X: Tree, Y: Tree>(
    name: &'static str,
    index: Result<Tensor>,
    branches: &[&dyn Fn(&X) -> Y],
    x: &X,
    place: Place,
) -> Y {
    try_choose(name, index, branches, x, place)
        .unwrap_or_else(|e| carrying(&branches[0](&carrying(x, &e)), &e))
}

fn try_choose<X: Tree, Y: Tree>(
    name: &'static str,
    index: Result<Tensor>,
    branches: &[&dyn Fn(&X) -> Y],
    x: &X,
    place: Place,
) -> Result<Y> {
    let index = index?;
    let params = types(x)?;
    let argument = |params: &[Tensor]| {
        let mut next = params.iter();
        x.rebuild(&mut |old| next.next().unwrap_or(old).clone())
    };
    let parts: Vec<Part<Y>> = branches
        .iter()
        .map(|branch| trace_branch(&params, |params| branch(&argument(params))))
        .collect::<Result<_>>()?;
    let first = &parts[0];
    for part in &parts[1..] {
        let (a, b) = (&first.result, &part.result);
        a.structure().require_same(&b.structure()).map_err(|kind| error(name, kind, place))?;
        let (a, b) = (types(a)?, types(b)?);
        if let Some((a, b)) = a.iter().zip(&b).find(|(a, b)| a != b) {
            let message = format!("one branch gives {a}, another {b}; all must give the same");
            return invalid(name, message, place);
        }
    }
    let captured: Vec<Tensor> =
        parts.iter().flat_map(|part| part.captured.iter().cloned()).collect();
    let mut start = 0;
    let graphs = parts.iter().map(|part| {
        let own = start..start + part.captured.len();
        start = own.end;
        closed(&part.graph, &captured, own)
    });
    let op = Op::Switch(Switch { branches: graphs.collect() });
    let operands = [&[index], &captured[..], &x.leaves()].concat();
    first.result.with_leaves(&apply(op, &operands, place))
}
