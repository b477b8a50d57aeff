//! What transforms take and give: functions of references to trees, of any arity up to 8.
//!
//! [`Function`] is implemented for closures and functions `Fn(&A, &B, …) -> R`, and for the callables
//! that transforms return, so that transforms compose in any order.

use unloop_graph::{Structure, Tensor, Tree};

/// How a function takes its arguments: by reference.
///
/// This asks nothing of the types, so that the compiler knows those of a closure before it finds that
/// one is no tree, and names that one only.
pub trait Signature: Sized {
    /// References to the arguments: `(&A, &B, …)`.
    type Refs<'a>: Copy
    where
        Self: 'a;
    /// The type of a function of these arguments: `dyn Fn(&A, &B, …) -> R`.
    type DynFn<'f, R: 'f>: ?Sized + Send + Sync + 'f
    where
        Self: 'f;

    /// Makes a callable of a function.
    fn boxed<'f, R: 'f>(f: impl Function<Self, Output = R> + 'f) -> Box<Self::DynFn<'f, R>>
    where
        Self: 'f;
}

/// The arguments of a function, as the tuple of their owned types: `(A,)`, `(A, B)`, …. Each is a
/// [`Tree`] that is `Send` and `Sync`.
pub trait Arguments: Signature + Send + Sync {
    /// The first argument, which `grad` differentiates.
    type First: Tree;
    /// The arguments as one tree: `A` itself for one argument, else the tuple.
    type Packed: Tree;
    /// How many arguments there are.
    const ARITY: usize;

    /// References to the parts of a tuple.
    fn refs(&self) -> Self::Refs<'_>;

    /// Calls `f` with every tensor of every argument, in order.
    fn visit(args: Self::Refs<'_>, f: &mut dyn FnMut(&Tensor));

    /// The arguments with every tensor replaced.
    fn rebuild(args: Self::Refs<'_>, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self;

    /// The structure of every argument.
    fn structures(args: Self::Refs<'_>) -> Vec<Structure>;

    /// The first argument.
    fn first<'a>(args: Self::Refs<'a>) -> &'a Self::First
    where
        Self: 'a;

    /// The arguments as one tree.
    fn pack(self) -> Self::Packed;

    /// References to the arguments in one tree.
    fn unpack(packed: &Self::Packed) -> Self::Refs<'_>;

    /// All tensors of all arguments.
    fn leaves(args: Self::Refs<'_>) -> Vec<Tensor> {
        let mut leaves = Vec::new();
        Self::visit(args, &mut |leaf| leaves.push(leaf.clone()));
        leaves
    }

    /// The arguments with other tensors, given in order; ones that are missing stay.
    fn with_leaves(args: Self::Refs<'_>, leaves: &[Tensor]) -> Self {
        let mut next = leaves.iter();
        Self::rebuild(args, &mut |old| next.next().unwrap_or(old).clone())
    }
}

/// A function that can be transformed.
///
/// Implemented for every `Fn(&A, &B, …) -> R` of up to 8 arguments that is `Send + Sync`, and for
/// what transforms return, by value or by reference. Closures annotate their parameters:
/// `|x: &Tensor| …`.
#[diagnostic::on_unimplemented(
    message = "transforms take functions of references to tensors, or to other trees, with annotated types",
    label = "not a function of one to eight references of known types",
    note = "a closure annotates its parameters, as in `|x: &Tensor, p: &Params| …`; instead of a `Tensor` it takes a `&Tensor`, instead of a slice a `&Vec<Tensor>`, instead of a pair of references two parameters",
    note = "numbers and settings are captured by the closure instead of being passed"
)]
pub trait Function<Args: Signature>: Send + Sync {
    /// What the function returns.
    type Output;

    /// Calls the function with a tuple of references. Errors ride in the result.
    fn call(&self, args: Args::Refs<'_>) -> Self::Output;
}

macro_rules! arity {
    ($count:literal $packed:ty, $args:ident => $pack:expr, $tree:ident => $unpack:expr;
     $first:ident $($name:ident)*) => {
        impl<$first: Tree + Send + Sync, $($name: Tree + Send + Sync),*> Arguments
            for ($first, $($name,)*)
        {
            type First = $first;
            type Packed = $packed;
            const ARITY: usize = $count;

            #[allow(non_snake_case)]
            fn refs(&self) -> Self::Refs<'_> {
                let ($first, $($name,)*) = self;
                ($first, $($name,)*)
            }

            #[allow(non_snake_case)]
            fn visit(args: Self::Refs<'_>, f: &mut dyn FnMut(&Tensor)) {
                let ($first, $($name,)*) = args;
                $first.visit(f);
                $($name.visit(f);)*
            }

            #[allow(non_snake_case)]
            fn rebuild(args: Self::Refs<'_>, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
                let ($first, $($name,)*) = args;
                ($first.rebuild(f), $($name.rebuild(f),)*)
            }

            #[allow(non_snake_case)]
            fn structures(args: Self::Refs<'_>) -> Vec<Structure> {
                let ($first, $($name,)*) = args;
                vec![$first.structure(), $($name.structure()),*]
            }

            fn first<'a>(args: Self::Refs<'a>) -> &'a Self::First
            where
                Self: 'a,
            {
                args.0
            }

            fn pack(self) -> Self::Packed {
                let $args = self;
                $pack
            }

            fn unpack($tree: &Self::Packed) -> Self::Refs<'_> {
                $unpack
            }
        }

