//! Random numbers against JAX's for the same keys, and as functions under transforms.

use unloop::ErrorKind;
use unloop::prelude::*;
use unloop::random::{self as r, Key};
use unloop_tests::draw::{Draw, arguments};
use unloop_tests::functions::{Arg, Dtypes, Extents, Function, Kind, functions};
use unloop_tests::vectors::{difference, read, tensor};

const F64: DType = DType::F64;
const F32: DType = DType::F32;

fn f(x: f64) -> Tensor {
    Tensor::from(x)
}

/// The result of an entry, and how close it is: 0 for what is equal bit by bit.
fn draw(name: &str, k: &Key) -> Option<(Tensor, f64)> {
    let (a, b) = (Tensor::from([0.3, 1.0, 5.0]), Tensor::from([0.01, 1.0, 5.0]));
    // Elementary functions differ from JAX's in the last places.
    let (exact, near) = (0.0, 1e-12);
    Some(match name {
        "key" => (k.data().clone(), exact),
        "split" => (r::split_stack(k, 5).data().clone(), exact),
        "fold_in" => (r::fold_in(k, 7).data().clone(), exact),
        "bits" => (r::bits(k, (3, 5)), exact),
        "uniform_f32" => (r::uniform(k, F32, 20), exact),
        "uniform_f64" => (r::uniform(k, F64, 20), exact),
        "uniform_between_f32" => {
            let (low, high) = (Tensor::from(-3.0f32), Tensor::from(5.0f32));
            (r::uniform_between(k, &low, &high, 20), 1e-6)
        }
        "normal_f32" => (r::normal(k, F32, 40), 1e-6),
        "normal_f64" => (r::normal(k, F64, 40), 1e-13),
        "randint" => (r::randint(k, -7, 1000, 20), exact),
        "bernoulli" => (r::bernoulli(k, &Tensor::from(0.3f32), 20), exact),
        "categorical" => (r::categorical(k, &Tensor::arange(0.0, 5.0, 1.0), 20), exact),
        "permutation" => (r::permutation(k, 30), exact),
        "choice" => (r::choice(k, 9, 20), exact),
        "choice_weighted" => {
            (r::choice_weighted(k, &Tensor::from([0.1, 0.2, 0.3, 0.4]), 20), exact)
        }
        "exponential" => (r::exponential(k, F64, 20), near),
        "gumbel" => (r::gumbel(k, F64, 20), near),
        "laplace" => (r::laplace(k, F64, 20), near),
        "logistic" => (r::logistic(k, F64, 20), near),
        "cauchy" => (r::cauchy(k, F64, 20), near),
        "pareto" => (r::pareto(k, &f(2.5), 20), near),
        "rayleigh" => (r::rayleigh(k, &f(2.0), 20), near),
        "weibull_min" => (r::weibull_min(k, &f(2.0), &f(1.5), 20), near),
        "lognormal" => (r::lognormal(k, &f(0.5), 20), near),
        "maxwell" => (r::maxwell(k, F64, 20), near),
        "double_sided_maxwell" => (r::double_sided_maxwell(k, &f(1.0), &f(2.0), 20), near),
        "triangular" => (r::triangular(k, &f(0.0), &f(0.5), &f(2.0), 20), near),
        "wald" => (r::wald(k, &f(2.0), 20), near),
        "truncated_normal" => (r::truncated_normal(k, &f(-1.0), &f(2.0), 20), near),
        "gamma" => (r::gamma(k, &a, 3), near),
        "loggamma" => (r::loggamma(k, &b, 3), near),
        "beta" => (r::beta(k, &f(2.0), &f(0.5), 20), near),
        "dirichlet" => (r::dirichlet(k, &Tensor::from([1.0, 2.0, 3.0]), 4), near),
        "chisquare" => (r::chisquare(k, &f(3.0), 20), near),
        "t" => (r::t(k, &f(3.0), 20), near),
        "f" => (r::f(k, &f(3.0), &f(5.0), 20), near),
        "poisson" => (r::poisson(k, &Tensor::from([0.0, 0.5, 4.0, 30.0, 1000.0]), 5), exact),
        "geometric" => (r::geometric(k, &f(0.2), 20), exact),
        "rademacher" => (r::rademacher(k, 20), exact),
        "multivariate_normal" => {
            let covariance = Tensor::from([[2.0, 0.5], [0.5, 1.0]]);
            (r::multivariate_normal(k, &Tensor::from([1.0, -1.0]), &covariance, 5), near)
        }
        "generalized_normal" => (r::generalized_normal(k, 1.5, F64, 20), near),
        "ball" => (r::ball(k, 3, 2.0, F64, 4), near),
        _ => return None,
    })
}

