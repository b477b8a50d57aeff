"""Vectors of elementwise functions: what JAX gives for their values and derivatives right at the edges.

    pip install "jax==0.10.2" numpy
    python conformance/elementwise.py [--only NAME ...]

Writes vectors/elementwise.jsonl, one function a line, and vectors/elementwise.npz with its arrays. The
result is the same on every run. `--only` prints the numbers of some functions and writes nothing.

A derivative is named by the arguments it is taken in, the first one first: "" is the value, "x" is
df/dx, "xy" is d/dy of df/dx, "xxx" the third derivative. Each is computed in two modes: forward (nested
`jax.jvp`, tangents of ones) and reverse (nested `jax.grad` of the sum). The line of a function holds
    name     the name of the function, and after a colon its fixed arguments or the part of the result
    arity    1 or 2 (arguments x, y); 0 for functions along an axis, see below
    words    the derivatives, in the order of the rows
    missing  derivatives that JAX does not have, "f:xx" forward and "r:xx" reverse; their rows are NaN
and the array `<name>.<f32|f64>` has the rows x, (y,) forward words, reverse words; columns are points.

A function along an axis maps rows of numbers to rows of numbers. Its array `<name>.<dtype>` has the shape
[rows, blocks, n]: the point, a direction d, weights w (one for each result, as many as there are),
then forward derivatives along d of orders 0 to 3 (padded with zeros), then the gradient of the results
weighted by w and summed, its derivative along d (forward over reverse), and the gradient of the first
derivative along d (reverse over forward), as rows of numbers.

XLA on CPUs takes subnormal numbers for zero. JAX computes the subnormal points of f32 in f64, where
they are normal. Those of f64 have NaN for results, and exact numbers (exact.py).

Results in f64 are rounded to 44 bits, which keeps the file small; comparisons are coarser.
"""

import argparse
import itertools
import json
import math
import os
import pathlib
import warnings

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")
import jax
import jax.numpy as jnp
import jax.scipy.special as sp
import numpy as np
from jax import lax, nn

HERE = pathlib.Path(__file__).parent / "vectors"
INF, NAN = math.inf, math.nan
UNARY, BINARY, ROWS = {}, {}, {}
DTYPES = {"f64": np.float64, "f32": np.float32}
WORDS = {
    1: ["", "x", "xx", "xxx"],
    2: ["", "x", "y", "xx", "xy", "yx", "yy", "xxx", "xxy", "xyy", "yyy"],
}


def unary(name, f, *extra, words=WORDS[1]):
    """A function of one argument, with points beside the usual ones: thresholds of its branches."""
    UNARY[name] = (f, extra, words)


def binary(name, f, *extra, words=WORDS[2]):
    """A function of two arguments, with pairs of its own."""
    BINARY[name] = (f, extra, words)


# Of arguments beyond this the loops of JAX do not end.
LARGEST = {"igamma": 1e3, "igammac": 1e3}


def near(*xs):
    """Numbers with their neighbours in f32, which f64 has too."""
    return [float(v) for x in map(np.float32, xs) for v in (np.nextafter(x, np.float32(-INF)), x, np.nextafter(x, np.float32(INF)))]


# Points that several functions need.
UNIT = near(1.0, -1.0)
DIVISIONS = [(5.0, 3.0), (-5.0, 3.0), (6.0, 3.0)]
EXPONENTIAL = [37.5, -37.5, 710.0, -710.0]

