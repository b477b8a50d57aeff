//! Nothing, and one of a thing: linear algebra, transforms and polynomials of extents 0 and 1 in every
//! position give what NumPy and SciPy give, or an error that names the function that was called.

use unloop::linalg::{self, Norm};
use unloop::prelude::*;
use unloop::{Complex, Result, Rewriting, fft, polynomial, random};

fn ones(shape: &[usize]) -> Tensor {
    Tensor::ones(DType::F64, shape)
}

fn complex(shape: &[usize]) -> Complex {
    Complex::new(ones(shape), ones(shape))
}

fn parts(z: Complex) -> Vec<Tensor> {
    vec![z.re, z.im]
}

/// Shapes of the results, or `None` where there is an error, which names one of the functions.
struct Cases {
    failures: Vec<String>,
    count: usize,
}

impl Cases {
    fn check(
        &mut self,
        name: &str,
        sizes: &[usize],
        results: Vec<Tensor>,
        expected: Option<&[&[usize]]>,
    ) {
        self.count += 1;
        let mut fail = |what: String| self.failures.push(format!("{name} {sizes:?}: {what}"));
        let shapes: Result<Vec<Vec<usize>>, unloop::Error> =
            results.iter().map(|x| x.check().map(|x| x.shape().to_vec())).collect();
        match (shapes, expected) {
            (Ok(shapes), Some(expected)) if shapes == expected => {
                // The values exist, too.
                if let Err(error) = Tensor::arrays(&results).ok_or("no values") {
                    fail(error.into());
                }
            }
            (Ok(shapes), expected) => fail(format!("{shapes:?} instead of {expected:?}")),
            (Err(error), Some(expected)) => fail(format!("{error} instead of {expected:?}")),
            (Err(error), None) => {
                let here = error.location().is_some_and(|at| at.file().ends_with("empty.rs"));
                if error.op() != name || !here {
                    fail(format!("the error is {error}"));
                }
            }
        }
    }

    fn one(&mut self, name: &str, sizes: &[usize], result: Tensor, expected: Option<&[usize]>) {
        match expected {
            Some(shape) => self.check(name, sizes, vec![result], Some(&[shape])),
            None => self.check(name, sizes, vec![result], None),
        }
    }
}

#[test]
fn functions_of_nothing_and_of_one_give_what_numpy_gives() {
    let mut cases = Cases { failures: Vec::new(), count: 0 };
    for m in 0..3 {
        for n in 0..3 {
            matrices(&mut cases, m, n);
            vectors(&mut cases, m, n);
            for k in 0..3 {
                let (a, b) = (ones(&[m, k]), ones(&[k, n]));
                cases.one("multi_dot", &[m, k, n], linalg::multi_dot(&[&a, &b]), Some(&[m, n]));
                cases.one("matmul", &[m, k, n], a.matmul(&b), Some(&[m, n]));
                cases.one(
                    "lstsq",
                    &[m, n, k],
                    linalg::lstsq(&ones(&[m, n]), &ones(&[m, k])),
                    Some(&[n, k]),
                );
                let stack = ones(&[m, n, k]);
                cases.one("diagonal", &[m, n, k], stack.diagonal(0), Some(&[m, n.min(k)]));
                cases.one(
                    "singular_values",
                    &[m, n, k],
                    stack.singular_values(),
                    Some(&[m, n.min(k)]),
                );
                cases.one("pinv", &[m, n, k], vmap(linalg::pinv, 0)(&stack), Some(&[m, k, n]));
            }
        }
        squares(&mut cases, m);
        sizes(&mut cases, m);
    }
    assert!(cases.count > 600, "{}", cases.count);
    assert!(cases.failures.is_empty(), "{}", cases.failures.join("\n"));
}

