//! `jit`: a function compiled once for each structure, shapes and dtypes of its arguments.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use unloop_graph::backend::{self, Executable};
use unloop_graph::{Array, Explanation, Place, Result, Structure, Tensor, TensorType, Tree};

use crate::function::callable;
use crate::interpret::{Call, eval, failed, traced};
use crate::{Arguments, Function};

callable! {
    /// A compiled function; made by [`jit`].
    Jit with counts: Arc<Counts>
}

/// Compiles a function: the first call with arguments of some structure, shapes and dtypes traces
/// and compiles it; later ones only run it. Results are the same.
///
/// The function runs only while it is traced: what it captures from outside is captured by value
/// then, and what it does besides computing (printing) happens then. The 32 programs last used are
/// kept, or as many as [`Jit::capacity`] says.
///
/// Inside another transform the function is traced into that transform's program.
///
/// # Errors
/// Carried by the result of a call: those of the function; `OutOfMemory` and `Cancelled` when it runs.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{grad, jit};
/// let slope = jit(grad(|x: &Tensor| x.sin().sum()));
/// assert_eq!(slope(&Tensor::from([0.0])).to_vec::<f64>()?, [1.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[track_caller]
pub fn jit<'f, Args, F>(f: F) -> Jit<'f, Args, F::Output>
where
    Args: Arguments + 'f,
    F: Function<Args> + 'f,
    F::Output: Tree + Send + Sync + 'f,
{
    let counts = Arc::new(Counts::default());
    let place = Place::of_maker("jit");
    let compiler = Compiler { f, programs: Mutex::default(), counts: counts.clone(), place };
    Jit::from_function(compiler, counts)
}

impl<'f, Args: Arguments + 'f, R: Tree + 'f> Jit<'f, Args, R> {
    /// The same function that keeps at most `programs` compiled programs, those last used; of 0 none is
    /// kept. Clones share the number. More take more memory; fewer than there are structures, shapes and
    /// dtypes of arguments in turn make it compile again and again.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// # use unloop_transform::jit;
    /// let sum = jit(|x: &Tensor| x.sum()).capacity(1);
    /// let (short, long) = (Tensor::ones(DType::F64, 2), Tensor::ones(DType::F64, 3));
    /// for x in [&short, &short, &long, &short] {
    ///     sum(x).check()?;
    /// }
    /// assert_eq!(sum.compilations(), 3);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    pub fn capacity(self, programs: usize) -> Jit<'f, Args, R> {
        self.counts.capacity.store(programs, Ordering::Relaxed);
        self
    }

    /// How often the function has been compiled. More often than there are structures, shapes and dtypes
    /// of arguments: it keeps too few programs.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// # use unloop_transform::jit;
    /// let double = jit(|x: &Tensor| x * 2.0);
    /// for n in [3, 3, 4] {
    ///     double(&Tensor::ones(DType::F64, n)).check()?;
    /// }
    /// assert_eq!(double.compilations(), 2); // of 3 and of 4 elements
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    pub fn compilations(&self) -> usize {
        self.counts.compilations.load(Ordering::Relaxed)
    }

    /// What compiling for these arguments does to the program: before, after, the predicted costs and
    /// the rules that made the difference. Print it.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// # use unloop_transform::jit;
    /// let twice = jit(|x: &Tensor| -(-x));
    /// println!("{}", twice.explain((&Tensor::zeros(DType::F64, [3]),))?);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error that an argument, or the function's result, carries.
    #[track_caller]
    pub fn explain(&self, args: Args::Refs<'_>) -> Result<Explanation> {
        let call = self.traced(args)?;
        let captured: Vec<Tensor> = call.captured().collect();
        let known = Tensor::arrays(&captured).unwrap_or_default();
        let mut explanation = backend::explain(&call.program.graph, &known)?;
        explanation.notes.extend(self.counts.note());
        Ok(explanation)
    }

    /// Compiles for these arguments without running: traces, rewrites and plans.
    ///
    /// ```
    /// # use unloop_graph::{DType, Tensor};
    /// # use unloop_transform::jit;
    /// let product = jit(Tensor::outer);
    /// let x = Tensor::zeros(DType::F64, [1000]);
    /// let plan = product.plan((&x, &x))?;
    /// assert_eq!(plan.peak_bytes(), 8_000_000);
    /// println!("{plan}"); // the loops that run
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error that an argument, or the function's result, carries; what compiling reports.
    #[track_caller]
    pub fn plan(&self, args: Args::Refs<'_>) -> Result<Plan> {
        let call = self.traced(args)?;
        let captured: Vec<Tensor> = call.captured().collect();
        let known = Tensor::arrays(&captured).unwrap_or_default();
        Ok(Plan { program: backend::compile(&call.program.graph, &known)?.0 })
    }

    #[track_caller]
    fn traced(&self, args: Args::Refs<'_>) -> Result<Call<R>> {
        let line = Location::caller();
        traced::<Args, R>(&*self.function, args).map_err(|e| e.or_called_at(line))
    }
}

/// A compiled program, made by [`Jit::plan`]. It prints what runs, in order: kernels as loops, with what
/// they read and write; routines by their names; and what runs once for each part of the examples or for
/// each run of a loop.
pub struct Plan {
    program: Arc<dyn Executable>,
}

