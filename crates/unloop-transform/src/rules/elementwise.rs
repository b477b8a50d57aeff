//! Rules of elementwise operations. Derivatives at ties and edges are JAX's: `max` and `min` give
//! each of two equal operands one half, `abs` gives 1 at 0. The documentation of `unloop` lists them.

use std::f64::consts::{LN_2, PI};

use unloop_graph::{BinaryOp, CompareOp, DType, Op, Tensor, UnaryOp};

use super::{Batched, Jvp, Operand, apply, unsupported};

pub(super) fn batch(op: &Op, operands: &[&Batched], size: usize) -> Tensor {
    let operands: Vec<Tensor> = operands.iter().map(|x| x.each(size)).collect();
    apply(op.clone(), &operands.iter().collect::<Vec<_>>())
}

/// The tangent times the derivative.
pub(super) fn jvp_unary(op: UnaryOp, rule: &Jvp<'_>) -> Option<Tensor> {
    use UnaryOp::*;
    let (x, y, t) = (rule.x[0], &rule.y[0], rule.t[0]?);
    let slope = match op {
        // Piecewise constant: no derivative flows.
        Sign | Floor | Ceil | Round | RoundAway | Trunc | Not | IsFinite | PopulationCount => {
            return None;
        }
        Neg => return Some(-t),
        // At 0 the slope to the right, as JAX has it.
        Abs => {
            let one = x.ones_like();
            x.greater_equal(&x.zeros_like()).select(&one, &-&one)
        }
        Sqrt => 0.5 / y,
        Rsqrt => -0.5 * (y / x),
        Cbrt => (1.0 / 3.0) * y.recip().square(),
        Reciprocal => -y.square(),
        Square => 2.0 * x,
        Exp => y.clone(),
        Exp2 => LN_2 * y,
        Expm1 => y + 1.0,
        Log => x.recip(),
        Log1p => (x + 1.0).recip(),
        Sin => x.cos(),
        Cos => -x.sin(),
        Tan => y.square() + 1.0,
        Asin => (1.0 - x.square()).rsqrt(),
        Acos => -(1.0 - x.square()).rsqrt(),
        Atan => (x.square() + 1.0).recip(),
        Sinh => x.cosh(),
        Cosh => x.sinh(),
        // (1 - y)(1 + y) keeps accuracy where y is near 1.
        Tanh => (1.0 - y) * (1.0 + y),
        Asinh => (x.square() + 1.0).rsqrt(),
        // Beyond its domain, too, as JAX has it.
        Acosh => ((x - 1.0) * (x + 1.0)).rsqrt(),
        Atanh => ((1.0 - x) * (1.0 + x)).recip(),
        Logistic => y * (1.0 - y),
        Erf => (-x.square()).exp() * (2.0 / PI.sqrt()),
        Erfc => (-x.square()).exp() * (-2.0 / PI.sqrt()),
        ErfInv => y.square().exp() * (PI.sqrt() / 2.0),
        Lgamma => x.digamma(),
        Digamma => x.ones_like().polygamma(x),
        BesselI0e => x.bessel_i1e() - x.sign() * y,
        BesselI1e => {
            let near = x.abs().less(&(2.0 * x.ones_like()));
            let (small, large) = (near.select(x, &x.zeros_like()), near.select(&x.ones_like(), x));
            // The slope of the magnitude is taken for 0 at 0, as that of its other part.
            let ratio = (-(&small * small.sign())).exp() * small.bessel_i1_ratio();
            x.bessel_i0e() - y * x.sign() - near.select(&ratio, &(y / large))
        }
    };
    Some(t * slope)
}

/// The sum of two tangents, either of which may be absent.
fn add(a: Option<Tensor>, b: Option<Tensor>) -> Option<Tensor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

pub(super) fn jvp_binary(op: BinaryOp, rule: &Jvp<'_>) -> Option<Tensor> {
    use BinaryOp::*;
    let (x, y, z) = (rule.x[0], rule.x[1], &rule.y[0]);
    let scaled = |i: usize, slope: &dyn Fn() -> Tensor| rule.t[i].map(|t| t * slope());
    match op {
        Add => add(rule.t[0].cloned(), rule.t[1].cloned()),
        Sub => match (rule.t[0], rule.t[1]) {
            (Some(a), Some(b)) => Some(a - b),
            (a, b) => a.cloned().or(b.map(|b| -b)),
        },
        Mul => add(rule.t[0].map(|t| t * y), rule.t[1].map(|t| t * x)),
        Div => add(rule.t[0].map(|t| t / y), scaled(1, &|| -(z / y))),
        Rem => add(rule.t[0].cloned(), scaled(1, &|| -(x / y).trunc())),
        Pow => {
            let zero = || x.equal(&x.zeros_like());
            // y·x^(y-1), which is 0 for y = 0, also where x is 0 or so small that 1/x is infinite.
            let base = || {
                let none = x.recip().is_infinite() & y.equal(&y.zeros_like());
                y * none.select(&x.ones_like(), x).pow(&(y - 1.0))
            };
            // ln(x)·x^y, which is taken for 0 at x = 0, as JAX has it.
            let exponent = || zero().select(&x.ones_like(), x).log() * z;
            add(scaled(0, &base), scaled(1, &exponent))
        }
        Atan2 => {
            // Divided twice, so that x² + y² does not overflow.
            let square = || x.square() + y.square();
            add(scaled(0, &|| y / square()), scaled(1, &|| -(x / square())))
        }
        // The order of a polygamma function is a whole number.
        Polygamma => scaled(1, &|| (x + 1.0).polygamma(y)),
        Igamma => add(scaled(0, &|| igamma_grad_a(x, y)), scaled(1, &|| gamma_density(x, y))),
        Igammac => add(scaled(0, &|| -igamma_grad_a(x, y)), scaled(1, &|| -gamma_density(x, y))),
        IgammaGradA => Some(unsupported("the second derivative of igamma in its order".into(), z)),
        Max => add(scaled(0, &|| chosen(x, y, z)), scaled(1, &|| chosen(y, x, z))),
        Min => add(scaled(0, &|| chosen(x, y, z)), scaled(1, &|| chosen(y, x, z))),
        And | Or | Xor | ShiftLeft | ShiftRightArithmetic | ShiftRightLogical => None,
    }
}