        impl<$first, $($name),*> Signature for ($first, $($name,)*) {
            type Refs<'a> = (&'a $first, $(&'a $name,)*)
            where
                Self: 'a;
            type DynFn<'f, R: 'f> = dyn Fn(&$first, $(&$name),*) -> R + Send + Sync + 'f
            where
                Self: 'f;

            #[allow(non_snake_case)]
            fn boxed<'f, R: 'f>(
                f: impl Function<Self, Output = R> + 'f,
            ) -> Box<Self::DynFn<'f, R>>
            where
                Self: 'f,
            {
                Box::new(move |$first: &$first, $($name: &$name),*| f.call(($first, $($name,)*)))
            }
        }

        impl<Func, Ret, $first, $($name),*> Function<($first, $($name,)*)> for Func
        where
            Func: Fn(&$first, $(&$name),*) -> Ret + Send + Sync,
        {
            type Output = Ret;

            #[allow(non_snake_case)]
            fn call(&self, args: (&$first, $(&$name,)*)) -> Ret {
                let ($first, $($name,)*) = args;
                self($first, $($name),*)
            }
        }
    };
}

arity!(1 A, args => args.0, tree => (tree,); A);
arity!(2 (A, B), args => args, tree => tree.refs(); A B);
arity!(3 (A, B, C), args => args, tree => tree.refs(); A B C);
arity!(4 (A, B, C, D), args => args, tree => tree.refs(); A B C D);
arity!(5 (A, B, C, D, E), args => args, tree => tree.refs(); A B C D E);
arity!(6 (A, B, C, D, E, G), args => args, tree => tree.refs(); A B C D E G);
arity!(7 (A, B, C, D, E, G, H), args => args, tree => tree.refs(); A B C D E G H);
arity!(8 (A, B, C, D, E, G, H, I), args => args, tree => tree.refs(); A B C D E G H I);

