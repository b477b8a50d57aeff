//! The rules of the first tier, one line each: a name, what it may change, and the rewriting. Each
//! makes a program smaller, so the order matters little.

use smallvec::{SmallVec, smallvec};
use unloop_graph::backend::Rewriting::{self, Exact, Fast, Reassociating};
use unloop_graph::op::{PadAxis, Slice};
use unloop_graph::{
    Array, Axes, BinaryOp, DType, Number, Op, ReduceOp, Scalar, Shape, TensorType, UnaryOp, ValueId,
};

use crate::tidy::{Builder, Operands};

/// A rule for one operation about to be added: the value to take instead, if it applies.
pub(crate) struct Rule {
    pub name: &'static str,
    /// What the rule may change.
    pub class: Rewriting,
    pub apply: fn(&mut Builder, &Op, &[ValueId]) -> Option<ValueId>,
}

macro_rules! rules {
    ($($name:literal $class:ident $apply:expr,)+) => {
        pub(crate) const RULES: &[Rule] = &[$(Rule { name: $name, class: $class, apply: $apply }),+];
    };
}

rules! {
    "identity" Exact identity,
    "stop_gradient(x) = x" Exact stop_gradient,
    "constants" Exact constants,
    "transpose of transpose" Exact transposes,
    "reshape of reshape" Exact reshapes,
    "broadcast of broadcast" Exact broadcasts,
    "slice of slice" Exact slices,
    "reverse of reverse" Exact reverses,
    "x·1 = x, x - 0 = x" Exact neutral,
    "x + 0 = x" Reassociating plus_zero,
    "-(-x) = x, x - (-y) = x + y, (-x)·(-y) = x·y" Exact signs,
    "select(c, x, x) = x" Exact selects,
    "select(c, select(c, x, y), z) = select(c, x, z)" Exact nested_selects,
    "convert of convert" Exact converts,
    "f(broadcast(x)) = broadcast(f(x))" Exact hoists,
    "log(1 + x) = log1p(x), exp(x) - 1 = expm1(x)" Reassociating near_one,
    "log(exp(x)) = x, log(exp(x) / y) = x - log(y)" Reassociating logarithms,
    "sum of sums" Reassociating sums,
    "reduction of one element = reshape" Reassociating single,
    "0·x = 0, x - x = 0, x / x = 1" Fast cancels,
    "x·y / y = x, √x² = |x|, (√x)² = x" Fast undone,
    "x / c = x·(1 / c)" Fast quotients,
}

fn two(x: ValueId, y: ValueId) -> Operands {
    smallvec![x, y]
}

/// What is the operand itself.
fn identity(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let &first = x.first()?;
    let ty = b.ty(first);
    let same = match op {
        Op::Reshape(shape) => *shape == ty.shape,
        Op::Transpose(perm) => perm.iter().copied().eq(0..perm.len()),
        Op::Broadcast { shape, .. } => *shape == ty.shape,
        Op::Slice(slice) => {
            let whole = |(a, &n): (usize, &usize)| {
                slice.start[a] == 0 && slice.limit[a] == n && (slice.step[a] == 1 || n <= 1)
            };
            ty.shape.iter().enumerate().all(whole)
        }
        Op::Pad(pad) => pad.0.iter().all(|a| *a == PadAxis::default()),
        Op::Reverse(axes) => axes.iter().all(|&a| ty.shape[a] <= 1),
        Op::Convert(dtype) | Op::Bitcast(dtype) => *dtype == ty.dtype,
        Op::Concatenate { .. } => x.len() == 1,
        Op::Reduce { axes, .. } => axes.is_empty(),
        _ => false,
    };
    same.then_some(first)
}

/// What a reduction of one element changes is the sign of a zero that is summed.
fn single(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Reduce { axes, .. } = op else { return None };
    let shape = &b.ty(x[0]).shape;
    let kept = (0..shape.rank()).filter(|a| !axes.contains(a)).map(|a| shape[a]);
    let kept = axes.iter().all(|&a| shape[a] == 1).then(|| kept.collect())?;
    b.add(Op::Reshape(kept), smallvec![x[0]])
}

/// Derivatives have been taken when a program is compiled.
fn stop_gradient(_: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    (*op == Op::StopGradient).then(|| x[0])
}

