//! Elementwise functions right at the edges: values and derivatives up to order 3, forward and reverse,
//! at ordinary points, ties, zeros, infinities, subnormals, edges of domains and thresholds of branches,
//! compared with what JAX gives (`conformance/elementwise.py`), and with exact numbers where JAX loses
//! digits (`conformance/exact.py`). Where the numbers are not those of JAX, `exceptions/` says why.
//!
//! `ONLY="softplus hypot" cargo test -p unloop-conformance --test elementwise values` runs some functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use unloop::prelude::*;
use unloop_conformance::Archive;

mod exceptions;
mod functions;

use exceptions::{Exception, Ours};
use functions::{Function, OTHERS};

/// A number that is compared.
struct Entry {
    function: String,
    dtype: &'static str,
    /// `f` for forward, `r` for reverse.
    mode: char,
    /// The derivative, by the arguments it is taken in.
    word: String,
    point: Point,
    ours: f64,
    jax: f64,
    /// The exact number, where one is stored.
    exact: Option<f64>,
}

/// The arguments: one, two, or a row of them with the position of the result.
enum Point {
    One(f64),
    Two(f64, f64),
    Row(Vec<f64>, usize),
}

impl Point {
    fn arguments(&self) -> Vec<f64> {
        match self {
            Point::One(x) => vec![*x],
            Point::Two(x, y) => vec![*x, *y],
            Point::Row(row, _) => row.clone(),
        }
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Point::One(x) => write!(f, "{x:?}"),
            Point::Two(x, y) => write!(f, "({x:?}, {y:?})"),
            Point::Row(row, position) => write!(f, "{row:?}, {position}"),
        }
    }
}

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn records() -> Vec<Value> {
    let text = std::fs::read_to_string(directory().join("elementwise.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

fn forward(f: Function) -> Function {
    Arc::new(move |x, y| jvp(|x: &Tensor| f(x, y))(x, &x.ones_like()).1)
}

fn reverse(f: Function) -> Function {
    Arc::new(move |x, y| grad(|x: &Tensor| f(x, y).sum())(x))
}

fn swapped(f: Function) -> Function {
    Arc::new(move |x, y| f(y, x))
}

/// The derivative of a function in the arguments that `word` names.
fn derivative(f: &Function, word: &str, step: fn(Function) -> Function) -> Function {
    word.chars().fold(f.clone(), |f, letter| match letter {
        'x' => step(f),
        _ => swapped(step(swapped(f))),
    })
}

fn numbers(x: &Tensor) -> Result<Vec<f64>, unloop::Error> {
    x.cast(DType::F64).to_vec::<f64>()
}

/// How far results may be apart: relative, and absolute for sums that cancel.
fn tolerance(entry: &Entry) -> (f64, f64) {
    let order = entry.word.len();
    match entry.dtype {
        "f64" => ([1e-12, 1e-9, 1e-9, 1e-8][order], [1e-300, 2e-15, 1e-14, 1e-13][order]),
        _ => ([3e-6, 2e-5, 1e-4, 1e-3][order], [1.2e-38, 1e-6, 1e-5, 1e-4][order]),
    }
}

fn close(a: f64, b: f64, (relative, absolute): (f64, f64)) -> bool {
    let near = (a - b).abs() <= relative * a.abs().max(b.abs()) + absolute;
    a == b || (a.is_nan() && b.is_nan()) || near
}

impl Entry {
    fn is_close_to(&self, number: f64) -> bool {
        close(self.ours, number, tolerance(self))
    }

    /// Whether the number is that of JAX.
    fn is_as_in_jax(&self) -> bool {
        // The sign of a zero is part of a value.
        let is_zero = self.word.is_empty() && self.ours == 0.0 && self.jax == 0.0;
        let sign = self.ours.is_sign_negative() == self.jax.is_sign_negative();
        self.is_close_to(self.jax) && (sign || !is_zero)
    }

    fn is_exact(&self) -> bool {
        self.exact.is_none_or(|exact| self.is_close_to(exact))
    }
}

/// What JAX gives in both modes, as one: where only one mode gives a number, that is it.
fn agreed(this: f64, other: f64, missing: (bool, bool)) -> Option<f64> {
    match missing {
        (true, true) => None,
        (true, false) => Some(other),
        (false, true) => Some(this),
        (false, false) if this.is_nan() => Some(other),
        (false, false) => Some(this),
    }
}

fn elementwise_entries(
    record: &Value,
    f: &Function,
    (archive, exact): (&mut Archive, &mut Archive),
) -> (Vec<Entry>, Vec<String>) {
    let name = record["name"].as_str().unwrap();
    let (words, missing) = (texts(&record["words"]), texts(&record["missing"]));
    let arity = record["arity"].as_u64().unwrap() as usize;
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for dtype in ["f64", "f32"] {
        let table = archive.get(&format!("{name}.{dtype}")).unwrap();
        let exact = exact.get(&format!("{name}.{dtype}")).ok();
        let row = |i: usize| table.slice_axis(0, i, i + 1).flatten();
        let (x, y) = (row(0), row(arity - 1));
        let points = (numbers(&x).unwrap(), numbers(&y).unwrap());
        for (m, (mode, step)) in
            [('f', forward as fn(_) -> _), ('r', reverse)].into_iter().enumerate()
        {
            for (w, word) in words.iter().enumerate() {
                if m == 1 && word.is_empty() {
                    continue;
                }
                let missing = |mode: char| missing.contains(&&format!("{mode}:{word}")[..]);
                let other = if mode == 'f' { 'r' } else { 'f' };
                let jax = |m: usize| numbers(&row(arity + m * words.len() + w)).unwrap();
                let (this, that) = (jax(m), jax(1 - m));
                let exact =
                    exact.as_ref().map(|e| numbers(&e.slice_axis(0, w, w + 1).flatten()).unwrap());
                let ours = match numbers(&derivative(f, word, step)(&x, &y)) {
                    Ok(ours) => ours,
                    Err(error) => {
                        errors.push(format!("{name} {dtype} {mode}:{word}: {error}"));
                        continue;
                    }
                };
                for i in 0..ours.len() {
                    let point = match arity {
                        1 => Point::One(points.0[i]),
                        _ => Point::Two(points.0[i], points.1[i]),
                    };
                    let exact = exact.as_ref().map(|e| e[i]).filter(|e| !e.is_nan());
                    let expected = match point.arguments().iter().any(|v| v.is_subnormal()) {
                        // JAX takes these for zero.
                        true => exact,
                        false => agreed(this[i], that[i], (missing(mode), missing(other))),
                    };
                    if let Some(jax) = expected {
                        let (function, word) = (name.to_string(), word.to_string());
                        entries.push(Entry {
                            function,
                            dtype,
                            mode,
                            word,
                            point,
                            ours: ours[i],
                            jax,
                            exact,
                        });
                    }
                }
            }
        }
    }
    (entries, errors)
}

/// Blocks of a row function's array, in the order in which they are stored.
fn row_entries(
    name: &str,
    f: &Function,
    (archive, exact): (&mut Archive, &mut Archive),
) -> (Vec<Entry>, Vec<String>) {
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for dtype in ["f64", "f32"] {
        let table = archive.get(&format!("{name}.{dtype}")).unwrap();
        let exact = exact.get(&format!("{name}.{dtype}")).ok();
        let rows = table.shape()[0];
        let block_of = |x: &Tensor, i: usize| x.slice_axis(1, i, i + 1).reshape([rows, 4]);
        let block = |i: usize| block_of(&table, i);
        let (x, d, w) = (block(0), block(1), block(2));
        let along = |f: Function| -> Function {
            let d = d.clone();
            Arc::new(move |x, y| jvp(|x: &Tensor| f(x, y))(x, &d).1)
        };
        let weighted = |f: Function| -> Function {
            let w = w.clone();
            Arc::new(move |x, y| {
                grad(|x: &Tensor| {
                    let value = f(x, y);
                    (&value * w.slice_axis(1, 0, value.shape()[1])).sum()
                })(x)
            })
        };
        let first = along(f.clone());
        let second = along(first.clone());
        let blocks = [
            ("", f.clone()),
            ("f:d", first.clone()),
            ("f:dd", second.clone()),
            ("f:ddd", along(second)),
            ("r:x", weighted(f.clone())),
            ("f:xd", along(weighted(f.clone()))),
            ("r:dx", weighted(first)),
        ];
        let points = numbers(&x).unwrap();
        for (b, (word, g)) in blocks.into_iter().enumerate() {
            let ours = g(&x, &x);
            let jax = numbers(&block(3 + b)).unwrap();
            let exact = exact.as_ref().map(|e| numbers(&block_of(e, b)).unwrap());
            let size = ours.shape().get(1).copied().unwrap_or(0);
            match numbers(&ours) {
                Err(error) => errors.push(format!("{name} {dtype} {word}: {error}")),
                Ok(ours) => {
                    for (i, &ours) in ours.iter().enumerate() {
                        let (row, column) = (i / size, i % size);
                        entries.push(Entry {
                            function: name.to_string(),
                            dtype,
                            mode: word.chars().next().unwrap_or('f'),
                            word: word.chars().skip(2).collect(),
                            point: Point::Row(points[4 * row..4 * row + 4].to_vec(), column),
                            ours,
                            jax: jax[4 * row + column],
                            exact: exact
                                .as_ref()
                                .map(|e| e[4 * row + column])
                                .filter(|e| !e.is_nan()),
                        });
                    }
                }
            }
        }
    }
    (entries, errors)
}

fn run() -> (Vec<Entry>, Vec<String>) {
    let mut archive = Archive::open(&directory().join("elementwise.npz")).unwrap();
    let mut exact = Archive::open(&directory().join("exact.npz")).unwrap();
    let only = std::env::var("ONLY").unwrap_or_default();
    let functions: BTreeMap<&str, Function> =
        functions::elementwise().into_iter().chain(functions::along_axis()).collect();
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for record in records() {
        let name = record["name"].as_str().unwrap();
        if !(only.is_empty() || only.split(' ').any(|o| o == name)) {
            continue;
        }
        let (more, failed) = match record["arity"] == 0 {
            true => row_entries(name, &functions[name], (&mut archive, &mut exact)),
            false => elementwise_entries(&record, &functions[name], (&mut archive, &mut exact)),
        };
        entries.extend(more);
        errors.extend(failed);
    }
    (entries, errors)
}

#[test]
fn values_and_derivatives_are_those_of_jax() {
    let (entries, errors) = run();
    let (mut failures, mut total): (BTreeMap<&str, Vec<String>>, usize) = (BTreeMap::new(), 0);
    let exceptions = exceptions::exceptions();
    let mut used = vec![BTreeSet::new(); exceptions.len()];
    for entry in entries.iter().filter(|entry| !entry.is_as_in_jax()) {
        let Entry { function, dtype, mode, word, point, ours, jax, exact } = entry;
        let at = point.arguments();
        let id = format!("{dtype} {mode}:{word}");
        let excepted = exceptions.iter().position(|e| {
            e.holds_for(function, word)
                && (e.at)(&at)
                && match *e.ours {
                    Ours::Exact => exact.is_some() && entry.is_exact(),
                    Ours::Is(number) => entry.is_close_to(number),
                    Ours::Opposite => entry.is_close_to(-jax),
                    Ours::Rounding => exact.is_some_and(|exact| (ours - exact).abs() < 2e-13),
                    // A number that is known to be wrong is none.
                    Ours::Unclaimed => entry.is_exact() && !ours.is_nan(),
                }
        });
        if let Some(i) = excepted {
            used[i].insert((function, word));
            continue;
        }
        let exact = exact.map_or(String::new(), |exact| format!(", exact {exact:?}"));
        let line = format!("{id} at {point}: {ours:?}, JAX {jax:?}{exact}");
        failures.entry(function).or_default().push(line);
        total += 1;
    }
    let mut report = String::new();
    for (function, lines) in &failures {
        let _ = writeln!(report, "{function}: {} numbers differ", lines.len());
        lines.iter().for_each(|line| writeln!(report, "    {line}").unwrap());
    }
    errors.iter().for_each(|error| writeln!(report, "{error}").unwrap());
    if std::env::var("ONLY").is_err() {
        for (exception, used) in exceptions.iter().zip(&used) {
            let Exception { functions, words, reason, .. } = exception;
            let count = functions.split_whitespace().count() * words.split_whitespace().count();
            if used.len() < count {
                let _ = writeln!(
                    report,
                    "no exception any more: {functions}, {words} ({reason}); still {used:?}"
                );
            }
        }
    }
    assert!(report.is_empty(), "{report}{total} of {} numbers differ", entries.len());
}

/// The public methods of the sources that hold elementwise functions.
fn methods() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/unloop-graph/src/tensor");
    let mut names = BTreeSet::new();
    for file in [
        "elementwise.rs",
        "numeric.rs",
        "entropy.rs",
        "gamma.rs",
        "normal.rs",
        "nn.rs",
        "cumulative.rs",
    ] {
        let text = std::fs::read_to_string(sources.join(file)).unwrap();
        for line in text.lines().map(str::trim_start) {
            let word = |text: &str| -> String {
                text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
            };
            // `pub fn name(`, the lists `name => Operation,` and the composed `name(x, …) -> Tensor {`.
            let name = match line.strip_prefix("pub fn ") {
                Some(rest) => word(rest),
                None => word(line),
            };
            let rest = &line[line.find(&name).unwrap_or(0) + name.len()..];
            // Arms of matches have paths or calls on the right.
            let operation = rest.strip_prefix(" => ").and_then(|rest| rest.strip_suffix(','));
            let listed = operation.is_some_and(|op| {
                let (family, _) = op.split_once('(').unwrap_or((op, ""));
                op.starts_with(char::is_uppercase) && family.chars().all(char::is_alphanumeric)
            }) && name.starts_with(char::is_lowercase)
                && !["true", "false"].contains(&&name[..]);
            let composed = rest.starts_with("(x") && rest.contains("-> ") && rest.contains('{');
            if !name.is_empty() && (line.starts_with("pub fn ") || listed || composed) {
                names.insert(name);
            }
        }
    }
    names
}

#[test]
fn every_elementwise_function_is_compared() {
    let records = records();
    let stored: BTreeSet<&str> = records.iter().map(|r| r["name"].as_str().unwrap()).collect();
    let ours: BTreeSet<&str> =
        functions::elementwise().into_iter().chain(functions::along_axis()).map(|f| f.0).collect();
    assert_eq!(stored, ours);
    let bare: BTreeSet<&str> = ours.iter().filter_map(|name| name.split(':').next()).collect();
    let others: BTreeSet<&str> = OTHERS.iter().flat_map(|(names, _)| names.split(' ')).collect();
    let methods = methods();
    // The sources are read: the lists, the composed ones, and plain methods.
    assert!(["sin", "hypot", "softplus", "polygamma"].iter().all(|&name| methods.contains(name)));
    let forgotten: Vec<&String> =
        methods.iter().filter(|m| !bare.contains(&m[..]) && !others.contains(&m[..])).collect();
    assert!(forgotten.is_empty(), "without vectors (conformance/elementwise.py): {forgotten:?}");
    let gone: Vec<&&str> = others.iter().filter(|name| !methods.contains(**name)).collect();
    assert!(gone.is_empty(), "no methods: {gone:?}");
}
