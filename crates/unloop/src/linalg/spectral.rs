//! Functions of matrices that are computed by eigenvalues or singular values, and that have
//! derivatives where these are repeated, too. Vectors of repeated values have no derivatives, so each
//! function has a rule of its own, in terms of the function itself: all orders follow.

use std::sync::Arc;

use unloop_graph::op::Derivative;
use unloop_graph::{Graph, Place, Result, Tensor, TensorType, Trace, TracedProgram, operation};
use unloop_transform::{eval, jvp, vmap};

use super::{epsilon, extents, square};

/// A square matrix times an orthogonal one from both sides: `vᵀ·a·v`.
fn rotated(a: &Tensor, v: &Tensor) -> Tensor {
    v.t().matmul(a).matmul(v)
}

/// The symmetric matrix of a lower triangle.
fn from_lower(a: &Tensor) -> Tensor {
    a.tril(0) + a.tril(-1).t()
}

/// The Moore–Penrose inverse `[n, m]` of a matrix `[m, n]` in f32 or f64, where singular values below
/// `10·max(m, n)·ε` times the largest count as 0. Its derivatives assume that the rank does not change
/// (Golub and Pereyra, 1973); they exist for repeated singular values, too.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no matrix; `UnsupportedDType` for a dtype that is
/// no float.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]);
/// let p = linalg::pinv(&a);
/// assert_eq!(p.shape(), [2, 3]);
/// assert!((p.matmul(&a) - Tensor::eye(unloop::DType::F64, 2)).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn pinv(a: &Tensor) -> Tensor {
    operation("pinv", || match extents("pinv", a) {
        Err(error) => error,
        Ok((m, n)) if m.min(n) == 0 => Tensor::zeros(a.dtype(), [n, m]),
        Ok((m, n)) => {
            let [p] = Tensor::with_derivative(Pinv, &[a], |x| {
                let tolerance = 10.0 * m.max(n) as f64 * epsilon(a.dtype());
                let (u, s, vt) = x[0].svd();
                let is_large = s.greater(&(s.max() * tolerance));
                let safe = is_large.select(&s, &s.ones_like());
                let inverse = is_large.select(&safe.recip(), &s.zeros_like());
                [(vt.t() * inverse.broadcast()).matmul(&u.t())]
            });
            p
        }
    })
}

#[derive(Debug)]
struct Pinv;

impl Derivative for Pinv {
    fn key(&self) -> String {
        "pinv".into()
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Vec<Tensor> {
        let (&[a], &[Some(da)]) = (x, t) else { unreachable!("a pseudo-inverse of one matrix") };
        let p = pinv(a);
        let eye = |n| Tensor::eye(a.dtype(), n);
        let (m, n) = (a.shape()[0], a.shape()[1]);
        let (pt, dt) = (p.t(), da.t());
        let first = -p.matmul(da).matmul(&p);
        let second = p.matmul(&pt).matmul(&dt).matmul(&(eye(m) - a.matmul(&p)));
        let third = (eye(n) - p.matmul(a)).matmul(&dt).matmul(&pt).matmul(&p);
        vec![first + second + third]
    }
}

/// The solution of `p·y + y·p = c` for a symmetric `p`.
fn sylvester(p: &Tensor, c: &Tensor) -> Tensor {
    let [y] = Tensor::with_derivative(Sylvester, &[p, c], |x| {
        let (w, v) = x[0].eigh();
        let sums = w.expand_dims(1).broadcast() + w.expand_dims(0).broadcast();
        [v.matmul(&(rotated(&x[1], &v) / sums)).matmul(&v.t())]
    });
    y
}

#[derive(Debug)]
struct Sylvester;

impl Derivative for Sylvester {
    fn key(&self) -> String {
        "sylvester".into()
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], y: &[Tensor]) -> Vec<Tensor> {
        let change = t[0].map(|dp| -(dp.matmul(&y[0]) + y[0].matmul(dp)));
        let right = match (change, t[1]) {
            (Some(change), Some(dc)) => change + dc,
            (Some(change), None) => change,
            (None, Some(dc)) => dc.clone(),
            (None, None) => unreachable!("a tangent is there"),
        };
        vec![sylvester(x[0], &right)]
    }

