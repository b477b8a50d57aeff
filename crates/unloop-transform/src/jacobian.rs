//! `jacfwd`, `jacrev`, `hessian` and `hvp`: whole matrices of derivatives, one pass for every element,
//! all passes at once or in chunks.

use unloop_graph::{DType, ErrorKind, Place, Result, Shape, Tensor, TensorType, Tree};

use crate::control::scan;
use crate::function::{Shared, callable};
use crate::gradient::grad;
use crate::interpret::{Call, error, execute, failed};
use crate::linear::linearize;
use crate::{Arguments, Function, Signature};

callable! {
    /// The Jacobian of a function; made by [`jacfwd`], [`jacrev`] and [`hessian`].
    Jacobian with how: JacobianOf<'f, Args>
}

callable! {
    /// The Jacobians of a function whose result is a tree; made by [`jacfwd_tree`] and
    /// [`jacrev_tree`].
    JacobianTree
}

#[derive(Clone, Copy)]
enum Mode {
    Forward,
    Reverse,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Forward => "jacfwd",
            Mode::Reverse => "jacrev",
        }
    }
}

/// The Jacobian of a tensor function in its first argument. It has the type of that argument; the
/// shape of each tensor is the result's followed by the argument's. Forward mode: one pass an element
/// of the argument, all at once; prefer it when the argument is smaller than the result.
///
/// # Errors
/// Carried by the result: `NotDifferentiable` if a tensor of the argument, or the result, is not a
/// float; `Unsupported` for functions without a forward derivative ([`custom_vjp`](crate::custom_vjp)).
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::jacfwd;
/// let j = jacfwd(|x: &Tensor| x.square())(&Tensor::from([1.0, 2.0]));
/// assert_eq!(j.to_vec::<f64>()?, [2.0, 0.0, 0.0, 4.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn jacfwd<'f, Args, F>(f: F) -> Jacobian<'f, Args, Args::First>
where
    Args: Arguments + 'f,
    F: Function<Args, Output = Tensor> + 'f,
{
    jacobian(JacobianOf::new("jacfwd", f, Mode::Forward, Place::of_maker("jacfwd")))
}

/// The same as [`jacfwd`] by reverse mode: one pass an element of the result, all at once; prefer it
/// when the result is smaller than the argument.
///
/// # Errors
/// Carried by the result: `NotDifferentiable` if a tensor of the argument, or the result, is not a
/// float; `Unsupported` for functions without a gradient ([`while_loop`](crate::while_loop)).
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::jacrev;
/// let a = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// let j = jacrev(|x: &Tensor| a.matmul(x))(&Tensor::from([0.0, 0.0, 0.0]));
/// assert_eq!(j.shape(), [2, 3]);
/// assert_eq!(j.to_vec::<f64>()?, a.to_vec::<f64>()?);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn jacrev<'f, Args, F>(f: F) -> Jacobian<'f, Args, Args::First>
where
    Args: Arguments + 'f,
    F: Function<Args, Output = Tensor> + 'f,
{
    jacobian(JacobianOf::new("jacrev", f, Mode::Reverse, Place::of_maker("jacrev")))
}

/// [`jacfwd`] of a function whose result is a tree: one Jacobian for each tensor of the result, in
/// order, each of the type of the first argument.
///
/// # Errors
/// Carried by the results: those of [`jacfwd`].
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::jacfwd_tree;
/// let polar = |x: &Tensor, y: &Tensor| (x * x + y * y, y / x);
/// let [square, slope] = &jacfwd_tree(polar)(&Tensor::from(1.0), &Tensor::from(2.0))[..] else {
///     unreachable!()
/// };
/// assert_eq!((square.item::<f64>()?, slope.item::<f64>()?), (2.0, -2.0));
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn jacfwd_tree<'f, Args, F>(f: F) -> JacobianTree<'f, Args, Vec<Args::First>>
where
    Args: Arguments + 'f,
    F: Function<Args> + 'f,
    F::Output: Tree + 'f,
{
    JacobianTree::from_function(TreeOf {
        f,
        mode: Mode::Forward,
        place: Place::of_maker("jacfwd_tree"),
    })
}

