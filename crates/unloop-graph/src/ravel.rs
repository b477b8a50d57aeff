//! Trees as vectors and back, and many trees of one structure as one.

use std::borrow::Borrow;

use crate::error::{Error, ErrorKind, Place};
use crate::{Array, DType, Result, Shape, Tensor, TensorType, Tree};

/// All numbers of a tree as one vector, and the function that makes such a tree of such a vector: what
/// optimisers, solvers and samplers of other libraries want, which know vectors only. As `ravel_pytree`
/// of JAX.
///
/// Both are functions of tensors as any other, under every transform; under `vmap` they see one
/// example's tree. The function remembers the structure and the shapes, not the numbers. Of a tree
/// without tensors the vector is empty, of dtype f64.
///
/// ```
/// # use unloop_graph::{Tensor, ravel};
/// let model = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from(5.0));
/// let (vector, unravel) = ravel(&model);
/// assert_eq!(vector.to_vec::<f64>()?, [1.0, 2.0, 3.0, 4.0, 5.0]);
/// let (weights, bias) = unravel(&(vector * 2.0));
/// assert_eq!(weights.shape(), [2, 2]);
/// assert_eq!(bias.item::<f64>()?, 10.0);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
///
/// # Errors
/// Carried by the vector: `InvalidArgument` if tensors have different dtypes. Carried by what the
/// function returns: `InvalidArgument` if its vector is of another length or dtype.
#[track_caller]
pub fn ravel<T: Tree>(tree: &T) -> (Tensor, impl Fn(&Tensor) -> T + use<T>) {
    let place = Place::of("ravel");
    let leaves = tree.leaves();
    let vector = place.scope(|| match common_dtype(tree, &leaves) {
        _ if leaves.iter().any(|leaf| leaf.as_error().is_some()) => {
            let error = leaves.iter().find(|leaf| leaf.as_error().is_some());
            error.cloned().unwrap_or_else(|| unreachable!("one of them carries an error"))
        }
        Err(kind) => Tensor::error(Error::new("ravel", kind, place)),
        Ok(_) if leaves.is_empty() => Tensor::zeros(DType::F64, 0),
        Ok(_) => {
            let flat: Vec<Tensor> = leaves.iter().map(Tensor::flatten).collect();
            Tensor::concatenate(&flat.iter().collect::<Vec<_>>(), 0)
        }
    });
    // Zeros take no memory, and belong to no trace.
    let like = tree.map_leaves(|leaf| match leaf.as_error() {
        Some(_) => leaf.clone(),
        None => Tensor::zeros(leaf.dtype(), leaf.shape()),
    });
    let unravel = move |vector: &Tensor| {
        place.scope(|| {
            let error = misfit(&like, vector).map(|kind| Error::new("ravel", kind, place));
            let error = vector.as_error().cloned().or(error);
            let mut start = 0;
            like.map_leaves(|leaf| match &error {
                Some(error) => Tensor::error_like(error.clone(), leaf.ty()),
                None => {
                    let end = start + leaf.size();
                    let part = vector.slice_axis(0, start, end).reshape(leaf.shape());
                    start = end;
                    part
                }
            })
        })
    };
    (vector, unravel)
}

/// The dtype of all tensors of a tree, if there are any.
fn common_dtype<T: Tree>(tree: &T, leaves: &[Tensor]) -> Result<Option<DType>, ErrorKind> {
    let Some(first) = leaves.first() else { return Ok(None) };
    let Some(at) = leaves.iter().position(|leaf| leaf.dtype() != first.dtype()) else {
        return Ok(Some(first.dtype()));
    };
    let paths = tree.structure().paths();
    let name = |i: usize| paths.get(i).filter(|path| !path.is_empty()).map_or("it", |path| path);
    Err(ErrorKind::InvalidArgument(format!(
        "{} is {} and {} is {}, but a vector has one dtype: cast the tree before, with \
         .map_leaves(|x| x.cast(DType::F64)), or ravel the parts of each dtype",
        name(0),
        first.dtype(),
        name(at),
        leaves[at].dtype()
    )))
}

