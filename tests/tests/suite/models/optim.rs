//! Optimisers, step by step, against Optax: alone, compiled, for two models at once, inside of a loop.

use unloop::optim::{Adam, AdamState, Lbfgs, LbfgsState, Schedule, Sgd, SgdState};
use unloop::optim::{clip_by_global_norm, global_norm};
use unloop::prelude::*;
use unloop::{Result, nn};
use unloop_tests::vectors::difference;

use super::entry;

#[derive(Tree, Clone, Debug)]
struct Model {
    w: Tensor,
    b: Tensor,
}

impl Model {
    fn of(leaves: &[Tensor], dtype: DType) -> Model {
        Model { w: leaves[0].cast(dtype), b: leaves[1].cast(dtype) }
    }

    /// Entry `i` along an axis.
    fn entry(&self, axis: isize, i: usize) -> Model {
        self.map_leaves(|x| x.slice_axis(axis, i, i + 1).squeeze(axis))
    }
}

/// Parameters after every step are those of Optax: with a state `S`, made and updated by functions.
fn check<S: Tree + Clone + Send + Sync>(
    name: &str,
    init: impl Fn(&Model) -> S + Send + Sync,
    update: impl Fn(&Model, &S, &Model) -> (Model, S) + Send + Sync,
) {
    let (inputs, outputs) = entry(name);
    // Optax computes joined schedules in f32.
    let exact = if name.ends_with("schedule") { 1e-7 } else { 1e-12 };
    for (dtype, tolerance) in [(DType::F64, exact), (DType::F32, 2e-5)] {
        let models = Model::of(&inputs[..2], dtype);
        let gradients = Model::of(&inputs[2..], dtype);
        let expected = Model::of(&outputs, dtype);
        let same = |found: &Model, expected: &Model, how: &str| {
            for (found, expected) in found.leaves().iter().zip(expected.leaves()) {
                assert_eq!(found.dtype(), dtype, "{name}");
                if let Some(difference) = difference(found, &expected, tolerance) {
                    panic!("{name} {how} in {dtype}: {difference}");
                }
            }
        };
        let compiled = jit(|g: &Model, s: &S, p: &Model| update(g, s, p));
        let both = jit(vmap(|g: &Model, s: &S, p: &Model| update(g, s, p), (0, 0, 0)));
        for i in 0..2 {
            let mut eager = (models.entry(0, i), init(&models.entry(0, i)));
            let mut fast = eager.clone();
            let (gradients, expected) = (gradients.entry(1, i), expected.entry(1, i));
            for step in 0..8 {
                let gradient = gradients.entry(0, step);
                eager = update(&gradient, &eager.1, &eager.0);
                same(&eager.0, &expected.entry(0, step), "alone");
                fast = compiled(&gradient, &fast.1, &fast.0);
                same(&fast.0, &expected.entry(0, step), "compiled");
            }
            let one_step = |(p, s): &(Model, S), g: &Model| {
                let (p, s) = update(g, s, p);
                ((p.clone(), s), p)
            };
            let start = (models.entry(0, i), init(&models.entry(0, i)));
            let (_, all) = scan(one_step, &start, &gradients);
            same(&all, &expected, "in a loop");
        }
        let mut state = (models.clone(), vmap(&init, 0)(&models));
        for step in 0..8 {
            state = both(&gradients.entry(0, step), &state.1, &state.0);
            same(&state.0, &expected.entry(0, step), "two at once");
        }
    }
}

fn check_sgd(name: &str, sgd: Sgd) {
    check(
        name,
        |p: &Model| sgd.init(p),
        |g: &Model, s: &SgdState<Model>, p: &Model| sgd.update(g, s, p),
    );
}

fn check_adam(name: &str, adam: Adam) {
    check(
        name,
        |p: &Model| adam.init(p),
        |g: &Model, s: &AdamState<Model>, p: &Model| adam.update(g, s, p),
    );
}

/// The schedule of the vectors: three steps up to 0.3, four down to 0.01.
fn schedule() -> Schedule {
    Schedule::cosine(0.3, 0.01, 4).warm_up(3)
}

#[test]
fn gradient_descent_makes_the_steps_of_optax() {
    check_sgd("sgd", Sgd::new(0.1));
    check_sgd("sgd momentum", Sgd::new(0.1).momentum(0.9));
    check_sgd("sgd nesterov", Sgd::new(0.1).momentum(0.9).nesterov());
    check_sgd("sgd schedule", Sgd::new(schedule()).momentum(0.5));
    let sgd = Sgd::new(0.1);
    check(
        "sgd clipped",
        |p: &Model| sgd.init(p),
        |g: &Model, s: &SgdState<Model>, p: &Model| sgd.update(&clip_by_global_norm(g, 2.5), s, p),
    );
}

