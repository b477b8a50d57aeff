"""Reads and writes at positions, sorting, searching, counting, windows."""

import numpy as np

from lines import Op


def below(n, *shape):
    """Positions below `n`."""
    return lambda rng: rng.integers(0, n, shape).astype("i4")


def ascending(n, *shape):
    """The same, in order."""
    return lambda rng: np.sort(rng.integers(0, n, shape).astype("i4"))


ALL = slice(None, None, None)
MILLION = 1_000_000
# Reads of single elements in any order and in order, of rows, of columns, of a block.
READS = [
    {"x": (MILLION,), "index": [below(MILLION, MILLION)], "word": "10⁶ positions"},
    {"x": (MILLION,), "index": [ascending(MILLION, MILLION)], "word": "10⁶ sorted positions", "dtypes": ["f32"]},
    {"x": (1000,), "index": [below(1000, MILLION)], "word": "10⁶ positions", "dtypes": ["f32"]},
    {"x": (10_000, 100), "index": [below(10_000, 10_000), ALL], "word": "10⁴ rows"},
    {"x": (100_000, 4), "index": [below(100_000, 100_000), ALL], "word": "10⁵ rows", "dtypes": ["f32"]},
    {"x": (1000, 1000), "index": [ALL, below(1000, 1000)], "word": "10³ columns"},
]
BLOCKS = [
    {"x": (1000, 1000), "index": [slice(10, 900, None), slice(None, None, 2)], "word": "10..900, every second"},
    {"x": (1000, 1000), "index": [ALL, 7], "word": "column 7"},
]
WRITES = [
    {"x": (MILLION,), "index": [below(MILLION, MILLION)], "value": (MILLION,), "word": "10⁶ positions"},
    {"x": (1000,), "index": [below(1000, MILLION)], "value": (MILLION,), "word": "10⁶ positions"},
    {"x": (1000,), "index": [ascending(1000, MILLION)], "value": (MILLION,), "word": "10⁶ sorted positions", "dtypes": ["f32"]},
    {"x": (10_000, 100), "index": [below(10_000, 10_000), ALL], "value": (10_000, 100), "word": "10⁴ rows", "dtypes": ["f32"]},
]
# The last of several writes to one place wins in no agreed order: every place once.
SETS = [
    {"x": (MILLION,), "index": [lambda rng: rng.permutation(MILLION).astype("i4")], "value": (MILLION,), "word": "10⁶ positions"},
    {"x": (10_000, 100), "index": [lambda rng: rng.permutation(10_000).astype("i4"), ALL], "value": (10_000, 100), "word": "10⁴ rows",
     "dtypes": ["f32"]},
    {"x": (1000, 1000), "index": [slice(10, 900, None), slice(None, None, 2)], "word": "10..900, every second", "dtypes": ["f32"]},
]
NEAR_ONE = {"domain": {"value": (0.999, 1.001)}, "dtypes": ["f32"]}
SORTS = [{"x": (MILLION,), "axis": -1}, {"x": (1000, 1000)}, {"x": (32, 32)}]
IMAGE = {"x": (32, 16, 56, 56), "dtypes": ["f32"]}
WINDOW = [{"size": 1}, {"size": 1}, {"size": 2, "stride": 2}, {"size": 2, "stride": 2}]
WIDE = [{"size": 1}, {"size": 1}, {"size": 3, "padding": [1, 1]}, {"size": 3, "padding": [1, 1]}]


def conv(x, kernel, groups=1, stride=1, padding=0, word=None):
    windows = [{"stride": stride, "padding": [padding, padding]} for _ in x[2:]]
    found = {"x": x, "kernel": kernel, "how": {"windows": windows, "groups": groups}, "dtypes": ["f32", "f64"]}
    return found | ({"word": word} if word else {})