/// Elementwise operations of known numbers are known numbers.
fn constants(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    // The last digits of other functions are the backend's own.
    let exact = match op {
        Op::Unary(op) => matches!(
            op,
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Square | UnaryOp::Sqrt | UnaryOp::Not
        ),
        Op::Binary(op) => matches!(
            op,
            BinaryOp::Add
                | BinaryOp::Sub
                | BinaryOp::Mul
                | BinaryOp::Div
                | BinaryOp::Max
                | BinaryOp::Min
        ),
        Op::Betainc => false,
        _ => true,
    };
    if !op.is_elementwise() || (!exact && b.rewriting == Exact) {
        return None;
    }
    let known: Option<Vec<Scalar>> = x.iter().map(|&v| b.uniform(v)).collect();
    let scalars: Vec<Array> = known?.into_iter().map(|s| Array::fill(Shape::scalar(), s)).collect();
    let shape = b.ty(*x.first()?).shape.clone();
    let types = op.infer(&scalars.iter().map(Array::ty).collect::<Vec<_>>()).ok()?;
    let dtype = types[0].dtype;
    let value = op.evaluate(&scalars, &types).ok()?.first()?.as_fill()?;
    b.fill(value, &TensorType { dtype, shape })
}

fn transposes(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Transpose(outer) = op else { return None };
    let (Op::Transpose(inner), below) = b.producer(x[0])? else { return None };
    let (perm, below) = (outer.iter().map(|&a| inner[a]).collect(), below[0]);
    b.add(Op::Transpose(perm), smallvec![below])
}

fn reshapes(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Reshape(shape) = op else { return None };
    let (Op::Reshape(_), below) = b.producer(x[0])? else { return None };
    let below = below[0];
    b.add(Op::Reshape(shape.clone()), smallvec![below])
}

fn broadcasts(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Broadcast { shape, dims } = op else { return None };
    let (inner, below) = b.producer(x[0])?;
    let (dims, below): (Axes, ValueId) = match inner {
        Op::Broadcast { dims: inner, .. } => (inner.iter().map(|&d| dims[d]).collect(), below[0]),
        // An axis of size 1 that comes in only to be repeated, or only to be there.
        Op::Reshape(middle) => {
            let from = &b.ty(below[0]).shape;
            let mut dims = dims.iter().zip(middle.iter());
            let mut kept = Axes::new();
            for &size in from.iter() {
                loop {
                    match dims.next()? {
                        (&d, &m) if m == size => {
                            kept.push(d);
                            break;
                        }
                        (_, 1) => {}
                        _ => return None,
                    }
                }
            }
            if dims.any(|(_, &m)| m != 1)
                || kept.iter().zip(from.iter()).any(|(&d, &n)| shape[d] != n)
            {
                return None;
            }
            (kept, below[0])
        }
        _ => return None,
    };
    b.add(Op::Broadcast { shape: shape.clone(), dims }, smallvec![below])
}

fn slices(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Slice(outer) = op else { return None };
    let (Op::Slice(inner), below) = b.producer(x[0])? else { return None };
    let (mut slice, below) = (Slice { ..outer.clone() }, below[0]);
    for a in 0..slice.start.len() {
        let (start, step) = (inner.start[a], inner.step[a]);
        let count = (outer.limit[a].saturating_sub(outer.start[a])).div_ceil(outer.step[a]);
        slice.start[a] = start + outer.start[a] * step;
        slice.step[a] = step * outer.step[a];
        slice.limit[a] = match count {
            0 => slice.start[a],
            n => slice.start[a] + (n - 1) * slice.step[a] + 1,
        };
    }
    b.add(Op::Slice(slice), smallvec![below])
}

fn reverses(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Reverse(outer) = op else { return None };
    let (Op::Reverse(inner), below) = b.producer(x[0])? else { return None };
    (outer == inner).then(|| below[0])
}

/// Whether all elements are this number; of zeros, with this sign.
fn is(b: &Builder, v: ValueId, number: f64) -> bool {
    b.uniform(v).is_some_and(|s| match s.number() {
        Number::Float(x) => x == number && x.is_sign_negative() == number.is_sign_negative(),
        other => s.dtype() != DType::Bool && other.float() == number,
    })
}

fn neutral(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Binary(op) = op else { return None };
    let (x, y) = (x[0], x[1]);
    match op {
        BinaryOp::Mul if is(b, y, 1.0) => Some(x),
        BinaryOp::Mul if is(b, x, 1.0) => Some(y),
        BinaryOp::Mul if is(b, y, -1.0) => b.add(Op::Unary(UnaryOp::Neg), smallvec![x]),
        BinaryOp::Mul if is(b, x, -1.0) => b.add(Op::Unary(UnaryOp::Neg), smallvec![y]),
        BinaryOp::Div if is(b, y, 1.0) => Some(x),
        BinaryOp::Sub if is(b, y, 0.0) => Some(x),
        BinaryOp::Add if is(b, y, -0.0) => Some(x),
        BinaryOp::Add if is(b, x, -0.0) => Some(y),
        _ => None,
    }
}

