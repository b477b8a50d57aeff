//! Functions composed of the operations, against NumPy, SciPy and JAX.

use unloop::linalg::{self, Norm};
use unloop::polynomial;
use unloop::prelude::*;
use unloop::{PadMode, check_grads};
use unloop_tests::vectors::{difference, read, tensors};

fn norm(name: &str) -> Norm {
    match name {
        "fro" => Norm::Euclidean,
        "inf" => Norm::Infinity,
        "-inf" => Norm::MinusInfinity,
        "nuc" => Norm::Nuclear,
        "0" => Norm::Zero,
        p => Norm::P(p.parse().expect("a number")),
    }
}

/// The gradient of `Σ f(z)·cos(z)`, to compare derivatives.
fn slope(f: fn(&Tensor) -> Tensor, at: &Tensor) -> Tensor {
    grad(|z: &Tensor| (f(z) * z.cos()).sum())(&(at + 0.01))
}

fn activation(f: fn(&Tensor) -> Tensor, x: &Tensor) -> Vec<Tensor> {
    vec![f(x), slope(f, x)]
}

fn call(name: &str, x: &[Tensor]) -> Option<Vec<Tensor>> {
    let one = |y: Tensor| Some(vec![y]);
    if let Some(formula) = name.strip_prefix("einsum ") {
        return one(Tensor::einsum(formula, &x.iter().collect::<Vec<_>>()));
    }
    if let Some(which) = name.strip_prefix("norm ").or(name.strip_prefix("vnorm ")) {
        return one(linalg::norm(&x[0], norm(which)));
    }
    let number = |prefix: &str| name.strip_prefix(prefix).and_then(|n| n.parse::<f64>().ok());
    if let Some(k) = number("rot90_") {
        return one(x[0].rot90(k as i32));
    }
    if let Some(k) = number("tril_") {
        return one(x[0].tril(k as i64));
    }
    if let Some(k) = number("triu_") {
        return one(x[0].triu(k as i64));
    }
    if let Some(k) = number("diagonal_") {
        return one(x[0].diagonal(k as i64));
    }
    if let Some(k) = number("diag_") {
        return one(x[0].diag(k as i64));
    }
    if let Some(q) = number("quantile_") {
        return one(x[0].quantile(q, 1));
    }
    if let Some(k) = number("matrix_power_") {
        return one(linalg::matrix_power(&x[0], k as i32));
    }
    if let Some(mode) = name.strip_prefix("pad_") {
        let mode = match mode {
            "edge" => PadMode::Edge,
            "reflect" => PadMode::Reflect,
            "symmetric" => PadMode::Symmetric,
            "wrap" => PadMode::Wrap,
            _ => return None,
        };
        return one(x[0].pad_mode(&[(2, 1), (3, 2)], mode));
    }
    one(match name {
        "log2" => x[0].log2(),
        "log10" => x[0].log10(),
        "sinc" => x[0].sinc(),
        "sign_bit" => x[0].sign_bit(),
        "nan_to_num" => x[0].nan_to_num(),
        "is_infinite" => x[0].is_infinite(),
        "to_radians" => x[0].to_radians(),
        "to_degrees" => x[0].to_degrees(),
        "entr" => x[0].entr(),
        "ndtr" => x[0].ndtr(),
        "log_ndtr" => x[0].log_ndtr(),
        "hypot" => x[0].hypot(&x[1]),
        "copy_sign" => x[0].copy_sign(&x[1]),
        "next_after" => x[0].next_after(&x[1]),
        "fmax" => x[0].fmax(&x[1]),
        "fmin" => x[0].fmin(&x[1]),
        "heaviside" => x[0].heaviside(&x[1]),
        "floor_div" => x[0].floor_div(&x[1]),
        "modulo" => x[0].modulo(&x[1]),
        "logaddexp2" => x[0].logaddexp2(&x[1]),
        "xlogy" => x[0].xlogy(&x[1]),
        "xlog1py" => x[0].xlog1py(&x[1]),
        "rel_entr" => x[0].rel_entr(&x[1]),
        "kl_div" => x[0].kl_div(&x[1]),
        "ldexp" => x[0].ldexp(&x[1]),
        "modf" => {
            let (part, whole) = x[0].modf();
            return Some(vec![part, whole]);
        }
        "round_to" => x[0].round_to(2),
        "logit" => x[0].logit(),
        "gamma_sign" => x[0].gamma_sign(),
        "gamma" => x[0].gamma(),
        "factorial" => x[0].factorial(),
        "betaln" => x[0].betaln(&x[1]),
        "beta" => x[0].beta(&x[1]),
        "poch" => x[0].poch(&x[1]),
        "multigammaln" => x[0].multigammaln(3),
        "bessel_i0" => x[0].bessel_i0(),
        "bessel_i1" => x[0].bessel_i1(),
        "log1mexp" => x[0].log1mexp(),
        "is_close" => x[0].is_close(&x[1], 1e-5, 1e-8),
        "roll" => x[0].roll(5, 1),
        "repeat" => x[0].repeat(3, 0),
        "tile" => x[0].tile(&[2, 1, 2]),
        "split" => return Some(x[0].split(3, 1)),
        "trace" => x[0].trace(),
        "kron" => x[0].kron(&x[1]),
        "vander" => x[0].vander(4),
        "toeplitz" => Tensor::toeplitz(&x[0], &x[1]),
        "meshgrid" => return Some(Tensor::meshgrid(&[&x[0], &x[1]])),
        "block_diag" => Tensor::block_diag(&[&x[0], &x[1]]),
        "search_sorted" => x[0].search_sorted(&x[1]),
        "search_sorted_right" => x[0].search_sorted_right(&x[1]),
        "bincount" => x[0].bincount(8),
        "bincount_weighted" => x[0].bincount_weighted(&x[1], 8),
        "histogram" => x[0].histogram(&x[1]),
        "one_hot" => x[0].one_hot(4, DType::F64),
        "unique" => {
            let (values, count) = x[0].unique(8);
            return Some(vec![values, count]);
        }
        "nonzero" => x[0].nonzero(25),
        "is_in" => x[0].is_in(&x[1]),
        "count_nonzero" => x[0].count_nonzero(),
        "interp" => x[0].interp(&x[1], &x[2]),
        "lexsort" => Tensor::lexsort(&[&x[0], &x[1]], 0),
        "nansum" => x[0].nansum(),
        "nansum_axis" => x[0].nansum_axis(1),
        "nanprod" => x[0].nanprod(),
        "nanprod_axis" => x[0].nanprod_axis(1),
        "nanmean" => x[0].nanmean(),
        "nanmean_axis" => x[0].nanmean_axis(1),
        "nanmax" => x[0].nanmax(),
        "nanmax_axis" => x[0].nanmax_axis(1),
        "nanmin" => x[0].nanmin(),
        "nanmin_axis" => x[0].nanmin_axis(1),
        "nanvar" => x[0].nanvar(),
        "nanvar_axis" => x[0].nanvar_axis(1),
        "nanstd" => x[0].nanstd(),
        "nanstd_axis" => x[0].nanstd_axis(1),
        "nanargmax_axis" => x[0].nanargmax_axis(1),
        "nanargmin_axis" => x[0].nanargmin_axis(1),
        "nancumsum" => x[0].nancumsum(1),
        "nancumprod" => x[0].nancumprod(1),
        "variance_ddof" => x[0].variance_ddof(1, 1),
        "peak_to_peak" => x[0].peak_to_peak(0),
        "average" => x[0].average(1, &x[1]),
        "median" => x[0].median(1),
        "covariance" => x[0].covariance(),
        "correlation" => x[0].correlation(),
        "diff" => x[0].diff(2, 1),
        "slope" => x[0].slope(0.5, 1),
        "trapezoid" => x[0].trapezoid(0.5, 1),
        "polynomial" => x[0].polynomial(&x[1]),
        "log_sigmoid" => return Some(activation(Tensor::log_sigmoid, &x[0])),
        "soft_sign" => return Some(activation(Tensor::soft_sign, &x[0])),
        "relu6" => return Some(activation(Tensor::relu6, &x[0])),
        "leaky_relu" => return Some(activation(|x| x.leaky_relu(0.01), &x[0])),
        "hard_tanh" => return Some(activation(Tensor::hard_tanh, &x[0])),
        "hard_sigmoid" => return Some(activation(Tensor::hard_sigmoid, &x[0])),
        "hard_silu" => return Some(activation(Tensor::hard_silu, &x[0])),
        "elu" => return Some(activation(|x| x.elu(1.0), &x[0])),
        "celu" => return Some(activation(|x| x.celu(1.0), &x[0])),
        "selu" => return Some(activation(Tensor::selu, &x[0])),
        "gelu_tanh" => return Some(activation(Tensor::gelu_tanh, &x[0])),
        "squareplus" => return Some(activation(|x| x.squareplus(4.0), &x[0])),
        "mish" => return Some(activation(Tensor::mish, &x[0])),
        "sparse_plus" => return Some(activation(Tensor::sparse_plus, &x[0])),
        "sparse_sigmoid" => return Some(activation(Tensor::sparse_sigmoid, &x[0])),
        "standardize" => return Some(activation(|x| x.standardize(-1, 1e-5), &x[0])),
        "glu" => x[0].glu(1),
        "logmeanexp" => x[0].logmeanexp(1),
        "attention" => x[0].attention(&x[1], &x[2]),
        "cond" => linalg::cond(&x[0], Norm::P(2.0)),
        "cond_1" => linalg::cond(&x[0], Norm::P(1.0)),
        "matrix_rank" => linalg::matrix_rank(&x[0]),
        "pinv" => {
            let weighted = |a: &Tensor| {
                let p = linalg::pinv(a);
                let weights = Tensor::arange(0.0, p.size() as f64, 1.0);
                (p.flatten() * weights).sum()
            };
            return Some(vec![linalg::pinv(&x[0]), grad(weighted)(&x[0])]);
        }
        "lstsq" => linalg::lstsq(&x[0], &x[1]),
        "multi_dot" => linalg::multi_dot(&x.iter().collect::<Vec<_>>()),
        "expm" => {
            let y = linalg::expm(&x[0]);
            let most = y.abs().max();
            let scaled = |a: &Tensor| (linalg::expm(a) / &most).sum();
            return Some(vec![y, grad(scaled)(&x[0])]);
        }
        "cho_solve" => linalg::cho_solve(&x[0], &x[1]),
        "eigvalsh" => linalg::eigvalsh(&x[0]),
        "sqrtm" => linalg::sqrtm_symmetric(&x[0]),
        "polar" => {
            let (u, p) = linalg::polar(&x[0]);
            return Some(vec![u, p]);
        }
        "cross" => linalg::cross(&x[0], &x[1]),
        "tensorsolve" => linalg::tensorsolve(&x[0], &x[1]),
        "tensorinv" => linalg::tensorinv(&x[0], 2),
        "hilbert" => linalg::hilbert(4),
        "convolve" => x[0].convolve(&x[1]),
        "correlate" => x[0].correlate(&x[1]),
        "unwrap_angles" => x[0].unwrap_angles(0),
        "bartlett" => Tensor::bartlett(9),
        "blackman" => Tensor::blackman(9),
        "hamming" => Tensor::hamming(9),
        "hanning" => Tensor::hanning(9),
        "kaiser" => Tensor::kaiser(9, 14.0),
        "polyadd" => polynomial::add(&x[0], &x[1]),
        "polysub" => polynomial::sub(&x[0], &x[1]),
        "polydiv" => {
            let (quotient, rest) = polynomial::div(&x[0], &x[1]);
            return Some(vec![quotient, rest]);
        }
        "polyder" => polynomial::derivative(&x[0]),
        "polyint" => polynomial::integral(&x[0]),
        "poly" => polynomial::from_roots(&x[0]),
        "polyfit" => polynomial::fit(&x[0], &x[1], 3),
        "ndtri" => x[0].ndtri(),
        "boxcox" => x[0].boxcox(&x[1]),
        "boxcox1p" => x[0].boxcox1p(&x[1]),
        "comb" => x[0].comb(&x[1]),
        "gcd" => x[0].gcd(&x[1]),
        "lcm" => x[0].lcm(&x[1]),
        "leading_zeros" => x[0].leading_zeros(),
        "circulant" => linalg::circulant(&x[0]),
        "hankel" => linalg::hankel(&x[0], &x[1]),
        "convolution_matrix" => linalg::convolution_matrix(&x[0], 5),
        "companion" => linalg::companion(&x[0]),
        "leslie" => linalg::leslie(&x[0], &x[1]),
        "fiedler" => linalg::fiedler(&x[0]),
        "pascal" => linalg::pascal(5),
        "hadamard" => linalg::hadamard(8),
        "helmert" => linalg::helmert(5),
        "eigvals_tridiagonal" => linalg::eigh_tridiagonal(&x[0], &x[1]).0,
        "lu_solve" => linalg::lu_solve(&x[0].lu(), &x[1]),
        "mul_at" => x[0].mul_at((&x[1], 1..3), &x[2]),
        "min_at" => x[0].min_at((&x[1], 1..3), &x[2]),
        "max_at" => x[0].max_at((&x[1], 1..3), &x[2]),
        "mul_at_known" => x[0].mul_at((1, strided(.., 2)), &x[1]),
        "min_at_known" => x[0].min_at((1, strided(.., 2)), &x[1]),
        "max_at_known" => x[0].max_at((1, strided(.., 2)), &x[1]),
        _ => return None,
    })
}