    fn transpose(
        &self,
        cotangents: &[Option<Tensor>],
        x: &[Option<&Tensor>],
    ) -> Option<Vec<Option<Tensor>>> {
        let (Some(p), Some(ct)) = (x[0], &cotangents[0]) else { return None };
        Some(vec![None, Some(sylvester(p, ct))])
    }
}

/// The polar decomposition `a = u·p` of a matrix: orthonormal columns of `u` (rows, if it is wider
/// than high), symmetric positive semidefinite `p`. Derivatives exist for matrices of full rank, with
/// repeated singular values, too; else they are not numbers. Of `a`, `[m, n]`, `u` has the shape, and `p` is
/// square: `[n, n]`.
///
/// # Errors
/// Carried by both results: `InvalidArgument` for what is no matrix; `UnsupportedDType` for a dtype that is
/// no float.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let a = Tensor::from([[0.0, -2.0], [3.0, 0.0]]);
/// let (u, p) = linalg::polar(&a); // a turn by a quarter, and two scales
/// assert!((u - Tensor::from([[0.0, -1.0], [1.0, 0.0]])).abs().max().item::<f64>()? < 1e-12);
/// assert!((p - Tensor::from([[3.0, 0.0], [0.0, 2.0]])).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn polar(a: &Tensor) -> (Tensor, Tensor) {
    operation("polar", || match extents("polar", a) {
        Err(error) => (error.clone(), error),
        Ok((m, n)) if m < n => {
            // `aᵀ = u·p`, so `a = p·uᵀ = uᵀ·(u·p·uᵀ)`.
            let (u, p) = tall_polar(&a.t());
            (u.t(), u.matmul(&p).matmul(&u.t()))
        }
        Ok(_) => tall_polar(a),
    })
}

fn tall_polar(a: &Tensor) -> (Tensor, Tensor) {
    let [u, p] = Tensor::with_derivative(Polar, &[a], |x| {
        let (u, s, vt) = x[0].svd();
        [u.matmul(&vt), (vt.t() * s.broadcast()).matmul(&vt)]
    });
    (u, p)
}

#[derive(Debug)]
struct Polar;

impl Derivative for Polar {
    fn key(&self) -> String {
        "polar".into()
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Vec<Tensor> {
        let (&[a], &[Some(da)]) = (x, t) else {
            unreachable!("a polar decomposition of one matrix")
        };
        // With `uᵀ·du = w` antisymmetric, `uᵀ·da = w·p + dp`.
        let (u, p) = tall_polar(a);
        let inner = u.t().matmul(da);
        let w = sylvester(&p, &(&inner - inner.t()));
        let dp = &inner - w.matmul(&p);
        let mut du = u.matmul(&w);
        if a.shape()[0] > a.shape()[1] {
            let outside = da - u.matmul(&inner);
            let inverse = sylvester(&p, &(Tensor::eye(p.dtype(), p.shape()[0]) * 2.0));
            du += outside.matmul(&inverse);
        }
        vec![du, (&dp + dp.t()) * 0.5]
    }
}

/// The square root of a symmetric positive semidefinite matrix: symmetric, and its square is `a`.
/// The lower triangle is read. Derivatives exist where `a` is positive definite. Negative eigenvalues count
/// as 0.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no square matrix; `UnsupportedDType` for a dtype
/// that is no float.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let a = Tensor::from([[5.0, 4.0], [4.0, 5.0]]);
/// let root = linalg::sqrtm_symmetric(&a);
/// assert!((root - Tensor::from([[2.0, 1.0], [1.0, 2.0]])).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn sqrtm_symmetric(a: &Tensor) -> Tensor {
    operation("sqrtm_symmetric", || {
        symmetric("sqrtm_symmetric", a, |w| w.maximum(&w.zeros_like()).sqrt())
    })
}

