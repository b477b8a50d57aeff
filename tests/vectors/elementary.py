"""Writes elementary.json: f64 arguments over the whole range of each function, and its values rounded
correctly from 60 digits or more. Needs mpmath.

    python tests/vectors/elementary.py
"""

import json
import math
import pathlib
import random
import struct

from mpmath import mp

mp.prec = 1400  # Arguments near 1e308 lose 1,024 bits when they are reduced by multiples of π.
r = random.Random(5)


def bits(low, high, n):
    """Numbers with uniform exponents between two magnitudes, of both signs."""
    low, high = (struct.unpack("<q", struct.pack("<d", v))[0] for v in (low, high))
    magnitudes = [struct.unpack("<d", struct.pack("<q", r.randint(low, high)))[0] for _ in range(n)]
    return [m if i % 2 else -m for i, m in enumerate(magnitudes)]


def near(at, n):
    """Numbers closer and closer to one."""
    return [at + (-1) ** i * r.uniform(1, 2) * 2.0 ** -(2 * i) for i in range(n)]


every = bits(5e-324, 1.7e308, 60)
usual = bits(1e-12, 40.0, 100)
small = bits(1e-300, 1.0, 60) + bits(0.1, 1.0, 60)
# Where the reduction of the argument cancels most.
zeros = [float(n * mp.pi / 2) for n in (r.randint(1, 2 ** r.randint(1, 30)) for _ in range(80))]
positive = lambda xs: [abs(x) for x in xs]
exponents = [r.uniform(-745, 709) for _ in range(80)]
functions = {
    "exp": (mp.exp, usual + exponents + near(0.0, 20)),
    "exp2": (lambda x: mp.power(2, x), usual + [r.uniform(-1074, 1023) for _ in range(80)]),
    "expm1": (mp.expm1, usual + exponents + bits(1e-300, 1e-8, 20)),
    "log": (mp.log, positive(every + usual) + near(1.0, 26)),
    "log2": (lambda x: mp.log(x, 2), positive(every + usual) + near(1.0, 26)),
    "log1p": (mp.log1p, positive(every) + usual[1::2] + small + near(-0.5, 20)),
    "sin": (mp.sin, zeros + every + usual + bits(1.0, 1e6, 60) + near(math.pi, 26)),
    "cos": (mp.cos, zeros + every + usual + bits(1.0, 1e6, 60) + near(math.pi / 2, 26)),
    "tan": (mp.tan, zeros + every + usual + bits(1.0, 1e6, 60) + near(math.pi / 2, 26)),
    "asin": (mp.asin, small + [x for x in near(1.0, 50) if abs(x) <= 1]),
    "acos": (mp.acos, small + [x for x in near(1.0, 50) if abs(x) <= 1]),
    "atan": (mp.atan, every + usual),
    "sinh": (mp.sinh, usual + exponents),
    "cosh": (mp.cosh, usual + exponents),
    "tanh": (mp.tanh, usual + bits(1e-300, 1e-3, 40)),
    "asinh": (mp.asinh, every + usual),
    "acosh": (mp.acosh, [x for x in positive(every + usual) + near(1.0, 50) if x >= 1]),
    "atanh": (mp.atanh, small + [x for x in near(1.0, 50) if abs(x) < 1]),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), every + usual),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), positive(every + usual)),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), usual + exponents),
    "erf": (mp.erf, bits(1e-300, 6.0, 60) + usual),
    "erfc": (mp.erfc, bits(1e-12, 6.0, 60) + [r.uniform(-6, 26) for _ in range(80)]),
    "erf_inv": (mp.erfinv, [r.uniform(-1, 1) for _ in range(60)] + bits(1e-100, 1e-3, 20)),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), positive(bits(1e-8, 170.0, 150))),
    "digamma": (mp.digamma, positive(bits(1e-8, 1e6, 100))),
}
uniform = lambda low, high, n: [r.uniform(low, high) for _ in range(n)]
chances = [10 ** r.uniform(-300, -1) for _ in range(60)] + uniform(0, 1, 60)
# Both sides of the points where fits meet, and beside zeros.
more = [
    ("erf_inv", mp.erfinv, [s * (1 - 2.0**-k) for k in range(1, 53) for s in (-1, 1)] + uniform(0.99, 1, 40)),
    ("lgamma", mp.loggamma, uniform(0, 6, 200) + near(1.0, 24) + near(2.0, 24)),
    ("digamma", mp.digamma, uniform(0, 6, 200)),
    ("bessel_i0e", lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), uniform(-20, 20, 200) + bits(1e-30, 1e30, 60)),
    ("bessel_i1e", lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), uniform(-20, 20, 200) + bits(1e-30, 1e30, 60)),
    ("ndtr", mp.ncdf, uniform(-5, 8, 100)),
    ("log_ndtr", lambda x: mp.log(mp.ncdf(x)), uniform(-40, 8, 150)),
    ("ndtri", lambda p: -mp.sqrt(2) * mp.erfinv(1 - 2 * p), chances),
]
special = ("erf", "erfc", "erf_inv", "lgamma", "digamma", "sigmoid")
entries = []
for name, f, points in [(name, *entry) for name, entry in functions.items()] + more:
    if (name, f, points) in more:
        mp.prec = 2400 if name == "ndtri" else 400
    elif name in special:
        mp.prec = 300
    else:
        mp.prec = 1400
    values = [float(f(mp.mpf(x))) for x in points]
    pack = lambda xs: {"dtype": "float64", "shape": [len(xs)], "data": [repr(x) for x in xs]}
    entries.append({"name": name, "in": [pack(points)], "out": [pack(values)]})
    print(name, len(points))
lines = ",\n".join(json.dumps(e) for e in entries)
pathlib.Path(__file__).with_name("elementary.json").write_text(f"[\n{lines}\n]\n")
