//! Determinants, and their derivatives.

use std::sync::Arc;

use crate::error::Place;
use crate::op::{Derivative, Switch};
use crate::{DType, ErrorKind, Op, Result, Tensor, Trace, TracedProgram};

impl Tensor {
    /// The diagonal of the trailing two axes.
    #[track_caller]
    fn main_diagonal(&self) -> Tensor {
        let n = self.shape()[self.rank() - 1];
        let mask = Tensor::eye(DType::Bool, n).broadcast_to(self.shape());
        mask.select(self, &self.zeros_like()).sum_axis(-1)
    }

    /// The sign of the permutation that LU made, and the diagonal of `u`.
    #[track_caller]
    fn lu_diagonal(&self) -> (Tensor, Tensor) {
        let (lu, pivots, _) = self.lu();
        if lu.as_error().is_some() {
            return (lu.clone(), lu);
        }
        let steps = Tensor::iota(DType::I32, pivots.shape(), pivots.rank() - 1);
        let swaps = pivots.not_equal(&steps).cast(DType::I32).sum_axis(-1);
        let sign = 1 - 2 * (swaps % 2);
        (sign.cast(self.dtype()), lu.main_diagonal())
    }

    /// Fails unless the trailing axes are a square matrix.
    fn require_square(&self, op: &'static str, place: Place) -> Option<Tensor> {
        match *self.shape() {
            [.., m, n] if m == n => self.as_error().map(|_| self.clone()),
            _ => {
                let shape = self.shape().into();
                let kind = ErrorKind::WrongRank { expected: "a square matrix", shape };
                Some(Tensor::fail(op, kind, place, self))
            }
        }
    }

    fn product_of_pivots(&self) -> Tensor {
        let (sign, diagonal) = self.lu_diagonal();
        sign * diagonal.prod_axis(-1)
    }
}

/// # Determinants
impl Tensor {
    /// The determinant of a square matrix `[n, n]`, a scalar, or of each of a stack. Its derivative
    /// exists for singular matrices, too; those of second and higher order are not finite for these, if
    /// there are more than three rows.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [0.0, 4.0]]);
    /// assert_eq!(a.det().item::<f64>()?, 4.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `WrongRank` unless the trailing axes are a square matrix; `UnsupportedDType` unless the
    /// dtype is f32 or f64.
    #[track_caller]
    pub fn det(&self) -> Tensor {
        let place = Place::of("det");
        if let Some(error) = self.require_square("det", place) {
            return error;
        }
        place.scope(|| {
            let [d] = Tensor::with_derivative(Determinant, &[self], |x| [x[0].product_of_pivots()]);
            d
        })
    }

    /// The sign of the determinant and the logarithm of its absolute value, which overflow less easily
    /// than the determinant; of a singular matrix 0 and -∞. Both are scalars, or have one element for
    /// each matrix of a stack.
    ///
    /// ```
    /// # use unloop_graph::Tensor;
    /// let (sign, log) = Tensor::from([[-1.0, 0.0], [0.0, 1.0]]).slogdet();
    /// assert_eq!(sign.item::<f64>()?, -1.0);
    /// assert_eq!(log.item::<f64>()?, 0.0);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by both: `WrongRank` unless the trailing axes are a square matrix; `UnsupportedDType`
    /// unless the dtype is f32 or f64.
    #[track_caller]
    pub fn slogdet(&self) -> (Tensor, Tensor) {
        let place = Place::of("slogdet");
        if let Some(error) = self.require_square("slogdet", place) {
            return (error.clone(), error);
        }
        place.scope(|| {
            let (sign, diagonal) = self.lu_diagonal();
            let sign = sign * diagonal.sign().prod_axis(-1).stop_gradient();
            (sign, diagonal.abs().log().sum_axis(-1))
        })
    }
}

#[derive(Debug)]
struct Determinant;