#[test]
fn adam_makes_the_steps_of_optax() {
    check_adam("adam", Adam::new(0.05));
    check_adam("adam betas", Adam::new(0.05).betas(0.7, 0.95).epsilon(1e-3));
    check_adam("adam schedule", Adam::new(schedule()));
    check_adam("adamw", Adam::new(0.05).weight_decay(0.1));
}

#[test]
fn schedules_are_those_of_optax() {
    let rows = [
        ("constant", Schedule::from(0.3)),
        ("linear", Schedule::linear(0.3, 0.1, 8)),
        ("exponential", Schedule::exponential(0.3, 0.5, 5)),
        ("cosine", Schedule::cosine(0.3, 0.03, 15)),
        ("warm-up", Schedule::cosine(0.3, 0.03, 14).warm_up(6)),
        ("piecewise", Schedule::piecewise(0.3, &[(4, 0.15), (11, 0.015)])),
    ];
    for (name, schedule) in rows {
        let (inputs, outputs) = entry(&format!("schedule {name}"));
        let rates = vmap(|step: &Tensor| schedule.at(step), 0);
        for steps in [inputs[0].clone(), inputs[0].cast(DType::F32), inputs[0].cast(DType::U32)] {
            assert_eq!(difference(&rates(&steps), &outputs[0], 1e-7), None, "{name}");
            assert_eq!(difference(&jit(&*rates)(&steps), &outputs[0], 1e-7), None, "{name}");
        }
    }
    // No steps: the end at once.
    let none = Schedule::linear(1.0, 2.0, 0).at(&Tensor::from(0));
    assert_eq!(none.item::<f64>().ok(), Some(2.0));
}

#[test]
fn hyperparameters_may_be_mapped_and_differentiated() -> Result<()> {
    // One step of many rates at once; a step is linear in its rate.
    let x = Tensor::from([1.0, -2.0]);
    let g = Tensor::from([0.5, 0.25]);
    let step = |rate: &Tensor, momentum: &Tensor| {
        let sgd = Sgd::new(rate).momentum(momentum);
        let (next, state) = sgd.update(&g, &sgd.init(&x), &x);
        sgd.update(&g, &state, &next).0
    };
    let rates = Tensor::from([0.1, 0.2]);
    let many = vmap(step, (0, Shared))(&rates, &Tensor::from(0.5));
    assert_eq!(many.shape(), [2, 2]);
    // x - rate·g - rate·(g + g/2)
    let expected = vmap(|rate: &Tensor| &x - 2.5 * (rate * &g), 0)(&rates);
    assert_eq!(difference(&many, &expected, 1e-14), None);
    let total = |rate: &Tensor, momentum: &Tensor| step(rate, momentum).sum();
    let (by_rate, by_momentum) = grad(total).wrt(unloop::All)(&rates.at(0), &Tensor::from(0.5));
    assert!((by_rate.item::<f64>()? + 2.5 * 0.75).abs() < 1e-12);
    assert!((by_momentum.item::<f64>()? + 0.1 * 0.75).abs() < 1e-12);
    Ok(())
}

#[test]
fn errors_of_updates_name_the_update() {
    let adam = Adam::new(0.1);
    let x = vec![Tensor::from([1.0, 2.0])];
    let state = adam.init(&x);
    let (next, _) = adam.update(&vec![], &state, &x);
    let error = next.check().expect_err("another structure");
    assert_eq!(error.op(), "update", "{error}");
    assert!(error.location().is_some_and(|at| at.file().ends_with("optim.rs")), "{error}");
    let (next, _) = adam.update(&vec![Tensor::from([1.0, 2.0, 3.0])], &state, &x);
    assert_eq!(next.check().expect_err("another shape").op(), "update");
    let (next, _) = Adam::new(Tensor::from([0.1, 0.2, 0.3])).update(&x, &state, &x);
    assert_eq!(next.check().expect_err("a rate that is no scalar").op(), "update");
}