# ---- functions: elementwise ----
unary("abs", jnp.abs)
unary("sign", jnp.sign)
unary("floor", jnp.floor)
unary("ceil", jnp.ceil)
unary("round", jnp.round)
unary("round_away", lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO))
unary("trunc", jnp.trunc)
unary("sqrt", jnp.sqrt)
unary("rsqrt", lax.rsqrt)
unary("cbrt", jnp.cbrt)
unary("recip", jnp.reciprocal)
unary("square", jnp.square)
unary("exp", jnp.exp, 709.75, 709.8, -745.0, -746.0, 88.7, 88.8, -103.0)
unary("exp2", jnp.exp2, 1023.5, 1024.0, -1074.0, -1076.0, 127.5, 128.0)
unary("expm1", jnp.expm1, 709.75, 709.8, -745.0, 88.7, 88.8)
unary("log", jnp.log, *near(1.0))
unary("log1p", jnp.log1p, *near(-1.0))
unary("sin", jnp.sin, math.pi / 2, math.pi)
unary("cos", jnp.cos, math.pi / 2, math.pi)
unary("tan", jnp.tan, math.pi / 2, math.pi)
unary("asin", jnp.arcsin, *UNIT)
unary("acos", jnp.arccos, *UNIT)
unary("atan", jnp.arctan)
unary("sinh", jnp.sinh, 710.0, 711.0, 89.0, 90.0)
unary("cosh", jnp.cosh, 710.0, 711.0, 89.0, 90.0)
unary("tanh", jnp.tanh)
unary("asinh", jnp.arcsinh)
unary("acosh", jnp.arccosh, *near(1.0))
unary("atanh", jnp.arctanh, *UNIT)
unary("sigmoid", nn.sigmoid, *EXPONENTIAL, 88.8, -88.8)
unary("erf", sp.erf)
unary("erfc", sp.erfc, 26.0, 27.5, 10.1)
unary("erf_inv", sp.erfinv, *UNIT)
unary("lgamma", sp.gammaln, 0.6, 170.5, 171.7)
unary("digamma", sp.digamma, 10.0, 1.4616321)
unary("bessel_i0e", sp.i0e, 8.0, -8.0)
unary("bessel_i1e", sp.i1e, 8.0, -8.0)
unary("clamp:-1,1", lambda x: lax.clamp(jnp.asarray(-1, x.dtype), x, jnp.asarray(1, x.dtype)), *UNIT)
unary("stop_gradient", lax.stop_gradient)
for n in (-3, -2, -1, 0, 1, 2, 3, 4):
    unary(f"powi:{n}", lambda x, n=n: lax.integer_pow(x, n))
for n in range(4):
    unary(f"polygamma:{n}", lambda x, n=n: sp.polygamma(n, x))
for a, b in ((2.0, 3.0), (0.5, 0.5), (1.0, 1.0)):
    unary(f"betainc:{a},{b}", lambda x, a=a, b=b: sp.betainc(jnp.full_like(x, a), jnp.full_like(x, b), x), *near(1.0))

binary("pow", lax.pow, (1e300, 2.0), (2.0, 1024.0), (-2.0, 3.0), (-8.0, 1.0 / 3.0), (0.0, 3.0), (0.0, 1.5), (-0.0, 3.0))
binary("atan2", jnp.arctan2)
# Second derivatives in the order would differentiate a loop: JAX has none.
for name, f in (("igamma", sp.gammainc), ("igammac", sp.gammaincc)):
    binary(name, f, (10.0, 10.0), (50.0, 40.0), (2.0, 30.0), words=["", "x", "y", "yy", "yyy"])
binary("maximum", jnp.maximum)
binary("minimum", jnp.minimum)
binary("add", lax.add)
binary("sub", lax.sub)
binary("mul", lax.mul)
binary("div", lax.div)
binary("rem", lax.rem, *DIVISIONS)
binary("clamp:low", lambda x, y: lax.clamp(y, x, jnp.full_like(x, 2.0)))
binary("clamp:high", lambda x, y: lax.clamp(jnp.full_like(x, -1.0), x, y))
binary("select:less", lambda x, y: lax.select(x < y, x, y))

# ---- functions: numeric ----
unary("log2", jnp.log2)
unary("log10", jnp.log10)
unary("to_radians", jnp.deg2rad)
unary("to_degrees", jnp.rad2deg)
unary("sinc", jnp.sinc, 1e-2, 1e-4, 1e-5)
unary("ldexp:3", lambda x: jnp.ldexp(x, 3))
unary("ldexp:-2", lambda x: jnp.ldexp(x, -2))
unary("nan_to_num", jnp.nan_to_num)
unary("round_to:1", lambda x: jnp.round(x, 1), 0.25, 0.35)
unary("modf:fraction", lambda x: jnp.modf(x)[0])
unary("modf:whole", lambda x: jnp.modf(x)[1])
unary("logit", sp.logit, *near(1.0))
unary("entr", sp.entr)
unary("ndtr", sp.ndtr, 38.0, -38.0)
unary("log_ndtr", sp.log_ndtr, -20.0, -10.0, *near(5.0, -10.0), *near(-20.0)[::2])
unary("gamma_sign", sp.gammasgn)
unary("gamma", sp.gamma, 171.5, 172.0, 35.0, 36.0)
unary("factorial", lambda x: sp.factorial(x, exact=False), 170.0, 171.0)
unary("multigammaln:1", lambda x: sp.multigammaln(x, 1))
unary("multigammaln:3", lambda x: sp.multigammaln(x, 3))
unary("bessel_i0", sp.i0, 8.0, -8.0)
unary("bessel_i1", sp.i1, 8.0, -8.0)
unary("log1mexp", nn.log1mexp, math.log(2), *near(math.log(2)))
unary("ndtri", sp.ndtri, math.exp(-2), 1 - math.exp(-2), 0.2, *near(1.0))