fn matrices(cases: &mut Cases, m: usize, n: usize) {
    let (a, k, at) = (ones(&[m, n]), m.min(n), [m, n]);
    let (q, r) = a.qr();
    cases.check("qr", &at, vec![q, r], Some(&[&[m, k], &[k, n]]));
    let (u, s, vt) = a.svd();
    cases.check("svd", &at, vec![u, s, vt], Some(&[&[m, k], &[k], &[k, n]]));
    cases.one("singular_values", &at, a.singular_values(), Some(&[k]));
    let (lu, pivots, order) = a.lu();
    cases.check("lu", &at, vec![lu, pivots, order], Some(&[&[m, n], &[k], &[m]]));
    cases.one("pinv", &at, linalg::pinv(&a), Some(&[n, m]));
    cases.one("lstsq", &at, linalg::lstsq(&a, &ones(&[m])), Some(&[n]));
    cases.one("matrix_rank", &at, linalg::matrix_rank(&a), Some(&[]));
    let (u, p) = linalg::polar(&a);
    cases.check("polar", &at, vec![u, p], Some(&[&[m, n], &[n, n]]));
    for (which, empty) in [
        (Norm::Euclidean, false),
        (Norm::Nuclear, false),
        (Norm::P(1.0), false),
        (Norm::P(2.0), false),
        (Norm::Infinity, false),
        (Norm::P(-1.0), n == 0),
        (Norm::P(-2.0), k == 0),
        (Norm::MinusInfinity, m == 0),
    ] {
        let result = linalg::norm(&a, which);
        if !empty && k == 0 {
            assert_eq!(result.item::<f64>().ok(), Some(0.0), "{which:?} of {m}×{n}");
        }
        cases.one("norm", &at, result, (!empty).then_some(&[]));
    }
    cases.one("cond", &at, linalg::cond(&a, Norm::P(2.0)), (k > 0).then_some(&[]));
    for shift in -2..=2i64 {
        let (row, column) = ((-shift).max(0) as usize, shift.max(0) as usize);
        let length = m.saturating_sub(row).min(n.saturating_sub(column));
        cases.one("diagonal", &at, a.diagonal(shift), Some(&[length]));
        cases.one("tril", &at, a.tril(shift), Some(&[m, n]));
        cases.one("triu", &at, a.triu(shift), Some(&[m, n]));
    }
    cases.one("trace", &at, a.trace(), Some(&[]));
    cases.one("kron", &at, a.kron(&ones(&[n, 2])), Some(&[m * n, n * 2]));
    for axis in [0, 1] {
        let z = complex(&[m, n]);
        let length = at[axis as usize];
        let half =
            |length: usize| if axis == 0 { [length / 2 + 1, n] } else { [m, length / 2 + 1] };
        let wanted = |shape: [usize; 2]| (length > 0).then_some(shape);
        for (name, result, expected) in [
            ("fft", parts(fft::fft(&z, axis)), wanted(at)),
            ("ifft", parts(fft::ifft(&z, axis)), wanted(at)),
            ("rfft", parts(fft::rfft(&a, axis)), wanted(half(length))),
            ("ihfft", parts(fft::ihfft(&a, axis)), wanted(half(length))),
        ] {
            let both = expected.as_ref().map(|s| [&s[..], &s[..]]);
            cases.check(name, &at, result, both.as_ref().map(|b| &b[..]));
        }
        for out in 0..3 {
            let shape = if axis == 0 { [out, n] } else { [m, out] };
            let expected = (out > 0 && length == out / 2 + 1).then_some(&shape[..]);
            cases.one("irfft", &[m, n, out], fft::irfft(&z, out, axis), expected);
            cases.one("hfft", &[m, n, out], fft::hfft(&z, out, axis), expected);
        }
        cases.one("fftshift", &at, fft::fftshift(&a, axis), Some(&at));
        cases.one("ifftshift", &at, fft::ifftshift(&a, axis), Some(&at));
    }
    for picked in 0..2 {
        let indices = Tensor::zeros(DType::I64, [picked, 2]);
        let fits = m > 0 || picked == 0;
        cases.one("take", &[m, n, picked], a.take(&indices, 0), fits.then_some(&[picked, 2, n]));
    }
}

