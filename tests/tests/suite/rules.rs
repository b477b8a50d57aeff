//! The batching and derivative rules of every operation: vmap equals stacking the results of single
//! calls, jvp equals finite differences, vjp equals jvp.

use unloop::{AxisSpec, Op, Tensor, jvp, vjp, vmap};
use unloop_graph::{ErrorKind, Place};
use unloop_tests::{Case, Operand, assert_close, cases, elementwise_cases};

fn all_cases() -> Vec<Case> {
    let mut all = cases();
    all.extend(elementwise_cases(&[3]));
    all.extend(elementwise_cases(&[]));
    all
}

fn apply(op: &Op, operands: &[Tensor]) -> Vec<Tensor> {
    let operands: Vec<&Tensor> = operands.iter().collect();
    Tensor::apply(op.clone(), &operands, Place::here()).into_vec()
}

/// How often an operand is stacked.
const COUNT: usize = 3;

/// An operand of `COUNT` examples, stacked along an axis.
fn stacked(operand: &Operand, axis: usize, rng: &mut fastrand::Rng) -> (Tensor, Vec<Tensor>) {
    let examples: Vec<Tensor> = (0..COUNT).map(|_| operand.tensor(rng)).collect();
    let refs: Vec<&Tensor> = examples.iter().collect();
    (Tensor::stack(&refs, axis as isize), examples)
}

#[test]
fn vmap_is_stacking() {
    let mut rng = fastrand::Rng::with_seed(11);
    for case in all_cases() {
        let count = case.operands.len();
        // Every subset of operands, the first or the last axis.
        for subset in 1..1usize << count {
            for last in [false, true] {
                let mut inputs = Vec::new();
                let mut axes = Vec::new();
                let mut examples = vec![Vec::new(); COUNT];
                for (i, operand) in case.operands.iter().enumerate() {
                    if subset >> i & 1 == 1 {
                        let axis = if last { operand.ty.rank() } else { 0 };
                        let (all, each) = stacked(operand, axis, &mut rng);
                        inputs.push(all);
                        axes.push(AxisSpec::Axis(if last { -1 } else { 0 }));
                        examples.iter_mut().zip(each).for_each(|(e, x)| e.push(x));
                    } else {
                        let shared = operand.tensor(&mut rng);
                        examples.iter_mut().for_each(|e| e.push(shared.clone()));
                        inputs.push(shared);
                        axes.push(AxisSpec::Shared);
                    }
                }
                let op = case.op.clone();
                let f = vmap(move |xs: &Vec<Tensor>| apply(&op, xs), (axes,));
                let actual = f.try_call((&inputs,)).unwrap_or_else(|e| {
                    panic!("{} {:?} subset {subset:b}: {e}", case.op, case.types())
                });
                let expected: Vec<Vec<Tensor>> =
                    examples.iter().map(|e| apply(&case.op, e)).collect();
                for (k, actual) in actual.iter().enumerate() {
                    let each: Vec<&Tensor> = expected.iter().map(|e| &e[k]).collect();
                    let what =
                        format!("{} {:?} subset {subset:b} last {last}", case.op, case.types());
                    assert_close(actual, &Tensor::stack(&each, 0), &what);
                }
            }
        }
    }
}

/// The float operands of a case as a function's argument; the others stay as they are.
struct Smooth {
    case: Case,
    fixed: Vec<Tensor>,
    floats: Vec<usize>,
}

impl Smooth {
    fn new(case: &Case, rng: &mut fastrand::Rng) -> Smooth {
        let case = case.smooth();
        let fixed: Vec<Tensor> = case.operands.iter().map(|o| o.tensor(rng)).collect();
        let floats = (0..fixed.len()).filter(|&i| fixed[i].dtype().is_float()).collect();
        Smooth { case, fixed, floats }
    }

    fn point(&self) -> Vec<Tensor> {
        self.floats.iter().map(|&i| self.fixed[i].clone()).collect()
    }

    /// The float results.
    fn call(&self, xs: &[Tensor]) -> Vec<Tensor> {
        let mut operands = self.fixed.clone();
        self.floats.iter().zip(xs).for_each(|(&i, x)| operands[i] = x.clone());
        let results = apply(&self.case.op, &operands);
        results.into_iter().filter(|y| y.dtype().is_float()).collect()
    }

    /// A direction in which the operation is smooth; factorisations of symmetric matrices move
    /// along symmetric ones.
    fn direction(&self, rng: &mut fastrand::Rng) -> Vec<Tensor> {
        let one = |&i: &usize| {
            let x = &self.fixed[i];
            let t = unloop_tests::tensor(rng, x.dtype(), x.shape());
            if matches!(self.case.op, Op::Cholesky { .. }) { &t + t.mt() } else { t }
        };
        self.floats.iter().map(one).collect()
    }
}

