//! Checks of derivatives against finite differences, and results' types without their values.

use unloop_graph::{DType, ErrorKind, Place, Result, Tensor, TensorType, Tree};

use crate::interpret::{Call, error};
use crate::{Arguments, Function, jvp, vjp};

/// The types (shape and dtype) of a function's results, in the order of its tensors. The function is
/// traced; nothing is computed.
///
/// # Errors
/// The error that an argument, or the function's result, carries.
///
/// ```
/// # use unloop_graph::{DType, Tensor};
/// # use unloop_transform::eval_shape;
/// let x = Tensor::zeros(DType::F32, (100_000, 100_000)); // a fill takes no memory
/// let types = eval_shape(|x: &Tensor| x.matmul(x), (&x,))?;
/// assert_eq!(types[0].to_string(), "f32[100000,100000]");
/// # Ok::<(), unloop_graph::Error>(())
/// ```
pub fn eval_shape<Args, F>(f: F, args: Args::Refs<'_>) -> Result<Vec<TensorType>>
where
    Args: Arguments,
    F: Function<Args>,
    F::Output: Tree,
{
    let types =
        Args::leaves(args).iter().map(|x| x.check().map(|x| x.ty())).collect::<Result<_>>()?;
    let call = Call::trace::<Args>(&f, args, types)?;
    Ok(call.result.leaves().iter().map(Tensor::ty).collect())
}

/// Compares forward and reverse derivatives of a function, of the orders 1 to `order`, with central
/// finite differences along one direction of each argument. The step is `ε^(1/3)`, the tolerance
/// `20·√ε` of the size of the values, with the machine epsilon `ε` of the arguments' dtype. Meant for
/// functions with [`custom_jvp`](crate::custom_jvp) and its like; arguments should be away from kinks.
/// Tensors that are not floats are held fixed.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] says which derivative differs, and by how much;
/// [`ErrorKind::TracedValue`] inside another transform; errors of the function come out as they are.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{check_grads, custom_jvp};
/// let x = Tensor::from([0.3, 1.2]);
/// check_grads(|x: &Tensor| x.sin() * x.exp(), (&x,), 2)?;
///
/// let wrong = custom_jvp(|x: &Tensor| x.sin(), |x: &Tensor, dx: &Tensor| dx * x.sin());
/// assert!(check_grads(wrong, (&x,), 1).is_err());
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn check_grads<Args, F>(f: F, args: Args::Refs<'_>, order: usize) -> Result<()>
where
    Args: Arguments,
    F: Function<Args>,
    F::Output: Tree + Clone + Send + Sync + 'static,
{
    let place = Place::of("check_grads");
    let leaves = Args::leaves(args);
    place.scope(|| leaves.iter().try_for_each(|x| x.value("check_grads").map(drop)))?;
    let is_float: Vec<bool> = leaves.iter().map(|x| x.dtype().is_float()).collect();
    let floats: Vec<Tensor> = leaves.iter().filter(|x| x.dtype().is_float()).cloned().collect();
    let owned = Args::rebuild(args, &mut Tensor::clone);
    let all = |floats: &Vec<Tensor>| -> Vec<Tensor> {
        let mut next = floats.iter();
        let merged = leaves.iter().zip(&is_float).map(|(x, float)| match float {
            true => next.next().unwrap_or(x).clone(),
            false => x.clone(),
        });
        let results = f.call(Args::with_leaves(owned.refs(), &merged.collect::<Vec<_>>()).refs());
        results.leaves().into_iter().filter(|y| y.dtype().is_float()).collect()
    };
    check_order(&all, &floats, order, 1, place)
}

type Plain<'a> = &'a (dyn Fn(&Vec<Tensor>) -> Vec<Tensor> + Send + Sync);

fn check_order(
    f: Plain<'_>,
    x: &Vec<Tensor>,
    order: usize,
    level: u64,
    place: Place,
) -> Result<()> {
    if order == 0 {
        return Ok(());
    }
    let single = x.iter().any(|x| x.dtype() == DType::F32);
    let epsilon = if single { f32::EPSILON.into() } else { f64::EPSILON };
    // The step that balances rounding and truncation of a central difference.
    let step = f64::cbrt(epsilon);
    let t: Vec<Tensor> = x.iter().zip(0..).map(|(x, i)| direction(x, 16 * level + i)).collect();
    let moved = |by: f64| -> Result<Vec<Tensor>> {
        let y = f(&x.iter().zip(&t).map(|(x, t)| x + t * by).collect());
        y.iter().try_for_each(|y| y.check().map(drop))?;
        Ok(y)
    };
    let (above, below) = (moved(step)?, moved(-step)?);
    let ct: Vec<Tensor> =
        above.iter().zip(0..).map(|(y, i)| direction(y, 16 * level + 8 + i)).collect();
    let numeric: Vec<Tensor> =
        above.iter().zip(&below).map(|(a, b)| (a - b) / (2.0 * step)).collect();
    let expected = inner(&ct, &numeric, place)?;
    let scale =
        1.0 + inner(&absolute(&ct), &absolute(&numeric), place)? + magnitude(&above, place)?;
    let tolerance = scale * epsilon.sqrt() * 20.0;
    let forward = jvp(f)(x, &t).1;
    let (_, pullback) = vjp(f)(x);
    let ways =
        [("forward", inner(&ct, &forward, place)?), ("reverse", inner(&pullback(&ct), &t, place)?)];
    for (way, actual) in ways {
        if (actual - expected).abs() > tolerance || actual.is_nan() != expected.is_nan() {
            let message = format!(
                "the {way} derivative of order {level} is {actual} along a direction where finite \
                 differences give {expected}"
            );
            return Err(error("check_grads", ErrorKind::InvalidArgument(message), place));
        }
    }
    let derivative = |x: &Vec<Tensor>| jvp(f)(x, &t).1;
    check_order(&derivative, x, order - 1, level + 1, place)
}

/// Numbers between -1 and 1 that look random, the same at each call.
fn direction(like: &Tensor, seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let numbers = Tensor::from_fn(like.shape(), |_| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    });
    numbers.cast(like.dtype())
}

fn absolute(x: &[Tensor]) -> Vec<Tensor> {
    x.iter().map(Tensor::abs).collect()
}

fn magnitude(x: &[Tensor], place: Place) -> Result<f64> {
    let ones: Vec<Tensor> = x.iter().map(Tensor::ones_like).collect();
    inner(&absolute(x), &ones, place)
}

fn inner(a: &[Tensor], b: &[Tensor], place: Place) -> Result<f64> {
    let wide = |x: &Tensor| x.cast(DType::F64);
    place.scope(|| a.iter().zip(b).map(|(a, b)| (wide(a) * wide(b)).sum().item::<f64>()).sum())
}
