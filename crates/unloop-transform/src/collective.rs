//! Named axes: what one example of a `vmap` can ask of all of them.

use std::cell::RefCell;

use unloop_graph::{DType, Error, ErrorKind, Op, Place, ReduceOp, Tensor, floats, operation};

thread_local! {
    /// The named axes that are being mapped, innermost last.
    static AXES: RefCell<Vec<Named>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone)]
struct Named {
    name: String,
    size: usize,
    /// The position of the example: a parameter of the mapped function.
    position: Tensor,
}

/// Keeps the name of an axis in use.
pub(crate) struct Bound(());

/// Gives an axis its name, until the guard is dropped.
pub(crate) fn bind(name: &str, size: usize, position: Tensor) -> Bound {
    let named = Named { name: name.to_owned(), size, position };
    AXES.with_borrow_mut(|axes| axes.push(named));
    Bound(())
}

impl Drop for Bound {
    fn drop(&mut self) {
        AXES.with_borrow_mut(|axes| drop(axes.pop()));
    }
}

fn find(what: &'static str, name: &str, place: Place) -> Result<Named, Tensor> {
    AXES.with_borrow(|axes| {
        axes.iter().rev().find(|axis| axis.name == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
            let message = format!(
                "no enclosing vmap has an axis named {name:?} (named are {known:?}); name it with \
                 vmap(f, axes).axis_name({name:?})"
            );
            Tensor::error(Error::new(what, ErrorKind::InvalidArgument(message), place))
        })
    })
}

/// The values of all `n` examples of a named axis, along a new first axis: `x` of one example is
/// `[…]`, the result `[n, …]` of the same dtype. Every example gets the same. The axis has its name by
/// [`Vmap::axis_name`](crate::Vmap::axis_name); of nested ones with one name the innermost counts.
///
/// # Errors
/// Carried by the result: `InvalidArgument` if no enclosing `vmap` names the axis; `Unsupported` in a
/// branch of [`cond`](crate::cond) that each example chooses for itself.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{all_gather, vmap};
/// let x = Tensor::from([3.0, 1.0, 2.0]);
/// // How many examples are smaller than this one.
/// let rank = vmap(|x: &Tensor| all_gather(x, "i").less(x).cast(x.dtype()).sum(), 0);
/// assert_eq!(rank.axis_name("i")(&x).to_vec::<f64>()?, [2.0, 0.0, 1.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn all_gather(x: &Tensor, axis: &str) -> Tensor {
    operation("all_gather", || {
        let place = Place::here();
        match find("all_gather", axis, place) {
            Ok(named) => Tensor::apply(Op::AllGather(named.size), &[x, &named.position], place)
                .swap_remove(0),
            Err(error) => error,
        }
    })
}

#[track_caller]
fn reduced(op: ReduceOp, x: &Tensor, axis: &str) -> Tensor {
    let place = Place::here();
    let all = all_gather(x, axis);
    place.scope(|| match all.as_error() {
        Some(_) => all,
        None => all.reduce_op(op, [0].into_iter().collect()),
    })
}

/// The sum over all examples of a named axis, of the shape and dtype of one example's `x`.
///
/// # Errors
/// Carried by the result: those of [`all_gather`]; `UnsupportedDType` for bool.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{psum, vmap};
/// let share = vmap(|x: &Tensor| x / psum(x, "i"), 0).axis_name("i");
/// assert_eq!(share(&Tensor::from([1.0, 3.0])).to_vec::<f64>()?, [0.25, 0.75]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn psum(x: &Tensor, axis: &str) -> Tensor {
    operation("psum", || reduced(ReduceOp::Sum, x, axis))
}

/// The mean over all examples of a named axis, of the shape and dtype of one example's `x`.
///
/// # Errors
/// Carried by the result: those of [`all_gather`]; `UnsupportedDType` unless the dtype is f32 or f64.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{pmean, vmap};
/// let centred = vmap(|x: &Tensor| x - pmean(x, "i"), 0).axis_name("i");
/// assert_eq!(centred(&Tensor::from([1.0, 3.0])).to_vec::<f64>()?, [-1.0, 1.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn pmean(x: &Tensor, axis: &str) -> Tensor {
    operation("pmean", || {
        floats(&[x], || match axis_size(axis) {
            Some(size) => psum(x, axis) / size as f64,
            None => psum(x, axis),
        })
    })
}

