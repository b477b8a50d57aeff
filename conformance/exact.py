"""Exact derivatives of elementwise functions, for points where JAX loses digits, overflows on the way or
meets 0·∞ although the function is smooth. Needs mpmath and numpy; reads the points of elementwise.npz.

    python conformance/exact.py [NAME ...]

Writes vectors/exact.npz, or the arrays of some functions in it: for a function and a dtype an array with a row for each derivative that
elementwise.jsonl names; NaN where nothing is claimed: outside of the domain, at kinks, at infinities.
Functions that JAX computes well are in it at subnormal numbers of f64 only, which JAX takes for zero.
"""

import itertools
import json
import math
import pathlib
import sys
import time

import numpy as np
from mpmath import mp, mpf

HERE = pathlib.Path(__file__).parent / "vectors"
ORDER = 3


class Jet:
    """A polynomial in the increments of x and y, up to total degree 3: {(i, j): coefficient}."""

    def __init__(self, terms):
        self.terms = terms

    @staticmethod
    def of(value):
        return value if isinstance(value, Jet) else Jet({(0, 0): mpf(value)})

    @property
    def value(self):
        return self.terms.get((0, 0), mpf(0))

    def __add__(self, other):
        other = Jet.of(other)
        keys = self.terms.keys() | other.terms.keys()
        return Jet({k: self.terms.get(k, mpf(0)) + other.terms.get(k, mpf(0)) for k in keys})

    def __mul__(self, other):
        other, result = Jet.of(other), {}
        for (a, b), u in self.terms.items():
            for (c, d), v in other.terms.items():
                if a + b + c + d <= ORDER:
                    result[a + c, b + d] = result.get((a + c, b + d), mpf(0)) + u * v
        return Jet(result)

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -Jet.of(other)

    def __truediv__(self, other):
        return self * power(Jet.of(other), -1)

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return Jet.of(other) / self

    def through(self, *derivatives):
        """A function of this, by its derivatives of order 0 to 3 at the value."""
        step = Jet({k: v for k, v in self.terms.items() if k != (0, 0)})
        result, term = Jet.of(derivatives[0]), Jet.of(1)
        for k, derivative in enumerate(derivatives[1:], 1):
            term = term * step
            result = result + term * (derivative / mp.factorial(k))
        return result


class Nothing(Exception):
    """No derivative exists, or none is claimed."""


def need(condition):
    if not condition:
        raise Nothing


def power(u, p):
    need(u.value != 0)
    x, p = u.value, mpf(p)
    return u.through(x**p, p * x ** (p - 1), p * (p - 1) * x ** (p - 2), p * (p - 1) * (p - 2) * x ** (p - 3))


def sqrt(u):
    need(u.value > 0)
    return power(u, mpf(1) / 2)


def exp(u):
    return u.through(*[mp.exp(u.value)] * 4)


def expm1(u):
    return u.through(mp.expm1(u.value), *[mp.exp(u.value)] * 3)


def log(u):
    need(u.value > 0)
    x = u.value
    return u.through(mp.log(x), 1 / x, -1 / x**2, 2 / x**3)


def log1p(u):
    need(u.value > -1)
    y = 1 + u.value
    return u.through(mp.log1p(u.value), 1 / y, -1 / y**2, 2 / y**3)


def sin(u):
    s, c = mp.sin(u.value), mp.cos(u.value)
    return u.through(s, c, -s, -c)


def cos(u):
    s, c = mp.sin(u.value), mp.cos(u.value)
    return u.through(c, -s, -c, s)


def tanh(u):
    # 1 - tanh² by the hyperbolic cosine: no digits cancel.
    t, s = mp.tanh(u.value), 1 / mp.cosh(u.value) ** 2
    return u.through(t, s, -2 * t * s, -2 * s * (s - 2 * t * t))


def tan(u):
    return sin(u) / cos(u)


def asin(u):
    need(abs(u.value) < 1)
    # The first derivative as a function gives the others.
    r = 1 / mp.sqrt(1 - u.value**2)
    return u.through(mp.asin(u.value), r, u.value * r**3, (1 + 2 * u.value**2) * r**5)


def atan(u):
    return atan2(u, Jet.of(1))


def sinh(u):
    return (expm1(u) - expm1(-u)) * mpf(0.5)


def cosh(u):
    return (exp(u) + exp(-u)) * mpf(0.5)


