//! The functions of `Complex` and of the modules.

use unloop::{Complex, fft, linalg, polynomial, random};

use super::{Function, carried, table};

pub fn functions() -> Vec<Function> {
    let mut all = complex();
    all.extend(transforms());
    all.extend(matrices());
    all.extend(special_matrices());
    all.extend(polynomials());
    all.extend(keys());
    all.extend(continuous());
    all.extend(discrete());
    all
}

fn complex() -> Vec<Function> {
    table! { "Complex";
        [Elementwise Differentiable] (z: ComplexAny) {
            conj abs norm_squared angle recip square exp log sqrt sin cos tan sinh cosh tanh times_i
        }
        [] (z: ComplexAny) { is_finite }
        [Differentiable] (z: ComplexAny) { sum mean }
        [Elementwise Differentiable] (z: ComplexAny, n: Power) { powi }
        [Elementwise Differentiable] (z: ComplexAny, w: ComplexLike) { pow }
        [Differentiable] (z: ComplexAny, shape: Reshaped) { reshape }
        [Differentiable] (z: ComplexMatrix, w: ComplexContracted) { matmul }
        [Differentiable] (z: ComplexVector, w: ComplexLike) { dot vdot }
        [Differentiable] (z: ComplexSquare, b: ComplexRightSide) { solve }
        [Differentiable] (z: ComplexRanked, axes: Axes) { sum_axis }
        [Elementwise Differentiable] fn new(x: Real, y: Like) => Complex::new(x, y);
        [Elementwise Differentiable] fn from_real(x: Real) => Complex::from_real(x);
        [Elementwise Differentiable] fn from_polar(x: Real, y: Like) => Complex::from_polar(x, y);
        [Elementwise Differentiable] fn add(z: ComplexAny, w: ComplexLike) => z + w;
        [Elementwise Differentiable] fn sub(z: ComplexAny, w: ComplexLike) => z - w;
        [Elementwise Differentiable] fn mul(z: ComplexAny, w: ComplexLike) => z * w;
        [Elementwise Differentiable] fn div(z: ComplexAny, w: ComplexLike) => z / w;
        [Elementwise Differentiable] fn neg(z: ComplexAny) => -z;
        [Elementwise Differentiable] fn mul(z: ComplexAny, by: Number) => z * by;
        [Differentiable Composed] fn each_part(z: ComplexRanked, axis: Axis) => z.each_part(|x| x.cumsum(axis));
        [Host] fn to_array(z: ComplexAny) =>
            carried(z.to_array::<f64, ndarray::Ix2>().map(|z| z.len() as f64));
    }
}

fn transforms() -> Vec<Function> {
    table! { "fft";
        [Differentiable] fn fft(z: ComplexRanked, axis: Axis) => fft::fft(z, axis);
        [Differentiable] fn ifft(z: ComplexRanked, axis: Axis) => fft::ifft(z, axis);
        [Differentiable] fn rfft(x: RankedReal, axis: Axis) => fft::rfft(x, axis);
        [Differentiable] fn irfft(z: ComplexRanked, n: Size, axis: Axis) => fft::irfft(z, n, axis);
        [Differentiable] fn hfft(z: ComplexRanked, n: Size, axis: Axis) => fft::hfft(z, n, axis);
        [Differentiable] fn ihfft(x: RankedReal, axis: Axis) => fft::ihfft(x, axis);
        [Differentiable] fn fftn(z: ComplexRanked, axes: Axes) => fft::fftn(z, axes);
        [Differentiable] fn ifftn(z: ComplexRanked, axes: Axes) => fft::ifftn(z, axes);
        [Differentiable] fn rfftn(x: RankedReal, axes: Axes) => fft::rfftn(x, axes);
        [Differentiable] fn irfftn(z: ComplexRanked, n: Size, axes: Axes) => fft::irfftn(z, n, axes);
        [] fn fftfreq(n: Size, spacing: Number) => fft::fftfreq(n, spacing);
        [] fn rfftfreq(n: Size, spacing: Number) => fft::rfftfreq(n, spacing);
        [Differentiable] fn fftshift(x: Ranked, axes: Axes) => fft::fftshift(x, axes);
        [Differentiable] fn ifftshift(x: Ranked, axes: Axes) => fft::ifftshift(x, axes);
    }
}