impl Plan {
    /// Bytes that a call takes at most, for its results, the values in between and what single steps
    /// need for themselves, in loops and choices, too; those of the arguments come on top (copies of them,
    /// if they are not laid out row by row). Not counted are a megabyte or two that each thread keeps,
    /// and what functions of your own take.
    pub fn peak_bytes(&self) -> usize {
        self.program.peak_bytes()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program.describe())
    }
}

struct Compiler<F, R> {
    f: F,
    /// The compiled programs, the last used at the end.
    programs: Mutex<Vec<Arc<Compiled<R>>>>,
    counts: Arc<Counts>,
    /// Where the function was compiled, for errors whose line is not known.
    place: Place,
}

/// How many programs of a function there are.
struct Counts {
    /// How many are kept.
    capacity: AtomicUsize,
    /// How many have been compiled.
    compilations: AtomicUsize,
    /// How many have made room for others.
    evicted: AtomicUsize,
}

impl Default for Counts {
    fn default() -> Self {
        let (compilations, evicted) = Default::default();
        Counts { capacity: AtomicUsize::new(32), compilations, evicted }
    }
}

impl Counts {
    /// A remark on programs that have made room for others.
    fn note(&self) -> Option<String> {
        let evicted = self.evicted.load(Ordering::Relaxed);
        (evicted > 0).then(|| {
            format!(
                "this function has been compiled {} times, and {evicted} of its programs have been \
                 dropped, as it keeps {}: .capacity(n) keeps more, and arguments of fewer shapes need \
                 fewer",
                self.compilations.load(Ordering::Relaxed),
                self.capacity.load(Ordering::Relaxed)
            )
        })
    }
}

struct Compiled<R> {
    structures: Vec<Structure>,
    types: Vec<TensorType>,
    program: Arc<dyn Executable>,
    captured: Vec<Array>,
    /// The result with other tensors; the real ones take their places.
    result: R,
}

impl<R> Compiled<R> {
    fn fits(&self, structures: &[Structure], inputs: &[Array]) -> bool {
        self.types.len() == inputs.len()
            && self
                .types
                .iter()
                .zip(inputs)
                .all(|(ty, x)| ty.dtype == x.dtype() && ty.shape == *x.shape())
            && self.structures == structures
    }
}

impl<Args, F> Function<Args> for Compiler<F, F::Output>
where
    Args: Arguments,
    F: Function<Args>,
    F::Output: Tree + Send + Sync,
{
    type Output = F::Output;

    fn call(&self, args: Args::Refs<'_>) -> F::Output {
        let leaves = Args::leaves(args);
        match Tensor::arrays(&leaves) {
            Some(inputs) => self
                .run::<Args>(args, inputs)
                .unwrap_or_else(|e| failed::<Args, _>(&self.f, args, e.or_at(self.place))),
            // Inside another transform, or with an error: the function itself passes it on.
            None => self.f.call(args),
        }
    }
}

impl<F, R: Tree + Send + Sync> Compiler<F, R> {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Compiled<R>>>> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a program that has just been compiled.
    fn keep(&self, program: Arc<Compiled<R>>) {
        self.counts.compilations.fetch_add(1, Ordering::Relaxed);
        let mut programs = self.lock();
        programs.push(program);
        let capacity = self.counts.capacity.load(Ordering::Relaxed);
        let beyond = programs.len().saturating_sub(capacity);
        programs.drain(..beyond);
        self.counts.evicted.fetch_add(beyond, Ordering::Relaxed);
    }

    fn run<Args: Arguments>(&self, args: Args::Refs<'_>, mut inputs: Vec<Array>) -> Result<R>
    where
        F: Function<Args, Output = R>,
    {
        let structures = Args::structures(args);
        let known = {
            let mut programs = self.lock();
            let found = programs.iter().rposition(|p| p.fits(&structures, &inputs));
            found.map(|i| {
                let last = programs.len() - 1;
                if i != last {
                    programs[i..].rotate_left(1);
                }
                programs[last].clone()
            })
        };
        let compiled = match known {
            Some(compiled) => compiled,
            None => {
                let types: Vec<TensorType> = inputs.iter().map(Array::ty).collect();
                let call = Call::trace::<Args>(&self.f, args, types.clone())?;
                let captures: Vec<Tensor> =
                    call.program.captures.iter().map(|c| c.tensor.clone()).collect();
                let Some(captured) = Tensor::arrays(&captures) else {
                    // Part of an outer trace: its operations belong there.
                    let leaves: Vec<Tensor> = inputs.into_iter().map(Tensor::from).collect();
                    let outputs = eval(&call.program.graph, &call.inputs(&leaves));
                    return call.result.with_leaves(&outputs);
                };
                let (program, captured) = backend::compile(&call.program.graph, &captured)?;
                // The traced tensors would keep their whole trace alive.
                let result = call.result.map_leaves(|_| Tensor::from(0.0));
                let compiled = Arc::new(Compiled { structures, types, program, captured, result });
                self.keep(compiled.clone());
                compiled
            }
        };
        inputs.extend(compiled.captured.iter().cloned());
        let mut outputs = compiled.program.run(&inputs)?.into_iter();
        Ok(compiled
            .result
            .rebuild(&mut |old| outputs.next().map_or_else(|| old.clone(), Tensor::from)))
    }
}