/// Relative accuracy; less where values are large sums that cancel, or the other library is.
fn tolerance(name: &str) -> f64 {
    match name {
        "expm" | "cond" | "cond_1" | "matrix_power_-2" | "log_ndtr" => 1e-9,
        _ => 2e-12,
    }
}

#[test]
fn functions_agree_with_other_libraries() {
    let mut wrong = Vec::new();
    for entry in read(include_str!("../../vectors/library.json")) {
        let name = entry["name"].as_str().unwrap();
        let (inputs, expected) = (tensors(&entry["in"]), tensors(&entry["out"]));
        let eager = call(name, &inputs).expect(name);
        let compiled = jit(|x: &Vec<Tensor>| call(name, x).unwrap_or_default())(&inputs);
        for (way, results) in [("", eager), (" compiled", compiled)] {
            // A gradient may stand only where it is defined.
            for (k, (actual, expected)) in results.iter().zip(&expected).enumerate() {
                if let Some(what) = difference(actual, expected, tolerance(name)) {
                    wrong.push(format!("{name}{way}, result {k}: {what}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same function on every row of a stack, and on each row alone.
#[test]
fn functions_are_the_same_mapped() {
    let mut wrong = Vec::new();
    for entry in read(include_str!("../../vectors/library.json")) {
        let name = entry["name"].as_str().unwrap();
        let inputs = tensors(&entry["in"]);
        if inputs.is_empty() {
            continue;
        }
        let second: Vec<Tensor> = inputs.iter().map(|x| x.flip(&all_axes(x))).collect();
        let stacks: Vec<Tensor> =
            inputs.iter().zip(&second).map(|(a, b)| Tensor::stack(&[a, b], 0)).collect();
        let mapped = vmap(|x: &Vec<Tensor>| call(name, x).unwrap_or_default(), 0)(&stacks);
        for (i, example) in [&inputs, &second].into_iter().enumerate() {
            let alone = call(name, example).expect(name);
            for (k, (all, alone)) in mapped.iter().zip(&alone).enumerate() {
                if let Err(error) = all.check() {
                    wrong.push(format!("{name} mapped: {error}"));
                    continue;
                }
                let from = all.slice_axis(0, i, i + 1).squeeze(0);
                if let Some(what) = difference(&from, alone, 1e-9) {
                    wrong.push(format!("{name} mapped, example {i}, result {k}: {what}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn all_axes(x: &Tensor) -> Vec<isize> {
    // Sorted inputs would no longer be, reversed along the axis that is searched.
    (1..x.rank() as isize).collect()
}

#[test]
fn derivatives_agree_with_differences() {
    let (x, y) = (Tensor::from([0.3, 0.8, 1.7]), Tensor::from([1.2, 0.4, 2.5]));
    let of_one: [fn(&Tensor) -> Tensor; 12] = [
        Tensor::log2,
        Tensor::sinc,
        Tensor::ndtr,
        Tensor::log_ndtr,
        Tensor::entr,
        Tensor::factorial,
        Tensor::gamma,
        Tensor::bessel_i0,
        Tensor::bessel_i1,
        Tensor::log1mexp,
        Tensor::nansum,
        |x| x.quantile(0.4, 0),
    ];
    for (i, f) in of_one.into_iter().enumerate() {
        check_grads(f, (&x,), 2).unwrap_or_else(|e| panic!("function {i}: {e}"));
    }
    let of_two: [fn(&Tensor, &Tensor) -> Tensor; 9] = [
        Tensor::hypot,
        Tensor::logaddexp2,
        Tensor::xlogy,
        Tensor::xlog1py,
        Tensor::rel_entr,
        Tensor::kl_div,
        Tensor::betaln,
        Tensor::beta,
        Tensor::polynomial,
    ];
    for (i, f) in of_two.into_iter().enumerate() {
        check_grads(f, (&x, &y), 2).unwrap_or_else(|e| panic!("function {i} of two: {e}"));
    }
    let a = Tensor::from([[2.0, 0.3, 0.1], [0.2, 1.5, 0.4], [0.6, 0.1, 1.1]]);
    let of_matrices: [fn(&Tensor) -> Tensor; 6] = [
        linalg::expm,
        linalg::pinv,
        |a| linalg::matrix_power(a, -3),
        |a| linalg::norm(a, Norm::Nuclear),
        |a| linalg::sqrtm_symmetric(&(a + a.t())),
        |a| a.kron(a).trace(),
    ];
    for (i, f) in of_matrices.into_iter().enumerate() {
        check_grads(f, (&a,), 1).unwrap_or_else(|e| panic!("function {i} of a matrix: {e}"));
    }
    let b = a.slice_axis(1, 0, 2);
    check_grads(|b: &Tensor| linalg::pinv(b), (&b,), 1).unwrap();
}

#[test]
fn what_does_not_fit_says_so() {
    let message = |x: Tensor| x.check().unwrap_err().to_string();
    let (v, m) = (Tensor::from([1.0, 2.0, 3.0]), Tensor::zeros(DType::F64, (2, 3)));
    for (error, word) in [
        (Tensor::einsum("ij,jk->ik", &[&m, &m]), "'j' has extent"),
        (Tensor::einsum("ij->ijj", &[&m]), "twice"),
        (Tensor::einsum("ij->k", &[&m]), "'k'"),
        (Tensor::einsum("...i->i", &[&m]), "vmap"),
        (Tensor::einsum("ij", &[&v]), "has 2 names"),
        (linalg::expm(&m), "square matrix"),
        (linalg::norm(&v, Norm::Nuclear), "no norm"),
        (linalg::cross(&v, &m), "3 elements"),
        (v.roll(1, 2), "axis 2"),
        (v.quantile(1.5, 0), "from 0 to 1"),
        (m.diag(0), "a vector"),
        (m.search_sorted(&v), "a sorted vector"),
        (v.interp(&v, &m), "points"),
        (v.take(&Tensor::from([0, 3]), 0), "out of bounds"),
        (v.pad_mode(&[(1, 1), (0, 0)], PadMode::Edge), "around shape"),
    ] {
        let text = message(error);
        assert!(text.contains(word) && text.contains("library.rs"), "{text}");
    }
}
