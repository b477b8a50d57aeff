"""The lines of the sweep: what the catalogue says of functions, with the table of their peers, as
arguments of sizes that users meet."""

import itertools
import math
import re
import zlib

import numpy as np

DTYPES = {"bool": "?", "i32": "i4", "i64": "i8", "u32": "u4", "f32": "f4", "f64": "f8"}

# The dtypes in which a function is measured, by those that it takes.
MEASURED = {
    "Any": ["f32", "f64"], "Number": ["f32", "f64", "i32"], "Float": ["f32", "f64"], "Int": ["i32"],
    "Bits": ["bool", "i32"], "Bool": ["bool"], "Word": ["u32"], "Double": ["f64"],
}

# The sizes of a function's first tensor, by its extents.
SIZES = {
    "Any": [(1000, 1000), (32, 32)], "Ranked": [(1000, 1000), (32, 32)], "Scalar": [()],
    "Vector": [(1_000_000,), (1_000,)], "Matrix": [(500, 500), (32, 32)],
    "Matrices": [(1000, 1000), (10_000, 4, 4)], "Square": [(500, 500), {"each": (4, 4), "mapped": 10_000}],
    "Ones": [(1, 1000)], "Two": [(2,)], "Three": [{"each": (3,), "mapped": 100_000}],
    "Signal": [(16, 16, 4096)],
}
ELEMENTWISE = [(1_000_000,), (1_000,)]


class Op:
    """How peers write a function, and what its lines are.

    `variants` are dictionaries of settings, one a line and dtype; the settings given by name are those
    of all. A setting is the value of an argument by its parameter's name (for a tensor its shape, an
    array, or a function that draws it), or one of these: `dtypes`; `axes`, the axes along which it is
    measured; `mapped`, over how many examples; `domain`, of tensors by name; `jax` and `numpy`, other
    expressions; `check`, how results are compared; `tolerance`; `note`, which limit keeps a line back.
    """

    def __init__(self, *expressions, variants=None, **settings):
        self.jax, self.numpy = split(*expressions or (None,))
        self.variants, self.settings = variants, settings


class Not(str):
    """Why a function has no line."""


def split(first, second=None):
    """Expressions of JAX and of NumPy: one for both, one of either, or two."""
    if second is not None or first is None:
        return first, second
    if re.search(r"\b(jax|jnp|lax|nn|jr|jh)\.", first):
        return first, None
    if re.search(r"\bx[psl]\.", first) or not re.search(r"\b(np|sp)\.", first):
        return first, first
    return None, first


class Kind:
    def __init__(self, text):
        self.name, _, rest = text.partition("(")
        parts = re.split(r", (?![^(]*\))", rest[:-1]) if rest else []
        self.dtypes = parts[0] if self.name == "Tensor" else "Float"
        self.extents = parts[-2] if self.name in ("Tensor", "Complex") else "Matrix"
        within = re.match(r"Within\((.*), (.*)\)", parts[-1]) if parts else None
        self.domain = (float(within[1]), float(within[2])) if within else parts[-1] if parts else "Any"

    @property
    def is_tensor(self):
        return self.name in ("Tensor", "Complex", "Tensors", "Chain")


