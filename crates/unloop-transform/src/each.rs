//! `each`: loops as notation. The body is traced once, with indices that range over the axes they
//! index; then all iterations run at once.

use std::ops::{Add, Div, Mul, Rem, Sub};

use unloop_graph::stack::deeper;
use unloop_graph::{
    AtIndex, DType, DimensionIndex, ErrorKind, Given, Index, IndexArg, LoopIndices, Operand, Place,
    Result, Tensor, Trace, Tree,
};

use crate::interpret::{error, execute};
use crate::rules::Batched;
use crate::vmap::batch_graph;

/// Runs a loop body for all values of its indices and stacks the results: axis `j` of the result
/// runs with index `j`. An index ranges over the axes that it indexes with [`Tensor::at`]; all of
/// them must have one size. A body that gives `[…]` makes a result `[n₀, n₁, …]` with the sizes of the
/// indices in front; bodies may also give trees.
///
/// # Errors
/// Carried by the result: `UnsizedIndex` for an index that indexes nothing (say its size with
/// [`each_to`]); `BatchSizes` for one that indexes axes of different sizes.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::each;
/// let x = Tensor::from([1.0, 2.0]);
/// let y = Tensor::from([10.0, 20.0, 30.0]);
/// let table = each(|[i, j]| x.at(i) * y.at(j));
/// assert_eq!(table.to_vec::<f64>()?, [10.0, 20.0, 30.0, 20.0, 40.0, 60.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn each<const N: usize, R: Tree>(body: impl Fn([EachIndex; N]) -> R) -> R {
    run([None; N], body, Place::of("each"))
}

/// [`each`] with the size of every index given: axis `j` of the result has `sizes[j]` entries.
///
/// # Errors
/// Carried by the result: `BatchSizes` for an index of an axis that has another size.
///
/// ```
/// # use unloop_transform::each_to;
/// let hilbert = each_to([2, 2], |[i, j]| 1.0 / (i.value() + j.value() + 1.0));
/// assert_eq!(hilbert.to_vec::<f64>()?, [1.0, 1.0 / 2.0, 1.0 / 2.0, 1.0 / 3.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn each_to<const N: usize, R: Tree>(
    sizes: [usize; N],
    body: impl Fn([EachIndex; N]) -> R,
) -> R {
    run(sizes.map(Some), body, Place::of("each_to"))
}

/// An index of [`each`]: give it to [`Tensor::at`], or compute with its [`value`](Self::value). It is
/// valid inside the body; used outside it is an error, `EscapedTracer`.
#[derive(Clone, Copy, Debug)]
pub struct EachIndex(Index);

impl EachIndex {
    /// The number of the iteration, from 0, to compute with. By itself it gives the index no size.
    ///
    /// # Errors
    /// Carried by what is computed: `EscapedTracer` outside of the body.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// # use unloop_transform::each_to;
    /// let x = Tensor::from([1.0, 4.0, 9.0]);
    /// let slopes = each_to([2], |[i]| x.at(i.value() + 1) - x.at(i.value()));
    /// assert_eq!(slopes.to_vec::<f64>()?, [3.0, 5.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn value(self) -> IndexValue {
        IndexValue(self.0.number())
    }
}

impl From<EachIndex> for IndexArg {
    fn from(index: EachIndex) -> IndexArg {
        index.0.into()
    }
}

/// A number computed from indices of [`each`]. With other index values and integers it stays an
/// index, which [`Tensor::at`] takes; with a float literal it becomes an f64 tensor, and with a
/// tensor it takes the tensor's dtype. Division of integers truncates towards zero.
#[derive(Clone, Debug)]
pub struct IndexValue(Tensor);

impl IndexValue {
    /// The number as an i64 scalar tensor; `.cast` gives another dtype.
    ///
    /// ```
    /// # use unloop_transform::each_to;
    /// let squares = each_to([3], |[i]| i.value().tensor().square());
    /// assert_eq!(squares.to_vec::<i64>()?, [0, 1, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    pub fn tensor(&self) -> Tensor {
        self.0.clone()
    }
}

impl From<IndexValue> for Tensor {
    fn from(value: IndexValue) -> Tensor {
        value.0
    }
}

impl From<IndexValue> for IndexArg {
    fn from(value: IndexValue) -> IndexArg {
        value.0.into()
    }
}

impl Operand for IndexValue {
    fn given(&self) -> Given<'_> {
        Given::Index(&self.0)
    }
}

macro_rules! at_index {
    ($($t:ty)+) => {$(
        impl DimensionIndex for $t {}
        impl AtIndex for $t {
            fn into_args(self) -> smallvec::SmallVec<[IndexArg; 4]> {
                [self.into()].into_iter().collect()
            }
        }
    )+};
}
at_index!(EachIndex IndexValue);

