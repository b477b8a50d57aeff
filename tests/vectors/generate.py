"""Writes random.json, library.json and complex.json: what JAX and NumPy compute for the functions that
tests/tests/{random,library,complex}.rs compare. Needs jax==0.10.2 and scipy.

    python tests/vectors/generate.py
"""

import json
import pathlib

import jax
import jax.numpy as jnp
import jax.scipy.special as sp
import numpy as np
import scipy.linalg
import scipy.special

jax.config.update("jax_enable_x64", True)
HERE = pathlib.Path(__file__).parent


def pack(x):
    x = np.asarray(x)
    flat = x.reshape(-1)
    if x.dtype.kind == "f":
        # As text, so that every reader gets the same bits.
        data = [repr(float(v)) for v in flat]
    else:
        data = [bool(v) if x.dtype.kind == "b" else int(v) for v in flat]
    return {"dtype": str(x.dtype), "shape": list(x.shape), "data": data}


def write(name, entries):
    lines = ",\n".join(json.dumps(e) for e in entries)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


def random_vectors():
    r, entries = jax.random, []

    def add(name, seed, value):
        entries.append({"name": name, "key": seed, "out": pack(value)})

    f32, f64 = jnp.float32, jnp.float64
    for seed in (0, 1, 42):
        k = r.PRNGKey(seed)
        add("key", seed, k)
        add("split", seed, r.split(k, 5))
        add("fold_in", seed, r.fold_in(k, 7))
        add("bits", seed, r.bits(k, (3, 5), jnp.uint32))
        add("uniform_f32", seed, r.uniform(k, (20,), f32))
        add("uniform_f64", seed, r.uniform(k, (20,), f64))
        add("uniform_between_f32", seed, r.uniform(k, (20,), f32, -3.0, 5.0))
        add("normal_f32", seed, r.normal(k, (40,), f32))
        add("normal_f64", seed, r.normal(k, (40,), f64))
        add("randint", seed, r.randint(k, (20,), -7, 1000, jnp.int32))
        add("bernoulli", seed, r.bernoulli(k, f32(0.3), (20,)))
        add("categorical", seed, r.categorical(k, jnp.arange(5.0, dtype=f64), shape=(20,)))
        add("permutation", seed, r.permutation(k, jnp.arange(30, dtype=jnp.int32)))
        add("choice", seed, r.randint(k, (20,), 0, 9, jnp.int32))
        add("choice_weighted", seed, r.choice(k, 4, (20,), p=jnp.array([0.1, 0.2, 0.3, 0.4])))
        add("exponential", seed, r.exponential(k, (20,), f64))
        add("gumbel", seed, r.gumbel(k, (20,), f64))
        add("laplace", seed, r.laplace(k, (20,), f64))
        add("logistic", seed, r.logistic(k, (20,), f64))
        add("cauchy", seed, r.cauchy(k, (20,), f64))
        add("pareto", seed, r.pareto(k, 2.5, (20,), f64))
        add("rayleigh", seed, r.rayleigh(k, 2.0, (20,), f64))
        add("weibull_min", seed, r.weibull_min(k, 2.0, 1.5, (20,), f64))
        add("lognormal", seed, r.lognormal(k, 0.5, (20,), f64))
        add("maxwell", seed, r.maxwell(k, (20,), f64))
        add("double_sided_maxwell", seed, r.double_sided_maxwell(k, 1.0, 2.0, (20,), f64))
        add("triangular", seed, r.triangular(k, 0.0, 0.5, 2.0, (20,), f64))
        add("wald", seed, r.wald(k, 2.0, (20,), f64))
        add("truncated_normal", seed, r.truncated_normal(k, -1.0, 2.0, (20,), f64))
        add("gamma", seed, r.gamma(k, jnp.array([0.3, 1.0, 5.0]), (3,), f64))
        add("loggamma", seed, r.loggamma(k, jnp.array([0.01, 1.0, 5.0]), (3,), f64))
        add("beta", seed, r.beta(k, 2.0, 0.5, (20,), f64))
        add("dirichlet", seed, r.dirichlet(k, jnp.array([1.0, 2.0, 3.0]), (4,), f64))
        add("chisquare", seed, r.chisquare(k, 3.0, shape=(20,), dtype=f64))
        add("t", seed, r.t(k, 3.0, (20,), f64))
        add("f", seed, r.f(k, 3.0, 5.0, shape=(20,), dtype=f64))
        add("poisson", seed, r.poisson(k, jnp.array([0.0, 0.5, 4.0, 30.0, 1000.0]), (5,), jnp.int32))
        add("geometric", seed, r.geometric(k, 0.2, (20,), jnp.int32))
        with jax.enable_x64(False):
            add("rademacher", seed, r.rademacher(k, (20,), jnp.int32))
        cov = jnp.array([[2.0, 0.5], [0.5, 1.0]])
        add("multivariate_normal", seed, r.multivariate_normal(k, jnp.array([1.0, -1.0]), cov, (5,), f64))
        add("generalized_normal", seed, r.generalized_normal(k, 1.5, (20,), f64))
        add("ball", seed, r.ball(k, 3, 2.0, (4,), f64))
    write("random.json", entries)