/// A function of a symmetric matrix: `v·diag(f(w))·vᵀ` with its eigenvalues `w` and eigenvectors
/// `v`. `f` is a function of one eigenvalue, a scalar. The lower triangle of `a` is read.
///
/// Derivatives of all orders exist where those of `f` do, for repeated eigenvalues, too (Daleckii and
/// Krein, 1965), in `a` and in what `f` captures. Write functions of symmetric matrices this way,
/// because derivatives of eigenvectors do not exist for repeated eigenvalues: those of
/// `v·diag(f(w))·vᵀ` written out are NaN there.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for an `a` that is no square matrix, and for an `f` that does not
/// give a scalar of its dtype; `UnsupportedDType` for a dtype that is no float; those of `f`.
///
/// ```
/// use unloop::{Tensor, grad, linalg, DType};
/// // The derivative of tr exp(a) is exp(a), at a = I with its threefold eigenvalue as anywhere.
/// let trace = |a: &Tensor| linalg::symmetric_function(a, |w| w.exp()).trace();
/// let slope = grad(trace)(&Tensor::eye(DType::F64, 3));
/// assert!((slope - Tensor::eye(DType::F64, 3) * 1f64.exp()).abs().max().item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn symmetric_function(a: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    // What the caller's function does stands at the caller's lines.
    let f = |x: &Tensor| Place(None).scope(|| f(x));
    operation("symmetric_function", || symmetric("symmetric_function", a, f))
}

#[track_caller]
fn symmetric(op: &'static str, a: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    if let Err(error) = square(op, a) {
        return error;
    }
    let run = || -> Result<Tensor> {
        let scalar = TensorType::new(a.dtype(), ());
        let (trace, params) = Trace::new([scalar.clone()]);
        let y = f(&params[0]);
        y.check()?;
        if y.ty() != scalar {
            let message = format!("the function gives {} of an eigenvalue, a {scalar}", y.ty());
            return Ok(super::invalid(op, message));
        }
        let TracedProgram { graph, captures } = trace.finish(&[y])?;
        let captured: Vec<Tensor> = captures.into_iter().map(|c| c.tensor).collect();
        // The program of what is captured, then the eigenvalue.
        let count = captured.len();
        let types = captured.iter().map(Tensor::ty).chain([scalar]).collect();
        let order: Vec<usize> = std::iter::once(count).chain(0..count).collect();
        let f = Arc::new(graph.with_inputs(types, &order));
        let a = from_lower(a);
        Ok(Spectral { f, captured: count }.apply(captured.iter().chain([&a])))
    };
    run().unwrap_or_else(Tensor::error)
}

/// `(captured, …, a, e₁, …, eₖ)` to the coefficient of `e₁·…·eₖ` in the expansion of
/// `f(a + e₁ + … + eₖ)`, for symmetric `a`: with the eigenvalues `w` and eigenvectors `v` of `a`,
/// `v·yᵢⱼ·vᵀ` of `y` = Σ f[wᵢ, …, wⱼ]·(vᵀ·e₁·v)ᵢ.·…·(vᵀ·eₖ·v).ⱼ, where f[…] are divided differences. Its
/// derivative in `a` is a sum of such with one `e` more.
#[derive(Clone, Debug)]
struct Spectral {
    /// `(captured, …, w) → f(w)`.
    f: Arc<Graph>,
    captured: usize,
}

/// A function of numbers, on tensors of any number of them.
type Scalar<'a> = &'a (dyn Fn(&Tensor) -> Tensor + Send + Sync);

impl Spectral {
    fn apply<'a>(&self, operands: impl IntoIterator<Item = &'a Tensor>) -> Tensor {
        let operands: Vec<&Tensor> = operands.into_iter().collect();
        let [y] = Tensor::with_derivative(self.clone(), &operands, |x| [self.evaluate(x)]);
        y
    }

    fn evaluate(&self, x: &[Tensor]) -> Tensor {
        let (captured, rest) = x.split_at(self.captured);
        let (a, directions) = (&rest[0], &rest[1..]);
        let one = |w: &Tensor| {
            let inputs: Vec<Tensor> = captured.iter().chain([w]).cloned().collect();
            eval(&self.f, &inputs).swap_remove(0)
        };
        let each = |w: &Tensor| vmap(one, 0)(&w.flatten()).reshape(w.shape());
        let (w, v) = a.eigh();
        if directions.is_empty() {
            return (&v * each(&w).broadcast()).matmul(&v.t());
        }
        let rank = directions.len() + 1;
        let n = w.size();
        let grid = |axis| {
            let shape: Vec<usize> = (0..rank).map(|i| if i == axis { n } else { 1 }).collect();
            w.reshape(&shape[..]).broadcast_to(&vec![n; rank][..])
        };
        let differences = divided(&each, &(0..rank).map(grid).collect::<Vec<_>>());
        // For three matrices: abcd,ab,bc,cd->ad.
        let letters: Vec<char> = ('a'..='z').take(rank).collect();
        let all: String = letters.iter().collect();
        let pairs: Vec<String> = letters.windows(2).map(|pair| pair.iter().collect()).collect();
        let formula = format!("{all},{}->a{}", pairs.join(","), letters[rank - 1]);
        let turned: Vec<Tensor> = directions.iter().map(|e| rotated(e, &v)).collect();
        let factors: Vec<&Tensor> = std::iter::once(&differences).chain(&turned).collect();
        v.matmul(&Tensor::einsum(&formula, &factors)).matmul(&v.t())
    }
}