INDEXING = {
    "Tensor::at(x, index)": Op("x[index]", "np.array(x[index])", variants=READS + BLOCKS),
    "Tensor::at_clipped(x, index)": Op("x.at[index].get(mode='clip')", "x[index]", variants=READS[:1] + READS[4:5], dtypes=["f32"]),
    "Tensor::at_or(x, index, fill)": Op("x.at[index].get(mode='fill', fill_value=fill)", "x[index]", variants=READS[:1] + READS[4:5],
                                        dtypes=["f32"]),
    "Tensor::at(x, i)": Op("x[i]", x=(10_000, 100), i=below(10_000, 10_000)),
    "Tensor::set(x, index, value)": Op("x.at[index].set(value)", "h.written(x, index, value)", variants=SETS),
    "Tensor::add_at(x, index, value)": Op("x.at[index].add(value)", "h.at(np.add, x, index, value)", variants=WRITES, tolerance=1e-3),
    "Tensor::mul_at(x, index, value)": Op("x.at[index].multiply(value)", "h.at(np.multiply, x, index, value)",
                                          variants=[v | NEAR_ONE for v in WRITES[:2]], tolerance=1e-3),
    "Tensor::min_at(x, index, value)": Op("x.at[index].min(value)", "h.at(np.minimum, x, index, value)", variants=WRITES[:2], dtypes=["f32"]),
    "Tensor::max_at(x, index, value)": Op("x.at[index].max(value)", "h.at(np.maximum, x, index, value)", variants=WRITES[:2], dtypes=["f32"]),
    "Tensor::dynamic_slice(x, start, size)": Op(
        "lax.dynamic_slice(x, (start,), (size,))", "x[start : start + size].copy()", x=(MILLION,), start=below(1000), size=500_000),
    "Tensor::dynamic_update_slice(x, y, start)": Op(
        "lax.dynamic_update_slice(x, y, (start,))", "h.written(x, np.s_[start : start + len(y)], y)", x=(MILLION,), y=(1000,), start=below(1000)),
    "Tensor::take(x, indices, axis)": Op("xp.take(x, indices, axis)", variants=[
        {"x": (MILLION,), "indices": below(MILLION, MILLION), "axis": 0},
        {"x": (10_000, 100), "indices": below(10_000, 10_000), "axis": 0},
        {"x": (1000, 1000), "indices": below(1000, 1000), "axis": 1},
    ]),
    "Tensor::take_clipped(x, indices, axis)": Op("xp.take(x, indices, axis, mode='clip')", variants=[
        {"x": (MILLION,), "indices": below(MILLION, MILLION), "axis": 0}, {"x": (1000, 1000), "indices": below(1000, 1000), "axis": 1},
    ], dtypes=["f32"]),
    "Tensor::take_along_axis(x, indices, axis)": Op("xp.take_along_axis(x, indices, axis)", x=(1000, 1000), indices=below(1000, 1000, 1000)),
    # Order.
    "Tensor::sort(x, axis)": Op("xp.sort(x, axis)", variants=SORTS),
    "Tensor::argsort(x, axis)": Op("xp.argsort(x, axis, stable=True)", variants=SORTS),
    "Tensor::top_k(x, k, axis)": Op("lax.top_k(x, k, axis=axis)", "h.top_k(x, k, axis)", variants=SORTS, k=10, check="first"),
    "Tensor::sort_by(xs, keys, axis, descending)": Op(
        "lax.sort(xs, dimension=axis, num_keys=keys)", "h.sort_by(xs, axis)", keys=1, variants=[
            {"xs": [(MILLION,)] * 2, "axis": 0, "word": "2 of 10⁶"}, {"xs": [(1000, 1000)] * 2, "word": "2 of 1000×1000"}]),
    "Tensor::lexsort(xs, axis)": Op("xp.lexsort(xs, axis)", xs=[(100_000,)] * 2, axis=0),
    "Tensor::search_sorted(x, values)": Op("xp.searchsorted(x, values)", domain={"values": "Any"}, variants=[
        {"x": (1000,), "values": (MILLION,)}, {"x": (MILLION,), "values": (MILLION,)}, {"x": (1000,), "values": (1000,), "dtypes": ["f32"]}]),
    "Tensor::search_sorted_right(x, values)": Op("xp.searchsorted(x, values, 'right')", domain={"values": "Any"}, variants=[
        {"x": (1000,), "values": (MILLION,)}]),
    "Tensor::interp(xs, ys, x)": Op("xp.interp(x, xs, ys)", domain={"ys": (-2, 2), "x": (-2.1, 2.1)}, variants=[
        {"xs": (1000,), "x": (MILLION,)}, {"xs": (100,), "x": (1000,), "dtypes": ["f32"]}]),
    "Tensor::unique(x, size)": Op("jnp.unique(x, size=size)", "np.unique(x)", x=(MILLION,), size=201, dtypes=["i32"], check="first"),
    "Tensor::nonzero(x, size)": Op("jnp.nonzero(x, size=size)", "np.nonzero(x)", x=lambda rng: rng.permutation(MILLION) % 2 == 0, size=500_000,
                                   dtypes=["bool"]),
    "Tensor::is_in(x, set)": Op("xp.isin(x, set)", x=(MILLION,), set=(100,)),
    # Counts.
    "Tensor::bincount(x, length)": Op("jnp.bincount(x, length=length)", "np.bincount(x, minlength=length)", variants=[
        {"x": below(1000, MILLION), "length": 1000}, {"x": below(5, MILLION), "length": 5}, {"x": below(100_000, MILLION), "length": 100_000}]),
    "Tensor::bincount_weighted(weights, x, length)": Op(
        "jnp.bincount(x, weights, length=length)", "np.bincount(x, weights, length)", weights=(MILLION,), x=below(1000, MILLION), length=1000,
        tolerance=1e-3),
    "Tensor::histogram(x, edges)": Op("xp.histogram(x, edges)[0]", x=(MILLION,), edges=(101,), domain={"edges": "Sorted"}),
    "Tensor::one_hot(x, count, dtype)": Op("nn.one_hot(x, count, dtype=dtype)", "np.eye(count, dtype=dtype)[x]", variants=[
        {"x": below(10, 100_000), "count": 10}, {"x": below(1000, 1000), "count": 1000}], dtype={"dtype": "f32"}),
    "Tensor::segment_sum(x, count)": Op("jax.ops.segment_sum(x, jh.halves(x), count)", variants=[{"x": (MILLION,)}, {"x": (10_000, 100)}],
                                        count=2, tolerance=1e-3),
    "Tensor::segment_prod(x, count)": Op("jax.ops.segment_prod(x, jh.halves(x), count)", x=(MILLION,), count=2, domain={"x": (1, 1)}),
    "Tensor::segment_max(x, count)": Op("jax.ops.segment_max(x, jh.halves(x), count)", x=(MILLION,), count=2),
    "Tensor::segment_min(x, count)": Op("jax.ops.segment_min(x, jh.halves(x), count)", x=(MILLION,), count=2),
    "Tensor::segment_mean(x, count)": Op(
        "jax.ops.segment_sum(x, jh.halves(x), count) / jax.ops.segment_sum(jnp.ones_like(x), jh.halves(x), count)", x=(MILLION,), count=2),
    "Tensor::segment_quantile(x, q, count)": Op(
        "np.stack([np.quantile(x[np.arange(len(x)) % 2 == g], q) for g in range(count)])", x=(MILLION,), count=2),
    # Windows.
    "Tensor::convolve(x, y)": Op("xp.convolve(x, y)", variants=[{"x": (100_000,), "y": (100,)}, {"x": (1000,), "y": (10,)}]),
    "Tensor::correlate(x, y)": Op("xp.correlate(x, y, 'full')", variants=[{"x": (100_000,), "y": (100,)}]),
    "Tensor::reduce_window(x, op, windows)": Op(variants=[
        IMAGE | {"op": "max", "windows": WINDOW, "word": "max 2×2", "jax": "jh.pool(x, 2, 2, 0)",
                 "numpy": "x.reshape(32, 16, 28, 2, 28, 2).max((3, 5))"},
        IMAGE | {"op": "max", "windows": WIDE, "word": "max 3×3", "jax": "jh.pool(x, 3, 1, 1)", "numpy": None},
        IMAGE | {"op": "sum", "windows": WIDE, "word": "sum 3×3", "jax": "jh.window_sum(x, 3, 1, 1)", "numpy": None},
        {"x": (MILLION,), "op": "sum", "windows": [{"size": 100}], "word": "sum 100", "jax": "lax.reduce_window(x, 0., lax.add, (100,), (1,), 'VALID')",
         "numpy": "np.convolve(x, np.ones(100, x.dtype), 'valid')", "dtypes": ["f32"], "tolerance": 1e-3},
    ]),
    "Tensor::select_and_scatter_add(x, op, windows)": Op("jh.pool_back(x, 2, 2, 0)", **IMAGE, op="max", windows=WINDOW),
    "Tensor::conv(x, kernel, how)": Op("jh.conv(x, kernel, how)", variants=[
        conv((16, 16, 56, 56), (32, 16, 3, 3), padding=1),
        conv((64, 1, 28, 28), (8, 1, 5, 5)),
        conv((16, 64, 28, 28), (64, 64, 3, 3), stride=2, padding=1, word="stride 2"),
        conv((16, 64, 28, 28), (128, 64, 1, 1)),
        conv((16, 32, 4096), (32, 32, 5)),
        conv((8, 64, 4096), (64, 1, 4), groups=64, word="depthwise, 4 taps"),
    ], tolerance=1e-3),
    "Tensor::unwrap_angles(x, axis)": Op("xp.unwrap(x, axis=axis)", domain={"x": (-3.1, 3.1)}),
    "Tensor::glu(x, axis)": "nn.glu(x, axis)",
}