binary("hypot", jnp.hypot)
binary("logaddexp", jnp.logaddexp)
binary("logaddexp2", jnp.logaddexp2)
binary("floor_div", jnp.floor_divide, (1.0, 0.1), *DIVISIONS)
binary("modulo", jnp.mod, (1.0, 0.1), *DIVISIONS)
binary("copy_sign", jnp.copysign)
binary("next_after", jnp.nextafter)
binary("heaviside", jnp.heaviside)
binary("fmax", jnp.fmax)
binary("fmin", jnp.fmin)
binary("xlogy", sp.xlogy)
binary("xlog1py", sp.xlog1py)
binary("rel_entr", sp.rel_entr)
binary("kl_div", sp.kl_div)
binary("betaln", sp.betaln)
binary("beta", sp.beta)
binary("poch", sp.poch, (3.0, 4.0), (2.5, 1e-8))
binary("boxcox", sp.boxcox, (2.0, 1e-8), (1.0, 1e-200))
binary("boxcox1p", sp.boxcox1p, (2.0, 1e-8), (1e-8, 1.5))
binary("comb", lambda x, y: sp.comb(x, y), (5.0, 2.0), (10.5, 3.25), (3.0, 4.0))

# ---- functions: neural networks ----
unary("relu", nn.relu)
unary("gelu", lambda x: nn.gelu(x, approximate=False))
unary("gelu_tanh", nn.gelu)
unary("silu", nn.silu, 710.0, -710.0, 88.8, -88.8)
unary("softplus", nn.softplus, *EXPONENTIAL)
unary("log_sigmoid", nn.log_sigmoid, *EXPONENTIAL)
unary("soft_sign", nn.soft_sign)
unary("relu6", nn.relu6, *near(6.0))
unary("leaky_relu:0.01", nn.leaky_relu)
unary("hard_tanh", nn.hard_tanh, *UNIT)
unary("hard_sigmoid", nn.hard_sigmoid, *near(3.0, -3.0))
unary("hard_silu", nn.hard_silu, *near(3.0, -3.0))
unary("elu:1", nn.elu, 710.0)
unary("elu:1.5", lambda x: nn.elu(x, 1.5), 710.0)
unary("celu:1", nn.celu, 710.0)
unary("celu:1.5", lambda x: nn.celu(x, 1.5), 710.0)
unary("selu", nn.selu, 710.0)
unary("squareplus:4", nn.squareplus)
unary("squareplus:0", lambda x: nn.squareplus(x, 0.0))
unary("mish", nn.mish, *EXPONENTIAL)
unary("sparse_plus", nn.sparse_plus, *UNIT)
unary("sparse_sigmoid", nn.sparse_sigmoid, *UNIT)

# ---- parts of complex functions of x + iy ----
def parts(name, f, pick):
    for part in pick:
        get = {"re": jnp.real, "im": jnp.imag, "": lambda z: z}[part]
        binary(f"complex_{name}" + (part and f":{part}"), lambda x, y, get=get: get(f(lax.complex(x, y))))


parts("abs", jnp.abs, [""])
parts("angle", jnp.angle, [""])
parts("log", jnp.log, ["re", "im"])
parts("sqrt", jnp.sqrt, ["re", "im"])

# ---- functions along an axis ----
ROWS.update({
    "sum": lambda x: jnp.sum(x, keepdims=True),
    "mean": lambda x: jnp.mean(x, keepdims=True),
    "prod": lambda x: jnp.prod(x, keepdims=True),
    "max": lambda x: jnp.max(x, keepdims=True),
    "min": lambda x: jnp.min(x, keepdims=True),
    "variance": lambda x: jnp.var(x, keepdims=True),
    "std": lambda x: jnp.std(x, keepdims=True),
    "norm": lambda x: jnp.linalg.norm(x, keepdims=True),
    "logsumexp": lambda x: sp.logsumexp(x, keepdims=True),
    "logmeanexp": lambda x: nn.logmeanexp(x, keepdims=True),
    "cumsum": jnp.cumsum,
    "cumprod": jnp.cumprod,
    "cummax": lambda x: lax.cummax(x, axis=0),
    "cummin": lambda x: lax.cummin(x, axis=0),
    "cumlogsumexp": lambda x: lax.cumlogsumexp(x, axis=0),
    "softmax": nn.softmax,
    "log_softmax": nn.log_softmax,
})