#[test]
fn streams_are_those_of_jax() {
    let mut wrong = Vec::new();
    for entry in read(include_str!("../../vectors/random.json")) {
        let name = entry["name"].as_str().unwrap();
        let seed = entry["key"].as_i64().unwrap();
        let (actual, tolerance) = draw(name, &r::key(seed)).expect(name);
        if let Some(what) = difference(&actual, &tensor(&entry["out"]), tolerance) {
            wrong.push(format!("{name} of key {seed}: {what}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_distribution_is_the_same_traced_and_mapped() {
    let names = read(include_str!("../../vectors/random.json"));
    let names: std::collections::BTreeSet<&str> =
        names.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    let keys = r::split_stack(&r::key(5), 3);
    for name in names {
        let one = |k: &Key| draw(name, k).unwrap().0;
        let (mapped, compiled) = (vmap(one, 0)(&keys), jit(vmap(one, 0))(&keys));
        for i in 0..3 {
            let alone = one(&Key::from_data(keys.data().at((i, ..))));
            for all in [&mapped, &compiled] {
                let from = all.slice_axis(0, i as usize, i as usize + 1).squeeze(0);
                let what = difference(&from, &alone, 1e-12);
                assert!(what.is_none(), "{name}, example {i}: {}", what.unwrap());
            }
        }
    }
}

/// A parameter is a scalar, or has just the shape that is asked for, of every distribution that has one: one
/// number would else stand for several, or the other way round.
#[test]
fn parameters_are_scalars_or_have_the_shape() {
    let is_parameter = |kind: &Kind| {
        matches!(kind, Kind::Tensor(Dtypes::Float, Extents::Scalar, _))
            || matches!(kind, Kind::Tensor(Dtypes::Same, Extents::Like, _))
    };
    let all = functions();
    let with_parameters = |f: &&Function| {
        f.of == "random" && f.kinds.iter().any(&is_parameter) && f.name != "fold_in"
    };
    let all: Vec<&Function> = all.iter().filter(with_parameters).collect();
    assert!(all.len() >= 15, "{}", all.len());
    for function in all {
        let bytes: Vec<u8> = {
            let mut rng = fastrand::Rng::with_seed(5);
            (0..96).map(|_| rng.u8(..)).collect()
        };
        let ordinary = arguments(function, false, &mut Draw::new(&bytes));
        // Every parameter in a shape, and numbers of another.
        let call = |parameter: &[usize], only: Option<usize>, shape: &[usize]| -> Tensor {
            let mut args = ordinary.clone();
            for (i, (arg, kind)) in args.iter_mut().zip(&function.kinds).enumerate() {
                match arg {
                    Arg::Tensor(x) if is_parameter(kind) && only.is_none_or(|only| only == i) => {
                        *x = x.broadcast_to(parameter);
                    }
                    Arg::Sizes(s) => *s = shape.to_vec(),
                    _ => {}
                }
            }
            (function.call)(&args).swap_remove(0)
        };
        for shape in [vec![], vec![1], vec![2], vec![3, 2]] {
            let scalar = call(&[], None, &shape);
            assert_eq!(scalar.check().expect(function.name).shape(), &shape[..]);
            let same = call(&shape, None, &shape);
            let what = difference(&same, &scalar, 0.0);
            assert!(what.is_none(), "{} of {shape:?}: {}", function.name, what.unwrap());
            for other in [vec![1], vec![2], vec![3, 1], vec![3, 2], vec![1, 3, 2]] {
                let at = function.kinds.iter().position(&is_parameter);
                let last = function.kinds.iter().rposition(&is_parameter);
                for only in [at, last] {
                    let result = call(&other, only, &shape);
                    match (result.check(), other == shape) {
                        (Ok(x), true) => assert_eq!(x.shape(), &shape[..]),
                        (Err(error), false) => {
                            let kind = error.kind();
                            let fits = matches!(kind, ErrorKind::Incompatible { .. });
                            assert!(fits && error.op() == function.name, "{error}");
                        }
                        _ => panic!("{}, {other:?} for {shape:?}: {result}", function.name),
                    }
                }
            }
        }
    }
    // Vectors that stand for one outcome are no scalars.
    let (k, one) = (r::key(0), f(1.0));
    for result in [r::dirichlet(&k, &one, 4), r::categorical(&k, &one, 4)] {
        assert!(matches!(result.check().unwrap_err().kind(), ErrorKind::WrongRank { .. }));
    }
    let folded = |number: Tensor| r::fold_in(&k, number).data().check().unwrap_err().kind().clone();
    assert!(matches!(folded(f(1.0)), ErrorKind::UnsupportedDType { .. }));
    assert!(matches!(folded(Tensor::from([1, 2])), ErrorKind::WrongRank { .. }));
    let stack = r::fold_in(&r::split_stack(&k, 2), 1).data().check().unwrap_err().to_string();
    assert!(stack.contains("vmap"), "{stack}");
}

#[test]
fn moments_are_right() {
    let n = 20_000;
    let k = r::key(7);
    let check = |name: &str, x: Tensor, mean: f64, variance: f64| {
        let (m, v): (f64, f64) = (x.mean().item().unwrap(), x.variance().item().unwrap());
        let error = 5.0 * (variance / n as f64).sqrt();
        assert!((m - mean).abs() < error, "{name}: mean {m}, not {mean}");
        assert!((v / variance - 1.0).abs() < 0.15, "{name}: variance {v}, not {variance}");
    };
    check("uniform", r::uniform(&k, F64, n), 0.5, 1.0 / 12.0);
    check("normal", r::normal(&k, F64, n), 0.0, 1.0);
    check("gamma", r::gamma(&k, &f(0.7), n), 0.7, 0.7);
    check("beta", r::beta(&k, &f(2.0), &f(3.0), n), 0.4, 0.04);
    check("poisson", r::poisson(&k, &f(3.0), n).cast(F64), 3.0, 3.0);
    check("poisson", r::poisson(&k, &f(50.0), n).cast(F64), 50.0, 50.0);
    check("chisquare", r::chisquare(&k, &f(4.0), n), 4.0, 8.0);
    let q = r::orthogonal(&k, 4, F64, ());
    let what = difference(&q.matmul(&q.t()), &Tensor::eye(F64, 4), 1e-12);
    assert!(what.is_none(), "{}", what.unwrap());
}

#[test]
fn gamma_is_differentiable_in_its_parameter() {
    // The mean of the samples is the parameter.
    let mean = |a: &Tensor| r::gamma(&r::key(3), a, 20_000).mean();
    let slope = grad(mean)(&f(2.5)).item::<f64>().unwrap();
    assert!((slope - 1.0).abs() < 0.05, "{slope}");
    let log_mean = |a: &Tensor| r::loggamma(&r::key(3), a, 20_000).mean();
    // The mean of the logarithm is digamma, its slope trigamma.
    let slope = grad(log_mean)(&f(2.5)).item::<f64>().unwrap();
    let expected = f(1.0).polygamma(&f(2.5)).item::<f64>().unwrap();
    assert!((slope / expected - 1.0).abs() < 0.05, "{slope}, not {expected}");
}

#[test]
fn shuffles_and_choices_are_of_what_is_there() {
    let x = Tensor::from([[1, 2], [3, 4], [5, 6]]);
    let shuffled = r::shuffle(&r::key(0), &x, 0);
    assert_eq!(shuffled.sort(0).to_vec::<i32>().unwrap(), [1, 2, 3, 4, 5, 6]);
    let some = r::choice_without_replacement(&r::key(0), 10, 4).sort(0).to_vec::<i32>().unwrap();
    assert!(some.windows(2).all(|w| w[0] < w[1]) && some.len() == 4, "{some:?}");
    let error = r::choice_without_replacement(&r::key(0), 3, 4).check().unwrap_err().to_string();
    assert!(error.contains("4 different positions of 3"), "{error}");
    let stack = r::split_stack(&r::key(0), 2);
    let error = r::bits(&stack, 3).check().unwrap_err().to_string();
    assert!(error.contains("vmap"), "{error}");
    let error = r::uniform(&r::key(0), DType::I32, 3).check().unwrap_err().to_string();
    assert!(error.contains("only for f32 and f64"), "{error}");
}

/// A mode at an end: the other side's root is 0, which must not come through.
#[test]
fn triangular_numbers_have_derivatives_when_the_mode_is_an_end() -> unloop::Result<()> {
    let f = |p: &Tensor| {
        let (low, mode, high) = (p.at((0,)), p.at((1,)), p.at((2,)));
        r::triangular(&r::key(3), &low, &mode, &high, 50).sum()
    };
    for at in [[0.0, 0.0, 2.0], [0.0, 2.0, 2.0]] {
        let gradient = grad(f)(&Tensor::from(at)).to_vec::<f64>()?;
        // All of them move along with the three.
        assert!((gradient.iter().sum::<f64>() - 50.0).abs() < 1e-9, "{gradient:?}");
    }
    Ok(())
}
