//! The rules of every operation under every transform, one file a family. The matches are over the
//! closed set of operations, so a missing rule does not compile.
//!
//! - **Batch**: operands with one entry an example (along axis 0), or the same for all, to results.
//! - **Jvp**: operands, their tangents (absent: zero) and the results, to the results' tangents.
//! - **Transpose**: of operations linear in some operands: the cotangents of the results to those
//!   of the linear operands. Only operations that jvp rules emit need it.

mod control;
mod custom;
mod decompose;
mod dot;
mod elementwise;
mod gather;
mod layout;
mod linalg;
mod reduce;
mod search;
mod sort;

pub(crate) use control::jvp_while;
use unloop_graph::{Axes, Error, ErrorKind, Op, Place, Shape, Tensor, TensorType};

/// A value under `vmap`.
#[derive(Clone)]
pub(crate) enum Batched {
    /// The same for every example.
    Same(Tensor),
    /// One entry an example along axis 0.
    Each(Tensor),
}

impl Batched {
    pub fn tensor(&self) -> &Tensor {
        match self {
            Batched::Same(x) | Batched::Each(x) => x,
        }
    }

    pub fn is_each(&self) -> bool {
        matches!(self, Batched::Each(_))
    }

    /// The rank of one example.
    pub fn rank(&self) -> usize {
        self.tensor().rank() - usize::from(self.is_each() && self.tensor().as_error().is_none())
    }

    /// One entry an example: a shared value is repeated.
    pub fn each(&self, size: usize) -> Tensor {
        match self {
            Batched::Each(x) => x.clone(),
            Batched::Same(x) if x.as_error().is_some() => x.clone(),
            Batched::Same(x) => {
                let shape = Shape::from(x.shape()).with(0, size);
                x.broadcast_in_dim(shape, (1..=x.rank()).collect())
            }
        }
    }
}

/// Axes of one example as axes of the stack.
fn shifted(axes: &[usize]) -> Axes {
    axes.iter().map(|a| a + 1).collect()
}

/// The same, with the axis of the examples in front.
fn with_batch_axis(axes: &[usize]) -> Axes {
    std::iter::once(0).chain(axes.iter().map(|a| a + 1)).collect()
}

fn apply(op: Op, operands: &[&Tensor]) -> Tensor {
    Tensor::apply(op, operands, Place::here()).swap_remove(0)
}

fn unsupported(what: String, like: &Tensor) -> Tensor {
    let error = Error::new("grad", ErrorKind::Unsupported(what), Place::here());
    Tensor::error_like(error, like.ty())
}

/// The results of an operation on all examples.
pub(crate) fn batch(op: &Op, operands: &[&Batched], size: usize, place: Place) -> Vec<Batched> {
    if let Some(error) = operands.iter().find(|x| x.tensor().as_error().is_some()) {
        return vec![(*error).clone(); op.result_count()];
    }
    if !operands.iter().any(|x| x.is_each()) {
        let operands: Vec<&Tensor> = operands.iter().map(|x| x.tensor()).collect();
        return Tensor::apply(op.clone(), &operands, place)
            .into_iter()
            .map(Batched::Same)
            .collect();
    }
    let one = |x: Tensor| vec![Batched::Each(x)];
    match op {
        Op::Constant(_) | Op::Iota { .. } => unreachable!("`{op}` has no operand to be batched"),
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Select
        | Op::Clamp
        | Op::Betainc
        | Op::Convert(_)
        | Op::Bitcast(_)
        | Op::StopGradient => one(elementwise::batch(op, operands, size)),
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Broadcast { .. }
        | Op::Slice(_)
        | Op::Pad(_)
        | Op::Concatenate { .. }
        | Op::Reverse(_) => one(layout::batch(op, operands, size)),
        Op::Gather(gather) => one(gather::batch_gather(gather, operands)),
        Op::Scatter(scatter) => one(gather::batch_scatter(scatter, operands, size)),
        Op::Reduce { .. } | Op::ArgReduce { .. } | Op::Cumulative { .. } => {
            one(reduce::batch(op, operands[0].tensor()))
        }
        Op::Dot(dims) => one(dot::batch(dims, operands[0], operands[1])),
        Op::Sort(sort) => sort::batch(sort, operands, size),
        Op::SearchSorted { .. } => one(search::batch(op, operands[0], operands[1], size)),
        Op::Switch(_) | Op::While(_) | Op::Scan(_) => control::batch(op, operands, size),
        Op::WithDerivative(_) | Op::Pullback(_) | Op::Host(_) | Op::AllGather(_) => {
            custom::batch(op, operands, size)
        }
        Op::Cholesky { .. }
        | Op::Lu
        | Op::Qr { .. }
        | Op::Svd { .. }
        | Op::Eigh
        | Op::TriangularSolve(_)
        | Op::Solve { .. } => linalg::batch(op, operands, size),
    }
}

