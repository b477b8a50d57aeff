"""Runs each row in NumPy, JAX, a plain loop and unloop by turns, checks that the results agree, and prints
medians and ratios (peer time over unloop time: above 1, unloop is faster)."""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import jax
import jax.numpy as jnp

import learning
import physics
import programs
import sequences
import stencils
from sides import Failed, Side, show

jax.config.update("jax_enable_x64", True)

ROUNDS = 15
# Seconds for all rounds of a row, unless three take longer.
PATIENCE = 30
# The part of points whose last digit may decide how many steps they take.
EDGE = 2e-3
# The side of loops written by hand, which have a program of their own.
LOOP = "plain loop"
# Seconds that one side's turn takes, about.
TURN = 0.05


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    return jnp.sum(100.0 * (b - a**2) ** 2 + (1.0 - a) ** 2)


def example_loss(p, x, label):
    w1, b1, w2, b2 = p
    scores = jnp.tanh(x @ w1 + b1) @ w2 + b2
    return -jax.nn.log_softmax(scores)[label]


def batch_loss(p, x, labels):
    return jnp.mean(jax.vmap(example_loss, (None, 0, 0))(p, x, labels))


def mlp_step(w1, b1, w2, b2, x, labels):
    p = (w1, b1, w2, b2)
    return jax.tree.map(lambda p, g: p - 0.1 * g, p, jax.grad(batch_loss)(p, x, labels))


def per_example(w1, b1, w2, b2, x, labels):
    return jax.vmap(jax.grad(example_loss), (None, 0, 0))((w1, b1, w2, b2), x, labels)


def nested_vmap(a, b, c):
    one = lambda a, b, c: a * b * c
    mean = lambda a, b, c: jnp.mean(jax.vmap(jax.vmap(one, (0, None, 0)), (0, 0, None))(a, b, c))
    return jax.vmap(jax.vmap(mean, (None, 1, None)), (0, None, 0))(a, b, c)


def einsum(np_, **options):
    def f(a, b, c):
        return np_.einsum("klm,ln,km->kn", a, b, c, **options) / (a.shape[1] * a.shape[2])
    return f


def solve(np_):
    return lambda a, x: np_.linalg.solve(a, x[..., None])[..., 0]


def transcendental(np_):
    return lambda x, y: np_.tanh(x * y + 1) * np_.exp(-x * x) + np_.sin(y) / (1 + y * y)


def polynomial(_):
    return lambda x, y: (x * 2 + y) * (x - y) + x * 0.5 - y * 3


def softmax(np_):
    def f(x):
        e = np_.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)
    return f


def normalise(_):
    def f(x):
        mean = x.mean((0, 2, 3), keepdims=True)
        deviation = (x.var((0, 2, 3), keepdims=True) + 1e-5) ** 0.5
        return (x - mean) / deviation
    return f


def distances(_):
    return lambda x: ((x[:, None, :] - x[None, :, :]) ** 2).sum(-1)


def attention(np_):
    softmax_ = softmax_last(np_)
    def f(x, w, out):
        q, k, v = ((x @ w[i]).reshape(128, 8, 32).swapaxes(0, 1) for i in range(3))
        scores = softmax_(q @ k.swapaxes(1, 2) / 32**0.5)
        return (scores @ v).swapaxes(0, 1).reshape(128, 256) @ out
    return f


def softmax_last(np_):
    def f(x):
        e = np_.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)
    return f


def lorenz(s):
    x, y, z = s
    return jnp.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - z * (8.0 / 3.0)])


def trajectory(start):
    def step(s, _):
        a = lorenz(s)
        b = lorenz(s + a * 0.005)
        c = lorenz(s + b * 0.005)
        d = lorenz(s + c * 0.01)
        return s + (a + 2 * b + 2 * c + d) * (0.01 / 6), None
    return jax.lax.scan(step, start, None, 1000)[0]


def escape(re, im):
    re, im = 1.25 * re - 0.75, 1.25 * im
    inside = lambda s: (s[0] ** 2 + s[1] ** 2 <= 4) & (s[2] < 1000)
    step = lambda s: (s[0] ** 2 - s[1] ** 2 + re, 2 * s[0] * s[1] + im, s[2] + 1)
    return jax.lax.while_loop(inside, step, (0.0 * re, 0.0 * re, 0.0 * re))[2]