# ---- points ----
def points(dtype):
    large = 1e300 if dtype == "f64" else 1e30
    positive = [1 / large, 1e-20, 1e-8, 1e-3, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 6.0, 7.3, 20.5, 100.0, 1e10, large, INF]
    return [-x for x in reversed(positive)] + [-0.0, 0.0] + positive + [NAN]


WIDTH = 64  # of all unary functions: one shape, so that JAX compiles each operation once.


def pairs(dtype):
    axis = [-INF, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, INF, NAN]
    large = 1e200 if dtype == "f64" else 1e25
    small = 1 / large
    more = [
        (0.3, 0.7), (0.7, 0.7), (-0.7, -0.7), (0.7, -0.7), (1.7, -2.3), (3.1, 0.4), (12.5, 3.75), (-12.5, 3.75), (0.1, 20.5), (20.5, 0.1),
        (-1.5, 2.5), (2.5, -1.5), (large, large), (large, 1.0), (1.0, large), (-large, large), (small, small), (small, 1.0), (1.0, small),
        (small, 3 * small), (-small, small), (1e-8, 0.5), (0.5, 1e-8), (800.0, 800.0), (800.0, -800.0), (100.0, 100.5),
    ]
    return [(x, y) for x in axis for y in axis] + more


PAIRS = 180


def rows(dtype):
    large = 1e200 if dtype == "f64" else 1e25
    return [
        [0.5, -1.2, 2.3, 0.9], [1.0, 1.0, 1.0, 1.0], [2.0, 1.0, 2.0, 0.5], [1.0, 2.0, 2.0, 3.0], [3.0, 2.0, 2.0, 3.0],
        [0.0, 0.0, 0.0, 0.0], [-0.0, 0.0, -0.0, 0.0], [0.0, 1.0, 2.0, 0.0], [3.0, 0.0, 2.0, 5.0], [0.0, 3.0, 0.0, 2.0],
        [-INF, 1.0, 2.0, 0.5], [-INF, -INF, 1.0, 1.0], [-INF, -INF, -INF, -INF], [INF, 1.0, 2.0, 3.0], [INF, INF, 1.0, 0.0],
        [1.0, NAN, 2.0, 3.0], [INF, -INF, 0.0, 1.0], [large, large, 1.0, large], [1 / large, -1 / large, 2 / large, 1 / large],
        [800.0, 800.0, -800.0, 799.0], [-1.0, -1.0, 2.0, 2.0], [5.0, 4.0, 4.0, 1.0],
    ]


DIRECTION = [1.0, -0.5, 2.0, 0.75]
WEIGHTS = [0.5, -2.0, 1.25, 3.0]


# ---- derivatives ----
STEPS = {
    "f": lambda h, x: jax.jvp(h, (x,), (jnp.ones_like(x),))[1],
    "r": lambda h, x: jax.grad(lambda x: h(x).sum())(x),
}


def derivative(f, word, mode):
    """The function of (x, y) that is the derivative of f."""
    for letter in word:
        f = step(f, letter, STEPS[mode])
    return f


def step(f, letter, along):
    if letter == "x":
        return lambda x, *y: along(lambda x: f(x, *y), x)
    return lambda x, y: along(lambda y: f(x, y), y)


def rounded(a):
    """The first 44 bits of an f64, to nearest."""
    bits = np.asarray(a, np.float64).view(np.int64)
    short = ((bits + (1 << 7)) >> 8 << 8).view(np.float64)
    return np.where(np.isfinite(a), short, a)


def stored(arguments, results, axis, dtype):
    """Arguments as they are and results with fewer bits, stacked."""
    if dtype == "f64":
        results = [rounded(a) for a in results]
    return np.stack([np.asarray(a, DTYPES[dtype]) for a in [*arguments, *results]], axis)


def evaluate(f, word, mode, arguments, dtype):
    arguments = [jnp.asarray(a, DTYPES[dtype]) for a in arguments]
    with jax.numpy_rank_promotion("raise"):
        return np.asarray(derivative(f, word, mode)(*arguments), np.float64)