/// What a jvp rule sees of an operation.
pub(crate) struct Jvp<'a> {
    /// The operands.
    pub x: &'a [&'a Tensor],
    /// Their tangents; absent ones are zero.
    pub t: &'a [Option<&'a Tensor>],
    /// The results.
    pub y: &'a [Tensor],
}

impl Jvp<'_> {
    /// The tangent of operand `i`, zeros when absent.
    fn tangent(&self, i: usize) -> Tensor {
        self.t[i].map_or_else(|| self.x[i].zeros_like(), Tensor::clone)
    }

    /// The tangents if an operand, its tangent or a result failed: that error, for all that have one.
    fn failed(&self) -> Option<Vec<Option<Tensor>>> {
        let all = self.x.iter().chain(self.t.iter().flatten()).copied().chain(self.y);
        let failed = all.into_iter().find(|x| x.as_error().is_some())?;
        let tangent = |y: &Tensor| y.dtype().is_float().then(|| failed.clone());
        Some(self.y.iter().map(tangent).collect())
    }

    /// The rule of an operation linear in all its operands together: itself, on the tangents.
    fn linear(&self, op: &Op) -> Tensor {
        let tangents: Vec<Tensor> = (0..self.x.len()).map(|i| self.tangent(i)).collect();
        apply(op.clone(), &tangents.iter().collect::<Vec<_>>())
    }
}

/// The tangents of the results; at least one operand has a tangent.
pub(crate) fn jvp(op: &Op, rule: &Jvp<'_>) -> Vec<Option<Tensor>> {
    match op {
        Op::Constant(_)
        | Op::Iota { .. }
        | Op::Compare(_)
        | Op::Bitcast(_)
        | Op::StopGradient
        | Op::SearchSorted { .. }
        | Op::ArgReduce { .. } => vec![None],
        // Their rules look at shapes, and what failed has none of its own.
        Op::Gather(_)
        | Op::Scatter(_)
        | Op::Reduce { .. }
        | Op::Cumulative { .. }
        | Op::Dot(_)
        | Op::WithDerivative(_)
        | Op::Pullback(_)
        | Op::Host(_)
        | Op::AllGather(_)
        | Op::Cholesky { .. }
        | Op::Lu
        | Op::Qr { .. }
        | Op::Svd { .. }
        | Op::Eigh
        | Op::TriangularSolve(_)
        | Op::Solve { .. }
            if rule.failed().is_some() =>
        {
            rule.failed().unwrap_or_default()
        }
        Op::Unary(op) => vec![elementwise::jvp_unary(*op, rule)],
        Op::Binary(op) => vec![elementwise::jvp_binary(*op, rule)],
        Op::Select => vec![Some(elementwise::jvp_select(rule))],
        Op::Clamp => vec![elementwise::jvp_clamp(rule)],
        Op::Betainc => vec![Some(elementwise::jvp_betainc(rule))],
        Op::Convert(dtype) => vec![dtype.is_float().then(|| rule.linear(op))],
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Broadcast { .. }
        | Op::Slice(_)
        | Op::Pad(_)
        | Op::Concatenate { .. }
        | Op::Reverse(_) => vec![Some(rule.linear(op))],
        Op::Gather(gather) => vec![Some(gather::jvp_gather(gather, rule))],
        Op::Scatter(scatter) => vec![Some(gather::jvp_scatter(scatter, rule))],
        Op::Reduce { op, axes } => vec![reduce::jvp(*op, axes, rule)],
        Op::Cumulative { op: combine, axis, reverse } => {
            vec![reduce::jvp_cumulative(op, *combine, *axis, *reverse, rule)]
        }
        Op::Dot(_) => vec![dot::jvp(op, rule)],
        Op::Sort(sort) => sort::jvp(sort, rule),
        Op::Switch(_) | Op::While(_) | Op::Scan(_) => control::jvp(op, rule),
        Op::WithDerivative(_) | Op::Pullback(_) | Op::Host(_) | Op::AllGather(_) => {
            custom::jvp(op, rule)
        }
        Op::Cholesky { .. } => vec![Some(linalg::jvp_cholesky(rule))],
        Op::Lu => linalg::jvp_lu(rule),
        Op::Qr { .. } => decompose::jvp_qr(rule),
        Op::Svd { vectors, .. } => decompose::jvp_svd(*vectors, rule),
        Op::Eigh => decompose::jvp_eigh(rule),
        Op::TriangularSolve(how) => vec![Some(linalg::jvp_triangular_solve(how, rule))],
        Op::Solve { transpose } => vec![Some(linalg::jvp_solve(*transpose, rule))],
    }
}