/// Not exact: `-0 + 0` is `+0`.
fn plus_zero(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    match op {
        Op::Binary(BinaryOp::Add) if is(b, x[1], 0.0) => Some(x[0]),
        Op::Binary(BinaryOp::Add) if is(b, x[0], 0.0) => Some(x[1]),
        _ => None,
    }
}

fn negated(b: &Builder, v: ValueId) -> Option<ValueId> {
    match b.producer(v)? {
        (Op::Unary(UnaryOp::Neg), below) => Some(below[0]),
        _ => None,
    }
}

fn signs(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let inner = |k: usize| x.get(k).and_then(|&v| negated(b, v));
    match (op, inner(0), inner(1)) {
        (Op::Unary(UnaryOp::Neg), Some(below), _) => Some(below),
        (Op::Unary(UnaryOp::Square), Some(below), _) => {
            b.add(Op::Unary(UnaryOp::Square), smallvec![below])
        }
        (Op::Binary(BinaryOp::Sub), _, Some(y)) => b.add(Op::Binary(BinaryOp::Add), two(x[0], y)),
        (Op::Binary(BinaryOp::Add), _, Some(y)) => b.add(Op::Binary(BinaryOp::Sub), two(x[0], y)),
        (Op::Binary(BinaryOp::Add), Some(y), _) => b.add(Op::Binary(BinaryOp::Sub), two(x[1], y)),
        (Op::Binary(op @ (BinaryOp::Mul | BinaryOp::Div)), Some(x), Some(y))
            if b.ty(x).dtype.is_float() =>
        {
            b.add(Op::Binary(*op), two(x, y))
        }
        _ => None,
    }
}

fn selects(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    match (op, b.uniform(*x.first()?)) {
        (Op::Select, Some(condition)) => Some(if condition.number().truth() { x[1] } else { x[2] }),
        (Op::Select, None) if x[1] == x[2] => Some(x[1]),
        _ => None,
    }
}

/// A choice within a choice by the same condition, or by its opposite.
fn nested_selects(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let (Op::Select, &[c, p, q]) = (op, x) else { return None };
    if let Some((Op::Unary(UnaryOp::Not), below)) = b.producer(c) {
        let below = below[0];
        return b.add(Op::Select, smallvec![below, q, p]);
    }
    let inner = |v: ValueId, k: usize| match b.producer(v) {
        Some((Op::Select, below)) if below[0] == c => Some(below[k]),
        _ => None,
    };
    match (inner(p, 1), inner(q, 2)) {
        (None, None) => None,
        (first, second) => b.add(Op::Select, smallvec![c, first.unwrap_or(p), second.unwrap_or(q)]),
    }
}

/// Whether every number of a dtype is one of another.
fn holds(wide: DType, narrow: DType) -> bool {
    match (narrow, wide) {
        (DType::Bool, _) | (DType::I32 | DType::U32, DType::I64) => true,
        (DType::I32 | DType::U32 | DType::F32, DType::F64) => true,
        (narrow, wide) => narrow == wide,
    }
}

/// What went through a dtype that holds it came out as it was.
fn converts(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Convert(to) = op else { return None };
    let (&Op::Convert(through), &[below]) = b.producer(x[0])? else { return None };
    let from = b.ty(below).dtype;
    let fits = holds(through, from) && (*to == from || holds(*to, from));
    fits.then(|| b.add(Op::Convert(*to), smallvec![below]))?
}

/// A value of zeros, or ones, like this one.
fn like(b: &mut Builder, v: ValueId, number: i128) -> Option<ValueId> {
    let ty = b.ty(v).clone();
    b.fill(Scalar::new(ty.dtype, Number::Int(number)), &ty)
}

fn cancels(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let &[p, q] = x else { return None };
    match op {
        Op::Binary(BinaryOp::Mul) if is(b, p, 0.0) || is(b, q, 0.0) => like(b, p, 0),
        Op::Binary(BinaryOp::Sub) if p == q => like(b, p, 0),
        Op::Binary(BinaryOp::Div) if p == q && b.ty(p).dtype.is_float() => like(b, p, 1),
        _ => None,
    }
}