fn matrices() -> Vec<Function> {
    table! { "linalg";
        [Differentiable] fn norm(x: MatrixReal, which: ANorm) => linalg::norm(x, which);
        [Differentiable] fn cond(a: Square, which: ANorm) => linalg::cond(a, which);
        [] fn matrix_rank(a: MatrixReal) => linalg::matrix_rank(a);
        [Differentiable] fn pinv(a: MatrixReal) => linalg::pinv(a);
        [Differentiable] fn lstsq(a: Square, b: RightSide) => linalg::lstsq(a, b);
        [Differentiable] fn matrix_power(a: Square, n: Power) => linalg::matrix_power(a, n);
        [Differentiable] fn multi_dot(xs: Chain) => linalg::multi_dot(&xs);
        [Differentiable] fn expm(a: Square) => linalg::expm(a);
        [Differentiable] fn cho_solve(a: Square, b: RightSide) => linalg::cho_solve(a, b);
        [Differentiable] fn eigvalsh(a: Definite) => linalg::eigvalsh(a);
        [Differentiable] fn polar(a: Square) => linalg::polar(a);
        [Differentiable] fn sqrtm_symmetric(a: Definite) => linalg::sqrtm_symmetric(a);
        [Differentiable Composed] fn symmetric_function(a: Definite) =>
            linalg::symmetric_function(a, |x| x.sin());
        [Differentiable] fn cross(x: Three, y: Like) => linalg::cross(x, y);
        [Differentiable] fn tensorsolve(a: Square, b: RightSide) => linalg::tensorsolve(a, b);
        [Differentiable] fn tensorinv(a: Square, split: Size) => linalg::tensorinv(a, split);
        [Differentiable Composed] fn lu_solve(a: Square, b: RightSide) => linalg::lu_solve(&a.lu(), b);
    }
}

fn special_matrices() -> Vec<Function> {
    table! { "linalg";
        [] fn hilbert(n: Size) => linalg::hilbert(n);
        [] fn pascal(n: Size) => linalg::pascal(n);
        [] fn hadamard(n: Size) => linalg::hadamard(n);
        [] fn helmert(n: Size) => linalg::helmert(n);
        [] fn dft(n: Size) => linalg::dft(n);
        [Differentiable] fn circulant(x: Vector) => linalg::circulant(x);
        [Differentiable] fn hankel(x: Vector, y: VectorSame) => linalg::hankel(x, y);
        [Differentiable] fn convolution_matrix(x: VectorReal, n: Size) =>
            linalg::convolution_matrix(x, n);
        [Differentiable] fn companion(x: VectorPositive) => linalg::companion(x);
        [Differentiable] fn leslie(x: VectorReal, y: VectorOneLess) => linalg::leslie(x, y);
        [Differentiable] fn fiedler(x: VectorReal) => linalg::fiedler(x);
        [Differentiable] fn eigh_tridiagonal(x: VectorReal, y: VectorOneLess) =>
            linalg::eigh_tridiagonal(x, y);
    }
}

fn polynomials() -> Vec<Function> {
    table! { "polynomial";
        [Differentiable] fn add(p: VectorReal, q: VectorSame) => polynomial::add(p, q);
        [Differentiable] fn sub(p: VectorReal, q: VectorSame) => polynomial::sub(p, q);
        [Differentiable] fn mul(p: VectorReal, q: VectorSame) => polynomial::mul(p, q);
        [Differentiable] fn div(p: VectorPositive, q: VectorSame) => polynomial::div(p, q);
        [Differentiable] fn derivative(p: VectorReal) => polynomial::derivative(p);
        [Differentiable] fn integral(p: VectorReal) => polynomial::integral(p);
        [Differentiable] fn from_roots(p: VectorReal) => polynomial::from_roots(p);
        [Differentiable] fn fit(x: Sorted, y: Like, degree: Size) => polynomial::fit(x, y, degree);
    }
}

fn keys() -> Vec<Function> {
    table! { "random";
        [Random] fn key(seed: Offset) => random::key(seed);
        [Random Composed] fn from_data(x: Words) => random::bits(&random::Key::from_data(x), 3);
        [Random] fn split(key: AKey) => { let keys: [random::Key; 3] = random::split(key); keys.to_vec() };
        [Random] fn split_stack(key: AKey, count: Size) => random::split_stack(key, count);
        [Random] fn fold_in(key: AKey, number: Position) => random::fold_in(key, number);
        [Random] fn bits(key: AKey, shape: Extent) => random::bits(key, shape);
    }
}