#[test]
fn norms_of_trees() -> Result<()> {
    let mixed = (Tensor::from([3.0f32]), Tensor::from([[4.0f64]]));
    let norm = global_norm(&mixed);
    assert_eq!((norm.dtype(), norm.item::<f64>()?), (DType::F64, 5.0));
    let (a, b) = clip_by_global_norm(&mixed, 1.0);
    assert_eq!((a.dtype(), b.dtype()), (DType::F32, DType::F64));
    assert!((global_norm(&(a, b)).item::<f64>()? - 1.0).abs() < 1e-6);
    assert_eq!(global_norm(&Vec::<Tensor>::new()).item::<f64>()?, 0.0);
    // Zeros stay zeros.
    let zeros = clip_by_global_norm(&Tensor::from([0.0, 0.0]), 1.0);
    assert_eq!(zeros.to_vec::<f64>()?, [0.0, 0.0]);
    Ok(())
}

/// The penalised logistic likelihood of the vectors.
fn likelihood(x: &Tensor, y: &Tensor, w: &Tensor) -> Tensor {
    let losses =
        vmap(|x: &Tensor, y: &Tensor| nn::binary_cross_entropy(&x.dot(w), y), (0, 0))(x, y);
    losses.sum() + 0.5 * w.square().sum()
}

#[test]
fn lbfgs_makes_the_steps_of_optax() {
    let (inputs, outputs) = entry("lbfgs");
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
        let [start, c] = [inputs[0].cast(dtype), inputs[1].cast(dtype)];
        let f = |x: &Tensor| (&c * x.square()).sum() * 0.5 + x.powi(4).sum();
        let lbfgs = Lbfgs::new().history(3);
        let (mut x, mut state) = (start.clone(), lbfgs.init(f, &start));
        for step in 0..6 {
            (x, state) = lbfgs.update(f, &state, &x);
            let expected = outputs[0].at((step, ..)).cast(dtype);
            assert_eq!(difference(&x, &expected, tolerance), None, "step {step} in {dtype}");
        }
    }
}

#[test]
fn lbfgs_finds_the_minimum_of_a_likelihood() -> Result<()> {
    let (inputs, outputs) = entry("minimum");
    for (dtype, tolerance, precision) in [(DType::F64, 1e-8, 1e-7), (DType::F32, 1e-3, 1e-3)] {
        let [x, y] = [inputs[0].cast(dtype), inputs[1].cast(dtype)];
        let (minimum, value) = (outputs[0].cast(dtype), outputs[1].cast(dtype));
        let loss = |w: &Tensor| likelihood(&x, &y, w);
        let lbfgs = Lbfgs::new().tolerance(tolerance);
        let fit = |start: &Tensor| lbfgs.minimize(loss, start);
        let start = Tensor::zeros(dtype, 3);
        for (how, (w, state)) in [("alone", fit(&start)), ("compiled", jit(fit)(&start))] {
            assert_eq!(difference(&w, &minimum, precision), None, "{how} {dtype}");
            assert_eq!(difference(&state.value, &value, precision), None, "{how} {dtype}");
            assert!(state.step.item::<i64>()? < 25, "{how} {dtype}: {}", state.step);
        }
        // Several starts at once.
        let starts = Tensor::stack(&[&start, &(start.ones_like() * 5.0)], 0);
        let (w, state) = vmap(fit, 0)(&starts);
        let expected = Tensor::stack(&[&minimum, &minimum], 0);
        assert_eq!(difference(&w, &expected, precision), None, "two at once {dtype}");
        assert!(!state.stuck.any().item::<bool>()? || dtype == DType::F32);
        // Steps inside of a loop, whose values fall.
        let one = |(w, state): &(Tensor, LbfgsState), _: &Tensor| {
            let (w, state) = lbfgs.update(loss, state, w);
            ((w, state.clone()), state.value)
        };
        let begin = (start.clone(), lbfgs.init(loss, &start));
        let ((w, _), values) = scan(one, &begin, &Tensor::arange(0, 20, 1));
        assert_eq!(difference(&w, &minimum, precision), None, "in a loop {dtype}");
        assert!(values.diff(1, 0).max().cast(DType::F64).item::<f64>()? <= 1e-5);
    }
    Ok(())
}