class Line:
    """One function at one size in one dtype."""

    def __init__(self, function, op, settings, dtype, note=None):
        self.signature, self.parameters = function["signature"], function["parameters"]
        self.kinds = [Kind(kind) for kind in function["kinds"]]
        self.settings, self.dtype = settings, dtype
        self.mapped = settings.get("mapped")
        self.tolerance = settings.get("tolerance", 1e-4 if "f32" in self.dtypes() else 1e-9)
        self.check = settings.get("check")
        self.note = settings.get("note", "")
        jax, numpy = settings.get("jax", op.jax), settings.get("numpy", op.numpy)
        self.peers = {}
        if jax:
            self.peers["JAX"] = jax
        if numpy:
            self.peers["SciPy" if re.search(r"\b(sp|xs|xl)\.", numpy) else "NumPy"] = numpy
        self.label = self.described()
        self.name = f"{self.signature} {self.dtype} {self.label}".strip()

    def dtypes(self):
        return [self.dtype] if self.kinds else ["f64"]

    def described(self):
        """The sizes and settings that tell lines of one function apart."""
        words = []
        def size(shape):
            return "×".join(map(str, shape))
        for name, kind in zip(self.parameters, self.kinds):
            value = self.settings.get(name)
            if kind.name in ("Tensor", "Complex", "Tensors") and isinstance(value, tuple) and value:
                count = f"{self.mapped}·" if self.mapped else ""
                words.append(f"{count}{size(value)}")
            elif kind.name in ("Shape", "Size") and value is not None and not callable(value):
                words.append(f"{name} {size(value) if isinstance(value, (tuple, list)) else value}")
            elif kind.name in ("Axis", "Axes") and value is not None:
                words.append(f"{name} {value}")
        if "word" in self.settings:
            words.append(self.settings["word"])
        return ", ".join(words)

    def draw(self, folder):
        """Writes the tensors to files; the arguments as JSON."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        files = itertools.count()
        given = {"shape": None, "dtype": self.dtype, "domain": "Any"}
        arguments = []

        def write(array, dtype=None):
            array = np.asarray(array, order="C")
            dtype = dtype or next(word for word, code in DTYPES.items() if np.dtype(code) == array.dtype)
            file = f"in{next(files)}"
            array.astype(DTYPES[dtype]).tofile(folder / file)
            return {"file": file, "dtype": dtype, "shape": list(array.shape)}

        def one(name, kind, value):
            domain = self.settings.get("domain", {}).get(name, kind.domain)
            domain = given["domain"] if domain == "Same" else domain
            dtype = self.dtype if kind.dtypes == "Same" or given["shape"] is None else None
            dtype = dtype or (self.dtype if self.dtype in accepted(kind.dtypes) else MEASURED[kind.dtypes][0])
            if kind.dtypes == "Bool":
                dtype = "bool"
            if callable(value):
                value = np.asarray(value(rng))
            if isinstance(value, np.ndarray):
                array = value
                if array.dtype == np.dtype("f8") and dtype in ("f32", "f64"):
                    array = array.astype(DTYPES[dtype])
            else:
                shape = tuple(value) if value is not None else extents(kind.extents, given["shape"])
                full = (self.mapped, *shape) if self.mapped else shape
                array = values(rng, DTYPES[dtype], full, domain, given["shape"], len(shape)).astype(DTYPES[dtype])
            if given["shape"] is None:
                given.update(shape=array.shape[1:] if self.mapped else array.shape, domain=domain)
            return array

        for name, kind in zip(self.parameters, self.kinds):
            value = self.settings.get(name)
            if kind.name == "Tensor":
                arguments.append(write(one(name, kind, value)))
            elif kind.name == "Complex":
                shape = value if value is not None else extents(kind.extents, given["shape"])
                re, im = one(name, kind, shape), one(name, kind, shape)
                arguments.append({"re": write(re), "im": write(im)})
            elif kind.name in ("Tensors", "Chain"):
                arguments.append([write(one(name, kind, shape)) for shape in value])
            elif kind.name == "Index":
                arguments.append([
                    write(np.asarray(entry(rng))) if callable(entry) else
                    {"range": [entry.start, entry.stop, entry.step]} if isinstance(entry, slice) else
                    {"at": entry} for entry in value
                ])
            else:
                if value is None:
                    value = default(name, kind, given["shape"], self.dtype)
                arguments.append(list(value) if isinstance(value, (tuple, range)) else value)
        return arguments


def accepted(dtypes):
    everything = ["bool", "i32", "i64", "u32", "f32", "f64"]
    return {"Any": everything, "Number": everything[1:], "Bits": everything[:4], "Int": everything[1:4]}.get(
        dtypes, MEASURED.get(dtypes, []))


def extents(extents, given):
    """The shape of a tensor after the first one's."""
    last = given[-1] if given else 1
    return {
        "Like": given, "Scalar": (), "RightSide": (last,), "Contracted": (last, last), "Last": (last,),
        "OneLess": (last - 1,), "Vector": (last,), "Beside": given, "Two": (2,), "Three": (3,), "Any": given,
        "Ones": (1, 1),
    }[extents]