impl Derivative for Determinant {
    fn key(&self) -> String {
        "det".into()
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Vec<Tensor> {
        let (&[a], &[Some(da)]) = (x, t) else { unreachable!("a determinant of one matrix") };
        vec![inner_product(&cofactors(a), da)]
    }
}

/// The sum of the products of the elements of matrices.
fn inner_product(a: &Tensor, b: &Tensor) -> Tensor {
    (a * b).sum_axis(-1).sum_axis(-1)
}

/// A number a matrix, at each of its elements.
fn at_each_element(x: &Tensor, a: &Tensor) -> Tensor {
    x.broadcast_in_dim(a.shape(), (0..a.rank() - 2).collect())
}

/// The derivative of the determinant in each element.
fn cofactors(a: &Tensor) -> Tensor {
    let turned = |i: i64, j: i64| a.roll(-i, -2).roll(-j, -1);
    match a.shape()[a.rank() - 1] {
        0 => a.clone(),
        1 => a.ones_like(),
        2 => {
            let signs = Tensor::from([[1.0, -1.0], [-1.0, 1.0]]).cast(a.dtype());
            a.flip(&[-2, -1]) * signs.broadcast_to(a.shape())
        }
        3 => turned(1, 1) * turned(2, 2) - turned(1, 2) * turned(2, 1),
        _ => {
            let [c] = Tensor::with_derivative(Cofactors, &[a], |x| {
                let is_singular = x[0].product_of_pivots().equal(&Tensor::zeros(x[0].dtype(), ()));
                let any = is_singular.any().cast(DType::I32);
                [chosen(&any, &x[0], [of_regular, of_singular]).unwrap_or_else(Tensor::error)]
            });
            c
        }
    }
}

/// The result of one of two functions.
fn chosen(number: &Tensor, x: &Tensor, branches: [fn(&Tensor) -> Tensor; 2]) -> Result<Tensor> {
    let trace = |f: fn(&Tensor) -> Tensor| {
        let (trace, params) = Trace::new([x.ty()]);
        trace.finish(&[f(&params[0])])
    };
    let traced: Vec<TracedProgram> = branches.into_iter().map(trace).collect::<Result<_>>()?;
    let captured: Vec<Tensor> =
        traced.iter().flat_map(|t| t.captures.iter().map(|c| c.tensor.clone())).collect();
    let operands: Vec<&Tensor> = std::iter::once(x).chain(&captured).collect();
    let mut start = 1;
    let widened = traced.iter().map(|t| {
        let own = start..start + t.captures.len();
        start = own.end;
        let types = operands.iter().map(|x| x.ty()).collect();
        Arc::new(t.graph.with_inputs(types, &std::iter::once(0).chain(own).collect::<Vec<_>>()))
    });
    let op = Op::Switch(Switch { branches: widened.collect() });
    let operands: Vec<&Tensor> = std::iter::once(number).chain(operands).collect();
    Ok(Tensor::apply1(op, &operands))
}

/// `det(a)·a⁻ᵀ`; NaN of a singular matrix.
fn of_regular(a: &Tensor) -> Tensor {
    // A stack, so that a singular matrix is no error.
    let stack = a.expand_dims(0);
    let n = a.shape()[a.rank() - 1];
    let identity = Tensor::eye(a.dtype(), n).broadcast_to(stack.shape());
    let inverse = Tensor::apply1(Op::Solve { transpose: true }, &[&stack, &identity]).squeeze(0);
    at_each_element(&a.product_of_pivots(), a) * inverse
}

/// With `a = u·diag(s)·vᵀ`: `±u·diag(p)·vᵀ`, where each `p` is the product of all `s` but one, for
/// matrices of any rank (Stewart, *On the adjugate matrix*, 1998).
fn of_singular(a: &Tensor) -> Tensor {
    let (u, s, vt) = a.svd();
    let rank = a.rank();
    let n = a.shape()[rank - 1];
    let columns =
        |x: &Tensor| x.broadcast_in_dim(a.shape(), (0..rank - 2).chain([rank - 1]).collect());
    let own = Tensor::eye(DType::Bool, n).broadcast_to(a.shape());
    let others = own.select(&a.ones_like(), &columns(&s)).prod_axis(-1);
    let sign = u.product_of_pivots() * vt.product_of_pivots();
    let all = (u * columns(&others)).matmul(&vt) * at_each_element(&sign, a);
    let determinant = at_each_element(&a.product_of_pivots(), a);
    determinant.equal(&a.zeros_like()).select(&all, &of_regular(a))
}

#[derive(Debug)]
struct Cofactors;

impl Derivative for Cofactors {
    fn key(&self) -> String {
        "cofactors".into()
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Vec<Tensor> {
        let (&[a], &[Some(da)]) = (x, t) else { unreachable!("cofactors of one matrix") };
        let c = cofactors(a);
        let along = at_each_element(&inner_product(&c, da), a) * &c;
        let across = c.matmul(&da.mt()).matmul(&c);
        vec![(along - across) / at_each_element(&a.det(), a)]
    }
}