def erf(u):
    g = 2 / mp.sqrt(mp.pi) * mp.exp(-u.value**2)
    return u.through(mp.erf(u.value), g, -2 * u.value * g, (4 * u.value**2 - 2) * g)


def magnitude(u):
    return u if u.value > 0 else -u


def constant(f):
    """A function that is constant beside its jumps."""
    return lambda u: Jet.of(f(u.value))


def linear(below, above):
    """The slopes on either side of 0."""
    return lambda u: u * (above if u.value > 0 else below)


def exponential(u, alpha=1):
    """`u` above 0, an exponential function below."""
    return u if u.value > 0 else expm1(u) * alpha


def atan2(y, x):
    angle = mp.atan2(y.value, x.value)
    if abs(x.value) >= abs(y.value):
        z = y / x
        t, d = z.value, 1 + z.value**2
        return z.through(angle, 1 / d, -2 * t / d**2, (6 * t * t - 2) / d**3)
    z = x / y
    t, d = z.value, 1 + z.value**2
    return z.through(angle, -1 / d, 2 * t / d**2, -(6 * t * t - 2) / d**3)


def polygamma(n, u):
    x = u.value
    need(x > 0 or x != mp.floor(x))
    need(x > -1000 and x < mpf(10) ** 20)
    return u.through(*[psi(n + k, x) for k in range(4)])


def psi(n, x):
    # At tiny x the pole, and the value at 1, which is what is left: psi(n, x) = psi(n, 1 + x) - (-1)ⁿ n! / xⁿ⁺¹.
    return mp.psi(n, 1 + x) - (-1) ** n * mp.factorial(n) / x ** (n + 1)


def lgamma(u):
    x = u.value
    need(x > 0 or x != mp.floor(x))
    need(x > -1000)
    return u.through(mp.loggamma(x).real, *[psi(k, x) for k in range(3)])


def gamma(u):
    x = u.value
    need(x > 0 or x != mp.floor(x))
    need(abs(x) < 1000)
    g = mp.gamma(x)
    a, b, c = (psi(k, x) for k in range(3))
    return u.through(g, g * a, g * (a * a + b), g * (a**3 + 3 * a * b + c))


def erfc(u):
    x = u.value
    need(abs(x) < mpf(10) ** 20)
    g = -2 / mp.sqrt(mp.pi) * mp.exp(-x * x)
    return u.through(mp.erfc(x), g, -2 * x * g, (4 * x * x - 2) * g)


def ndtr(u):
    """The distribution function of the normal distribution."""
    return erfc(u * (-1 / mp.sqrt(2))) * mpf(0.5)


def log_ndtr(u):
    x = u.value
    need(abs(x) < mpf(10) ** 20)
    p = mp.erfc(-x / mp.sqrt(2)) / 2
    r = mp.npdf(x) / p
    r1 = -r * (x + r)
    r2 = -r1 * (x + r) - r * (1 + r1)
    # Above zero by the distance from one.
    value = mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(p)
    return u.through(value, r, r1, r2)


def ndtri(u):
    p = u.value
    need(0 < p < 1)
    low = min(p, 1 - p)
    z = mp.findroot(lambda z: mp.log(mp.ncdf(z)) - mp.log(low), -mp.sqrt(-2 * mp.log(low)) if low < mpf("0.2") else mp.sqrt(2 * mp.pi) * (low - mpf(1) / 2))
    z = z if p <= mpf(1) / 2 else -z
    d = 1 / mp.npdf(z)
    return u.through(z, d, z * d**2, (1 + 2 * z * z) * d**3)


def erf_inv(u):
    need(-1 < u.value < 1)
    x = u.value
    z = mp.erfinv(x)
    d = mp.sqrt(mp.pi) / 2 * mp.exp(z * z)
    return u.through(z, d, 2 * z * d**2, (2 + 8 * z * z) * d**3)


def bessel(n, u):
    need(abs(u.value) < 1000)
    # I' is the mean of the neighbours; the one of -n is that of n.
    i = [mp.besseli(k, u.value) for k in range(n + 4)]
    at = lambda k: i[abs(k)]
    derivative = lambda k, order: at(k) if order == 0 else (derivative(k - 1, order - 1) + derivative(k + 1, order - 1)) / 2
    return u.through(*[derivative(n, order) for order in range(4)])


def scaled_bessel(n, u):
    need(u.value != 0)
    return exp(u * (-1 if u.value > 0 else 1)) * bessel(n, u)