/// The largest over all examples of a named axis, element by element: of the shape and dtype of one
/// example's `x`. NaN if one is NaN.
///
/// # Errors
/// Carried by the result: those of [`all_gather`].
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{pmax, vmap};
/// let scaled = vmap(|x: &Tensor| x / pmax(x, "i"), 0).axis_name("i");
/// assert_eq!(scaled(&Tensor::from([1.0, 4.0])).to_vec::<f64>()?, [0.25, 1.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn pmax(x: &Tensor, axis: &str) -> Tensor {
    operation("pmax", || reduced(ReduceOp::Max, x, axis))
}

/// The smallest over all examples of a named axis, element by element: of the shape and dtype of one
/// example's `x`. NaN if one is NaN.
///
/// # Errors
/// Carried by the result: those of [`all_gather`].
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{pmin, vmap};
/// let above = vmap(|x: &Tensor| x - pmin(x, "i"), 0).axis_name("i");
/// assert_eq!(above(&Tensor::from([3.0, 5.0])).to_vec::<f64>()?, [0.0, 2.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn pmin(x: &Tensor, axis: &str) -> Tensor {
    operation("pmin", || reduced(ReduceOp::Min, x, axis))
}

/// The value of another example: example `i` gets that of example `source[i]`, of the shape and dtype
/// of its own. An example may be the source of several. (JAX's `ppermute` takes pairs instead.)
///
/// # Errors
/// Carried by the result: those of [`all_gather`]; `InvalidArgument` if there is not one source an
/// example; `IndexOutOfBounds` for a source that is no example.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{permute_examples, vmap};
/// let next = vmap(|x: &Tensor| permute_examples(x, &[1, 2, 0], "i"), 0).axis_name("i");
/// assert_eq!(next(&Tensor::from([1.0, 2.0, 3.0])).to_vec::<f64>()?, [2.0, 3.0, 1.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn permute_examples(x: &Tensor, source: &[usize], axis: &str) -> Tensor {
    let place = Place::of("permute_examples");
    let all = all_gather(x, axis);
    match find("permute_examples", axis, place) {
        Ok(named) if named.size == source.len() => place.scope(|| {
            let source = Tensor::from(source.iter().map(|&i| i as i64).collect::<Vec<i64>>());
            all.take(&source.take(&named.position, 0), 0)
        }),
        Ok(named) => {
            let message = format!("{} sources for {} examples", source.len(), named.size);
            let kind = ErrorKind::InvalidArgument(message);
            Tensor::error(Error::new("permute_examples", kind, place))
        }
        Err(error) => error,
    }
}

/// The position of this example along a named axis, from 0: an i64 scalar.
///
/// # Errors
/// Carried by the result: `InvalidArgument` if no enclosing `vmap` names the axis.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{axis_index, vmap};
/// let weighted = vmap(|x: &Tensor| x * axis_index("i").cast(x.dtype()), 0).axis_name("i");
/// assert_eq!(weighted(&Tensor::from([5.0, 5.0])).to_vec::<f64>()?, [0.0, 5.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn axis_index(axis: &str) -> Tensor {
    operation("axis_index", || match find("axis_index", axis, Place::here()) {
        Ok(named) => named.position,
        Err(error) => error,
    })
}

/// The number of examples along a named axis; `None` if no enclosing `vmap` names it.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{axis_size, vmap};
/// let counted = vmap(|x: &Tensor| x * axis_size("i").unwrap_or(1) as f64, 0).axis_name("i");
/// assert_eq!(counted(&Tensor::from([1.0, 2.0])).to_vec::<f64>()?, [2.0, 4.0]);
/// assert_eq!(axis_size("i"), None);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
pub fn axis_size(axis: &str) -> Option<usize> {
    find("axis_size", axis, Place::here()).ok().map(|named| named.size)
}

/// The dtype of positions.
pub(crate) const POSITION: DType = DType::I64;
