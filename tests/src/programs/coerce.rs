//! Any value as one of a type and in a domain, by operations that every transform knows.

use unloop::prelude::*;
use unloop_graph::Shape;

use crate::draw::{Want, first};
use crate::functions::{Arg, Domain};

/// A value as it is wanted, after other arguments.
pub fn coerce(x: &Tensor, want: &Want, before: &[Arg]) -> Tensor {
    let x = in_dtype(x, want.ty.dtype);
    let x = in_shape(&x, &want.ty.shape);
    in_domain(&x, want.domain, before)
}

fn in_dtype(x: &Tensor, dtype: DType) -> Tensor {
    let from = x.dtype();
    if from == dtype {
        return x.clone();
    }
    match (from.is_float(), dtype) {
        (_, DType::Bool) => x.not_equal(&x.zeros_like()),
        (true, DType::F32 | DType::F64) => x.cast(dtype),
        (true, DType::U32) => (x.abs() * 3.0).round().cast(dtype),
        (true, _) => (x * 3.0).round().cast(dtype),
        (false, _) => x.cast(dtype),
    }
}

/// The elements in order, again and again or only the first ones.
fn in_shape(x: &Tensor, shape: &Shape) -> Tensor {
    if x.shape() == &shape[..] {
        return x.clone();
    }
    let (have, need) = (x.size(), shape.size());
    if have == 0 {
        return Tensor::zeros(x.dtype(), shape);
    }
    let times = need.div_ceil(have);
    let flat = x.flatten();
    let enough = if times > 1 { flat.broadcast_to([times, have]).flatten() } else { flat };
    let just = if enough.size() == need { enough } else { enough.slice_axis(0, 0, need) };
    just.reshape(shape)
}

fn in_domain(x: &Tensor, domain: Domain, before: &[Arg]) -> Tensor {
    let dtype = x.dtype();
    let below = |x: &Tensor, n: i64| {
        let n = Tensor::from(n).cast(dtype).broadcast_to(x.shape());
        x.modulo(&n)
    };
    // Different on the diagonal, so that eigenvalues and singular values are, too.
    let diagonal = || {
        let number = |i: &[usize]| if i[0] == i[1] { 1.5 + 0.7 * i[0] as f64 } else { 0.0 };
        Tensor::from_fn(x.shape(), number).cast(dtype)
    };
    match domain {
        Domain::Any | Domain::Same => x.clone(),
        _ if dtype == DType::Bool => x.clone(),
        Domain::Within(low, high) if dtype.is_float() => {
            x.sin() * ((high - low) / 2.0) + (high + low) / 2.0
        }
        Domain::Within(low, high) => {
            let least = if dtype == DType::U32 { low.max(0.0) } else { low } as i64;
            below(x, (high as i64 - least).max(1)) + Tensor::from(least).cast(dtype)
        }
        Domain::Index => {
            let extents = first(before).shape;
            let n = extents.iter().copied().filter(|&d| d > 0).min().unwrap_or(1);
            below(x, n as i64)
        }
        Domain::Regular if x.rank() == 2 => x.sin() * 0.2 + diagonal(),
        Domain::Definite if x.rank() == 2 => {
            let half = x.sin() * 0.2;
            half.matmul(&half.t()) + diagonal()
        }
        Domain::Regular | Domain::Definite => x.clone(),
        Domain::Sorted if x.rank() == 1 => (x.sin() + 1.1).cumsum(0) * 0.3,
        Domain::Sorted => x.clone(),
    }
}
