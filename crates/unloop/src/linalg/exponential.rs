//! The matrix exponential.

use unloop_graph::op::Derivative;
use unloop_graph::{DType, Tensor, floats, operation};
use unloop_transform::{jvp, while_loop};

use super::{epsilon, number, square};

/// The exponential `Σ aᵏ/k!` of a square matrix `[n, n]` in f32 or f64, of its shape and dtype, by scaling,
/// a Padé approximant and squaring (Higham, *The scaling and squaring method for the matrix exponential
/// revisited*, 2005). What is too large for the dtype is infinite or NaN, and so is that of a matrix that
/// is not finite. A matrix whose norm is above `5/ε` has an exponential if it is triangular; else no digit
/// of it is known, and it is NaN.
///
/// # Errors
/// Carried by the result: `InvalidArgument` for what is no square matrix; `UnsupportedDType` for a dtype
/// that is no float.
///
/// ```
/// use unloop::{Tensor, linalg};
/// let turn = Tensor::from([[0.0, -1.0], [1.0, 0.0]]);
/// let quarter = linalg::expm(&(turn * std::f64::consts::FRAC_PI_2));
/// assert!(quarter.at((0, 0)).item::<f64>()?.abs() < 1e-15);
/// # Ok::<(), unloop::Error>(())
/// ```
#[track_caller]
pub fn expm(a: &Tensor) -> Tensor {
    operation("expm", || match square("expm", a) {
        Err(error) => error,
        Ok(n) => floats(&[a], || if n == 0 { a.clone() } else { derivative(&[a]) }),
    })
}

/// The derivative of the exponential of `a` along all of some directions: `(a, e₁, …, eₖ)`.
fn derivative(x: &[&Tensor]) -> Tensor {
    let [y] = Tensor::with_derivative(Exponential, x, |x| [along(&x[0], &x[1..])]);
    y
}

fn along(a: &Tensor, directions: &[Tensor]) -> Tensor {
    match directions {
        [] => scaled_and_squared(a),
        [rest @ .., last] => jvp(|a: &Tensor| along(a, rest))(a, last).1,
    }
}

#[derive(Debug)]
struct Exponential;

impl Derivative for Exponential {
    fn key(&self) -> String {
        "expm".into()
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Vec<Tensor> {
        let term = |(i, t): (usize, &Option<&Tensor>)| {
            t.map(|t| match i {
                0 => derivative(&[x, &[t]].concat()),
                _ => derivative(&[&x[..i], &[t], &x[i + 1..]].concat()),
            })
        };
        match t.iter().enumerate().filter_map(term).reduce(|a, b| a + b) {
            Some(sum) => vec![sum],
            None => unreachable!("a tangent is there"),
        }
    }

    /// The adjoint of the derivative is the derivative at the transposed matrix.
    fn transpose(
        &self,
        cotangents: &[Option<Tensor>],
        x: &[Option<&Tensor>],
    ) -> Option<Vec<Option<Tensor>>> {
        let at = x.iter().position(Option::is_none)?;
        let ct = cotangents[0].as_ref()?;
        let known: Vec<Tensor> = x.iter().flatten().map(|x| x.t()).collect();
        let mut given = vec![None; x.len()];
        given[at] = Some(derivative(&known.iter().chain([ct]).collect::<Vec<_>>()));
        Some(given)
    }
}

fn scaled_and_squared(a: &Tensor) -> Tensor {
    /// The norm up to which the approximant of degree 13 is accurate in double precision.
    const THETA: f64 = 5.371_920_351_148_152;
    /// More squarings than any finite matrix needs.
    const SQUARINGS: f64 = 1100.0;
    #[rustfmt::skip]
    const PADE: [f64; 14] = [
        64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
        129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0,
        40840800.0, 960960.0, 16380.0, 182.0, 1.0,
    ];
    // The norm of a finite matrix may be too large for its dtype.
    let size = (a.abs() * 2f64.powi(-60)).sum_axis(0).max().stop_gradient();
    let times = (size / THETA).log2().ceil() + 60.0;
    let times = times.clamp(&number(a, 0.0), &number(a, SQUARINGS));
    // The diagonal of the exponential of a triangular matrix is known.
    let diagonal = a.diagonal(0).expand_dims(0).broadcast_to(a.shape());
    let is_zero = |x: &Tensor| x.equal(&x.zeros_like()).all();
    let is_triangular = is_zero(&a.tril(-1)).logical_or(&is_zero(&a.triu(1)));
    let digits = number(a, -epsilon(a.dtype()).log2());
    let is_known = is_triangular.logical_or(&times.less_equal(&digits));
    let on_diagonal = Tensor::eye(DType::Bool, a.shape()[0]).logical_and(&is_triangular);
    let a = a * (-&times).exp2();
    let eye = Tensor::eye(a.dtype(), a.shape()[0]);
    let a2 = a.matmul(&a);
    let a4 = a2.matmul(&a2);
    let a6 = a4.matmul(&a2);
    let sum = |c: [f64; 4]| &a6 * c[3] + &a4 * c[2] + &a2 * c[1] + &eye * c[0];
    let c = PADE;
    let odd = a6.matmul(&sum([0.0, c[9], c[11], c[13]])) + sum([c[1], c[3], c[5], c[7]]);
    let odd = a.matmul(&odd);
    let even = a6.matmul(&sum([0.0, c[8], c[10], c[12]])) + sum([c[0], c[2], c[4], c[6]]);
    let scaled = (&even - &odd).solve(&(&even + &odd));
    let (_, y) = while_loop(
        |(left, _): &(Tensor, Tensor)| left.greater(&left.zeros_like()),
        |(left, x): &(Tensor, Tensor)| {
            let (left, squared) = (left - 1.0, x.matmul(x));
            let exact = (&diagonal * (-&left).exp2()).exp();
            let place = on_diagonal.logical_and(&squared.is_finite());
            // The derivative is that of the square.
            let change = place.select(&(exact - &squared), &squared.zeros_like());
            (left, squared + change.stop_gradient())
        },
        &(times, scaled),
    );
    let one = number(&y, 1.0);
    y * is_known.select(&one, &(&one * f64::NAN))
}