/// [`jacrev`] of a function whose result is a tree: one Jacobian for each tensor of the result, in
/// order, each of the type of the first argument.
///
/// # Errors
/// Carried by the results: those of [`jacrev`].
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::jacrev_tree;
/// let both = |x: &Tensor| (x.sum(), x * 2.0);
/// let [sum, double] = &jacrev_tree(both)(&Tensor::from([1.0, 1.0]))[..] else { unreachable!() };
/// assert_eq!(sum.to_vec::<f64>()?, [1.0, 1.0]);
/// assert_eq!(double.to_vec::<f64>()?, [2.0, 0.0, 0.0, 2.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn jacrev_tree<'f, Args, F>(f: F) -> JacobianTree<'f, Args, Vec<Args::First>>
where
    Args: Arguments + 'f,
    F: Function<Args> + 'f,
    F::Output: Tree + 'f,
{
    JacobianTree::from_function(TreeOf {
        f,
        mode: Mode::Reverse,
        place: Place::of_maker("jacrev_tree"),
    })
}

/// The second derivatives of a scalar function in its first argument, a tensor: its shape is the
/// argument's, twice. Forward over reverse mode. [`hessian_tree`] takes trees.
///
/// # Errors
/// Carried by the result: `NonScalar` if the function does not return a scalar; `NotDifferentiable` if
/// that, or the argument, is not a float; `Unsupported` for functions with a reverse rule only.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::hessian;
/// let h = hessian(|x: &Tensor| x.prod())(&Tensor::from([2.0, 5.0]));
/// assert_eq!(h.to_vec::<f64>()?, [0.0, 1.0, 1.0, 0.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn hessian<'f, Args, F>(f: F) -> Jacobian<'f, Args, Tensor>
where
    Args: Arguments<First = Tensor> + 'f,
    F: Function<Args, Output = Tensor> + 'f,
{
    let place = Place::of_maker("hessian");
    jacobian(JacobianOf::new("hessian", place.scope(|| grad(f)), Mode::Forward, place))
}

/// [`hessian`] in a first argument that is a tree: for each of its tensors, in order, the second
/// derivatives of that tensor's elements and of all, as a tree of the argument's type. Tensor `j` of
/// element `i` has the shape of tensor `i` followed by that of tensor `j`. One matrix for all numbers
/// of the tree is the [`hessian`] of a function of its vector; see [`ravel`](unloop_graph::ravel).
///
/// # Errors
/// Carried by the results: those of [`hessian`].
///
/// ```
/// # use unloop_graph::{Tensor, ravel};
/// # use unloop_transform::{hessian, hessian_tree};
/// let f = |(x, y): &(Tensor, Tensor)| (x * x * y).sum();
/// let at = (Tensor::from([1.0, 2.0]), Tensor::from(3.0));
/// // Of x and x, x and y; of y and x, y and y.
/// let [(xx, xy), (yx, yy)] = &hessian_tree(f)(&at)[..] else { unreachable!() };
/// assert_eq!((xx.shape(), xy.shape()), (&[2, 2][..], &[2][..]));
/// assert_eq!((yx.to_vec::<f64>()?, yy.item::<f64>()?), (vec![2.0, 4.0], 0.0));
///
/// let (vector, unravel) = ravel(&at);
/// let matrix = hessian(|v: &Tensor| f(&unravel(v)))(&vector);
/// assert_eq!(matrix.shape(), [3, 3]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn hessian_tree<'f, Args, F>(f: F) -> JacobianTree<'f, Args, Vec<Args::First>>
where
    Args: Arguments + 'f,
    F: Function<Args, Output = Tensor> + 'f,
{
    Place::of_maker("hessian_tree").scope(|| jacfwd_tree(grad(f)))
}

/// The Hessian of a scalar function times a direction, without the Hessian: `hvp(f)(&x, &v)` is
/// `f''(x)·v`, of the type of `x`. Costs a few evaluations of `f`.
///
/// # Errors
/// Carried by the result: those of [`hessian`]; `TreeMismatch` for a direction whose structure is not that
/// of `x`, `InvalidArgument` for other shapes or dtypes.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::hvp;
/// let along = hvp(|x: &Tensor| x.prod());
/// let y = along(&Tensor::from([2.0, 5.0]), &Tensor::from([1.0, 0.0]));
/// assert_eq!(y.to_vec::<f64>()?, [0.0, 1.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn hvp<'f, X>(
    f: impl Fn(&X) -> Tensor + Send + Sync + 'f,
) -> impl Fn(&X, &X) -> X + Send + Sync + 'f
where
    X: Tree + Send + Sync + 'f,
{
    let push = Place::of_maker("hvp").scope(|| crate::jvp(grad(f)));
    move |x: &X, v: &X| push(x, v).1
}