fn moved(x: &[Tensor], t: &[Tensor], step: f64) -> Vec<Tensor> {
    x.iter().zip(t).map(|(x, t)| x + t * step).collect()
}

fn is_unsupported(result: &Result<impl Sized, unloop::Error>) -> bool {
    matches!(result, Err(e) if matches!(e.kind(), ErrorKind::Unsupported(_)))
}

/// Operations whose derivatives are honestly refused.
fn is_refused(op: &Op) -> bool {
    matches!(op, Op::Binary(unloop::BinaryOp::IgammaGradA))
}

/// The cases in f64 with a float result.
fn smooth_cases(rng: &mut fastrand::Rng) -> Vec<Smooth> {
    let all = all_cases();
    let f64s = all.iter().filter(|case| {
        let f32s = case.operands.iter().any(|o| o.ty.dtype == unloop::DType::F32);
        let doubles = case.operands.iter().any(|o| o.ty.dtype == unloop::DType::F64);
        // Derivatives in an order, and in parameters of distributions, are tested apart.
        let apart = matches!(
            case.op,
            Op::Betainc | Op::Binary(unloop::BinaryOp::Polygamma | unloop::BinaryOp::IgammaGradA)
        );
        doubles
            && !apart
            && !f32s
            && case.op.infer(&case.types()).is_ok_and(|t| t[0].dtype == unloop::DType::F64)
    });
    f64s.map(|case| Smooth::new(case, rng)).collect()
}

#[test]
fn jvp_is_the_limit_of_differences() {
    let mut rng = fastrand::Rng::with_seed(12);
    for smooth in smooth_cases(&mut rng) {
        let (x, t) = (smooth.point(), smooth.direction(&mut rng));
        let what = format!("{} {:?}", smooth.case.op, smooth.case.types());
        let f = jvp(|xs: &Vec<Tensor>| smooth.call(xs));
        let result = f.try_call((&x, &t));
        if is_refused(&smooth.case.op) {
            assert!(is_unsupported(&result), "{what}");
            continue;
        }
        let (_, tangent) = result.unwrap_or_else(|e| panic!("{what}: {e}"));
        let h = 1e-6;
        let (ahead, behind) = (smooth.call(&moved(&x, &t, h)), smooth.call(&moved(&x, &t, -h)));
        for ((dy, ahead), behind) in tangent.iter().zip(&ahead).zip(&behind) {
            // The extreme of nothing is infinite, and so has no difference.
            let difference = (ahead - behind) * (0.5 / h);
            let difference = ahead.equal(behind).select(&dy.zeros_like(), &difference);
            let stops = matches!(smooth.case.op, Op::StopGradient | Op::Bitcast(_));
            // Neither carries a derivative, whatever its values do.
            let difference = if stops { dy.zeros_like() } else { difference };
            let gap = (dy - &difference).abs();
            let scale = 1.0 + dy.abs().max();
            let worst: f64 =
                if gap.size() == 0 { 0.0 } else { (gap.max() / scale).item().unwrap() };
            assert!(worst < 1e-6, "{what}: off by {worst:e}\n{dy:?}\n{difference:?}");
        }
    }
}

#[test]
fn vjp_is_the_transpose_of_jvp() {
    let mut rng = fastrand::Rng::with_seed(13);
    for smooth in smooth_cases(&mut rng) {
        if is_refused(&smooth.case.op) {
            continue;
        }
        let (x, t) = (smooth.point(), smooth.direction(&mut rng));
        let what = format!("{} {:?}", smooth.case.op, smooth.case.types());
        let f = |xs: &Vec<Tensor>| smooth.call(xs);
        let (y, dy) = jvp(f).try_call((&x, &t)).unwrap();
        let ct: Vec<Tensor> =
            y.iter().map(|y| unloop_tests::tensor(&mut rng, y.dtype(), y.shape())).collect();
        let (_, pullback) = vjp(f)(&x);
        let dx = pullback(&ct);
        let inner = |a: &[Tensor], b: &[Tensor]| -> f64 {
            a.iter().zip(b).map(|(a, b)| (a * b).sum().item::<f64>().unwrap()).sum()
        };
        let (forward, backward) = (inner(&ct, &dy), inner(&dx, &t));
        let error = (forward - backward).abs() / (1.0 + forward.abs());
        assert!(error < 1e-9, "{what}: {forward} and {backward}");
    }
}