def sinc(x):
    u = x * mp.pi
    if u.value == 0:
        return u.through(1, 0, mpf(-1) / 3, 0)
    return sin(u) / u


def sigmoid(u):
    return 1 / (1 + exp(-u)) if u.value > 0 else exp(u) / (1 + exp(u))


def softplus(u):
    return log1p(exp(u)) if u.value < 0 else u + log1p(exp(-u))


def logaddexp(x, y):
    return softplus(x - y) + y if x.value < y.value else softplus(y - x) + x


def hypot(x, y):
    return sqrt(x * x + y * y)


def smooth_power(x, y):
    if x.value > 0:
        return exp(y * log(x))
    # Whole powers: only in x.
    raise Nothing


def sign_gamma(x):
    return -1 if x < 0 and mp.floor(x) % 2 == 1 else 1


def log1mexp(x):
    need(x.value > 0)
    return log(-expm1(-x)) if x.value < 1 else log1p(-exp(-x))


def betaln(x, y):
    return lgamma(x) + lgamma(y) - lgamma(x + y)


def boxcox_of(log_x, y):
    if y.value == 0:
        # Σ logᵏ⁺¹ yᵏ / (k + 1)!
        return log_x + log_x * log_x * y * (mpf(1) / 2) + log_x * log_x * log_x * y * y * (mpf(1) / 6) + log_x * log_x * log_x * log_x * y * y * y * (mpf(1) / 24)
    return expm1(y * log_x) / y


def xlogy(x, y):
    return x * log(y)


def rel_entr(x, y):
    return x * log(x / y)


def ratio_of_gammas(above, below):
    """The product of gamma functions over that of others."""
    if all(abs(u.value) < 1000 for u in above + below):
        return math.prod(map(gamma, above), start=Jet.of(1)) / math.prod(map(gamma, below), start=Jet.of(1))
    log = sum(map(lgamma, above), start=Jet.of(0)) - sum(map(lgamma, below), start=Jet.of(0))
    # Numbers that are too large or too small for any float.
    need(log.value < 10**5)
    return exp(log) * math.prod(int(sign_gamma(u.value)) for u in above + below)


def complex_sqrt(x, y):
    need(y.value != 0 or x.value > 0)
    r = hypot(x, y)
    re = sqrt((r + x) * mpf(0.5)) if x.value >= 0 else None
    if re is not None:
        return re, y / (re * 2)
    im = sqrt((r - x) * mpf(0.5)) * (1 if y.value > 0 else -1)
    return y / (im * 2), im


UNARY = {
    "sinc": sinc,
    "digamma": lambda x: polygamma(0, x),
    "lgamma": lgamma,
    "multigammaln:1": lgamma,
    "multigammaln:3": lambda x: multigammaln3(x),
    **{f"polygamma:{n}": (lambda x, n=n: polygamma(n, x)) for n in range(4)},
    "gamma": gamma,
    "factorial": lambda x: factorial(x),
    "ndtr": ndtr,
    "log_ndtr": log_ndtr,
    "ndtri": ndtri,
    "erf_inv": erf_inv,
    "bessel_i0": lambda x: bessel(0, x),
    "bessel_i1": lambda x: bessel(1, x),
    "bessel_i0e": lambda x: scaled_bessel(0, x),
    "bessel_i1e": lambda x: scaled_bessel(1, x),
    "log1mexp": log1mexp,
    "logit": lambda x: log(x) - log1p(-x),
    "softplus": softplus,
    "log_sigmoid": lambda x: -softplus(-x),
    "sigmoid": sigmoid,
    "mish": lambda x: x * tanh(softplus(x)),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * ndtr(x),
    "gelu_tanh": lambda x: x * sigmoid((x + x * x * x * 0.044715) * mp.sqrt(8 / mp.pi)),
    "tanh": tanh,
    "entr": lambda x: -(x * log(x)),
    "cbrt": lambda x: power(x, mpf(1) / 3) if x.value > 0 else -power(-x, mpf(1) / 3),
    "acosh": lambda x: acosh(x),
    "betainc:0.5,0.5": lambda x: asin(sqrt(x)) * (2 / mp.pi),
    "betainc:1.0,1.0": lambda x: inside(x),
    "betainc:2.0,3.0": lambda x: inside(x) * x * (x * x * 3 - x * 8 + 6),
    "squareplus:4": lambda x: (x + sqrt(x * x + 4)) * mpf(0.5),
}


