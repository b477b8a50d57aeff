"""The side of JAX, or of NumPy and SciPy, in the sweep: the same conversation as unloop's. An
expression of the table is evaluated with the arguments as variables of their names."""

import json
import keyword
import sys
import time
import warnings
from pathlib import Path

import numpy as np

DTYPES = {"bool": "?", "i32": "i4", "i64": "i8", "u32": "u4", "f32": "f4", "f64": "f8"}
warnings.filterwarnings("ignore")


class Hole:
    """The place of an array in an argument."""

    def __init__(self, i):
        self.i = i


def read(item, folder):
    dtype = DTYPES[item["dtype"]]
    return np.fromfile(folder / item["file"], dtype).reshape(item["shape"])


def decoded(item, folder, arrays, key):
    """An argument with holes where its arrays go, which are appended to `arrays`."""
    def hole(array):
        arrays.append(array)
        return Hole(len(arrays) - 1)

    if isinstance(item, dict):
        if "file" in item:
            return hole(read(item, folder))
        if "re" in item:
            return hole(read(item["re"], folder) + 1j * read(item["im"], folder))
        if "key" in item:
            return hole(key(item["key"]))
        if "dtype" in item:
            return np.dtype(DTYPES[item["dtype"]])
        if "at" in item:
            return item["at"]
        if "range" in item:
            return slice(*item["range"])
        return item
    if isinstance(item, list):
        return tuple(decoded(x, folder, arrays, key) for x in item)
    return item


def filled(item, arrays):
    if isinstance(item, Hole):
        return arrays[item.i]
    return tuple(filled(x, arrays) for x in item) if isinstance(item, tuple) else item


def function(request, folder, names, key):
    """The function of an expression, its arguments with holes, and the arrays that go there."""
    arrays = []
    items = [decoded(item, folder, arrays, key) for item in request["arguments"]]
    parameters = ", ".join(name + "_" * keyword.iskeyword(name) for name in request["parameters"])
    return eval(f"lambda {parameters}: {request['load']}", names), items, arrays


def jax_side():
    import jax
    import jax.flatten_util
    import jax.numpy as jnp
    import helpers, jax_helpers

    jax.config.update("jax_enable_x64", True)
    names = {
        "jax": jax, "jnp": jnp, "xp": jnp, "np": np, "lax": jax.lax, "nn": jax.nn, "jr": jax.random, "h": helpers, "jh": jax_helpers,
        "xs": jax.scipy.special, "xl": jax.scipy.linalg, "sp": jax.scipy,
    }

    def load(request, folder):
        f, items, arrays = function(request, folder, names, jax.random.key)
        arrays = [jax.device_put(x) for x in arrays]
        call = lambda *arrays: f(*(filled(item, arrays) for item in items))
        call = jax.jit(jax.vmap(call) if request["mapped"] else call)
        return lambda: jax.block_until_ready(call(*arrays))

    def leaves(result):
        is_key = lambda x: hasattr(x, "dtype") and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
        return [jax.random.key_data(x) if is_key(x) else x for x in jax.tree.leaves(result)]

    return load, leaves


def numpy_side():
    import scipy
    import scipy.fft, scipy.interpolate, scipy.linalg, scipy.ndimage, scipy.signal, scipy.special
    import helpers

    names = {"np": np, "xp": np, "sp": scipy, "xs": scipy.special, "xl": scipy.linalg, "h": helpers}
    np.seterr(all="ignore")

    def load(request, folder):
        rng = np.random.default_rng(0)
        f, items, arrays = function(request, folder, names, lambda seed: rng)
        arguments = [filled(item, arrays) for item in items]
        return lambda: f(*arguments)

    def leaves(result):
        if isinstance(result, (tuple, list)):
            return [leaf for item in result for leaf in leaves(item)]
        return [] if result is None else [result]

    return load, leaves


def write(results, folder, name):
    shapes, i = [], 0
    for result in results:
        result = np.asarray(result)
        for part in (result.real, result.imag) if np.iscomplexobj(result) else (result,):
            part.astype("f8").tofile(folder / f"{name}{i}")
            shapes.append(part.shape)
            i += 1
    return {"shapes": shapes}


def main():
    name = sys.argv[1]
    load, leaves = jax_side() if name == "jax" else numpy_side()
    answers, sys.stdout = sys.stdout, sys.stderr
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "time" in request:
                start = time.perf_counter_ns()
                for _ in range(request["time"]):
                    run()
                answer = {"ns": (time.perf_counter_ns() - start) / request["time"]}
            else:
                run = None
                folder = Path(request["folder"])
                run = load(request, folder)
                answer = write(leaves(run()), folder, name)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
