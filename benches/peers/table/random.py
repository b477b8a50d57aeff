"""Random numbers. NumPy's generator `k` is another one: its results are compared in shape only, and
JAX's in distribution where the algorithms differ."""

from lines import Op

MILLION = {"variants": [{"s": (1_000_000,)}]}
BOTH = {"variants": [{"s": (1_000_000,)}, {"s": (1000,), "dtypes": ["f32"]}]}
LIKE = {**MILLION, "check": "moments"}


def op(jax, numpy=None, **settings):
    return Op(jax, numpy, **({**LIKE} | settings))


RANDOM = {
    "random::key(seed)": Op("jr.key(seed)", seed=42),
    "random::from_data(x)": Op("jr.bits(jr.wrap_key_data(x), (3,), 'uint32')", check="none"),
    "random::split(key)": Op("tuple(jr.split(key, 3))", check="exact"),
    "random::split_stack(key, count)": Op("jr.split(key, count)", count=100_000, check="exact"),
    "random::fold_in(key, number)": Op("jr.fold_in(key, number)", number=lambda rng: rng.integers(0, 9, ()).astype("u4"), check="exact", dtypes=["f64"]),
    "random::bits(key, shape)": Op("jr.bits(key, shape, 'uint32')", "key.integers(0, 2**32, shape, 'u4')", shape=(1_000_000,), check="exact"),
    "random::uniform(k, d, s)": Op("jr.uniform(k, s, d)", "k.random(s, d)", **BOTH, check="exact"),
    "random::uniform_between(k, low, high, s)": op("jr.uniform(k, s, low.dtype, low, high)", "k.uniform(low, high, s)"),
    "random::normal(k, d, s)": op("jr.normal(k, s, d)", "k.standard_normal(s, d)", **BOTH),
    "random::truncated_normal(k, low, high, s)": op("jr.truncated_normal(k, low, high, s, low.dtype)"),
    "random::multivariate_normal(k, c, mean, s)": op(
        "jr.multivariate_normal(k, mean, c, s)", "k.multivariate_normal(mean, c, s)", variants=[{"c": (4, 4), "s": (100_000,)}]),
    "random::exponential(k, d, s)": op("jr.exponential(k, s, d)", "k.standard_exponential(s, d)"),
    "random::gumbel(k, d, s)": op("jr.gumbel(k, s, d)", "k.gumbel(size=s)"),
    "random::laplace(k, d, s)": op("jr.laplace(k, s, d)", "k.laplace(size=s)"),
    "random::logistic(k, d, s)": op("jr.logistic(k, s, d)", "k.logistic(size=s)"),
    "random::cauchy(k, d, s)": op("jr.cauchy(k, s, d)", "k.standard_cauchy(s)"),
    "random::pareto(k, b, s)": op("jr.pareto(k, b, s, b.dtype)", "k.pareto(b, s) + 1"),
    "random::rayleigh(k, b, s)": op("jr.rayleigh(k, b, s, b.dtype)", "k.rayleigh(b, s)"),
    "random::weibull_min(k, a, b, s)": op("jr.weibull_min(k, a, b, s, a.dtype)", "a * k.weibull(b, s)"),
    "random::lognormal(k, b, s)": op("jr.lognormal(k, b, s, b.dtype)", "k.lognormal(0, b, s)"),
    "random::maxwell(k, d, s)": op("jr.maxwell(k, s, d)"),
    "random::double_sided_maxwell(k, a, b, s)": op("jr.double_sided_maxwell(k, a, b, s, a.dtype)"),
    "random::triangular(k, a, b, c, s)": op("jr.triangular(k, a, b, c, s, a.dtype)", "k.triangular(a, b, c, s)",
                                            domain={"a": (0.1, 0.1), "b": (0.5, 0.5), "c": (2, 2)}),
    "random::wald(k, mean, s)": op("jr.wald(k, mean, s, mean.dtype)", "k.wald(mean, 1, s)"),
    "random::beta(k, a, b, s)": op("jr.beta(k, a, b, s, a.dtype)", "k.beta(a, b, s)"),
    "random::dirichlet(k, alpha, s)": op("jr.dirichlet(k, alpha, s, alpha.dtype)", "k.dirichlet(alpha, s)", variants=[{"alpha": (8,), "s": (100_000,)}]),
    "random::chisquare(k, df, s)": op("jr.chisquare(k, df, s, df.dtype)", "k.chisquare(df, s)"),
    "random::t(k, df, s)": op("jr.t(k, df, s, df.dtype)", "k.standard_t(df, s)"),
    "random::f(k, a, b, s)": op("jr.f(k, a, b, s, a.dtype)", "k.f(a, b, s)"),
    "random::generalized_normal(k, p, d, s)": op("jr.generalized_normal(k, p, s, d)", p=0.7),
    "random::ball(k, n, p, d, s)": op("jr.ball(k, n, p, s, d)", n=3, p=2.0, variants=[{"s": (100_000,)}]),
    "random::orthogonal(k, n, d, s)": op("jr.orthogonal(k, n, s, d)", n=4, variants=[{"s": (10_000,)}]),
    "random::gamma(k, a, s)": op("jr.gamma(k, a, s, a.dtype)", "k.standard_gamma(a, s, a.dtype)"),
    "random::loggamma(k, a, s)": op("jr.loggamma(k, a, s, a.dtype)"),
    "random::randint(k, low, high, s)": op("jr.randint(k, s, low, high, 'int32')", "k.integers(low, high, s, 'i4')", low=0, high=1000),
    "random::bernoulli(k, p, s)": op("jr.bernoulli(k, p, s)", "k.random(s, p.dtype) < p"),
    "random::rademacher(k, s)": op("jr.rademacher(k, s)"),
    "random::geometric(k, p, s)": op("jr.geometric(k, p, s)", "k.geometric(p, s)"),
    "random::categorical(k, logits, s)": op("jr.categorical(k, logits, shape=s)", variants=[{"logits": (10,), "s": (100_000,)}]),
    "random::shuffle(k, x, axis)": op("jr.permutation(k, x, axis)", "k.permutation(x, axis)", variants=[
        {"x": (1_000_000,), "axis": 0}, {"x": (1000, 1000), "axis": 0, "dtypes": ["f32"]}]),
    "random::permutation(k, n)": op("jr.permutation(k, n)", "k.permutation(n)", n=1_000_000),
    "random::choice(k, n, s)": op("jr.choice(k, n, s)", "k.choice(n, s)", n=1000),
    "random::choice_weighted(k, weights, s)": op("jr.choice(k, weights.shape[0], s, p=weights / weights.sum())",
                                                 "k.choice(len(weights), s, p=(w := weights.astype('f8')) / w.sum())",
                                                 variants=[{"weights": (1000,), "s": (1_000_000,)}]),
    "random::choice_without_replacement(k, n, count)": op("jr.choice(k, n, (count,), replace=False)", "k.choice(n, count, replace=False)",
                                                          n=1_000_000, count=1000, check="shape"),
    "random::poisson(k, mean, s)": op("jr.poisson(k, mean, s)", "k.poisson(mean, s)"),
}