def library_vectors():
    g = np.random.default_rng(0)
    entries = []

    def add(name, inputs, *outputs):
        entries.append({"name": name, "in": [pack(x) for x in inputs], "out": [pack(y) for y in outputs]})

    inf, nan = np.inf, np.nan
    edge = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, inf, -inf, nan, 1e-300, 3.7, -1e300])
    x = g.normal(size=12)
    y = g.normal(size=12)
    p = g.uniform(0.05, 0.95, size=12)
    q = g.uniform(0.05, 0.95, size=12)
    pos = g.uniform(0.1, 6.0, size=12)
    i = g.integers(-9, 10, size=12).astype(np.int32)
    j = np.where((d := g.integers(-4, 5, size=12)) == 0, 3, d).astype(np.int32)
    for name, f in [
        ("log2", jnp.log2), ("log10", jnp.log10), ("sinc", jnp.sinc), ("sign_bit", jnp.signbit),
        ("nan_to_num", jnp.nan_to_num), ("is_infinite", jnp.isinf), ("to_radians", jnp.deg2rad),
        ("to_degrees", jnp.rad2deg), ("entr", sp.entr), ("ndtr", sp.ndtr), ("log_ndtr", sp.log_ndtr),
    ]:
        with np.errstate(all="ignore"):
            add(name, [edge], f(edge))
            add(name, [x], f(x))
    add("log_ndtr", [np.array([-60.0, -25.0, -12.0, -3.0, 0.0, 4.0, 9.0])],
        sp.log_ndtr(np.array([-60.0, -25.0, -12.0, -3.0, 0.0, 4.0, 9.0])))
    other = np.array([1.0, 1.0, 0.0, inf, nan, 2.0, -inf, inf, 1.0, 0.0, 2.0, 1e300])
    for name, f in [
        ("hypot", np.hypot), ("copy_sign", np.copysign), ("next_after", np.nextafter),
        ("fmax", np.fmax), ("fmin", np.fmin), ("heaviside", np.heaviside),
        ("floor_div", np.floor_divide), ("modulo", np.mod), ("logaddexp2", np.logaddexp2),
        ("xlogy", sp.xlogy), ("xlog1py", sp.xlog1py), ("rel_entr", sp.rel_entr), ("kl_div", sp.kl_div),
    ]:
        with np.errstate(all="ignore"):
            if name not in ("floor_div", "modulo", "logaddexp2", "kl_div"):
                add(name, [edge, other], f(edge, other))
            add(name, [x, y], f(x, y))
            add(name, [p, q], f(p, q))
    add("floor_div", [i, j], i // j)
    add("modulo", [i, j], i % j)
    add("ldexp", [x, i], np.ldexp(x, i))
    add("modf", [x * 5], *np.modf(x * 5))
    add("round_to", [x], np.round(x, 2))
    add("logit", [p], sp.logit(p))
    add("gamma_sign", [np.array([0.5, -0.5, -1.5, 3.0, 0.0])], sp.gammasgn(np.array([0.5, -0.5, -1.5, 3.0, 0.0])))
    add("gamma", [np.array([0.5, -0.5, -1.5, 3.0])], sp.gamma(np.array([0.5, -0.5, -1.5, 3.0])))
    add("factorial", [pos], sp.factorial(pos))
    add("betaln", [pos, p], sp.betaln(pos, p))
    add("beta", [pos, p], sp.beta(pos, p))
    add("poch", [pos, p], sp.poch(pos, p))
    add("multigammaln", [pos + 2], sp.multigammaln(pos + 2, 3))
    add("bessel_i0", [x], sp.i0(x))
    add("bessel_i1", [x], sp.i1(x))
    add("log1mexp", [pos], jax.nn.log1mexp(pos))
    add("is_close", [x, x + np.array([0, 1e-9, 1e-3] * 4)], np.isclose(x, x + np.array([0, 1e-9, 1e-3] * 4)))

    a = g.normal(size=(3, 4))
    b = g.normal(size=(4, 5))
    t = g.normal(size=(2, 3, 4))
    add("roll", [a], np.roll(a, 5, 1))
    add("repeat", [a], np.repeat(a, 3, 0))
    add("tile", [a], np.tile(a, (2, 1, 2)))
    for k in range(4):
        add(f"rot90_{k}", [a], np.rot90(a, k))
    add("split", [a], *np.array_split(a, 3, 1))
    for mode in ("edge", "reflect", "symmetric", "wrap"):
        add(f"pad_{mode}", [a], np.pad(a, ((2, 1), (3, 2)), mode))
    for k in (-1, 0, 2):
        add(f"tril_{k}", [t], np.tril(t, k))
        add(f"triu_{k}", [t], np.triu(t, k))
        add(f"diagonal_{k}", [t], np.diagonal(t, k, 1, 2))
        add(f"diag_{k}", [x[:3]], np.diag(x[:3], k))
    add("trace", [t], np.trace(t, 0, 1, 2))
    add("kron", [a, b], np.kron(a, b))
    add("kron", [x, a], np.kron(x, a))
    add("vander", [x], np.vander(x, 4))
    add("toeplitz", [x[:3], y[:4]], jax.scipy.linalg.toeplitz(x[:3], y[:4]))
    add("meshgrid", [x[:2], y[:3]], *np.meshgrid(x[:2], y[:3], indexing="ij"))
    add("block_diag", [a, b], jax.scipy.linalg.block_diag(a, b))

    s = np.sort(np.round(g.normal(size=9), 1))
    v = np.concatenate([s[2:5], [-9.0, 9.0, 0.05, nan]])
    add("search_sorted", [s, v], np.searchsorted(s, v))
    add("search_sorted_right", [s, v], np.searchsorted(s, v, "right"))
    n = g.integers(0, 6, size=20).astype(np.int32)
    add("bincount", [n], np.bincount(n, minlength=8))
    add("bincount_weighted", [n, np.arange(20.0)], np.bincount(n, np.arange(20.0), 8))
    edges = np.array([-1.0, -0.5, 0.0, 1.0])
    h = np.append(x, [1.0, -1.0, -0.5])
    add("histogram", [h, edges], np.histogram(h, edges)[0])
    add("one_hot", [n], jax.nn.one_hot(n, 4, dtype=jnp.float64))
    u = np.unique(n)
    add("unique", [n], np.append(u, [u[-1]] * (8 - len(u))), np.int64(len(u)))
    nz = np.nonzero(n)[0]
    add("nonzero", [n], np.append(nz, [20] * 25)[:25])
    add("is_in", [n, n[:2]], np.isin(n, n[:2]))
    add("count_nonzero", [n], np.int64(np.count_nonzero(n)))
    add("interp", [np.linspace(-3, 3, 11), s.cumsum() * 0 + np.arange(-4.0, 5.0), s],
        np.interp(np.linspace(-3, 3, 11), np.arange(-4.0, 5.0), s))
    add("lexsort", [n[:10], n[10:]], np.lexsort((n[:10], n[10:])))

    m = a.copy()
    m[0, 1] = m[2, 3] = nan
    m2 = m.copy()
    m2[1, :] = nan
    for name in ("nansum", "nanprod", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd"):
        f = getattr(jnp, name)
        add(name, [m], f(m))
        add(f"{name}_axis", [m2], f(m2, 1))
    add("nanargmax_axis", [m], np.nanargmax(m, 1))
    add("nanargmin_axis", [m], np.nanargmin(m, 1))
    add("nancumsum", [m], np.nancumsum(m, 1))
    add("nancumprod", [m], np.nancumprod(m, 1))
    add("variance_ddof", [a], np.var(a, 1, ddof=1))
    add("peak_to_peak", [a], np.ptp(a, 0))
    add("average", [a, x[:4] ** 2], np.average(a, 1, x[:4] ** 2))
    for quantile in (0.0, 0.3, 1.0):
        add(f"quantile_{quantile}", [a], np.quantile(a, quantile, 1))
    add("median", [m], np.median(m, 1))
    add("covariance", [a], np.cov(a))
    add("correlation", [a], np.corrcoef(a))
    add("diff", [a], np.diff(a, 2, 1))
    add("slope", [a], np.gradient(a, 0.5, axis=1))
    add("trapezoid", [a], np.trapezoid(a, dx=0.5, axis=1))
    add("polynomial", [x[:4], y], np.polyval(x[:4], y))

    for formula, shapes in [
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]),
        ("i,j->ji", [(2,), (3,)]), ("ij->", [(2, 3)]), ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
        ("klm,ln,km->kn", [(2, 3, 4), (3, 5), (2, 4)]), ("a,ab,bc,cd,d->", [(2,), (2, 3), (3, 4), (4, 5), (5,)]),
        ("iji,jk->k", [(2, 3, 2), (3, 4)]), ("iii->i", [(3, 3, 3)]), ("ij,kl->", [(2, 3), (4, 2)]), ("ij,ij->ij", [(2, 3), (2, 3)]),
    ]:
        operands = [g.normal(size=shape) for shape in shapes]
        add(f"einsum {formula}", operands, np.einsum(formula, *operands))

    nn = jax.nn
    for name, f in [
        ("log_sigmoid", nn.log_sigmoid), ("soft_sign", nn.soft_sign), ("relu6", nn.relu6),
        ("leaky_relu", nn.leaky_relu), ("hard_tanh", nn.hard_tanh), ("hard_sigmoid", nn.hard_sigmoid),
        ("hard_silu", nn.hard_silu), ("elu", nn.elu), ("celu", nn.celu), ("selu", nn.selu),
        ("gelu_tanh", nn.gelu), ("squareplus", nn.squareplus), ("mish", nn.mish),
        ("sparse_plus", nn.sparse_plus), ("sparse_sigmoid", nn.sparse_sigmoid), ("standardize", nn.standardize),
    ]:
        wide = np.linspace(-8, 8, 23)
        add(name, [wide], f(wide), jax.grad(lambda z: (f(z) * jnp.cos(z)).sum())(wide + 0.01))
    add("glu", [a], nn.glu(a, 1))
    add("logmeanexp", [a], nn.logmeanexp(a, 1))
    qkv = [g.normal(size=s) for s in ((5, 4), (6, 4), (6, 3))]
    add("attention", qkv, nn.softmax(qkv[0] @ qkv[1].T / 2.0, -1) @ qkv[2])

    la = jnp.linalg
    sq = g.normal(size=(4, 4))
    spd = sq @ sq.T + np.eye(4)
    low = (a.T @ a)
    for name, kind in [("fro", None), ("1", 1), ("-1", -1), ("2", 2), ("-2", -2), ("inf", inf), ("-inf", -inf), ("nuc", "nuc")]:
        add(f"norm {name}", [a], np.linalg.norm(a, kind))
    for kind in (0, 1, 2, 3, -1, inf, -inf):
        add(f"vnorm {kind}", [x], np.linalg.norm(x, kind))
    add("cond", [sq], np.linalg.cond(sq))
    add("cond_1", [sq], np.linalg.cond(sq, 1))
    add("matrix_rank", [low], np.linalg.matrix_rank(low))
    dpinv = lambda z: jax.grad(lambda z: (la.pinv(z) * jnp.arange(z.size).reshape(z.T.shape)).sum())(z)
    add("pinv", [a], la.pinv(a), dpinv(a))
    add("pinv", [a.T.copy()], la.pinv(a.T), dpinv(a.T))
    add("pinv", [low], np.linalg.pinv(low, 1e-10))
    add("lstsq", [a.T.copy(), x[:4]], np.linalg.lstsq(a.T, x[:4])[0])
    add("lstsq", [a, x[:3]], np.linalg.lstsq(a, x[:3])[0])
    for k in (-2, 0, 1, 5):
        add(f"matrix_power_{k}", [sq], np.linalg.matrix_power(sq, k))
    add("multi_dot", [a, b, b.T.copy(), a.T.copy()], a @ b @ b.T @ a.T)
    for scale in (0.01, 1.0, 30.0):
        z = sq * scale
        add("expm", [z], jax.scipy.linalg.expm(z),
            jax.grad(lambda z: (jax.scipy.linalg.expm(z) / jnp.abs(jax.scipy.linalg.expm(sq * scale)).max()).sum())(z))
    add("cho_solve", [np.linalg.cholesky(spd), x[:4]], np.linalg.solve(spd, x[:4]))
    add("eigvalsh", [spd], np.linalg.eigvalsh(spd))
    add("sqrtm", [spd], np.real(jax.scipy.linalg.sqrtm(spd)))
    add("polar", [sq], *jax.scipy.linalg.polar(sq))
    add("cross", [x[:3], y[:3]], np.cross(x[:3], y[:3]))
    ts = g.normal(size=(2, 3, 6))
    add("tensorsolve", [ts, a[:2, :3].copy()], np.linalg.tensorsolve(ts, a[:2, :3]))
    ti = g.normal(size=(4, 6, 8, 3))
    add("tensorinv", [ti], np.linalg.tensorinv(ti, 2))
    add("hilbert", [], 1.0 / (np.arange(4)[:, None] + np.arange(4) + 1))
    add("convolve", [x, y[:5]], np.convolve(x, y[:5]))
    add("correlate", [x, y[:5]], np.correlate(x, y[:5], "full"))
    phase = np.cumsum(g.uniform(-4, 4, size=12))
    add("unwrap_angles", [phase], np.unwrap(phase))
    for name in ("bartlett", "blackman", "hamming", "hanning"):
        add(name, [], getattr(np, name)(9))
    add("kaiser", [], np.kaiser(9, 14.0))
    add("polyadd", [x[:3], y[:5]], np.polyadd(x[:3], y[:5]))
    add("polysub", [x[:3], y[:5]], np.polysub(x[:3], y[:5]))
    add("polydiv", [x[:6], y[:3]], *np.polydiv(x[:6], y[:3]))
    add("polyder", [x[:4]], np.polyder(x[:4]))
    add("polyint", [x[:4]], np.polyint(x[:4]))
    add("poly", [x[:4]], np.poly(x[:4]))
    add("polyfit", [x, y], np.polyfit(x, y, 3))
    tails = np.array([0.0, 1e-300, 1e-30, 1e-8, 0.001, 0.2, 0.5, 0.7, 0.999999, 1.0, -0.5, 2.0])
    add("ndtri", [tails], scipy.special.ndtri(tails))
    add("boxcox", [pos, np.where(x > 1, 0.0, x)], scipy.special.boxcox(pos, np.where(x > 1, 0.0, x)))
    add("boxcox1p", [pos * 1e-8, x], scipy.special.boxcox1p(pos * 1e-8, x))
    whole = g.integers(0, 9, size=12).astype(np.float64)
    add("comb", [whole, whole[::-1].copy() - 1], scipy.special.comb(whole, whole[::-1] - 1))
    add("gcd", [i, j], np.gcd(i, j))
    add("lcm", [i, j], np.lcm(i, j))
    wide = np.array([0, 1, -1, 255, 2**30, -2**31], np.int32)
    add("leading_zeros", [wide], jax.lax.clz(wide))
    sl = scipy.linalg
    add("circulant", [x[:4]], sl.circulant(x[:4]))
    add("hankel", [x[:3], y[:4]], sl.hankel(x[:3], y[:4]))
    add("convolution_matrix", [x[:3]], sl.convolution_matrix(x[:3], 5))
    add("companion", [x[:4]], sl.companion(x[:4]))
    add("leslie", [x[:4], y[:3]], sl.leslie(x[:4], y[:3]))
    add("fiedler", [x[:4]], sl.fiedler(x[:4]))
    add("pascal", [], sl.pascal(5).astype(np.float64))
    add("hadamard", [], sl.hadamard(8).astype(np.float64))
    add("helmert", [], sl.helmert(5, full=True))
    add("eigvals_tridiagonal", [x[:5], y[:4]], sl.eigh_tridiagonal(x[:5], y[:4])[0])
    add("lu_solve", [sq, x[:4]], np.linalg.solve(sq, x[:4]))
    add("lu_solve", [sq, a.T.copy()], np.linalg.solve(sq, a.T))
    rows = np.array([2, 0], np.int32)
    for name in ("mul", "min", "max"):
        at = jnp.asarray(a).at[rows, 1:3]
        add(f"{name}_at", [a, rows, b[:2, :2].copy()], getattr(at, "multiply" if name == "mul" else name)(b[:2, :2]))
        known = jnp.asarray(a).at[1, ::2]
        add(f"{name}_at_known", [a, x[:2]], getattr(known, "multiply" if name == "mul" else name)(x[:2]))
    write("library.json", entries)


