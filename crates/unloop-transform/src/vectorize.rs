//! `vectorize`: a function of core dimensions, given by a signature, on stacks of any rank.

use std::collections::BTreeMap;

use unloop_graph::{Error, ErrorKind, Place, Result, Shape, Tensor, Tree};

use crate::axes::AxisSpec;
use crate::function::{Shared as SharedFunction, callable};
use crate::interpret::{error, failed};
use crate::vmap::vmap_specs;
use crate::{Arguments, Function};

callable! {
    /// A function on stacks of any rank; made by [`vectorize`].
    Vectorize
}

/// Lifts a function of tensors of fixed ranks to stacks of any rank. The signature names the
/// dimensions of each argument and of each result, as NumPy's generalised universal functions have
/// it: `"(n,n),(n)->(n)"`. All dimensions before these are looped over, by NumPy's rule: they are
/// aligned from the right, and one of extent 1 or a missing one is the same for all.
///
/// A result of core shape `[…]` comes out with the looped dimensions in front.
///
/// # Errors
/// Carried by the results, all `InvalidArgument`: a text that is no signature; more or fewer arguments,
/// results or dimensions of a result than it names; an argument of fewer dimensions; a name with two
/// sizes; looped dimensions that do not fit together.
///
/// ```
/// # use unloop_graph::{DType, Tensor};
/// # use unloop_transform::vectorize;
/// let solve = vectorize("(n,n),(n)->(n)", Tensor::solve);
/// let a = Tensor::eye(DType::F64, 3); // one matrix
/// let b = Tensor::ones(DType::F64, (5, 4, 3)); // for 5·4 right-hand sides
/// assert_eq!(solve(&a, &b).shape(), [5, 4, 3]);
/// ```
#[track_caller]
pub fn vectorize<'f, Args, F>(signature: &str, f: F) -> Vectorize<'f, Args, F::Output>
where
    Args: Arguments + 'f,
    F: Function<Args> + 'f,
    F::Output: Tree + 'f,
{
    let place = Place::of_maker("vectorize");
    let f = SharedFunction::new(f);
    Vectorize::from_function(Looped { f, signature: Signature::parse(signature), place })
}

/// Names of dimensions, one list a tensor.
struct Signature {
    arguments: Vec<Vec<String>>,
    results: Vec<Vec<String>>,
}

impl Signature {
    fn parse(text: &str) -> Result<Signature, String> {
        let wrong = || {
            format!(
                "{text:?} is no signature; write one such as \"(n,n),(n)->(n)\" or \"(),()->()\""
            )
        };
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (arguments, results) = plain.split_once("->").ok_or_else(wrong)?;
        let side = |side: &str| -> Result<Vec<Vec<String>>, String> {
            let inner =
                side.strip_prefix('(').and_then(|s| s.strip_suffix(')')).ok_or_else(wrong)?;
            inner
                .split("),(")
                .map(|names| {
                    let names: Vec<String> =
                        names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
                    let is_name = |n: &String| n.chars().all(|c| c.is_alphanumeric() || c == '_');
                    names.iter().all(is_name).then_some(names).ok_or_else(wrong)
                })
                .collect()
        };
        Ok(Signature { arguments: side(arguments)?, results: side(results)? })
    }
}

struct Looped<'f, Args: Arguments, R> {
    f: SharedFunction<'f, Args, R>,
    signature: Result<Signature, String>,
    place: Place,
}

impl<Args: Arguments, R: Tree> Function<Args> for Looped<'_, Args, R> {
    type Output = R;

    fn call(&self, args: Args::Refs<'_>) -> R {
        self.try_call(args)
            .unwrap_or_else(|e| failed::<Args, _>(&self.f, args, e.or_at(self.place)))
    }
}

