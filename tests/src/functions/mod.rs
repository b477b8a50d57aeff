//! Every public function: its name, the kinds of its arguments, how it is called, and what tests need
//! to know of it. A new function without an entry fails `tests/catalogue.rs`.

mod arguments;
mod library;
mod models;
mod tensor;
mod transforms;

pub use arguments::{Arg, Domain, Dtypes, Extents, Kind, Lent, Parameter, parameters};

use unloop::{Result, Tensor, Tree};

/// What tests need to know of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact {
    /// Each element of the result is computed of the elements at its place.
    Elementwise,
    /// Where the result is smooth, its derivative is the limit of differences.
    Differentiable,
    /// Where two arguments are equal, its derivative is that in one of them.
    Ties,
    /// The results are random numbers.
    Random,
    /// The call is an expression of several functions, each of which may fail.
    Composed,
    /// The result tells of the memory or of the process, not of values.
    Host,
}

/// A public function.
pub struct Function {
    /// Where it stands: `Tensor`, `Complex`, a module, or empty for the root.
    pub of: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What its parameters are called.
    pub parameters: &'static [&'static str],
    /// What its arguments are.
    pub kinds: Vec<Kind>,
    /// What tests need to know.
    pub facts: &'static [Fact],
    /// Calls it; the tensors of its result.
    pub call: fn(&[Arg]) -> Vec<Tensor>,
    /// The file and the line of the call.
    pub at: (&'static str, u32),
}

impl Function {
    /// Whether a fact is one of it.
    pub fn is(&self, fact: Fact) -> bool {
        self.facts.contains(&fact)
    }

    /// The name with where it stands.
    pub fn path(&self) -> String {
        match self.of {
            "" => self.name.to_string(),
            of => format!("{of}::{}", self.name),
        }
    }

    /// The path with the names of the parameters, which no other function has.
    pub fn signature(&self) -> String {
        format!("{}({})", self.path(), self.parameters.join(", "))
    }
}

/// Results, as tensors.
pub trait IntoTensors {
    /// The tensors; an error as one that carries it.
    fn into_tensors(self) -> Vec<Tensor>;
}

impl<T: Tree> IntoTensors for T {
    fn into_tensors(self) -> Vec<Tensor> {
        self.leaves()
    }
}

/// A result with an error as a tensor that carries it.
pub fn carried<T: Into<Tensor>>(result: Result<T>) -> Tensor {
    result.map_or_else(Tensor::error, Into::into)
}

/// Entries of one namespace: groups of methods with the same parameters by their names, and functions
/// with an expression of their own.
macro_rules! table {
    ($of:literal; $($rest:tt)*) => {{
        use crate::functions::parameters::*;
        let mut all: Vec<crate::functions::Function> = Vec::new();
        table!(@ $of all; $($rest)*);
        all
    }};
    (@ $of:literal $all:ident;) => {};
    (@ $of:literal $all:ident; $facts:tt $args:tt { $($name:ident)* } $($rest:tt)*) => {
        $(table!(@method $of $all $name $facts $args);)*
        table!(@ $of $all; $($rest)*);
    };
    (@ $of:literal $all:ident; $facts:tt fn $name:ident($($x:ident: $kind:ident),* $(,)?) => $call:expr; $($rest:tt)*) => {
        table!(@entry $of $all $name $facts ($($x: $kind),*) $call);
        table!(@ $of $all; $($rest)*);
    };
    (@method $of:literal $all:ident $name:ident $facts:tt ($x:ident: $kind:ident $(, $y:ident: $other:ident)*)) => {
        table!(@entry $of $all $name $facts ($x: $kind $(, $y: $other)*) $x.$name($($y),*));
    };
    (@entry $of:literal $all:ident $name:ident [$($fact:ident)*] ($($x:ident: $kind:ident),*) $call:expr) => {
        $all.push(crate::functions::Function {
            of: $of,
            name: stringify!($name),
            parameters: &[$(stringify!($x)),*],
            kinds: vec![$(<$kind as crate::functions::Parameter<'static>>::KIND),*],
            facts: &[$(crate::functions::Fact::$fact),*],
            call: |args| {
                let mut _args = args.iter();
                $(let $x = crate::functions::take::<$kind>(_args.next());)*
                crate::functions::IntoTensors::into_tensors($call)
            },
            at: (file!(), line!()),
        });
    };
}
use table;

/// The next argument, as the parameter takes it.
fn take<'a, P: Parameter<'a>>(arg: Option<&'a Arg>) -> P::Type {
    let Some(arg) = arg else { unreachable!("as many arguments as kinds") };
    P::Type::lent(arg)
}

/// Every public function.
pub fn functions() -> Vec<Function> {
    [tensor::functions(), library::functions(), models::functions(), transforms::functions()]
        .into_iter()
        .flatten()
        .collect()
}