/// An operand under transposition: linear ones have no value, only a type.
pub(crate) enum Operand<'a> {
    Linear(&'a TensorType),
    Known(&'a Tensor),
}

impl Operand<'_> {
    fn ty(&self) -> TensorType {
        match self {
            Operand::Linear(ty) => (*ty).clone(),
            Operand::Known(x) => x.ty(),
        }
    }

    fn is_linear(&self) -> bool {
        matches!(self, Operand::Linear(_))
    }

    /// The known value, or an error for an operation that is not linear in this operand.
    fn value(&self, op: &Op) -> Tensor {
        match self {
            Operand::Known(x) => (*x).clone(),
            Operand::Linear(ty) => {
                let what = format!("`{op}` is not linear in an operand of type {ty}");
                let error = Error::new("transpose", ErrorKind::Unsupported(what), Place::here());
                Tensor::error_like(error, (*ty).clone())
            }
        }
    }
}

/// The cotangents of the operands (absent for known ones) from those of the results, at least one
/// of which is there.
pub(crate) fn transpose(op: &Op, cts: &[Option<Tensor>], x: &[Operand<'_>]) -> Vec<Option<Tensor>> {
    let ct = match (op, cts) {
        (Op::Switch(_) | Op::While(_) | Op::Scan(_), _) => return control::transpose(op, cts, x),
        (Op::WithDerivative(_) | Op::Pullback(_) | Op::Host(_) | Op::AllGather(_), _) => {
            return custom::transpose(op, cts, x);
        }
        // All other operations that are linear have one result.
        (_, [Some(ct), ..]) => ct,
        _ => return x.iter().map(|x| x.is_linear().then(|| x.value(op))).collect(),
    };
    match op {
        Op::Switch(_)
        | Op::While(_)
        | Op::Scan(_)
        | Op::WithDerivative(_)
        | Op::Pullback(_)
        | Op::Host(_)
        | Op::AllGather(_) => unreachable!("these went their way above"),
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Select
        | Op::Convert(_)
        | Op::Compare(_)
        | Op::Clamp
        | Op::Betainc
        | Op::Bitcast(_)
        | Op::StopGradient => elementwise::transpose(op, ct, x),
        Op::Constant(_) | Op::Iota { .. } => unreachable!("`{op}` has no operand to be linear in"),
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Broadcast { .. }
        | Op::Slice(_)
        | Op::Pad(_)
        | Op::Concatenate { .. }
        | Op::Reverse(_) => layout::transpose(op, ct, x),
        Op::Gather(gather) => gather::transpose_gather(gather, ct, x),
        Op::Scatter(scatter) => gather::transpose_scatter(scatter, ct, x),
        Op::Reduce { op, axes } => reduce::transpose(*op, axes, ct, &x[0]),
        Op::Cumulative { op: combine, axis, reverse } => {
            reduce::transpose_cumulative(op, (*combine, *axis, *reverse), ct, &x[0])
        }
        Op::Dot(dims) => dot::transpose(dims, op, ct, x),
        Op::TriangularSolve(_) | Op::Solve { .. } => linalg::transpose(op, ct, x),
        Op::ArgReduce { .. }
        | Op::SearchSorted { .. }
        | Op::Sort(_)
        | Op::Cholesky { .. }
        | Op::Lu
        | Op::Qr { .. }
        | Op::Svd { .. }
        | Op::Eigh => x.iter().map(|x| x.is_linear().then(|| x.value(op))).collect(),
    }
}