/// What a Jacobian is made of.
struct JacobianOf<'f, Args: Signature> {
    /// The function that made it.
    name: &'static str,
    f: Shared<'f, Args, Tensor>,
    mode: Mode,
    /// Passes at once.
    chunk: Option<usize>,
    place: Place,
}

impl<'f, Args: Arguments + 'f> JacobianOf<'f, Args> {
    fn new(
        name: &'static str,
        f: impl Function<Args, Output = Tensor> + 'f,
        mode: Mode,
        place: Place,
    ) -> Self {
        JacobianOf { name, f: Shared::new(f), mode, chunk: None, place }
    }
}

impl<Args: Signature> Clone for JacobianOf<'_, Args> {
    fn clone(&self) -> Self {
        JacobianOf { f: self.f.clone(), ..*self }
    }
}

fn jacobian<'f, Args: Arguments + 'f>(
    how: JacobianOf<'f, Args>,
) -> Jacobian<'f, Args, Args::First> {
    Jacobian::from_function(how.clone(), how)
}

impl<'f, Args: Arguments + 'f> Jacobian<'f, Args, Args::First> {
    /// Runs at most `size` passes at once, to bound memory. The result is the same.
    ///
    /// # Errors
    /// Carried by the result: `InvalidArgument` for a size of 0.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// # use unloop_transform::jacrev;
    /// let x = Tensor::arange(0.0, 5.0, 1.0);
    /// let j = jacrev(|x: &Tensor| x.square()).chunks(2)(&x);
    /// assert_eq!(j.to_vec::<f64>()?[24], 8.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn chunks(self, size: usize) -> Jacobian<'f, Args, Args::First> {
        let place = Place::of_maker(self.how.name);
        jacobian(JacobianOf { chunk: Some(size), place, ..self.how })
    }
}

impl<Args: Arguments> Function<Args> for JacobianOf<'_, Args> {
    type Output = Args::First;

    fn call(&self, args: Args::Refs<'_>) -> Args::First {
        let like = Args::first(args);
        jacobians::<Args, Tensor>(&self.f, args, self.mode, self.chunk, self.place)
            .and_then(|mut all| like.with_leaves(&all.swap_remove(0)))
            .unwrap_or_else(|e| {
                let e = e.or_at(self.place);
                like.map_leaves(|x| Tensor::error_like(e.clone(), x.ty()))
            })
    }
}

struct TreeOf<F> {
    f: F,
    mode: Mode,
    place: Place,
}

impl<Args: Arguments, F: Function<Args>> Function<Args> for TreeOf<F>
where
    F::Output: Tree,
{
    type Output = Vec<Args::First>;

    fn call(&self, args: Args::Refs<'_>) -> Vec<Args::First> {
        let like = Args::first(args);
        jacobians::<Args, F::Output>(&self.f, args, self.mode, None, self.place)
            .and_then(|all| all.iter().map(|leaves| like.with_leaves(leaves)).collect())
            .unwrap_or_else(|e| {
                let e = e.or_at(self.place);
                let count = failed::<Args, _>(&self.f, args, e.clone()).leaves().len();
                let carry = |x: &Tensor| Tensor::error_like(e.clone(), x.ty());
                (0..count).map(|_| like.map_leaves(carry)).collect()
            })
    }
}