fn vectors(cases: &mut Cases, m: usize, n: usize) {
    let (x, y, at) = (ones(&[m]), ones(&[n]), [m, n]);
    cases.one("toeplitz", &at, Tensor::toeplitz(&x, &y), Some(&at));
    cases.one("hankel", &at, linalg::hankel(&x, &y), Some(&at));
    let fits = (m > 0 && n > 0).then(|| [m + n - 1, n]);
    let result = linalg::convolution_matrix(&x, n);
    cases.one("convolution_matrix", &at, result, fits.as_ref().map(|s| &s[..]));
    let fits = m == n + 1;
    let (w, v) = linalg::eigh_tridiagonal(&x, &y);
    let shapes: [&[usize]; 2] = [&[m], &[m, m]];
    cases.check("eigh_tridiagonal", &at, vec![w, v], fits.then_some(&shapes));
    cases.one("leslie", &at, linalg::leslie(&x, &y), fits.then_some(&[m, m]));
    let sum = Some([m.max(n)]);
    cases.one("add", &at, polynomial::add(&x, &y), sum.as_ref().map(|s| &s[..]));
    cases.one("sub", &at, polynomial::sub(&x, &y), sum.as_ref().map(|s| &s[..]));
    let product = if m > 0 && n > 0 { m + n - 1 } else { 1 };
    cases.one("mul", &at, polynomial::mul(&x, &y), Some(&[product]));
    let (quotient, rest) = polynomial::div(&x, &y);
    // Leading zeros of the remainder stay.
    let remainder = if m < n { m } else { n.saturating_sub(1) };
    let shapes: [&[usize]; 2] = [&[(m + 1).saturating_sub(n).max(1)], &[remainder]];
    let fits = n > 0 && m > 0;
    cases.check("div", &at, vec![quotient, rest], fits.then_some(&shapes));
    cases.one("polynomial", &at, x.polynomial(&y), Some(&[n]));
    let fits = m > 0;
    cases.one("fit", &at, polynomial::fit(&x, &x, n), fits.then_some(&[n + 1]));
    cases.one("vander", &at, x.vander(n), Some(&[m, n]));
    cases.one("outer", &at, x.outer(&y), Some(&at));
    cases.one("cross", &at, linalg::cross(&x, &y), None);
}

fn squares(cases: &mut Cases, n: usize) {
    let a = Tensor::eye(DType::F64, n);
    let (x, at) = (ones(&[n]), [n]);
    let square = Some([n, n]);
    let square = square.as_ref().map(|s| &s[..]);
    let (w, v) = a.eigh();
    cases.check("eigh", &at, vec![w, v], Some(&[&[n], &[n, n]]));
    cases.one("eigvalsh", &at, linalg::eigvalsh(&a), Some(&[n]));
    cases.one("cholesky", &at, a.cholesky(), square);
    cases.one("inv", &at, a.inv(), square);
    cases.one("det", &at, a.det(), Some(&[]));
    assert_eq!(a.det().item::<f64>().ok(), Some(1.0), "the determinant of {n}");
    let (sign, log) = a.slogdet();
    assert_eq!((sign.item::<f64>().ok(), log.item::<f64>().ok()), (Some(1.0), Some(0.0)));
    cases.check("slogdet", &at, vec![sign, log], Some(&[&[], &[]]));
    cases.one("expm", &at, linalg::expm(&a), square);
    cases.one("sqrtm_symmetric", &at, linalg::sqrtm_symmetric(&a), square);
    cases.one("symmetric_function", &at, linalg::symmetric_function(&a, Tensor::exp), square);
    for power in -1..3 {
        cases.one("matrix_power", &at, linalg::matrix_power(&a, power), square);
    }
    for which in [Norm::Euclidean, Norm::P(1.0)] {
        cases.one("cond", &at, linalg::cond(&a, which), (n > 0).then_some(&[]));
    }
    cases.one("solve", &at, a.solve(&x), Some(&at));
    cases.one("solve_lower", &at, a.solve_lower(&x), Some(&at));
    cases.one("solve_upper", &at, a.solve_upper(&x), Some(&at));
    cases.one("cho_solve", &at, linalg::cho_solve(&a, &x), Some(&at));
    cases.one("lu_solve", &at, linalg::lu_solve(&a.lu(), &x), Some(&at));
    for k in 0..3 {
        let b = ones(&[n, k]);
        let shape = [n, k];
        cases.one("solve", &shape, a.solve(&b), Some(&shape));
        cases.one("solve_lower", &shape, a.solve_lower(&b), Some(&shape));
        cases.one("solve_upper", &shape, a.solve_upper(&b), Some(&shape));
        cases.one("cho_solve", &shape, linalg::cho_solve(&a, &b), Some(&shape));
        cases.one("lu_solve", &shape, linalg::lu_solve(&a.lu(), &b), Some(&shape));
        // A stack of so many.
        let stack = a.broadcast_to([k, n, n]);
        cases.one("inv", &[k, n, n], stack.inv(), Some(&[k, n, n]));
        cases.one("det", &[k, n, n], stack.det(), Some(&[k]));
        cases.one("cholesky", &[k, n, n], stack.cholesky(), Some(&[k, n, n]));
        let (w, v) = stack.eigh();
        cases.check("eigh", &[k, n, n], vec![w, v], Some(&[&[k, n], &[k, n, n]]));
    }
    cases.one("tensorsolve", &at, linalg::tensorsolve(&a, &x), Some(&at));
    cases.one("tensorinv", &at, linalg::tensorinv(&a, 1), Some(&[n, n]));
    cases.one("circulant", &at, linalg::circulant(&x), square);
    cases.one("companion", &at, linalg::companion(&x), (n > 1).then_some(&[1, 1]));
    cases.one("fiedler", &at, linalg::fiedler(&x), square);
    cases.one("derivative", &at, polynomial::derivative(&x), Some(&[n.saturating_sub(1)]));
    cases.one("integral", &at, polynomial::integral(&x), Some(&[n + 1]));
    cases.one("from_roots", &at, polynomial::from_roots(&x), Some(&[n + 1]));
    for which in
        [Norm::Euclidean, Norm::Zero, Norm::P(1.0), Norm::P(2.0), Norm::P(3.0), Norm::Infinity]
    {
        let result = linalg::norm(&x, which);
        if n == 0 {
            assert_eq!(result.item::<f64>().ok(), Some(0.0), "{which:?} of nothing");
        }
        cases.one("norm", &at, result, Some(&[]));
    }
    cases.one("norm", &at, linalg::norm(&x, Norm::MinusInfinity), (n > 0).then_some(&[]));
    let key = random::key(1);
    for k in 0..3 {
        cases.one("dirichlet", &[k, n], random::dirichlet(&key, &x, [k]), Some(&[k, n]));
    }
    for d in 0..3 {
        let result = (&x + 3.0).multigammaln(d);
        if d == 0 {
            assert_eq!(result.to_vec::<f64>().ok(), Some(vec![0.0; n]), "of no dimension");
        }
        cases.one("multigammaln", &[n, d], result, Some(&at));
    }
}