# Functions of which only subnormal numbers are not computed by JAX.
SUBNORMAL = {
    "abs": magnitude,
    "sign": constant(mp.sign),
    "floor": constant(mp.floor),
    "sqrt": sqrt,
    "rsqrt": lambda x: 1 / sqrt(x),
    "recip": lambda x: 1 / x,
    "square": lambda x: x * x,
    "exp": exp,
    "exp2": lambda x: exp(x * mp.log(2)),
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "log2": lambda x: log(x) / mp.log(2),
    "log10": lambda x: log(x) / mp.log(10),
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "asin": asin,
    "acos": lambda x: mp.pi / 2 - asin(x),
    "atan": atan,
    "sinh": sinh,
    "cosh": cosh,
    "asinh": lambda x: log(x + sqrt(x * x + 1)),
    "atanh": lambda x: (log1p(x) - log1p(-x)) * mpf(0.5),
    "erf": erf,
    "erfc": erfc,
    "to_radians": lambda x: x * (mp.pi / 180),
    "to_degrees": lambda x: x * (180 / mp.pi),
    "clamp:-1,1": lambda x: x,
    "ldexp:3": lambda x: x * 8,
    "ldexp:-2": lambda x: x * mpf(0.25),
    "nan_to_num": lambda x: x,
    "modf:fraction": lambda x: x,
    "relu": linear(0, 1),
    "relu6": linear(0, 1),
    "leaky_relu:0.01": linear(0.01, 1),
    "hard_tanh": lambda x: x,
    "hard_sigmoid": lambda x: (x + 3) / 6,
    "hard_silu": lambda x: x * (x + 3) / 6,
    "elu:1": exponential,
    "elu:1.5": lambda x: exponential(x, 1.5),
    "celu:1": exponential,
    "celu:1.5": lambda x: exponential(x / 1.5, 1.5) if x.value < 0 else x,
    "soft_sign": lambda x: x / (1 + magnitude(x)),
    "sparse_plus": lambda x: (x + 1) * (x + 1) / 4,
    "sparse_sigmoid": lambda x: (x + 1) / 2,
    **{f"powi:{n}": (lambda x, n=n: power(x, n)) for n in (-3, -2, -1, 1, 2, 3, 4)},
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "maximum": lambda x, y: x if x.value > y.value else y,
    "minimum": lambda x, y: x if x.value < y.value else y,
}


def sums_of_exponentials(xs):
    """The logarithms of the running sums."""
    return list(itertools.accumulate(xs, logaddexp))


# Functions along an axis, of lists.
ROWS = {
    "cumlogsumexp": sums_of_exponentials,
    "logsumexp": lambda xs: sums_of_exponentials(xs)[-1:],
    "softmax": lambda xs: [exp(x - sums_of_exponentials(xs)[-1]) for x in xs],
    "log_softmax": lambda xs: [x - sums_of_exponentials(xs)[-1] for x in xs],
}


def exact_row(f, x, d, w):
    """What elementwise.jsonl says of functions along an axis, for one row."""
    if not np.all(np.isfinite(x)):
        return np.full((7, 4), np.nan)
    pad = lambda numbers: [float(v) for v in numbers] + [0.0] * (4 - len(numbers))
    # The first variable goes along d, the second one along an axis.
    jets = lambda j: f([Jet({(0, 0): mpf(v), (1, 0): mpf(u), (0, 1): mpf(k == j)}) for k, (v, u) in enumerate(zip(x, d))])
    along = [[y.terms.get((i, 0), mpf(0)) * mp.factorial(i) for y in jets(0)] for i in range(4)]
    weighted = lambda place: [sum(v * y.terms.get(place, mpf(0)) for v, y in zip(w, jets(j))) for j in range(4)]
    gradient, mixed = weighted((0, 1)), weighted((1, 1))
    return np.array([pad(row) for row in [*along, gradient, mixed, mixed]])


def inside(x):
    need(0 <= x.value <= 1)
    return x


def multigammaln3(x):
    need(x.value > 1)
    return lgamma(x) + lgamma(x - mpf(0.5)) + lgamma(x - 1) + mpf(3) / 2 * mp.log(mp.pi)


def factorial(x):
    # SciPy has 0 below 0.
    need(x.value >= 0)
    return gamma(x + 1)


def acosh(x):
    need(x.value > 1)
    return log(x + sqrt(x - 1) * sqrt(x + 1))


