"""Runs each row in NumPy, JAX and unloop by turns, checks that the results agree, and prints
medians and ratios (peer time over unloop time: above 1, unloop is faster)."""

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

ROUNDS = 15
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


def random(rng, dtype, shape):
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


class Side:
    """A process that runs one program when asked. Others stand still meanwhile: libraries' threads
    go on spinning after their work is done."""

    def __init__(self, command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"failed: {' '.join(command)}")
        self.process.send_signal(signal.SIGSTOP)

    def time(self, count):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"time {count}\n")
        self.process.stdin.flush()
        nanoseconds = float(self.process.stdout.readline())
        self.process.send_signal(signal.SIGSTOP)
        return nanoseconds * 1e-9

    def end(self):
        self.process.kill()
        self.process.wait()


def serve(row, peer, folder):
    """The side of a peer: the same conversation as unloop's."""
    types, peers = next((types, peers) for name, types, peers in rows() if name == row)
    inputs = [np.fromfile(folder / f"in{i}", t).reshape(shape) for i, (t, shape) in enumerate(types)]
    f = peers[peer]
    if peer.startswith("JAX"):
        f, inputs = jax.jit(f), [jax.device_put(x) for x in inputs]
        run = lambda: jax.block_until_ready(f(*inputs))
    else:
        run = lambda: f(*inputs)
    agree(row, run(), folder, 1e-4 if any(dtype == "f4" for dtype, _ in types) else 1e-9)
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line.split()[1])
        start = time.perf_counter_ns()
        for _ in range(count):
            run()
        print((time.perf_counter_ns() - start) / count, flush=True)


def agree(name, result, folder, tolerance):
    worst = 0.0
    for i, expected in enumerate(jax.tree.leaves(result)):
        expected = np.asarray(expected, dtype="f8").ravel()
        actual = np.fromfile(folder / f"out{i}")
        assert actual.shape == expected.shape, f"row {name}: {actual.shape} is not {expected.shape}"
        scale = 1 + np.abs(expected).max(initial=0)
        worst = max(worst, np.abs(actual - expected).max(initial=0) / scale)
    assert worst < tolerance, f"row {name}: results differ by {worst:.1e}"


def show(seconds):
    for unit, scale in [("s", 1), ("ms", 1e3), ("µs", 1e6)]:
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def compare(binary, name, types, peers, rng, folder):
    inputs = [random(rng, dtype, shape) for dtype, shape in types]
    for i, x in enumerate(inputs):
        x.tofile(folder / f"in{i}")
    sides = {"unloop": Side([binary, name, str(folder)])}
    for peer in peers:
        sides[peer] = Side([sys.executable, __file__, "--peer", name, peer, str(folder)])
    counts = {}
    for side in sides:
        sides[side].time(1)
        counts[side] = max(1, int(TURN / max(sides[side].time(3), 1e-7)))
    times = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side in sides:
            times[side].append(sides[side].time(counts[side]))
    for side in sides.values():
        side.end()
    median = {side: statistics.median(t) for side, t in times.items()}
    for peer in peers:
        ratio = statistics.median(p / u for p, u in zip(times[peer], times["unloop"]))
        print(f"| {name} | {show(median['unloop'])} | {peer} | {show(median[peer])} | {ratio:.2f}× |", flush=True)


def main():
    if sys.argv[1] == "--peer":
        return serve(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    binary, wanted = sys.argv[1], sys.argv[2:]
    rng = np.random.default_rng(1)
    print("| row | unloop | peer | time | peer / unloop |\n|---|---|---|---|---|", flush=True)
    for name, types, peers in rows():
        if not wanted or any(w in (name, name.split()[0]) for w in wanted):
            with tempfile.TemporaryDirectory() as folder:
                compare(binary, name, types, peers, rng, Path(folder))


if __name__ == "__main__":
    main()
