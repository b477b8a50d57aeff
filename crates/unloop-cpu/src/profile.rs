//! Where time goes: every step that runs while a profile is taken, by kernel.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use unloop_graph::{DType, Place, Tensor};
use unloop_kernel::{Expr, Kernel, RowExpr, Rowwise};

/// What is known of a step before it runs.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub name: Arc<str>,
    pub place: Place,
    /// Bytes of the values that it reads and writes.
    pub bytes: usize,
    /// Arithmetic operations.
    pub flops: usize,
    /// The dtype that they are in.
    pub dtype: DType,
}

/// The names of a kernel's operations.
pub(crate) fn name_of(kernel: &Kernel) -> Arc<str> {
    let names = kernel.exprs.iter().filter_map(name_of_expr);
    joined(names.chain(kernel.reduction.map(|r| r.op.name())).collect())
}

/// The operations of a program of rows.
pub(crate) fn name_of_rows(program: &Rowwise) -> Arc<str> {
    let name = |expr: &RowExpr| match expr {
        RowExpr::Scalar(expr) => name_of_expr(expr),
        RowExpr::Fold(op, _) => Some(op.name()),
    };
    joined(program.exprs.iter().filter_map(name).collect())
}

fn name_of_expr(expr: &Expr) -> Option<&'static str> {
    let is_named = !matches!(expr, Expr::Load(_) | Expr::Constant(_) | Expr::Carried(_));
    is_named.then(|| expr.name())
}

fn joined(mut names: Vec<&str>) -> Arc<str> {
    if names.is_empty() {
        return "copy".into();
    }
    const SHOWN: usize = 6;
    let rest = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match rest {
        0 => names.join(" ").into(),
        rest => format!("{} and {rest} more", names.join(" ")).into(),
    }
}

#[derive(Clone)]
struct Event {
    facts: Facts,
    start: Instant,
    time: Duration,
}

/// What has been recorded for the profiles that are being taken.
#[derive(Default)]
struct Recorder {
    events: Vec<Event>,
    /// How many profiles are being taken.
    takers: usize,
    /// The first event of the profile that began last.
    last: usize,
}

static ACTIVE: AtomicBool = AtomicBool::new(false);
static RECORDER: Mutex<Recorder> = Mutex::new(Recorder { events: Vec::new(), takers: 0, last: 0 });

fn recorder() -> MutexGuard<'static, Recorder> {
    RECORDER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Steps that a profile holds, at most: loops run many.
const MOST: usize = 1_000_000;

/// Runs a step, and takes its time if a profile is being taken.
#[inline]
pub(crate) fn timed<R>(facts: &Facts, run: impl FnOnce() -> R) -> R {
    if !ACTIVE.load(Ordering::Relaxed) {
        return run();
    }
    let start = Instant::now();
    let result = run();
    let time = start.elapsed();
    let mut recorder = recorder();
    if recorder.takers > 0 && recorder.events.len() - recorder.last < MOST {
        recorder.events.push(Event { facts: facts.clone(), start, time });
    }
    result
}

/// Runs `f`; gives what it returns, and a report of where its time went: one row for each kernel, the
/// slowest first. Steps of other threads that run meanwhile are in it, too. Within `f` another profile
/// may be taken; what it reports is part of this one. Print it, or keep it as a trace.
///
/// ```
/// use unloop_cpu::profile;
/// use unloop_graph::Tensor;
/// # unloop_cpu::install();
/// let (y, report) = profile(|| Tensor::from([1.0, 2.0]).exp().sum());
/// println!("{report}");
/// assert!(y.item::<f64>()? > 10.0);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
pub fn profile<R>(f: impl FnOnce() -> R) -> (R, Profile) {
    let taking = Taking::begin();
    let begin = Instant::now();
    let value = f();
    let wall = begin.elapsed();
    (value, Profile { begin, wall, events: taking.events() })
}

/// A profile that is being taken; ends with this, also when the function panics.
struct Taking {
    /// Its first event.
    first: usize,
}

impl Taking {
    fn begin() -> Taking {
        let mut recorder = recorder();
        recorder.takers += 1;
        recorder.last = recorder.events.len();
        ACTIVE.store(true, Ordering::Relaxed);
        Taking { first: recorder.last }
    }

    /// What has been recorded since it began.
    fn events(&self) -> Vec<Event> {
        recorder().events[self.first..].to_vec()
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let mut recorder = recorder();
        recorder.takers -= 1;
        if recorder.takers == 0 {
            ACTIVE.store(false, Ordering::Relaxed);
            *recorder = Recorder::default();
        }
    }
}

/// Where time went; made by [`profile`].
pub struct Profile {
    begin: Instant,
    wall: Duration,
    events: Vec<Event>,
}

/// A kernel of a [`Profile`].
#[derive(Clone, Debug)]
pub struct KernelTime {
    /// The operations in it.
    pub name: String,
    /// The line of the program that the operation stands in; fused kernels stand in several.
    pub place: Place,
    /// How often it ran.
    pub calls: usize,
    /// All calls together.
    pub time: Duration,
    /// Bytes of the values read and written, of all calls.
    pub bytes: usize,
    /// Arithmetic operations of all calls.
    pub flops: usize,
    /// What part of the best that all processors together can do: of the memory's bandwidth or of the
    /// arithmetic of matrix products, whichever is more. A kernel whose values are in cache may exceed
    /// one; a kernel that runs on one processor of several beside others does not come near it.
    pub share_of_peak: f64,
}