/// For each tensor of the result its Jacobian in each tensor of the first argument.
fn jacobians<Args: Arguments, R: Tree>(
    f: &dyn Function<Args, Output = R>,
    args: Args::Refs<'_>,
    mode: Mode,
    chunk: Option<usize>,
    place: Place,
) -> Result<Vec<Vec<Tensor>>> {
    let fail = |kind| error(mode.name(), kind, place);
    let leaves = Args::leaves(args);
    let types: Vec<TensorType> =
        leaves.iter().map(|leaf| leaf.check().map(|x| x.ty())).collect::<Result<_>>()?;
    let inputs = types[..Args::first(args).structure().leaf_count()].to_vec();
    let call = Call::trace::<Args>(f, args, types)?;
    let results: Vec<TensorType> = call.result.leaves().iter().map(Tensor::ty).collect();
    for (what, types) in [("argument 0", &inputs), ("the result", &results)] {
        if let Some(ty) = types.iter().find(|ty| !ty.dtype.is_float()) {
            return Err(fail(ErrorKind::NotDifferentiable { what: what.into(), dtype: ty.dtype }));
        }
    }
    if chunk == Some(0) {
        return Err(fail(ErrorKind::InvalidArgument("chunks of 0 passes; take at least 1".into())));
    }
    let flat = execute(&call.inputs(&leaves), |point| {
        place.scope(|| {
            let graph = &call.program.graph;
            let mut blocks = vec![vec![None; inputs.len()]; results.len()];
            match mode {
                Mode::Forward => {
                    for (j, x) in inputs.iter().enumerate() {
                        let active: Vec<bool> = (0..point.len()).map(|i| i == j).collect();
                        let (_, linear) = linearize(graph, point, &active)?;
                        let columns = by_basis(x, chunk, |basis, n| {
                            let tangents = linear.forward_each(std::slice::from_ref(basis), n);
                            let zeros = |y: &TensorType| Tensor::zeros(y.dtype, y.shape.with(0, n));
                            let tangents = tangents.into_iter().zip(&results);
                            Ok(tangents.map(|(t, y)| t.unwrap_or_else(|| zeros(y))).collect())
                        })?;
                        for ((row, columns), y) in blocks.iter_mut().zip(columns).zip(&results) {
                            // The elements of the argument came along axis 0.
                            let (n, m) = (x.shape.size(), y.shape.size());
                            let shape = y.shape.concat(&x.shape);
                            row[j] = Some(columns.reshape([n, m]).t().reshape(shape));
                        }
                    }
                }
                Mode::Reverse => {
                    let active: Vec<bool> = (0..point.len()).map(|i| i < inputs.len()).collect();
                    let (_, linear) = linearize(graph, point, &active)?;
                    for (k, y) in results.iter().enumerate() {
                        let rows = by_basis(y, chunk, |basis, n| {
                            let zeros = |y: &TensorType| Tensor::zeros(y.dtype, y.shape.with(0, n));
                            let mut cotangents: Vec<Tensor> = results.iter().map(zeros).collect();
                            cotangents[k] = basis.clone();
                            linear.backward_each(&cotangents, n)
                        })?;
                        for ((block, rows), x) in blocks[k].iter_mut().zip(rows).zip(&inputs) {
                            *block = Some(rows.reshape(y.shape.concat(&x.shape)));
                        }
                    }
                }
            }
            Ok(blocks.into_iter().flatten().flatten().collect())
        })
    })?;
    Ok(flat.chunks(inputs.len().max(1)).map(<[Tensor]>::to_vec).collect())
}

/// Applies `f` to the unit tensors of a type, stacked along axis 0: all at once, or some at a time in
/// a loop.
fn by_basis(
    ty: &TensorType,
    chunk: Option<usize>,
    f: impl Fn(&Tensor, usize) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let n = ty.shape.size();
    let Some(chunk) = chunk.filter(|&chunk| chunk < n) else {
        return f(&Tensor::eye(ty.dtype, n).reshape(ty.shape.with(0, n)), n);
    };
    let starts = Tensor::arange(0i64, n as i64, chunk as i64);
    let body = |_: &(), start: &Tensor| {
        let row = Tensor::iota(DType::I64, (chunk, n), 0) + start;
        let column = Tensor::iota(DType::I64, (chunk, n), 1);
        let units = row.equal(&column).cast(ty.dtype).reshape(ty.shape.with(0, chunk));
        ((), f(&units, chunk).unwrap_or_else(|e| vec![Tensor::error(e)]))
    };
    let (_, stacks) = scan(body, &(), &starts);
    // Chunks one after the other; the last may reach beyond the end.
    let joined = |x: Tensor| {
        x.check()?;
        let rest = Shape::from(&x.shape()[2..]);
        let all = x.shape()[0] * x.shape()[1];
        Ok(x.reshape(rest.with(0, all)).slice_axis(0, 0, n))
    };
    stacks.into_iter().map(joined).collect()
}