def subnormal(arguments, dtype):
    return np.any([(np.abs(a) < np.finfo(DTYPES[dtype]).tiny) & (a != 0) for a in arguments], axis=0)


def table(f, arguments, dtype, record):
    words, count = record["words"], len(arguments[0])
    width = WIDTH if len(arguments) == 1 else PAIRS
    assert count <= width, (record["name"], count)
    padded = [np.concatenate([a, np.full(width - count, 0.7, a.dtype)]) for a in arguments]
    tiny, results = subnormal(arguments, dtype), []
    for mode, word in itertools.product("fr", words):
        try:
            value = evaluate(f, word, mode, padded, dtype)[:count]
            wide = np.full(count, NAN)
            if dtype == "f32":
                wide = evaluate(f, word, mode, [a.astype(np.float64) for a in padded], "f64")[:count]
            value = np.where(tiny, wide.astype(DTYPES[dtype]), value)
        except (NotImplementedError, TypeError, ValueError, AssertionError) as error:
            if f"{mode}:{word}" not in record["missing"]:
                record["missing"].append(f"{mode}:{word}")
                print(record["name"], mode, word, type(error).__name__, str(error)[:150], flush=True)
            value = np.full(count, NAN)
        results.append(value)
    return stored(arguments, results, 0, dtype)


def along_axis(f, dtype):
    x = jnp.asarray(rows(dtype), DTYPES[dtype])
    d = jnp.broadcast_to(jnp.asarray(DIRECTION, x.dtype), x.shape)
    g = jax.vmap(f)
    w = jnp.broadcast_to(jnp.asarray(WEIGHTS, x.dtype), x.shape)
    w = w[:, : g(x).shape[1]]
    along = lambda h: lambda x: jax.jvp(h, (x,), (d,))[1]
    weighted = lambda h: lambda x: jax.grad(lambda x: (w * h(x)).sum())(x)
    forward = [g, along(g), along(along(g)), along(along(along(g)))]
    gradients = [weighted(g), along(weighted(g)), weighted(along(g))]
    pad = lambda a: np.pad(np.asarray(a, np.float64), ((0, 0), (0, 4 - a.shape[1])))
    return stored([x, d, pad(w)], [pad(h(x)) for h in forward + gradients], 1, dtype)


def compute(name):
    """The record and the arrays of a function."""
    if name in ROWS:
        return {"name": name, "arity": 0}, {f"{name}.{dtype}": along_axis(ROWS[name], dtype) for dtype in DTYPES}
    arity = 1 if name in UNARY else 2
    f, extra, words = (UNARY | BINARY)[name]
    record, arrays = {"name": name, "arity": arity, "words": words, "missing": []}, {}
    # Operation by operation each compiles once, not once for each function; loops need to be compiled.
    with jax.disable_jit(not name.startswith(("igamma", "betainc"))):
        fill(arrays, record, f, extra)
    return record, arrays


def fill(arrays, record, f, extra):
    name, arity = record["name"], record["arity"]
    for dtype in DTYPES:
        where = [*(points if arity == 1 else pairs)(dtype), *extra]
        if name in LARGEST:
            where = [pair for pair in where if not any(LARGEST[name] < abs(v) < INF for v in pair)]
        tiny = {"f64": 1e-310, "f32": 1e-40}[dtype]
        where += [tiny, -tiny] if arity == 1 else [(tiny, 0.5), (0.5, tiny)]
        arguments = np.array(where, DTYPES[dtype]).reshape(len(where), arity).T
        arrays[f"{name}.{dtype}"] = table(f, list(arguments), dtype, record)


def names():
    return [*UNARY, *BINARY, *ROWS]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+")
    only = parser.parse_args().only
    warnings.simplefilter("ignore")
    if only:
        np.set_printoptions(linewidth=150, threshold=10**6)
        for name in only:
            record, arrays = compute(name)
            print(record)
            for name, a in arrays.items():
                print(name, a.T if a.ndim == 2 else a, sep="\n")
        return
    write(map(compute, names()))


def write(computed):
    records, arrays = [], {}
    for record, more in computed:
        records.append(record)
        arrays |= more
    HERE.joinpath("elementwise.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    np.savez_compressed(HERE / "elementwise.npz", **arrays)


if __name__ == "__main__":
    main()
