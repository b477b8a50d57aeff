"""Measures every public function beside JAX (jitted), NumPy and SciPy: the sides run by turns, their
results must agree, and the table is sorted by the best peer's time over unloop's (below 1, the peer
is faster). A function without a line and without a reason is an error."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lines import Not, lines
from sides import Failed, Side, show
from table import TABLE

HERE = Path(__file__).parent
SIDES = {"JAX": "jax", "NumPy": "numpy", "SciPy": "numpy"}
# Rounds, and about how many seconds the turn of a side takes.
ROUNDS, TURN = 5, 0.004
# A side that is this slow takes fewer turns.
SLOW = 0.1


def peers_of(line):
    return {"unloop": "unloop"} | {peer: SIDES[peer] for peer in line.peers}


def compare(line, folder, shapes):
    """Checks each peer's results against unloop's."""
    for peer, side in peers_of(line).items():
        check = line.check if peer == "JAX" or line.check != "exact" else "shape"
        if peer == "unloop" or check == "none":
            continue
        ours, theirs = shapes["unloop"], shapes[peer]
        if check == "first":
            ours, theirs = ours[:1], theirs[:1]
        if [np.prod(s) for s in ours] != [np.prod(s) for s in theirs]:
            raise Failed(f"shapes {ours} are not {peer}'s {theirs}")
        if check == "shape":
            continue
        for i in wanted(check, theirs):
            actual, expected = (np.fromfile(folder / f"{name}{i}") for name in ("unloop", side))
            problem = difference(actual, expected, check, line.tolerance)
            if problem:
                raise Failed(f"result {i} is not {peer}'s: {problem}")


def wanted(check, shapes):
    """Which results are compared."""
    if check == "values":
        least = min(map(len, shapes))
        return [i for i, shape in enumerate(shapes) if len(shape) == least]
    return range(len(shapes))


def difference(actual, expected, check, tolerance):
    if check == "abs":
        actual, expected = abs(actual), abs(expected)
    if check == "moments":
        return moments(actual, expected)
    if (np.isnan(actual) != np.isnan(expected)).any():
        return "NaN on one side only"
    with np.errstate(all="ignore"):
        scale = 1 + np.abs(expected[np.isfinite(expected)]).max(initial=0)
        off = np.where(actual == expected, 0, np.abs(actual - expected) / scale)
        worst = np.nanmax(off, initial=0)
    return f"they differ by {worst:.1e}" if worst > tolerance else None


def moments(actual, expected):
    """Random numbers of one distribution: quantiles agree (but for the median, which two-sided distributions leave open)."""
    quantiles = [np.quantile(x, [0.1, 0.3, 0.7, 0.9]) for x in (actual, expected)]
    spread = 1e-9 + np.ptp(quantiles[1])
    off = np.abs(quantiles[0] - quantiles[1]).max() / spread
    return f"quantiles differ by {off:.1e}" if off > 10 / len(expected) ** 0.5 else None


def measure(line, sides, options):
    """The result of a line."""
    result = {"line": line.name, "function": line.signature, "dtype": line.dtype, "size": line.label, "note": line.note}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = Path(folder)
        request = {"arguments": line.draw(folder), "parameters": line.parameters,
                   "mapped": bool(line.mapped), "folder": str(folder)}
        shapes = {}
        loads = {"unloop": line.signature} | line.peers
        for peer, side in peers_of(line).items():
            try:
                shapes[peer] = sides[side].ask(request | {"load": loads[peer]})["shapes"]
            except Failed as error:
                raise Failed(f"{peer}: {error}") from error
        compare(line, folder, shapes)
    asked = peers_of(line)
    counts, rounds, slow = {}, options.rounds, set()
    for peer, side in asked.items():
        once = sides[side].seconds(1)
        if once < options.turn:
            once = sides[side].seconds(3)
        counts[peer] = max(1, int(options.turn / max(once, 1e-7)))
        if once > SLOW:
            rounds = min(rounds, 3)
            slow.add(peer)
    times = {peer: [] for peer in asked}
    for _ in range(rounds):
        for peer, side in asked.items():
            # What another side has put out of the caches comes back first.
            if peer not in slow:
                sides[side].seconds(1)
            times[peer].append(sides[side].seconds(counts[peer]))
    median = {peer: statistics.median(t) for peer, t in times.items()}
    ratios = {peer: statistics.median(p / u for p, u in zip(times[peer], times["unloop"])) for peer in line.peers}
    best = min(ratios, key=ratios.get)
    return result | {"seconds": median, "ratios": ratios, "best": best, "ratio": ratios[best]}


def table_of(results):
    rows = ["| function | dtype | size | unloop | JAX | NumPy, SciPy | best peer / unloop |", "|---|---|---|---|---|---|---|"]
    for r in sorted(results, key=lambda r: r["ratio"]):
        s = r["seconds"]
        numpy = s.get("NumPy", s.get("SciPy"))
        cells = [f"`{r['function']}`", r["dtype"], r["size"], show(s["unloop"]), show(s["JAX"]) if "JAX" in s else "–",
                 show(numpy) if numpy else "–", f"{r['ratio']:.2f}×" + (f" ({r['note']})" if r["note"] else "")]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def summary_of(results):
    """How many lines reach which ratio, and the worst."""
    ratios = sorted(r["ratio"] for r in results)
    if not ratios:
        return "No line."
    jax = [r["ratios"]["JAX"] for r in results if "JAX" in r["ratios"]]
    words = [
        f"{len(ratios)} lines: {sum(r >= 1 for r in ratios)} at least as fast as the best peer, "
        f"{sum(r < 0.5 for r in ratios)} below half its speed, median {statistics.median(ratios):.2f}×.",
        f"Beside JAX alone, {len(jax)} lines: {sum(r >= 1 for r in jax)} at least as fast, "
        f"{sum(r < 0.5 for r in jax)} below half its speed, median {statistics.median(jax):.2f}×." if jax else "",
        "The worst: " + "; ".join(f"`{r['line']}` {r['ratio']:.2f}×" for r in sorted(results, key=lambda r: r["ratio"])[:10]) + ".",
    ]
    return "\n\n".join(word for word in words if word)


def page(results):
    reasons = "\n".join(f"| `{signature}` | {reason} |" for signature, reason in TABLE.items() if isinstance(reason, Not))
    import importlib.metadata
    versions = ", ".join(f"{name} {importlib.metadata.version(name.lower())}" for name in ("JAX", "NumPy", "SciPy"))
    return f"""# Every operation