fn continuous() -> Vec<Function> {
    table! { "random";
        [Random] fn uniform(k: AKey, d: ADType, s: Extent) => random::uniform(k, d, s);
        [Random] fn uniform_between(k: AKey, low: OneChance, high: Above, s: Extent) =>
            random::uniform_between(k, low, high, s);
        [Random] fn normal(k: AKey, d: ADType, s: Extent) => random::normal(k, d, s);
        [Random] fn truncated_normal(k: AKey, low: OneChance, high: Above, s: Extent) =>
            random::truncated_normal(k, low, high, s);
        [Random] fn multivariate_normal(k: AKey, c: Definite, mean: Last, s: Extent) =>
            random::multivariate_normal(k, mean, c, s);
        [Random] fn exponential(k: AKey, d: ADType, s: Extent) => random::exponential(k, d, s);
        [Random] fn gumbel(k: AKey, d: ADType, s: Extent) => random::gumbel(k, d, s);
        [Random] fn laplace(k: AKey, d: ADType, s: Extent) => random::laplace(k, d, s);
        [Random] fn logistic(k: AKey, d: ADType, s: Extent) => random::logistic(k, d, s);
        [Random] fn cauchy(k: AKey, d: ADType, s: Extent) => random::cauchy(k, d, s);
        [Random] fn pareto(k: AKey, b: OnePositive, s: Extent) => random::pareto(k, b, s);
        [Random] fn rayleigh(k: AKey, b: OnePositive, s: Extent) => random::rayleigh(k, b, s);
        [Random] fn weibull_min(k: AKey, a: OnePositive, b: LikePositive, s: Extent) =>
            random::weibull_min(k, a, b, s);
        [Random] fn lognormal(k: AKey, b: OnePositive, s: Extent) => random::lognormal(k, b, s);
        [Random] fn maxwell(k: AKey, d: ADType, s: Extent) => random::maxwell(k, d, s);
        [Random] fn double_sided_maxwell(k: AKey, a: OnePositive, b: LikePositive, s: Extent) =>
            random::double_sided_maxwell(k, a, b, s);
        [Random] fn triangular(k: AKey, a: OneChance, b: LikeChance, c: Above, s: Extent) =>
            random::triangular(k, a, b, c, s);
        [Random] fn wald(k: AKey, mean: OnePositive, s: Extent) => random::wald(k, mean, s);
        [Random] fn beta(k: AKey, a: OnePositive, b: LikePositive, s: Extent) =>
            random::beta(k, a, b, s);
        [Random] fn dirichlet(k: AKey, alpha: VectorPositive, s: Extent) =>
            random::dirichlet(k, alpha, s);
        [Random] fn chisquare(k: AKey, df: OnePositive, s: Extent) => random::chisquare(k, df, s);
        [Random] fn t(k: AKey, df: OnePositive, s: Extent) => random::t(k, df, s);
        [Random] fn f(k: AKey, a: OnePositive, b: LikePositive, s: Extent) => random::f(k, a, b, s);
        [Random] fn generalized_normal(k: AKey, p: Part, d: ADType, s: Extent) =>
            random::generalized_normal(k, p, d, s);
        [Random] fn ball(k: AKey, n: Size, p: Part, d: ADType, s: Extent) =>
            random::ball(k, n, p, d, s);
        [Random] fn orthogonal(k: AKey, n: Size, d: ADType, s: Extent) =>
            random::orthogonal(k, n, d, s);
        [Random] fn gamma(k: AKey, a: OnePositive, s: Extent) => random::gamma(k, a, s);
        [Random] fn loggamma(k: AKey, a: OnePositive, s: Extent) => random::loggamma(k, a, s);
    }
}

fn discrete() -> Vec<Function> {
    table! { "random";
        [Random] fn randint(k: AKey, low: Power, high: Power, s: Extent) =>
            random::randint(k, low, high, s);
        [Random] fn bernoulli(k: AKey, p: OneChance, s: Extent) => random::bernoulli(k, p, s);
        [Random] fn rademacher(k: AKey, s: Extent) => random::rademacher(k, s);
        [Random] fn geometric(k: AKey, p: OneChance, s: Extent) => random::geometric(k, p, s);
        [Random] fn categorical(k: AKey, logits: VectorReal, s: Extent) =>
            random::categorical(k, logits, s);
        [Random] fn shuffle(k: AKey, x: Ranked, axis: Axis) => random::shuffle(k, x, axis);
        [Random] fn permutation(k: AKey, n: Size) => random::permutation(k, n);
        [Random] fn choice(k: AKey, n: Size, s: Extent) => random::choice(k, n, s);
        [Random] fn choice_weighted(k: AKey, weights: VectorPositive, s: Extent) =>
            random::choice_weighted(k, weights, s);
        [Random] fn choice_without_replacement(k: AKey, n: Size, count: Size) =>
            random::choice_without_replacement(k, n, count);
        [Random] fn poisson(k: AKey, mean: OnePositive, s: Extent) => random::poisson(k, mean, s);
    }
}