/// Nodes in -1..1 from the middle, their weights by Kronrod and, of every second, by Gauss.
const KRONROD: [(f64, f64); 4] = [
    (0.0, 0.45091653865847414),
    (0.43424374934680254, 0.40139741477596225),
    (0.7745966692414834, 0.26848808986833345),
    (0.9604912687080203, 0.10465622602646726),
];
const GAUSS: [f64; 4] = [8.0 / 9.0, 0.0, 5.0 / 9.0, 0.0];

/// The divided differences f[x₁, …, xₖ] of tensors of one shape.
///
/// Over two numbers it is the quotient of differences, and the mean of the slope between them: the
/// former is exact up to rounding, divided by the gap, the latter up to the error of a quadrature.
/// The smaller of the two errors decides, so that no scale of `f` needs to be known, and both have
/// the derivatives of a divided difference.
fn divided(f: Scalar<'_>, x: &[Tensor]) -> Tensor {
    let (rest, y, z) = match x {
        [x] => return f(x),
        [rest @ .., y, z] => (rest, y, z),
        [] => unreachable!("a divided difference over one number or more"),
    };
    // Both ends, then the nodes, along a new first axis.
    let middle = (y + z) * 0.5;
    let half = (z - y) * 0.5;
    let sides = |(at, _): &(f64, f64)| match *at {
        0.0 => vec![middle.clone()],
        at => vec![&middle - &half * at, &middle + &half * at],
    };
    let points: Vec<Tensor> =
        [y.clone(), z.clone()].into_iter().chain(KRONROD.iter().flat_map(sides)).collect();
    let points = Tensor::stack(&points.iter().collect::<Vec<_>>(), 0);
    let rest: Vec<Tensor> =
        rest.iter().map(|x| x.expand_dims(0).broadcast_to(points.shape())).collect();
    let inner = |u: &Tensor| divided(f, &[&rest[..], std::slice::from_ref(u)].concat());
    let (values, slopes) = jvp(inner)(&points, &points.ones_like());
    let entry = |x: &Tensor, i: usize| x.slice_axis(0, i, i + 1).squeeze(0);
    let (left, right) = (entry(&values, 0), entry(&values, 1));
    let mean = |weights: [f64; 4]| {
        let parts = weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
        let parts = parts.map(|(i, weight)| match i {
            0 => entry(&slopes, 2) * (weight * 0.5),
            _ => (entry(&slopes, 2 * i + 1) + entry(&slopes, 2 * i + 2)) * (weight * 0.5),
        });
        parts.reduce(|a, b| a + b).unwrap_or_else(|| middle.zeros_like())
    };
    let fine = mean(KRONROD.map(|(_, weight)| weight));
    let coarse = mean(GAUSS);
    let gap = z - y;
    let is_same = gap.equal(&gap.zeros_like());
    let quotient = (&right - &left) / is_same.select(&gap.ones_like(), &gap);
    let rounding = (left.abs() + right.abs()) * (4.0 * epsilon(middle.dtype()));
    let is_near = is_same.logical_or(&((&fine - coarse) * &gap).abs().less_equal(&rounding));
    is_near.select(&fine, &quotient)
}