fn igamma_grad_a(a: &Tensor, x: &Tensor) -> Tensor {
    apply(Op::Binary(BinaryOp::IgammaGradA), &[a, x])
}

/// `xᵃ⁻¹·e⁻ˣ/Γ(a)`, the derivative of `igamma` in `x`.
fn gamma_density(a: &Tensor, x: &Tensor) -> Tensor {
    ((a - 1.0) * x.log() - x - a.lgamma()).exp()
}

/// 1 where `x` was chosen as the extreme `z`, one half where both are equal, else 0.
fn chosen(x: &Tensor, other: &Tensor, z: &Tensor) -> Tensor {
    let half = 0.5 * z.ones_like();
    let alone = x.equal(other).select(&half, &z.ones_like());
    x.equal(z).select(&alone, &z.zeros_like())
}

pub(super) fn jvp_select(rule: &Jvp<'_>) -> Tensor {
    rule.x[0].select(&rule.tangent(1), &rule.tangent(2))
}

/// In `x` only: `xᵃ⁻¹(1-x)ᵇ⁻¹/B(a, b)`.
pub(super) fn jvp_betainc(rule: &Jvp<'_>) -> Tensor {
    let (a, b, x) = (rule.x[0], rule.x[1], rule.x[2]);
    if rule.t[0].is_some() || rule.t[1].is_some() {
        return unsupported("the derivative of betainc in its parameters".into(), x);
    }
    rule.tangent(2) * beta_density(a, b, x)
}

/// `xᵃ⁻¹(1-x)ᵇ⁻¹/B(a, b)`. Powers of small exponents are powers, which keep all digits in derivatives near
/// the edges; others are exponentials, which do not overflow before the beta function is divided by.
fn beta_density(a: &Tensor, b: &Tensor, x: &Tensor) -> Tensor {
    let (zero, one) = (x.zeros_like(), x.ones_like());
    let rest = &one - x;
    let outside = x.less(&zero) | rest.less(&zero) | x.is_nan();
    // Where these are the base of a larger exponent, the density and its derivatives are 0.
    let tiny = if x.dtype() == DType::F32 { 2f64.powi(-60) } else { 2f64.powi(-500) } * &one;
    let large = |order: &Tensor| order.greater(&(8.0 * &one));
    let (large_a, large_b) = (large(a), large(b));
    let edge = (&large_a & x.less(&tiny)) | (&large_b & rest.less(&tiny));
    let edge = edge & outside.logical_not();
    let x = &edge.select(&(0.5 * &one), x);
    let (p, q) = (a - 1.0, b - 1.0);
    let small_p = large_a.select(&zero, &p);
    let small_q = large_b.select(&zero, &q);
    let powers = x.pow(&small_p) * (&one - x).pow(&small_q);
    let logs = (&p - small_p) * large_a.select(x, &one).log()
        + (&q - small_q) * (-large_b.select(x, &zero)).log1p();
    let nan = outside.select(&(f64::NAN * &one), &zero);
    let density = powers * (logs - a.betaln(b) + nan).exp();
    edge.select(&zero, &density)
}

pub(super) fn jvp_clamp(rule: &Jvp<'_>) -> Option<Tensor> {
    let (low, x, high) = (rule.x[0], rule.x[1], rule.x[2]);
    let masked =
        |i: usize, mask: &dyn Fn() -> Tensor| rule.t[i].map(|t| mask().select(t, &t.zeros_like()));
    let inside = masked(1, &|| x.greater(low) & x.less(high));
    let below = masked(0, &|| low.greater(x) & low.less(high));
    let above = masked(2, &|| high.less(x));
    add(add(below, inside), above)
}

pub(super) fn transpose(op: &Op, ct: &Tensor, x: &[Operand<'_>]) -> Vec<Option<Tensor>> {
    let linear = |i: usize| x[i].is_linear();
    match op {
        Op::Unary(UnaryOp::Neg) => vec![Some(-ct)],
        Op::Binary(BinaryOp::Add) => {
            vec![linear(0).then(|| ct.clone()), linear(1).then(|| ct.clone())]
        }
        Op::Binary(BinaryOp::Sub) => vec![linear(0).then(|| ct.clone()), linear(1).then(|| -ct)],
        Op::Binary(BinaryOp::Mul) => {
            vec![linear(0).then(|| ct * x[1].value(op)), linear(1).then(|| ct * x[0].value(op))]
        }
        Op::Binary(BinaryOp::Div) => vec![Some(ct / x[1].value(op)), None],
        Op::Select => {
            let (condition, zero) = (x[0].value(op), ct.zeros_like());
            vec![
                None,
                linear(1).then(|| condition.select(ct, &zero)),
                linear(2).then(|| condition.select(&zero, ct)),
            ]
        }
        Op::Convert(_) => vec![Some(ct.cast(x[0].ty().dtype))],
        _ => x.iter().map(|x| x.is_linear().then(|| x.value(op))).collect(),
    }
}

/// Whether elements are equal, as numbers of the dtype of `like`.
pub(super) fn indicator(x: &Tensor, y: &Tensor) -> Tensor {
    apply(Op::Compare(CompareOp::Eq), &[x, y]).cast(x.dtype())
}