fn sizes(cases: &mut Cases, n: usize) {
    let (at, shape) = ([n], [n, n]);
    cases.one("hilbert", &at, linalg::hilbert(n), Some(&shape));
    cases.one("pascal", &at, linalg::pascal(n), Some(&shape));
    cases.one("hadamard", &at, linalg::hadamard(n), (n > 0).then_some(&shape));
    cases.one("helmert", &at, linalg::helmert(n), Some(&shape));
    cases.check("dft", &at, parts(linalg::dft(n)), Some(&[&shape, &shape]));
    cases.one("fftfreq", &at, fft::fftfreq(n, 1.0), (n > 0).then_some(&at));
    cases.one("rfftfreq", &at, fft::rfftfreq(n, 1.0), (n > 0).then_some(&[n / 2 + 1]));
    for m in 0..3 {
        let z = complex(&[m, n]);
        let whole: [&[usize]; 2] = [&[m, n], &[m, n]];
        let some = m > 0 && n > 0;
        cases.check("fftn", &[m, n], parts(fft::fftn(&z, [0, 1])), some.then_some(&whole));
        cases.check("ifftn", &[m, n], parts(fft::ifftn(&z, [0, 1])), some.then_some(&whole));
        let half = [m, n / 2 + 1];
        let halves: [&[usize]; 2] = [&half, &half];
        let result = parts(fft::rfftn(&z.re, [0, 1]));
        cases.check("rfftn", &[m, n], result, some.then_some(&halves));
        for out in 0..3 {
            let fits = some && out > 0 && n == out / 2 + 1;
            let result = fft::irfftn(&z, out, [0, 1]);
            cases.one("irfftn", &[m, n, out], result, fits.then_some(&[m, out]));
        }
    }
}

/// What is written to nothing, and sums of nothing of what is not finite.
#[test]
fn nothing_has_derivatives_and_sums() -> Result<()> {
    let x = Tensor::from([[1.0, 2.0], [2.0, 3.0]]);
    let none = grad(|x: &Tensor| x.unique(0).0.sum())(&x);
    assert_eq!(none.to_vec::<f64>()?, [0.0; 4]);
    let sum = |x: &Tensor| (x * f64::INFINITY).zeros_like().digamma().sum();
    let nothing = Tensor::zeros(DType::F64, [0, 5]);
    let graph = jit(sum).graph((&nothing,))?;
    for level in [Rewriting::Exact, Rewriting::Reassociating, Rewriting::Fast] {
        let after = unloop_rewrite::explain(&graph, &[], level).after;
        let sums =
            after.evaluate(&Tensor::arrays(std::slice::from_ref(&nothing)).expect("concrete"))?;
        assert_eq!(sums[0].to_vec::<f64>().expect("floats"), [0.0], "{level:?}");
    }
    Ok(())
}