#[test]
fn lbfgs_of_hard_functions() -> Result<()> {
    // Rosenbrock's function of 10 numbers, as a tree of two vectors.
    let chained = |(x, y): &(Tensor, Tensor)| {
        let z = Tensor::stack(&[x, y], 1).flatten();
        let (a, b) = (z.slice_axis(0, 0, 9), z.slice_axis(0, 1, 10));
        ((1.0 - &a).square() + 100.0 * (b - a.square()).square()).sum()
    };
    let start = (Tensor::full(5, -1.2), Tensor::full(5, 1.0));
    let ((x, y), state) = jit(|p: &(Tensor, Tensor)| Lbfgs::new().minimize(chained, p))(&start);
    for z in [x, y] {
        assert_eq!(difference(&z, &z.ones_like(), 1e-6), None, "{state:?}");
    }
    // Few steps remembered; many.
    for history in [0, 1, 30] {
        let lbfgs = Lbfgs::new().history(history);
        let f = |x: &Tensor| (x - 1.0).square().sum() + x.powi(4).sum();
        let (x, state) = lbfgs.minimize(f, &Tensor::from([3.0, -7.0]));
        assert!(state.gradient.norm().item::<f64>()? <= 1e-6, "{history}: {x}");
    }
    // At the minimum already; without parameters.
    let (x, state) =
        Lbfgs::new().minimize(|x: &Tensor| x.square().sum(), &Tensor::from([0.0, 0.0]));
    assert_eq!((x.to_vec::<f64>()?, state.step.item::<i64>()?), (vec![0.0, 0.0], 0));
    let (none, _) = Lbfgs::new().minimize(|_: &Vec<Tensor>| Tensor::from(1.0), &vec![]);
    assert!(none.check().is_ok());
    Ok(())
}

#[test]
fn lbfgs_survives_values_that_are_no_numbers() -> Result<()> {
    // The logarithm is NaN beyond the edge, towards which the first steps jump.
    let barrier = |x: &Tensor| (1e3 * x).sum() - x.log().sum() * 1e-2;
    let start = Tensor::from([1.0, 0.5, 2.0]);
    let fit = |x: &Tensor| Lbfgs::new().tolerance(1e-5).minimize(barrier, x);
    for (x, state) in [fit(&start), jit(fit)(&start)] {
        assert_eq!(difference(&x, &Tensor::full(3, 1e-5), 1e-8), None, "{state:?}");
    }
    // A covariance that is not positive definite on the way: its factor is NaN.
    let (a, b) = (Tensor::from([[2.0, 1.0], [1.0, 3.0]]), Tensor::from([[1.0, 2.0], [2.0, 1.0]]));
    let information = |t: &Tensor| {
        let l = (&a + t * &b).cholesky();
        -l.diagonal(0).log().sum() - 0.1 * t
    };
    // det(a + t·b) = (2 + t)(3 + t) - (1 + 2t)² = 5 + t - 3t²: largest at 1/6 without the last term.
    let (t, state) = Lbfgs::new().minimize(information, &Tensor::from(-1.0));
    assert!(state.gradient.norm().item::<f64>()? <= 1e-6, "{t} {state:?}");
    assert!((-1.2..1.5).contains(&t.item::<f64>()?));
    // Where the function is NaN at the start, it stays there and says so; other examples go on.
    let (x, state) = vmap(fit, 0)(&Tensor::stack(&[&start, &(-&start)], 0));
    assert_eq!(state.stuck.to_vec::<bool>()?, [false, true]);
    assert_eq!(difference(&x.at((1, ..)), &-start, 0.0), None);
    assert_eq!(difference(&x.at((0, ..)), &Tensor::full(3, 1e-5), 1e-8), None);
    let (x, state) = Lbfgs::new().minimize(|x: &Tensor| (x - 1.0).sqrt(), &Tensor::from(0.0));
    assert_eq!((x.item::<f64>()?, state.stuck.item::<bool>()?), (0.0, true));
    Ok(())
}

#[test]
fn lbfgs_tells_what_it_cannot_do() {
    let mixed = (Tensor::from(1.0f32), Tensor::from(1.0f64));
    let f = |(x, y): &(Tensor, Tensor)| x.cast(DType::F64) + y;
    let (p, state) = Lbfgs::new().minimize(f, &mixed);
    let error = p.check().err().or(state.check().err()).expect("two dtypes");
    assert!(error.to_string().contains("cast"), "{error}");
    assert!(error.location().is_some_and(|at| at.file().ends_with("optim.rs")), "{error}");
    let (p, _) = Lbfgs::new().minimize(|x: &Tensor| x.clone(), &Tensor::from([1.0, 2.0]));
    let error = p.check().map(drop).expect_err("no scalar");
    assert!(error.location().is_some_and(|at| at.file().ends_with("optim.rs")), "{error}");
}