Made by `./benches/peers/sweep --page book/src/sweep.md`; not written by hand. Each public function alone, compiled
and warm, beside {versions} on the same {os.cpu_count()} cores, by turns. Ratios are the best peer's time over
unloop's, so that above 1× unloop is faster; they are medians of ratios within one round. A size such as
`10000·4×4` is a stack, over which the function is mapped.

{summary_of(results)}

{table_of(results)}

## Without a line

| function | reason |
|---|---|
{reasons}
"""


def main():
    parser = argparse.ArgumentParser(prog="benches/peers/sweep", description=__doc__)
    parser.add_argument("filters", nargs="*", help="parts of lines' names, as `Tensor::sort` or `f32`; all if none is given")
    parser.add_argument("--every", action="store_true", help="only lines that match all filters, not any")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page of the book there")
    parser.add_argument("--binary", default="target/release/unloop-sweep", help="unloop's side")
    parser.add_argument("--list", action="store_true", help="only print the names of the lines")
    options = parser.parse_args()
    options.rounds, options.turn = (1, 0.001) if options.quick else (ROUNDS, TURN)
    options.folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
    catalogue = json.loads(subprocess.run([options.binary, "catalogue"], capture_output=True, check=True).stdout)
    found, wrong = lines(catalogue, TABLE)
    if wrong:
        sys.exit("\n".join(wrong))
    matches = all if options.every else any
    chosen = [line for line in found if not options.filters or matches(word in line.name for word in options.filters)]
    if options.list:
        return print("\n".join(line.name for line in chosen))
    sides = {"unloop": Side([options.binary, "serve"])}
    sides |= {name: Side([sys.executable, str(HERE / "peer.py"), name]) for name in ("jax", "numpy")}
    results, failures = [], []
    start = time.monotonic()
    try:
        for number, line in enumerate(chosen):
            try:
                results.append(measure(line, sides, options))
                news = f"{results[-1]['ratio']:.2f}× {results[-1]['best']}"
            except Failed as error:
                news = f"FAILED {error}"
                failures.append(f"{line.name}: {error}")
            print(f"{number + 1}/{len(chosen)} {time.monotonic() - start:.0f} s {line.name}: {news}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        pass
    for side in sides.values():
        side.end()
    print(table_of(results) + "\n\n" + summary_of(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.page:
        options.page.write_text(page(results))
    if failures:
        sys.exit("\nfailed:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
