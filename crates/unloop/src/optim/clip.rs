//! The size of gradients.

use unloop_graph::{DType, Tensor, Tree, operation};

use super::{like, number};

/// The Euclidean norm of all numbers of a tree together, in the dtype of its tensors, or f64 where they
/// differ; of none, 0. A scalar.
///
/// # Errors
/// Carried by the result: the errors of the tree's tensors; `UnsupportedDType` for tensors that are no
/// floats.
///
/// ```
/// use unloop::{Tensor, optim};
/// let tree = (Tensor::from([2.0, 4.0]), Tensor::from(-4.0));
/// assert_eq!(optim::global_norm(&tree).item::<f64>()?, 6.0);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn global_norm<P: Tree>(tree: &P) -> Tensor {
    operation("global_norm", || {
        let leaves = tree.leaves();
        let first = leaves.first().map_or(DType::F64, Tensor::dtype);
        let is_common = leaves.iter().all(|leaf| leaf.dtype() == first);
        let dtype = if is_common { first } else { DType::F64 };
        let squares = leaves.iter().map(|leaf| leaf.square().sum().cast(dtype));
        squares.reduce(|a, b| a + b).unwrap_or_else(|| 0.0.into()).sqrt()
    })
}

/// The tree itself, or, if its [`global_norm`] is larger than `largest`, shortened to that: Pascanu et
/// al., 2013, <https://arxiv.org/abs/1211.5063>. Structure, shapes and dtypes stay.
///
/// # Errors
/// Carried by the result: those of [`global_norm`].
///
/// ```
/// use unloop::{Tensor, optim};
/// let gradient = (Tensor::from([2.0, 4.0]), Tensor::from(-4.0));
/// let (x, y) = optim::clip_by_global_norm(&gradient, 3.0);
/// assert_eq!((x.to_vec::<f64>()?, y.item::<f64>()?), (vec![1.0, 2.0], -2.0));
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn clip_by_global_norm<P: Tree>(tree: &P, largest: impl Into<Tensor>) -> P {
    operation("clip_by_global_norm", || {
        let norm = global_norm(tree);
        let largest = like(&number(largest), &norm);
        let factor = &largest / norm.maximum(&largest);
        tree.map_leaves(|leaf| leaf * like(&factor, leaf))
    })
}