def default(name, kind, shape, dtype):
    """An argument that the table does not give."""
    found = {
        "Key": {"key": 42}, "DType": {"dtype": dtype}, "Part": 0.3, "Number": 0.5, "Whole": 3, "Flag": False,
        "Direction": "forward", "Scalar": 0.5, "Shape": [], "ExampleAxis": 0,
    }.get(kind.name)
    if found is None:
        raise ValueError(f"the table gives no {name}")
    return found


def values(rng, dtype, shape, domain, given, rank):
    """Numbers of a domain; matrices of it are the last two of `rank` axes."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if domain == "Index":
        return rng.integers(0, min(given or (1,)), shape)
    if kind in "iu":
        low, high = domain if isinstance(domain, tuple) else (0 if kind == "u" else -100, 100)
        found = rng.integers(max(math.ceil(low), 0 if kind == "u" else -100), math.floor(high) + 1, shape)
        return np.sort(found) if domain == "Sorted" else found
    if domain in ("Regular", "Definite") and rank >= 2:
        n = shape[-1]
        a = rng.uniform(-1, 1, shape) / n**0.5
        if shape[-1] != shape[-2]:
            return a
        a += np.eye(n)
        return a @ a.swapaxes(-1, -2) if domain == "Definite" else a
    low, high = domain if isinstance(domain, tuple) else (-2, 2)
    found = rng.uniform(low, high, shape)
    return np.sort(found) if domain == "Sorted" else found


def variants(function, op):
    """The settings of all lines of a function, with their dtypes."""
    kinds = [Kind(kind) for kind in function["kinds"]]
    parameters = function["parameters"]
    tensors = [(name, kind) for name, kind in zip(parameters, kinds) if kind.is_tensor]
    axes = [(name, kind) for name, kind in zip(parameters, kinds) if kind.name in ("Axis", "Axes")]
    found = op.variants
    first = tensors[0] if tensors else None
    if found is None and first and first[0] not in op.settings:
        sizes = ELEMENTWISE if "Elementwise" in function["facts"] and first[1].extents == "Any" else (
            SIZES["Square"] if first[1].domain == "Definite" else SIZES[first[1].extents])
        found = [{first[0]: size["each"], "mapped": size["mapped"]} if isinstance(size, dict) else {first[0]: size}
                 for size in sizes]
    for number, variant in enumerate(found or [{}]):
        settings = op.settings | variant
        dtypes = settings.get("dtypes")
        if dtypes is None:
            dtypes = MEASURED[first[1].dtypes] if first else ["f32", "f64"] if "DType" in [k.name for k in kinds] else ["f64"]
            # Small sizes measure the cost of a call, which does not depend on the dtype.
            shape = settings.get(first[0]) if first else None
            if number > 0 and isinstance(shape, tuple) and not settings.get("mapped") and math.prod(shape) < 10_000:
                dtypes = dtypes[:1]
        choices = [{}]
        if len(axes) == 1 and axes[0][0] not in settings:
            name, kind = axes[0]
            rank = len(settings[first[0]]) if first and isinstance(settings.get(first[0]), tuple) else 2
            small = number > 0 and not settings.get("mapped")
            along = settings.get("axes_measured", [-1] if small or rank < 2 else [-1, 0])
            choices = [{name: [axis] if kind.name == "Axes" else axis} for axis in along]
        for choice, dtype in itertools.product(choices, dtypes):
            yield settings | choice, dtype


def lines(catalogue, table):
    """All lines; what is wrong with the table."""
    found, wrong = [], []
    for function in catalogue:
        op = table.get(function["signature"])
        if op is None:
            wrong.append(f"no line and no reason: {function['signature']}")
        elif not isinstance(op, Not):
            op = op if isinstance(op, Op) else Op(*((op,) if isinstance(op, str) else op))
            found += [Line(function, op, settings, dtype) for settings, dtype in variants(function, op)]
    known = {function["signature"] for function in catalogue}
    wrong += [f"no such function: {signature}" for signature in table if signature not in known]
    return found, wrong