def complex_vectors():
    g = np.random.default_rng(1)
    entries = []

    def parts(z):
        z = np.asarray(z)
        return [z.real, z.imag] if np.iscomplexobj(z) else [z]

    def add(name, inputs, f, *extra, slope=True):
        """The value, and the gradient of Σ |f|² (as unloop has it: the conjugate of JAX's)."""
        def flat(xs):
            return [pack(part) for x in xs for part in parts(x)]

        out = [f(*inputs)]
        if slope:
            loss = lambda z: sum((jnp.abs(y) ** 2).sum() for y in [f(z, *inputs[1:])])
            out.append(jnp.conj(jax.grad(loss)(inputs[0])))
        entries.append({"name": name, "in": flat(inputs), "out": flat(out)})

    z = jnp.asarray(g.normal(size=6) + 1j * g.normal(size=6))
    w = jnp.asarray(g.normal(size=6) + 1j * g.normal(size=6))
    for name, f in [
        ("mul", lambda z, w: z * w), ("div", lambda z, w: z / w), ("add", lambda z, w: z + w),
        ("sub", lambda z, w: z - w), ("pow", lambda z, w: z**w), ("dot", jnp.dot), ("vdot", jnp.vdot),
    ]:
        add(name, [z, w], f)
    for name, f in [
        ("conj", jnp.conj), ("abs", jnp.abs), ("angle", jnp.angle), ("recip", lambda z: 1 / z),
        ("exp", jnp.exp), ("log", jnp.log), ("sqrt", jnp.sqrt), ("sin", jnp.sin), ("cos", jnp.cos),
        ("tan", jnp.tan), ("sinh", jnp.sinh), ("cosh", jnp.cosh), ("tanh", jnp.tanh),
        ("powi", lambda z: z**-3), ("square", lambda z: z * z), ("times_i", lambda z: 1j * z),
        ("sum", jnp.sum), ("mean", jnp.mean),
    ]:
        add(name, [z], f)
    m = jnp.asarray(g.normal(size=(3, 3)) + 1j * g.normal(size=(3, 3)))
    add("matmul", [m, m.T], lambda a, b: a @ b)
    add("solve", [m, w[:3]], jnp.linalg.solve)
    s = jnp.asarray(g.normal(size=(4, 5, 6)) + 1j * g.normal(size=(4, 5, 6)))
    r = jnp.asarray(g.normal(size=(4, 5, 6)))
    F = jnp.fft
    for axis in (0, 1, -1):
        add(f"fft {axis}", [s], lambda x: F.fft(x, axis=axis))
        add(f"ifft {axis}", [s], lambda x: F.ifft(x, axis=axis))
        add(f"rfft {axis}", [r], lambda x: F.rfft(x, axis=axis))
        add(f"ihfft {axis}", [r], lambda x: F.ihfft(x, axis=axis))
    for n in (10, 11):
        add(f"irfft {n}", [s], lambda x: F.irfft(x, n, -1))
        add(f"hfft {n}", [s], lambda x: F.hfft(x, n, -1))
    add("fftn", [s], lambda x: F.fftn(x, axes=(0, 2)))
    add("ifftn", [s], lambda x: F.ifftn(x, axes=(0, 2)))
    add("rfftn", [r], lambda x: F.rfftn(x, axes=(0, 1)))
    add("irfftn", [s], lambda x: F.irfftn(x, s=(4, 8), axes=(0, 1)))
    add("fftshift", [r], lambda x: F.fftshift(x, (0, 1)))
    add("ifftshift", [r], lambda x: F.ifftshift(x, (0, 1)))
    add("fftfreq", [r], lambda x: F.fftfreq(7, 0.5), slope=False)
    add("rfftfreq", [r], lambda x: F.rfftfreq(8, 0.5), slope=False)
    write("complex.json", entries)


random_vectors()
library_vectors()
complex_vectors()