/// Defines the struct that a transform returns: it holds the transform's own function, derefs to
/// `dyn Fn(&A, &B, …) -> R`, and is itself a [`Function`]. `with` adds a field, for methods that
/// make the function anew.
macro_rules! callable {
    ($(#[$doc:meta])* $name:ident $(with $source:ident: $source_type:ty)?) => {
        $(#[$doc])*
        pub struct $name<'f, Args: $crate::Signature + 'f, R: 'f> {
            function: std::sync::Arc<dyn $crate::Function<Args, Output = R> + 'f>,
            callable: std::sync::Arc<Args::DynFn<'f, R>>,
            $($source: $source_type,)?
        }

        impl<'f, Args: $crate::Signature + 'f, R: 'f> $name<'f, Args, R> {
            fn from_function(
                f: impl $crate::Function<Args, Output = R> + 'f,
                $($source: $source_type,)?
            ) -> Self {
                let function: std::sync::Arc<dyn $crate::Function<Args, Output = R> + 'f> =
                    std::sync::Arc::new(f);
                let callable = Args::boxed($crate::function::Shared(function.clone())).into();
                Self { function, callable, $($source,)? }
            }
        }

        impl<'f, Args: $crate::Arguments + 'f, R: unloop_graph::Tree + 'f> $name<'f, Args, R> {
            /// Calls the function with a tuple of references.
            ///
            /// # Errors
            /// The first error that a tensor of the result carries. One of the arguments has the line of
            /// this call, too.
            ///
            /// What every transform returns has this method:
            ///
            /// ```
            /// # use unloop_graph::Tensor;
            /// # use unloop_transform::jit;
            /// let sum = jit(|x: &Tensor, y: &Tensor| x + y);
            /// let (x, y) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0, 5.0]));
            /// assert_eq!(sum.try_call((&x, &x))?.to_vec::<f64>()?, [2.0, 4.0]);
            /// assert!(sum.try_call((&x, &y)).is_err());
            /// # Ok::<(), unloop_graph::Error>(())
            /// ```
            #[track_caller]
            pub fn try_call(&self, args: Args::Refs<'_>) -> unloop_graph::Result<R> {
                let line = std::panic::Location::caller();
                let result = self.function.call(args);
                result.check().map_err(|e| e.or_called_at(line))?;
                Ok(result)
            }

            /// The program that a call with these arguments traces, transforms applied. Print it.
            ///
            /// # Errors
            /// The error that an argument, or the function's result, carries.
            ///
            /// What every transform returns has this method:
            ///
            /// ```
            /// # use unloop_graph::Tensor;
            /// # use unloop_transform::jit;
            /// let graph = jit(|x: &Tensor| x.sin() * 2.0).graph((&Tensor::from(1.0),))?;
            /// assert_eq!(graph.outputs().len(), 1);
            /// println!("{graph}");
            /// # Ok::<(), unloop_graph::Error>(())
            /// ```
            #[track_caller]
            pub fn graph(&self, args: Args::Refs<'_>) -> unloop_graph::Result<unloop_graph::Graph> {
                let line = std::panic::Location::caller();
                $crate::interpret::graph_of::<Args, R>(&*self.function, args)
                    .map_err(|e| e.or_called_at(line))
            }

            /// [`graph`](Self::graph) as a drawing in the language of Graphviz (`dot -Tsvg` draws it).
            ///
            /// # Errors
            /// Those of [`graph`](Self::graph).
            #[track_caller]
            pub fn graph_dot(&self, args: Args::Refs<'_>) -> unloop_graph::Result<String> {
                Ok(self.graph(args)?.to_graphviz())
            }
        }

        impl<'f, Args: $crate::Signature + 'f, R: 'f> std::ops::Deref for $name<'f, Args, R> {
            type Target = Args::DynFn<'f, R>;
            fn deref(&self) -> &Self::Target {
                &self.callable
            }
        }

        // Not a hint for who gives something that is no function.
        #[diagnostic::do_not_recommend]
        impl<'f, Args: $crate::Signature + 'f, R: 'f> $crate::Function<Args> for $name<'f, Args, R> {
            type Output = R;
            fn call(&self, args: Args::Refs<'_>) -> R {
                self.function.call(args)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<'f, Args: $crate::Signature + 'f, R: 'f> $crate::Function<Args> for &$name<'f, Args, R> {
            type Output = R;
            fn call(&self, args: Args::Refs<'_>) -> R {
                self.function.call(args)
            }
        }

        $crate::function::into_fn!($name; A);
        $crate::function::into_fn!($name; A B);
        $crate::function::into_fn!($name; A B C);
        $crate::function::into_fn!($name; A B C D);
        $crate::function::into_fn!($name; A B C D E);
        $crate::function::into_fn!($name; A B C D E G);
        $crate::function::into_fn!($name; A B C D E G H);
        $crate::function::into_fn!($name; A B C D E G H I);

        impl<'f, Args: $crate::Signature + 'f, R: 'f> Clone for $name<'f, Args, R> {
            fn clone(&self) -> Self {
                Self {
                    function: self.function.clone(),
                    callable: self.callable.clone(),
                    $($source: self.$source.clone(),)?
                }
            }
        }
    };
}
pub(crate) use callable;

/// The callable as a value of a type that implements `Fn`.
macro_rules! into_fn {
    ($of:ident; $($name:ident)+) => {
        impl<'f, R: 'f, $($name: unloop_graph::Tree + Send + Sync + 'f),+> $of<'f, ($($name,)+), R> {
            /// The function for those who take an `impl Fn`; `&*f` is it for those who take a
            /// `&dyn Fn`, or a function by reference.
            #[allow(non_snake_case)]
            pub fn into_fn(self) -> impl Fn($(&$name),+) -> R + Clone + Send + Sync + 'f {
                let callable = self.callable;
                move |$($name: &$name),+| callable($($name),+)
            }
        }
    };
}
pub(crate) use into_fn;

/// A function behind a shared pointer.
pub(crate) struct Shared<'f, Args: Signature, R>(
    pub(crate) std::sync::Arc<dyn Function<Args, Output = R> + 'f>,
);

impl<'f, Args: Signature + 'f, R: 'f> Shared<'f, Args, R> {
    pub fn new(f: impl Function<Args, Output = R> + 'f) -> Self {
        Shared(std::sync::Arc::new(f))
    }
}

impl<Args: Signature, R> Clone for Shared<'_, Args, R> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<Args: Signature, R> Function<Args> for Shared<'_, Args, R> {
    type Output = R;
    fn call(&self, args: Args::Refs<'_>) -> R {
        self.0.call(args)
    }
}

/// Transforms may also be passed by reference.
impl<Args: Signature, R> Function<Args> for &Shared<'_, Args, R> {
    type Output = R;
    fn call(&self, args: Args::Refs<'_>) -> R {
        self.0.call(args)
    }
}
