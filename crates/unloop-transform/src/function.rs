//! What transforms take and give: functions of references to trees, of any arity up to 8.
//!
//! [`Function`] is implemented for closures and functions `Fn(&A, &B, …) -> R`, and for the callables
//! that transforms return, so that transforms compose in any order.

use unloop_graph::{Structure, Tensor, Tree};

/// The arguments of a function, as the tuple of their owned types: `(A,)`, `(A, B)`, ….
pub trait Arguments: Sized + Send + Sync {
    /// The type of a function of these arguments: `dyn Fn(&A, &B, …) -> R`.
    type DynFn<'f, R: 'f>: ?Sized + Send + Sync + 'f
    where
        Self: 'f;
    /// References to the arguments: `(&A, &B, …)`.
    type Refs<'a>: Copy
    where
        Self: 'a;
    /// The first argument, which `grad` differentiates.
    type First: Tree;
    /// The arguments as one tree: `A` itself for one argument, else the tuple.
    type Packed: Tree;
    /// How many arguments there are.
    const ARITY: usize;

    /// Makes a callable of a function.
    fn boxed<'f, R: 'f>(f: impl Function<Self, Output = R> + 'f) -> Box<Self::DynFn<'f, R>>
    where
        Self: 'f;

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
/// what transforms return. Closures annotate their parameters: `|x: &Tensor| …`.
pub trait Function<Args: Arguments>: Send + Sync {
    /// What the function returns.
    type Output;

    /// Calls the function.
    fn call(&self, args: Args::Refs<'_>) -> Self::Output;
}

macro_rules! arity {
    ($count:literal $packed:ty, $args:ident => $pack:expr, $tree:ident => $unpack:expr;
     $first:ident $($name:ident)*) => {
        impl<$first: Tree + Send + Sync, $($name: Tree + Send + Sync),*> Arguments
            for ($first, $($name,)*)
        {
            type DynFn<'f, R: 'f> = dyn Fn(&$first, $(&$name),*) -> R + Send + Sync + 'f
            where
                Self: 'f;
            type Refs<'a> = (&'a $first, $(&'a $name,)*)
            where
                Self: 'a;
            type First = $first;
            type Packed = $packed;
            const ARITY: usize = $count;

            #[allow(non_snake_case)]
            fn boxed<'f, R: 'f>(
                f: impl Function<Self, Output = R> + 'f,
            ) -> Box<Self::DynFn<'f, R>>
            where
                Self: 'f,
            {
                Box::new(move |$first: &$first, $($name: &$name),*| f.call(($first, $($name,)*)))
            }

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

        impl<Func, Ret, $first: Tree + Send + Sync, $($name: Tree + Send + Sync),*>
            Function<($first, $($name,)*)> for Func
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
        pub struct $name<'f, Args: $crate::Arguments + 'f, R: 'f> {
            function: std::sync::Arc<dyn $crate::Function<Args, Output = R> + 'f>,
            callable: std::sync::Arc<Args::DynFn<'f, R>>,
            $($source: $source_type,)?
        }

        impl<'f, Args: $crate::Arguments + 'f, R: 'f> $name<'f, Args, R> {
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
            /// Calls the function with a tuple of references, and gives the first error that a
            /// tensor of the result carries as `Err`.
            pub fn try_call(&self, args: Args::Refs<'_>) -> unloop_graph::Result<R> {
                let result = self.function.call(args);
                result.check()?;
                Ok(result)
            }

            /// The program that a call with these arguments traces, transforms applied.
            pub fn graph(&self, args: Args::Refs<'_>) -> unloop_graph::Result<unloop_graph::Graph> {
                $crate::interpret::graph_of::<Args, R>(&*self.function, args)
            }

            /// [`graph`](Self::graph) as a drawing in the language of Graphviz.
            pub fn graph_dot(&self, args: Args::Refs<'_>) -> unloop_graph::Result<String> {
                Ok(self.graph(args)?.to_graphviz())
            }
        }

        impl<'f, Args: $crate::Arguments + 'f, R: 'f> std::ops::Deref for $name<'f, Args, R> {
            type Target = Args::DynFn<'f, R>;
            fn deref(&self) -> &Self::Target {
                &self.callable
            }
        }

        impl<'f, Args: $crate::Arguments + 'f, R: 'f> $crate::Function<Args> for $name<'f, Args, R> {
            type Output = R;
            fn call(&self, args: Args::Refs<'_>) -> R {
                self.function.call(args)
            }
        }

        impl<'f, Args: $crate::Arguments + 'f, R: 'f> Clone for $name<'f, Args, R> {
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

/// A function behind a shared pointer.
pub(crate) struct Shared<'f, Args: Arguments, R>(
    pub(crate) std::sync::Arc<dyn Function<Args, Output = R> + 'f>,
);

impl<'f, Args: Arguments + 'f, R: 'f> Shared<'f, Args, R> {
    pub fn new(f: impl Function<Args, Output = R> + 'f) -> Self {
        Shared(std::sync::Arc::new(f))
    }
}

impl<Args: Arguments, R> Clone for Shared<'_, Args, R> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<Args: Arguments, R> Function<Args> for Shared<'_, Args, R> {
    type Output = R;
    fn call(&self, args: Args::Refs<'_>) -> R {
        self.0.call(args)
    }
}

/// Transforms may also be passed by reference.
impl<Args: Arguments, R> Function<Args> for &Shared<'_, Args, R> {
    type Output = R;
    fn call(&self, args: Args::Refs<'_>) -> R {
        self.0.call(args)
    }
}