impl Derivative for Spectral {
    fn key(&self) -> String {
        // The program says which function it is.
        format!("spectral {}", self.captured)
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Vec<Tensor> {
        let place = self.captured;
        let order = x.len() - place - 1;
        let mut terms = Vec::new();
        if t[..place].iter().any(Option::is_some) {
            terms.push(self.change(x, t));
        }
        if let Some(da) = t[place] {
            // The change of the matrix comes in between every two of the directions.
            for at in 0..=order {
                let (before, after) = x.split_at(place + 1 + at);
                terms.push(self.apply(before.iter().chain([&da]).chain(after).copied()));
            }
        }
        for (i, de) in t.iter().enumerate().skip(place + 1) {
            if let Some(de) = de {
                let operand = |(k, x): (usize, &&'_ Tensor)| {
                    if k == i { (*de).clone() } else { (*x).clone() }
                };
                let operands: Vec<Tensor> = x.iter().enumerate().map(operand).collect();
                terms.push(self.apply(&operands));
            }
        }
        match terms.into_iter().reduce(|a, b| a + b) {
            Some(sum) => vec![sum],
            None => unreachable!("a tangent is there"),
        }
    }

    fn transpose(
        &self,
        cotangents: &[Option<Tensor>],
        x: &[Option<&Tensor>],
    ) -> Option<Vec<Option<Tensor>>> {
        let linear: Vec<usize> = (0..x.len()).filter(|&i| x[i].is_none()).collect();
        let ct = cotangents[0].as_ref()?;
        let first = self.captured + 1;
        if linear.iter().all(|&i| i < self.captured) {
            return Some(self.transpose_captured(ct, x));
        }
        let &[at] = &linear[..] else { unreachable!("linear in one direction at a time") };
        // The cotangent closes the ring of factors; it is opened where the direction stands.
        let closing = ct.t();
        let known = |range: std::ops::Range<usize>| x[range].iter().flatten().copied();
        let ring = known(0..first).chain(known(at + 1..x.len())).chain([&closing]);
        let y = self.apply(ring.chain(known(first..at))).t();
        let mut given = vec![None; x.len()];
        given[at] = Some(y);
        Some(given)
    }
}

impl Spectral {
    /// The cotangents of what the function captures and is linear in: element by element, so that what
    /// they are of the matrix is a function of it, too.
    fn transpose_captured(&self, ct: &Tensor, x: &[Option<&Tensor>]) -> Vec<Option<Tensor>> {
        let types = self.f.inputs();
        let of = |at: usize| {
            let ty = &types[at];
            let size = ty.shape.size();
            let units = Tensor::eye(ty.dtype, size);
            let units = units.reshape(&[&[size], &ty.shape[..]].concat()[..]);
            let one = |unit: &Tensor| {
                let operand = |(i, x): (usize, &Option<&Tensor>)| match x {
                    Some(x) => (*x).clone(),
                    None if i == at => unit.clone(),
                    None => Tensor::zeros(types[i].dtype, &types[i].shape),
                };
                let operands: Vec<Tensor> = x.iter().enumerate().map(operand).collect();
                (self.apply(&operands) * ct).sum()
            };
            vmap(one, 0)(&units).reshape(&ty.shape)
        };
        x.iter().enumerate().map(|(at, x)| if x.is_none() { Some(of(at)) } else { None }).collect()
    }

    /// The change with what the function captures: the same, of the change of the function.
    fn change(&self, x: &[&Tensor], t: &[Option<&Tensor>]) -> Tensor {
        let count = self.captured;
        let active: Vec<usize> = (0..count).filter(|&i| t[i].is_some()).collect();
        let tangents: Vec<&Tensor> = t[..count].iter().flatten().copied().collect();
        let types = x[..count].iter().chain(&tangents).map(|x| x.ty());
        let (trace, params) = Trace::new(types.chain([TensorType::new(x[count].dtype(), ())]));
        let (known, rest) = params.split_at(count);
        let (tangent, w) = rest.split_at(active.len());
        let f = |changed: &Vec<Tensor>| {
            let mut inputs = [known, w].concat();
            active.iter().zip(changed).for_each(|(&i, x)| inputs[i] = x.clone());
            eval(&self.f, &inputs).swap_remove(0)
        };
        let point: Vec<Tensor> = active.iter().map(|&i| known[i].clone()).collect();
        let (_, change) = Trace::off_stage(|| jvp(f)(&point, &tangent.to_vec()));
        let run = || -> Result<Tensor> {
            let TracedProgram { graph, captures } = trace.finish(&[change])?;
            if !captures.is_empty() {
                unreachable!("the derivative of a closed program captures nothing");
            }
            let captured = count + active.len();
            let operands = x[..count].iter().chain(&tangents).chain(&x[count..]);
            Ok(Spectral { f: Arc::new(graph), captured }.apply(operands.copied()))
        };
        run().unwrap_or_else(Tensor::error)
    }
}