def price(u):
    s, k = 100 + 20 * u[0], 100 + 20 * u[1]
    t, r, v = 1.5 + u[2], 0.03 + 0.02 * u[3], 0.3 + 0.1 * u[4]
    spread = v * jnp.sqrt(t)
    d1 = (jnp.log(s / k) + (r + 0.5 * v**2) * t) / spread
    ndtr = jax.scipy.special.ndtr
    return s * ndtr(d1) - k * jnp.exp(-r * t) * ndtr(d1 - spread)


def log_density(x, covariance):
    factor = jnp.linalg.cholesky(covariance)
    z = jax.scipy.linalg.solve_triangular(factor, x, lower=True)
    return -0.5 * (z**2).sum() - jnp.log(jnp.diagonal(factor)).sum()


def densities(x, covariance, _):
    return jax.vmap(log_density)(x, covariance)


def density_gradients(x, covariance, _):
    return jax.vmap(jax.grad(log_density, 1))(x, covariance)


def preparing(f):
    """Tracing and compiling anew; the number says nothing."""
    def run(*inputs):
        jax.clear_caches()
        jax.jit(lambda *xs: f(*xs)).lower(*inputs).compile()
        return np.ones(())
    return run


def random(rng, dtype, shape, name, draw=None):
    if draw:
        return draw(rng, shape).astype(dtype)
    if name.split()[0] in ("23", "24", "25") and len(shape) >= 2 and shape[-1] == shape[-2]:
        a = rng.uniform(-1, 1, shape)
        return (a @ a.swapaxes(-1, -2) + np.eye(shape[-1])).astype(dtype)
    if dtype == "i4":
        return rng.integers(0, 10, shape).astype(dtype)
    x = rng.uniform(-1, 1, shape)
    if len(shape) == 3 and shape[1] == shape[2] and shape[0] != shape[1]:
        x += 3 * np.eye(shape[1])
    return x.astype(dtype)


MLP = [("f4", (784, 256)), ("f4", (256,)), ("f4", (256, 10)), ("f4", (10,))]