/// Why a vector is not that of a tree.
fn misfit<T: Tree>(like: &T, vector: &Tensor) -> Option<ErrorKind> {
    let leaves = like.leaves();
    let size: usize = leaves.iter().map(Tensor::size).sum();
    let dtype = leaves.first().map_or(DType::F64, Tensor::dtype);
    let wanted = TensorType::new(dtype, size);
    (vector.ty() != wanted).then(|| {
        ErrorKind::InvalidArgument(format!("a {} for a tree whose vector is {wanted}", vector.ty()))
    })
}

/// [`Tree::stack`].
#[track_caller]
pub(crate) fn stack<T: Tree>(trees: impl IntoIterator<Item: Borrow<T>>) -> Result<T> {
    let place = Place::of("stack");
    let mut trees = trees.into_iter();
    let Some(first) = trees.next() else {
        let kind = ErrorKind::InvalidArgument("no trees, whose structure is not known".into());
        return Err(Error::new("stack", kind, place));
    };
    let first: &T = first.borrow();
    let structure = first.structure();
    let mut columns: Vec<Vec<Tensor>> = first.leaves().into_iter().map(|leaf| vec![leaf]).collect();
    for tree in trees {
        let tree: &T = tree.borrow();
        let same = structure.require_same(&tree.structure());
        same.map_err(|kind| Error::new("stack", kind, place))?;
        let mut column = columns.iter_mut();
        tree.visit(&mut |leaf| column.next().into_iter().for_each(|c| c.push(leaf.clone())));
    }
    let stacked = |column: &Vec<Tensor>| {
        let stacked =
            numbers(column).unwrap_or_else(|| Tensor::stack(&column.iter().collect::<Vec<_>>(), 0));
        stacked.check().cloned()
    };
    let leaves: Vec<Tensor> = place.scope(|| columns.iter().map(stacked).collect::<Result<_>>())?;
    first.with_leaves(&leaves)
}

/// The vector of scalars of one dtype whose values are known: there may be many.
fn numbers(scalars: &[Tensor]) -> Option<Tensor> {
    let ty = scalars.first().filter(|x| x.rank() == 0)?.ty();
    let arrays = Tensor::arrays(scalars)?;
    if arrays.iter().any(|x| x.dtype() != ty.dtype || !x.shape().is_empty()) {
        return None;
    }
    let vector = TensorType::new(ty.dtype, Shape::from(arrays.len()));
    Some(Array::from_fn(&vector, |i| arrays[i[0]].get(&[])).into())
}

/// [`Tree::unstack`].
#[track_caller]
pub(crate) fn unstack<T: Tree>(tree: &T) -> Result<Vec<T>> {
    let place = Place::of("unstack");
    let fail = |kind: ErrorKind| Error::new("unstack", kind, place);
    tree.check()?;
    let (leaves, paths) = (tree.leaves(), tree.structure().paths());
    let sizes = leaves.iter().zip(&paths).map(|(leaf, path)| match leaf.shape() {
        [size, ..] => Ok((path.clone(), *size)),
        [] => Err(fail(ErrorKind::InvalidArgument(format!(
            "{path} is a scalar; every tensor of a stack has an axis of trees"
        )))),
    });
    let sizes: Vec<(String, usize)> = sizes.collect::<Result<_>>()?;
    let Some(&(_, size)) = sizes.first() else {
        let message = "a tree without tensors, which does not say how many there are";
        return Err(fail(ErrorKind::InvalidArgument(message.into())));
    };
    if sizes.iter().any(|(_, other)| *other != size) {
        return Err(fail(ErrorKind::BatchSizes { sizes }));
    }
    let columns: Vec<Vec<Tensor>> =
        place.scope(|| leaves.iter().map(|leaf| leaf.unstack(0)).collect());
    let row = |i: usize| {
        let row: Vec<Tensor> = columns.iter().map(|column| column[i].clone()).collect();
        tree.with_leaves(&row)
    };
    (0..size).map(row).collect()
}