fn undone(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let is_float = b.ty(*x.first()?).dtype.is_float();
    match (op, b.producer(x[0])?) {
        (Op::Binary(BinaryOp::Div), (Op::Binary(BinaryOp::Mul), &[p, q])) if is_float => {
            if q == x[1] { Some(p) } else { (p == x[1]).then_some(q) }
        }
        (Op::Unary(UnaryOp::Sqrt), (Op::Unary(UnaryOp::Square), &[p])) => {
            b.add(Op::Unary(UnaryOp::Abs), smallvec![p])
        }
        (Op::Unary(UnaryOp::Square), (Op::Unary(UnaryOp::Sqrt), &[p])) => Some(p),
        _ => None,
    }
}

fn quotients(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let (Op::Binary(BinaryOp::Div), &[p, q]) = (op, x) else { return None };
    let (ty, divisor) = (b.ty(q).clone(), b.uniform(q)?.number().float());
    if !ty.dtype.is_float() || divisor == 0.0 || !divisor.is_finite() {
        return None;
    }
    let inverse = b.fill(Scalar::new(ty.dtype, Number::Float(1.0 / divisor)), &ty)?;
    b.add(Op::Binary(BinaryOp::Mul), two(p, inverse))
}

/// Below this size another kernel costs more than the repeated work.
const WORTH_HOISTING: usize = 1024;

/// An elementwise operation whose operands all repeat in the same way is done once, before.
fn hoists(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    if !matches!(op, Op::Unary(_) | Op::Binary(_) | Op::Convert(_)) {
        return None;
    }
    let mut how: Option<(Shape, Axes, TensorType)> = None;
    for &v in x {
        match b.producer(v) {
            _ if b.uniform(v).is_some() => {}
            Some((Op::Broadcast { shape, dims }, below)) => {
                let small = b.ty(below[0]);
                let found = (shape.clone(), dims.clone(), small.clone());
                if how.as_ref().is_some_and(|(s, d, _)| (s, d) != (&found.0, &found.1)) {
                    return None;
                }
                how = Some(found);
            }
            _ => return None,
        }
    }
    let (shape, dims, small) = how?;
    if shape.size() < WORTH_HOISTING || small.shape.size() * 4 > shape.size() {
        return None;
    }
    let mut operands = Operands::new();
    for &v in x {
        operands.push(match (b.uniform(v), b.producer(v)) {
            (Some(value), _) => {
                b.fill(value, &TensorType { dtype: value.dtype(), ..small.clone() })?
            }
            (None, Some((_, below))) => below[0],
            (None, None) => return None,
        });
    }
    let inner = b.add(op.clone(), operands)?;
    b.add(Op::Broadcast { shape, dims }, smallvec![inner])
}

fn near_one(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    match (op, b.producer(x.first().copied()?)) {
        (Op::Unary(UnaryOp::Log), Some((Op::Binary(BinaryOp::Add), &[p, q]))) => {
            let rest = if is(b, p, 1.0) {
                q
            } else if is(b, q, 1.0) {
                p
            } else {
                return None;
            };
            b.add(Op::Unary(UnaryOp::Log1p), smallvec![rest])
        }
        (Op::Binary(BinaryOp::Sub), Some((Op::Unary(UnaryOp::Exp), &[p]))) if is(b, x[1], 1.0) => {
            b.add(Op::Unary(UnaryOp::Expm1), smallvec![p])
        }
        _ => None,
    }
}

fn logarithms(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    if *op != Op::Unary(UnaryOp::Log) {
        return None;
    }
    let exponent = |b: &Builder, v: ValueId| match b.producer(v) {
        Some((Op::Unary(UnaryOp::Exp), below)) => Some(below[0]),
        _ => None,
    };
    if let Some(below) = exponent(b, x[0]) {
        return Some(below);
    }
    let (Op::Binary(BinaryOp::Div), &[top, bottom]) = b.producer(x[0])? else { return None };
    let top = exponent(b, top)?;
    let bottom = b.add(Op::Unary(UnaryOp::Log), smallvec![bottom])?;
    b.add(Op::Binary(BinaryOp::Sub), two(top, bottom))
}

/// A sum of sums is one sum, and so with the other reductions.
fn sums(b: &mut Builder, op: &Op, x: &[ValueId]) -> Option<ValueId> {
    let Op::Reduce { op, axes } = op else { return None };
    let (Op::Reduce { op: inner, axes: first }, below) = b.producer(x[0])? else { return None };
    if op != inner || *op == ReduceOp::Xor {
        return None;
    }
    let below = below[0];
    let kept: SmallVec<[usize; 6]> =
        (0..b.ty(below).rank()).filter(|a| !first.contains(a)).collect();
    let mut all: Axes = first.iter().copied().chain(axes.iter().map(|&a| kept[a])).collect();
    all.sort_unstable();
    b.add(Op::Reduce { op: *op, axes: all }, smallvec![below])
}