def rows():
    """Name, inputs, and the programs of the peers."""
    for name, dtype, count, n in [("1", "f8", 100, 5), ("2", "f8", 100_000, 5), ("3", "f4", 100_000, 5),
                                  ("4", "f8", 10_000, 16), ("5", "f8", 1_000, 64)]:
        inputs = [(dtype, (count, n, n)), (dtype, (count, n))]
        yield name, inputs, {"NumPy": solve(np), "JAX": solve(jnp)}
    inputs = [("f8", (128, 128, 128)), ("f8", (128, 128)), ("f8", (128, 128))]
    yield "6", inputs, {"NumPy einsum": einsum(np, optimize=True), "JAX vmap": nested_vmap, "JAX einsum": einsum(jnp)}
    for dtype, word in [("f4", "f32"), ("f8", "f64")]:
        for n in [64, 256, 1024]:
            peers = {"NumPy": np.matmul, "JAX": jnp.matmul}
            yield f"7 {word} {n}", [(dtype, (n, n)), (dtype, (n, n))], peers
    for row, f in [("8", transcendental), ("9", polynomial)]:
        for word, n in [("1e3", 10**3), ("1e5", 10**5), ("1e7", 10**7)]:
            yield f"{row} {word}", [("f4", (n,)), ("f4", (n,))], {"NumPy": f(np), "JAX": f(jnp)}
    yield "10", [("f8", (10**7,))], {"NumPy": np.sum, "JAX": jnp.sum}
    yield "11", [("f4", (4096, 1000))], {"NumPy": softmax(np), "JAX": softmax(jnp)}
    yield "12", [("f4", (32, 3, 224, 224))], {"NumPy": normalise(np), "JAX": normalise(jnp)}
    yield "13", [("f8", (2000, 16))], {"NumPy": distances(np), "JAX": distances(jnp)}
    yield "14", [("f8", (10,))], {"JAX": jax.value_and_grad(rosenbrock)}
    yield "15", [("f8", (10,))], {"JAX": jax.hessian(rosenbrock)}
    yield "16", [("f8", (100_000, 10))], {"JAX": jax.vmap(jax.grad(rosenbrock))}
    for batch in [64, 1024]:
        inputs = MLP + [("f4", (batch, 784)), ("i4", (batch,))]
        yield f"17 {batch}", inputs, {"JAX": mlp_step}
    yield "18", MLP + [("f4", (64, 784)), ("i4", (64,))], {"JAX": per_example}
    weights = [("f4", (3, 256, 256)), ("f4", (256, 256))]
    one = [("f4", (128, 256))] + weights
    yield "19", one, {"NumPy": attention(np), "JAX": attention(jnp)}
    many = [("f4", (32, 128, 256))] + weights
    yield "19 batch", many, {"JAX": jax.vmap(attention(jnp), (0, None, None))}
    yield "20", [("f8", (3,))], {"JAX": trajectory}
    many = [("f8", (10_000, 3))]
    yield "20 batch", many, {"JAX": jax.vmap(trajectory)}
    yield "21", [("f8", (512 * 512,))] * 2, {"JAX": jax.vmap(escape)}
    yield "22", [("f8", (10**6, 5))], {"JAX": jax.vmap(jax.value_and_grad(price))}
    normal = [("f8", (20_000, 8)), ("f8", (20_000, 8, 8)), ("f8", (1,))]
    yield "23", normal, {"JAX": densities}
    yield "23 gradient", normal, {"JAX": density_gradients}
    svd = lambda np_: lambda x: np_.linalg.svd(x, compute_uv=False)
    yield "24 svd", [("f8", (500, 50))], {"NumPy": svd(np), "JAX": svd(jnp)}
    square = ("f8", (1000, 1000))
    yield "24 cholesky", [square], {"NumPy": np.linalg.cholesky, "JAX": jnp.linalg.cholesky}
    yield "24 solve", [square, ("f8", (1000,))], {"NumPy": np.linalg.solve, "JAX": jnp.linalg.solve}
    cube = [("f8", (128, 128, 128)), ("f8", (128, 128)), ("f8", (128, 128))]
    for word, inputs, f in [
        ("products", cube, nested_vmap), ("network", MLP + [("f4", (64, 784)), ("i4", (64,))], mlp_step),
        ("attention", one, attention(jnp)), ("trajectory", many, jax.vmap(trajectory)),
        ("density", normal, density_gradients),
    ]:
        yield f"25 {word}", inputs, {"eager JAX": preparing(f)}
    pairs = [("f8", (1024, 2, 2)), ("f8", (1024, 2))]
    eager = jax.vmap(lambda a, b: jnp.linalg.solve(a, b))
    yield "26", pairs, {"NumPy": solve(np), "eager JAX": eager}
    yield "27", [("f8", (10,))], {"eager JAX": jax.grad(rosenbrock)}
    for module in [programs, stencils, sequences, learning, physics]:
        yield from module.programs()


# What a row must reach beside each peer: the peer's time over unloop's.
GOALS = {
    "1": 5, "2": {"NumPy": 8, "JAX": 15}, "3": 15, "4": 3, "5": 2,
    "6": {"NumPy einsum": 1, "JAX vmap": 100, "JAX einsum": 1}, "7": 1, "8": 2, "9": 1.5, "10": 1,
    "11": 1, "12": 1, "13": 1.5, "14": 5, "15": 2, "16": 1, "17": 1, "18": 2, "19": 1, "19 batch": 1.3,
    "20 batch": 2, "21": 4, "22": 2, "23": 3, "24": 1.2, "25": 10, "26": 4, "27": 30,
    **{str(row): 1 for row in range(28, 46)},
}
# The same beside a loop written by hand.
LOOP_GOAL = 0.8