macro_rules! index_arithmetic {
    ($($trait:ident $method:ident;)+) => {$(
        impl $trait for IndexValue {
            type Output = IndexValue;
            #[track_caller]
            fn $method(self, other: IndexValue) -> IndexValue {
                IndexValue(self.0.$method(other.0))
            }
        }
        impl $trait<i32> for IndexValue {
            type Output = IndexValue;
            #[track_caller]
            fn $method(self, other: i32) -> IndexValue {
                IndexValue(self.0.$method(other))
            }
        }
        impl $trait<IndexValue> for i32 {
            type Output = IndexValue;
            #[track_caller]
            fn $method(self, other: IndexValue) -> IndexValue {
                IndexValue(self.$method(other.0))
            }
        }
        impl $trait<f64> for IndexValue {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: f64) -> Tensor {
                self.0.cast(DType::F64).$method(other)
            }
        }
        impl $trait<IndexValue> for f64 {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: IndexValue) -> Tensor {
                self.$method(other.0.cast(DType::F64))
            }
        }
        impl $trait<&Tensor> for IndexValue {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                self.0.cast(other.dtype()).$method(other)
            }
        }
        impl $trait<Tensor> for IndexValue {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                self.$method(&other)
            }
        }
    )+};
}
index_arithmetic! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
    Rem rem;
}

fn run<const N: usize, R: Tree>(
    sizes: [Option<usize>; N],
    body: impl Fn([EachIndex; N]) -> R,
    place: Place,
) -> R {
    let (trace, _) = Trace::new([]);
    let indices = LoopIndices::new(&trace, &sizes);
    let result = deeper(|| body(std::array::from_fn(|i| EachIndex(indices.indices()[i]))));
    match unroll(trace, &indices, &result, place) {
        Ok(outputs) => {
            let mut outputs = outputs.into_iter();
            result.rebuild(&mut |old| outputs.next().unwrap_or_else(|| old.clone()))
        }
        Err(e) => {
            let e = e.or_at(place);
            result.rebuild(&mut |leaf| Tensor::error_like(e.clone(), leaf.ty()))
        }
    }
}

/// All iterations of a traced body at once: batched over one index after the other, from the last.
fn unroll<R: Tree>(
    trace: Trace,
    indices: &LoopIndices,
    result: &R,
    place: Place,
) -> Result<Vec<Tensor>> {
    let program = trace.finish(&result.leaves())?;
    let sizes = indices.sizes().into_iter().enumerate().map(|(position, size)| {
        size.ok_or_else(|| error("each", ErrorKind::UnsizedIndex { position }, place))
    });
    let sizes: Vec<usize> = sizes.collect::<Result<_>>()?;
    // Mapped axes go to the front, in the order of the indices.
    let fronted = program.captures.iter().map(|capture| {
        let mut mapped = capture.mapped.clone();
        mapped.sort_by_key(|&(_, position)| position);
        let front = mapped.iter().map(|&(axis, _)| axis as isize);
        let is_mapped = |axis: &usize| mapped.iter().any(|(a, _)| a == axis);
        let rest = (0..capture.tensor.rank()).filter(|a| !is_mapped(a)).map(|a| a as isize);
        capture.tensor.permute(&front.chain(rest).collect::<Vec<_>>())
    });
    let mapped: Vec<Vec<usize>> =
        program.captures.iter().map(|c| c.mapped.iter().map(|&(_, p)| p).collect()).collect();
    execute(&fronted.collect::<Vec<_>>(), |captures| {
        place.scope(|| {
            let numbers = sizes.iter().map(|&n| Tensor::iota(DType::I64, n, 0));
            let inputs: Vec<Tensor> = numbers.chain(captures.iter().cloned()).collect();
            level(&program.graph, &inputs, &mapped, &sizes)
        })
    })
}

/// Runs the loops of `sizes`, the outermost first. Inputs are the numbers of all iterations of each
/// index, then the captures with their mapped axes in front.
fn level(
    body: &unloop_graph::Graph,
    inputs: &[Tensor],
    mapped: &[Vec<usize>],
    sizes: &[usize],
) -> Result<Vec<Tensor>> {
    // From the innermost out: each round batches the program of the round before over one index.
    let mut graph = std::borrow::Cow::Borrowed(body);
    let mut constants: Vec<Tensor> = Vec::new();
    for (position, &size) in sizes.iter().enumerate().rev() {
        let runs = |i: usize| match i.checked_sub(sizes.len()) {
            None => i == position,
            Some(capture) => mapped.get(capture).is_some_and(|p| p.contains(&position)),
        };
        let types = graph.inputs().iter().enumerate().map(|(i, ty)| match runs(i) {
            true => unloop_graph::TensorType::new(ty.dtype, ty.shape.with(0, size)),
            false => ty.clone(),
        });
        let (trace, params) = Trace::new(types.collect::<Vec<_>>());
        let batched = params.iter().enumerate().map(|(i, x)| match runs(i) {
            true => Batched::Each(x.clone()),
            false => Batched::Same(x.clone()),
        });
        let outputs = batch_graph(&graph, batched.collect(), size);
        let outputs: Vec<Tensor> = outputs.into_iter().map(|x| x.each(size)).collect();
        let program = trace.finish(&outputs)?;
        constants.extend(program.captures.into_iter().map(|c| c.tensor));
        graph = std::borrow::Cow::Owned(program.graph);
    }
    let inputs: Vec<Tensor> = inputs.iter().cloned().chain(constants).collect();
    Ok(crate::interpret::eval(&graph, &inputs))
}