BINARY = {
    "hypot": hypot,
    "complex_abs": hypot,
    "logaddexp": logaddexp,
    "logaddexp2": lambda x, y: logaddexp(x * mp.log(2), y * mp.log(2)) / mp.log(2),
    "xlogy": xlogy,
    "xlog1py": lambda x, y: x * log1p(y),
    "rel_entr": rel_entr,
    "kl_div": lambda x, y: rel_entr(x, y) - x + y,
    "betaln": betaln,
    "beta": lambda x, y: ratio_of_gammas([x, y], [x + y]),
    "poch": lambda x, y: ratio_of_gammas([x + y], [x]),
    "comb": lambda x, y: comb(x, y),
    "boxcox": lambda x, y: boxcox_of(log(x), y),
    "boxcox1p": lambda x, y: boxcox_of(log1p(x), y),
    "pow": smooth_power,
    "atan2": lambda x, y: atan2(x, y),
    "complex_angle": lambda x, y: atan2(y, x),
    "complex_log:re": lambda x, y: log(hypot(x, y)),
    "complex_log:im": lambda x, y: atan2(y, x),
    "complex_sqrt:re": lambda x, y: complex_sqrt(x, y)[0],
    "complex_sqrt:im": lambda x, y: complex_sqrt(x, y)[1],
}


def comb(x, y):
    need(0 <= y.value <= x.value)
    return ratio_of_gammas([x + 1], [y + 1, x - y + 1])


# Digits: numbers of 1e-300 are added to ones, and cancel three times.
DIGITS = {
    **dict.fromkeys(["sinc", "hypot", "complex_abs", "beta", "poch", "comb", "asinh", "atanh", "rel_entr", "kl_div", "pow", "boxcox", "boxcox1p"], 1300),
    **dict.fromkeys(["complex_log:re", "complex_log:im", "complex_angle", "atan2"], 1000),
    **dict.fromkeys(["betaln", "complex_sqrt:re", "complex_sqrt:im"], 700),
    **dict.fromkeys(["entr", "gelu_tanh"], 400),
}


def main():
    names = sys.argv[1:]
    records = map(json.loads, HERE.joinpath("elementwise.jsonl").read_text().splitlines())
    vectors = np.load(HERE / "elementwise.npz")
    arrays = dict(np.load(HERE / "exact.npz")) if names else {}
    for record in records:
        name, started = record["name"], time.time()
        if name in ROWS and (not names or name in names):
            mp.dps = 400
            for dtype in ("f64", "f32"):
                tables = vectors[f"{name}.{dtype}"].astype(np.float64)
                rows = np.array([exact_row(ROWS[name], *table[:3]) for table in tables])
                arrays[f"{name}.{dtype}"] = rows.astype(vectors[f"{name}.{dtype}"].dtype)
        f = (UNARY | BINARY | SUBNORMAL).get(name)
        if f is None or (names and name not in names):
            continue
        mp.dps = DIGITS.get(name, 360)
        for dtype in ("f64", "f32"):
            points = vectors[f"{name}.{dtype}"][: record["arity"]].astype(np.float64).T
            tiny = np.any((np.abs(points) < np.finfo(np.float64).tiny) & (points != 0), axis=1)
            wanted = tiny | (name not in SUBNORMAL)
            rows = np.array([exact(f, point, record["words"], on) for point, on in zip(points, wanted)]).T
            if wanted.any():
                with np.errstate(over="ignore"):
                    arrays[f"{name}.{dtype}"] = rows if dtype == "f64" else rows.astype(np.float32)
        print(name, round(time.time() - started), "s,", int(np.isnan(rows[0]).sum()), "of", rows.shape[1], "points without", flush=True)
    np.savez_compressed(HERE / "exact.npz", **arrays)


def exact(f, point, words, wanted):
    nothing = [np.nan] * len(words)
    if not (wanted and np.all(np.isfinite(point))):
        return nothing
    one = [(1, 0), (0, 1)]
    try:
        jet = f(*(Jet({(0, 0): mpf(v), one[i]: mpf(1)}) for i, v in enumerate(point)))
    except (Nothing, ZeroDivisionError):
        return nothing
    place = [(word.count("x"), word.count("y")) for word in words]
    number = lambda i, j: number_of(jet.terms.get((i, j), mpf(0)) * mp.factorial(i) * mp.factorial(j))
    return [number(i, j) for i, j in place]


def number_of(value):
    return float(value) if isinstance(value, mpf) else np.nan


if __name__ == "__main__":
    main()