# What a row is called in the book.
TITLES = {
    "1": "`vmap(solve)`, 100 of 5×5, f64", "2": "`vmap(solve)`, 100,000 of 5×5, f64",
    "3": "`vmap(solve)`, 100,000 of 5×5, f32", "4": "`vmap(solve)`, 10,000 of 16×16, f64",
    "5": "`vmap(solve)`, 1,000 of 64×64, f64",
    "6": "mean of `A[k,l,m]·B[l,n]·C[k,m]`, all 128, nested `vmap` of scalars, f64", "7": "matrix product",
    "8": "`tanh(x*y+1)*exp(-x*x)+sin(y)/(1+y*y)`, f32", "9": "`(x*2+y)*(x-y)+x*0.5-y*3`, f32",
    "10": "sum of 10⁷, f64", "11": "softmax by row, 4096×1000, f32",
    "12": "normalisation of images by channel, (32,3,224,224), f32", "13": "pairwise distances, 2000×2000×16, f64",
    "14": "`value_and_grad` of Rosenbrock, n = 10, f64", "15": "`hessian` of Rosenbrock, n = 10, f64",
    "16": "`vmap(grad(rosenbrock))`, 100,000×10, f64", "17": "gradient step of an MLP 784-256-10, f32, batch",
    "18": "gradients of each of 64 examples of that MLP", "19": "attention, 8 heads of 32 over 128 tokens, f32",
    "20": "Lorenz' system, 1,000 steps of RK4, f64", "21": "Mandelbrot, 262,144 points, `while_loop` under `vmap`, f64",
    "22": "Black–Scholes, price and five sensitivities, 10⁶ options, f64",
    "23": "normal log-density by Cholesky, 20,000 of 8×8, f64", "24": "one large matrix, f64,",
    "25": "trace, transform, rewrite and compile:", "26": "`vmap(solve)`, 1,024 of 2×2, without `jit`, f64",
    "27": "`grad` of Rosenbrock, without `jit`, f64", "28": "heat, 100 steps, f32,", "29": "Monte Carlo, a barrier option, f32,",
    "30": "interpolation,", "31": "clustering,", "32": "by dynamic programming, i32,",
    "33": "gradient step of a CNN, 64 images of 28×28, f32", "34": "convolution,",
    "35": "cross-entropy of 4096×5000 and its gradient, f32", "36": "small matrices,",
    "37": "bootstrap of a median, f64", "38": "game of life, 1024², 100 steps,", "39": "gravity, f32,",
    "40": "Kalman filter, 5,000 series × 100 steps, f64", "41": "gradient step of a GRU, 64 × 100 × 64, f32",
    "42": "sphere tracing, 512², f32", "43": "Gaussian process, 2,000 points, and its gradient, f64",
    "44": "ranks of pages, sparse, f64", "45": "by rows and groups,",
}


def title(name):
    """A row's name for readers."""
    number, _, rest = name.partition(" ")
    return f"{TITLES.get(number, number)} {rest}".strip()


def goal(name, peer):
    """The goal of a row, or of all rows with its number."""
    if peer == LOOP:
        return LOOP_GOAL
    found = GOALS.get(name, GOALS.get(name.split()[0]) if name != "20" else None)
    return found.get(peer) if isinstance(found, dict) else found


def serve(row, peer, folder):
    """The side of a peer: the same conversation as unloop's."""
    types, peers = next((types, peers) for name, types, peers in rows() if name == row)
    inputs = [np.fromfile(folder / f"in{i}", t).reshape(shape) for i, (t, shape, *_) in enumerate(types)]
    f = peers[peer]
    if "JAX" in peer:
        inputs = [jax.device_put(x) for x in inputs]
        f = jax.jit(f) if peer.startswith("JAX") else f
        run = lambda: jax.block_until_ready(f(*inputs))
    else:
        run = lambda: f(*inputs)
    agree(row, run(), folder, tolerance(types))
    for line in sys.stdin:
        count = json.loads(line)["time"]
        start = time.perf_counter_ns()
        for _ in range(count):
            run()
        print(json.dumps({"ns": (time.perf_counter_ns() - start) / count}), flush=True)


def tolerance(types):
    return 1e-4 if any(dtype == "f4" for dtype, *_ in types) else 1e-9


def agree(name, result, folder, tolerance):
    worst = 0.0
    for i, expected in enumerate(jax.tree.leaves(result)):
        expected = np.asarray(expected, dtype="f8").ravel()
        actual = np.fromfile(folder / f"out{i}")
        if actual.shape != expected.shape:
            raise Failed(f"row {name}: {actual.shape} is not {expected.shape}")
        is_edgy = name.split()[0] in ("21", "42")
        scale = 1 + (np.abs(expected) if is_edgy else np.abs(expected).max(initial=0))
        differences = np.abs(actual - expected) / scale
        if is_edgy and (differences > tolerance).mean() < EDGE:
            continue  # Points on the edge leave the disc, or meet the ball, by the last digit.
        worst = max(worst, differences.max(initial=0))
    if not worst < tolerance:
        raise Failed(f"row {name}: results differ by {worst:.1e}")