impl<Args: Arguments, R: Tree> Looped<'_, Args, R> {
    fn invalid(&self, message: String) -> Error {
        error("vectorize", ErrorKind::InvalidArgument(message), self.place)
    }

    fn try_call(&self, args: Args::Refs<'_>) -> Result<R> {
        let signature = self.signature.as_ref().map_err(|m| self.invalid(m.clone()))?;
        let leaves = Args::leaves(args);
        leaves.iter().try_for_each(|x| x.check().map(drop))?;
        if leaves.len() != signature.arguments.len() || leaves.len() != Args::ARITY {
            let (named, given) = (signature.arguments.len(), leaves.len());
            return Err(self.invalid(format!("the signature names {named} arguments, not {given}")));
        }
        let loops = self.loop_shapes(signature, &leaves)?;
        let mut whole = Shape::scalar();
        for shape in &loops {
            whole = whole.broadcast(shape).ok_or_else(|| {
                self.invalid(format!(
                    "the looped dimensions {whole} and {shape} do not fit together"
                ))
            })?;
        }
        let rank = whole.rank();
        // Which looped dimensions each argument really has; those of extent 1 are dropped.
        let has = |shape: &Shape, d: usize| {
            d + shape.rank() >= rank && shape[d + shape.rank() - rank] != 1
        };
        let squeezed: Vec<Tensor> = (leaves.iter().zip(&loops))
            .map(|(x, shape)| {
                let kept = shape.iter().filter(|&&extent| extent != 1).copied();
                let core = x.shape()[shape.rank()..].iter().copied();
                x.reshape(kept.chain(core).collect::<Shape>())
            })
            .collect();
        // From the innermost loop out. What nobody has is put back at the end.
        let mut lifted = self.f.clone();
        let mut absent = Vec::new();
        for d in (0..rank).rev() {
            let axis = |shape: &Shape| match has(shape, d) {
                true => AxisSpec::Axis(0),
                false => AxisSpec::Shared,
            };
            let axes: Vec<AxisSpec> = loops.iter().map(axis).collect();
            match axes.iter().all(|axis| *axis == AxisSpec::Shared) {
                true => absent.push(d),
                false => lifted = SharedFunction::new(vmap_specs(lifted, axes, self.place)),
            }
        }
        let result = lifted.call(Args::with_leaves(args, &squeezed).refs());
        absent.reverse();
        let result = result.map_leaves(|y| match y.as_error() {
            Some(_) => y.clone(),
            None => absent.iter().fold(y.clone(), |y, &d| y.expand_dims(d as isize)),
        });
        self.check_results(signature, &result.leaves(), rank)?;
        Ok(result)
    }

    /// The dimensions of each argument before those that the signature names.
    fn loop_shapes(&self, signature: &Signature, leaves: &[Tensor]) -> Result<Vec<Shape>> {
        let mut extents: BTreeMap<&str, usize> = BTreeMap::new();
        let mut loops = Vec::new();
        for (i, (x, names)) in leaves.iter().zip(&signature.arguments).enumerate() {
            let Some(rank) = x.rank().checked_sub(names.len()) else {
                let shape = Shape::from(x.shape());
                return Err(self.invalid(format!(
                    "argument {i} of shape {shape} has fewer dimensions than the signature's {}",
                    names.len()
                )));
            };
            let (before, core) = x.shape().split_at(rank);
            for (name, &extent) in names.iter().zip(core) {
                let known = *extents.entry(name).or_insert(extent);
                if known != extent {
                    let message =
                        format!("dimension {name} is {extent} in argument {i}, and {known} before");
                    return Err(self.invalid(message));
                }
            }
            loops.push(Shape::from(before));
        }
        Ok(loops)
    }

    fn check_results(&self, signature: &Signature, results: &[Tensor], rank: usize) -> Result<()> {
        if results.len() != signature.results.len() {
            let (named, given) = (signature.results.len(), results.len());
            return Err(self.invalid(format!("the signature names {named} results, not {given}")));
        }
        for (i, (y, names)) in results.iter().zip(&signature.results).enumerate() {
            y.check()?;
            if y.rank() != rank + names.len() {
                let given = y.rank().saturating_sub(rank);
                let named = names.len();
                return Err(self.invalid(format!(
                    "the signature names {named} dimensions of result {i}, the function gives {given}"
                )));
            }
        }
        Ok(())
    }
}