/// Numbers that are summed, and rows of matrices that are multiplied, to know what the machine can do.
const SUMMED: usize = 1 << 23;
const N: usize = 512;

/// What this machine can do in a nanosecond; infinite if that could not be measured.
struct Peak {
    /// Bytes that all processors together read.
    bytes: f64,
    /// Arithmetic operations of a product of matrices of f32, and of f64.
    single: f64,
    double: f64,
}

impl Peak {
    /// Measured once, which takes some milliseconds.
    fn get() -> &'static Peak {
        static PEAK: OnceLock<Peak> = OnceLock::new();
        PEAK.get_or_init(|| {
            let rate =
                |amount: usize, ns: Option<f64>| ns.map_or(f64::INFINITY, |ns| amount as f64 / ns);
            let product = |dtype: DType| rate(2 * N * N * N, Peak::product(dtype));
            let (single, double) = (product(DType::F32), product(DType::F64));
            Peak { bytes: rate(8 * SUMMED, Peak::sum()), single, double }
        })
    }

    /// The nanoseconds of reading [`SUMMED`] numbers.
    fn sum() -> Option<f64> {
        Peak::measure(Tensor::sum, DType::F64, &[SUMMED])
    }

    /// The nanoseconds of a product of two [`N`]×[`N`] matrices.
    fn product(dtype: DType) -> Option<f64> {
        Peak::measure(|x| x.matmul(x), dtype, &[N, N])
    }

    /// The nanoseconds of the fastest of some runs.
    fn measure(f: impl Fn(&Tensor) -> Tensor, dtype: DType, shape: &[usize]) -> Option<f64> {
        // A sum, as a value that repeats one number would not lie in memory.
        let x = Tensor::zeros(dtype, shape) + Tensor::ones(dtype, ());
        f(&x).value("peak").ok()?;
        let run = |_| {
            let start = Instant::now();
            drop(f(&x));
            start.elapsed().as_nanos().max(1) as f64
        };
        (0..5).map(run).reduce(f64::min)
    }
}

impl Profile {
    /// The time from the beginning to the end.
    pub fn wall(&self) -> Duration {
        self.wall
    }

    /// The kernels that ran, the slowest first.
    pub fn kernels(&self) -> Vec<KernelTime> {
        if self.events.is_empty() {
            return Vec::new();
        }
        let peak = Peak::get();
        let mut all: HashMap<(&str, Option<_>), KernelTime> = HashMap::new();
        for Event { facts, time, .. } in &self.events {
            let line = facts.place.line().map(|l| (l.file(), l.line(), l.column()));
            let entry = all.entry((&facts.name, line)).or_insert_with(|| KernelTime {
                name: facts.name.to_string(),
                place: facts.place,
                calls: 0,
                time: Duration::ZERO,
                bytes: 0,
                flops: 0,
                share_of_peak: 0.0,
            });
            entry.calls += 1;
            entry.time += *time;
            entry.bytes += facts.bytes;
            entry.flops += facts.flops;
            // The time that it would take at best, until all are known.
            let arithmetic = if facts.dtype.size() == 8 { peak.double } else { peak.single };
            let best = (facts.bytes as f64 / peak.bytes).max(facts.flops as f64 / arithmetic);
            entry.share_of_peak += best;
        }
        for kernel in all.values_mut() {
            kernel.share_of_peak /= kernel.time.as_nanos().max(1) as f64;
        }
        let mut all: Vec<KernelTime> = all.into_values().collect();
        all.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.name.cmp(&b.name)));
        all
    }

    /// The steps as a trace for `chrome://tracing` and other viewers of its format, in JSON.
    pub fn to_chrome_trace(&self) -> String {
        let event = |event: &Event| {
            let start = event.start.saturating_duration_since(self.begin);
            let micro = |time: Duration| time.as_nanos() as f64 / 1e3;
            format!(
                "{{\"name\":\"{}\",\"ph\":\"X\",\"pid\":0,\"tid\":0,\"ts\":{},\"dur\":{},\
                 \"args\":{{\"bytes\":{},\"flops\":{}}}}}",
                event.facts.name,
                micro(start),
                micro(event.time),
                event.facts.bytes,
                event.facts.flops
            )
        };
        let events: Vec<String> = self.events.iter().map(event).collect();
        format!("{{\"traceEvents\":[{}]}}\n", events.join(",\n"))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernels = self.kernels();
        let total: Duration = kernels.iter().map(|k| k.time).sum();
        let micro = |time: Duration| time.as_nanos() as f64 / 1e3;
        writeln!(f, "{:.1} µs, of which {:.1} µs in kernels", micro(self.wall), micro(total))?;
        writeln!(
            f,
            "{:>12} {:>6} {:>8} {:>8} {:>8} {:>6}  kernel",
            "µs", "%", "calls", "GB/s", "GFLOP/s", "peak %"
        )?;
        for kernel in &kernels {
            let nanoseconds = kernel.time.as_nanos().max(1) as f64;
            write!(
                f,
                "{:12.1} {:6.1} {:8} {:8.1} {:8.1} {:6.0}  {}",
                micro(kernel.time),
                100.0 * micro(kernel.time) / micro(total).max(1e-9),
                kernel.calls,
                kernel.bytes as f64 / nanoseconds,
                kernel.flops as f64 / nanoseconds,
                100.0 * kernel.share_of_peak,
                kernel.name
            )?;
            match kernel.place.line() {
                Some(line) => writeln!(f, " at {line}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