def loops(binaries):
    """The rows that have a plain loop."""
    return subprocess.run([binaries / "unloop-loops"], capture_output=True, check=True, text=True).stdout.split("\n")


def compare(binaries, name, types, peers, rng, folder, is_profiled):
    inputs = [random(rng, dtype, shape, name, *draw) for dtype, shape, *draw in types]
    for i, x in enumerate(inputs):
        x.tofile(folder / f"in{i}")
    sides = {"unloop": Side([binaries / "unloop-peer", name, str(folder)])}
    for peer in peers:
        sides[peer] = Side([sys.executable, __file__, "--peer", name, peer, str(folder)])
    peers = list(peers)
    if name in loops(binaries):
        peers.append(LOOP)
        sides[LOOP] = Side([binaries / "unloop-loops", name, str(folder)])
    counts, turns = {}, 0
    for side in sides:
        once = sides[side].seconds(1)
        once = sides[side].seconds(3) if once < 1 else once
        if side == LOOP:
            results = [np.fromfile(path) for path in sorted(folder.glob("loop*"))]
            agree(name, results, folder, tolerance(types))
        counts[side] = max(1, int(TURN / max(once, 1e-7)))
        turns += counts[side] * once
    times = {side: [] for side in sides}
    for _ in range(max(3, min(ROUNDS, int(PATIENCE / turns)))):
        for side in sides:
            times[side].append(sides[side].seconds(counts[side]))
    report = sides["unloop"].ask({"profile": True})["profile"] if is_profiled else ""
    for side in sides.values():
        side.end()
    median = {side: statistics.median(t) for side, t in times.items()}
    for peer in peers:
        ratio = statistics.median(p / u for p, u in zip(times[peer], times["unloop"]))
        wanted = goal(name, peer)
        met = "–" if wanted is None else f"{wanted}×: {'met' if ratio >= wanted else 'missed'}"
        us, them = show(median["unloop"]), show(median[peer])
        print(f"| {name} | {us} | {peer} | {them} | {ratio:.2f}× | {met} |", flush=True)
        yield {"row": name, "unloop": median["unloop"], "peer": peer, "time": median[peer],
               "ratio": ratio, "goal": wanted}
    if report:
        print(report, file=sys.stderr, flush=True)


def page(results):
    """The table of the book's chapter about speed."""
    with open("/proc/cpuinfo") as cpus:
        model = next((line.split(":")[1].strip() for line in cpus if line.startswith("model name")), "unknown")
    lines = [f"| {title(r['row'])} | {show(r['unloop'])} | {r['peer']} | {show(r['time'])} | {r['ratio']:.2f}× |" for r in results]
    goals = [r["ratio"] >= r["goal"] for r in results if r["goal"] is not None]
    faster = sum(r["ratio"] >= 1 for r in results)
    return "\n".join([
        f"Measured {datetime.date.today()} on {os.cpu_count()} processors of “{model}”, by turns, with NumPy",
        f"{np.__version__} and JAX {jax.__version__} (jitted, in f64 where the data are). Of {len(results)} comparisons unloop is",
        f"faster in {faster}; of {len(goals)} goals {sum(goals)} are met.", "",
        "| program | unloop | peer | its time | its time / ours |", "|---|---|---|---|---|", *lines]) + "\n"


def main():
    if sys.argv[1] == "--peer":
        return serve(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    parser.add_argument("rows", nargs="*", help="numbers or names of rows; all if none is given")
    parser.add_argument("--row", action="append", default=[], help="one more row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--profile", action="store_true", help="tell what a run of unloop takes its time for")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the table of the book there")
    options = parser.parse_args(sys.argv[2:])
    wanted = options.rows + options.row
    rng = np.random.default_rng(1)
    print("| row | unloop | peer | time | peer / unloop | goal |\n|---|---|---|---|---|---|", flush=True)
    results, failed = [], []
    for name, types, peers in rows():
        if not wanted or any(w in (name, name.split()[0]) for w in wanted):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    results += compare(Path(sys.argv[1]), name, types, peers, rng, Path(folder), options.profile)
                except Failed as error:
                    failed.append(name)
                    print(f"| {name} | {error} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.page:
        options.page.write_text(page(results))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
