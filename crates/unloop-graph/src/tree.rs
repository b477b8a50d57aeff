//! Trees of tensors: the arguments and results of transforms. Anything that derives `Tree`, tuples,
//! vectors, arrays, options, boxes and maps with string keys are trees; a tensor is a leaf.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, ErrorKind, Place, operation};
use crate::{Result, Tensor, ravel};

/// A value that holds tensors in a fixed structure.
///
/// `#[derive(Tree)]` implements it for structs; a field marked `#[tree(static)]` (a name, a size) is
/// part of the structure instead of holding tensors.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tree of tensors",
    label = "neither a tensor, nor a struct, tuple or collection of tensors",
    note = "a struct of tensors becomes a tree by `#[derive(Tree)]`; a field that holds no tensor is marked `#[tree(static)]`",
    note = "numbers and settings are captured by the closure instead of being passed; a number that is differentiated, mapped or returned is a tensor: `Tensor::from(number)`",
    note = "functions return tensors that carry their errors instead of a `Result`; `.check()?` and `.try_call((…))?` give them as `Err`"
)]
pub trait Tree: Sized {
    /// Calls `f` with every tensor, in a fixed order.
    fn visit(&self, f: &mut dyn FnMut(&Tensor));

    /// The same tree with every tensor replaced, in the order of [`Tree::visit`].
    fn rebuild(&self, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self;

    /// What the tree is apart from its tensors' values.
    fn structure(&self) -> Structure;

    /// The tensors, in the order of [`Tree::visit`].
    ///
    /// ```
    /// # use unloop_graph::{Tensor, Tree};
    /// let tree = (Tensor::from(1), vec![Tensor::from(2), Tensor::from(3)]);
    /// assert_eq!(tree.leaves().len(), 3);
    /// ```
    fn leaves(&self) -> Vec<Tensor> {
        let mut leaves = Vec::new();
        self.visit(&mut |leaf| leaves.push(leaf.clone()));
        leaves
    }

    /// The same tree with other tensors, given in order.
    ///
    /// # Errors
    /// `InvalidArgument` when there are not just as many tensors as leaves.
    #[track_caller]
    fn with_leaves(&self, leaves: &[Tensor]) -> Result<Self> {
        let (mut next, mut count) = (leaves.iter(), 0);
        let tree = self.rebuild(&mut |old| {
            count += 1;
            next.next().cloned().unwrap_or_else(|| old.clone())
        });
        if count != leaves.len() {
            let message = format!("{} tensors for a tree of {count}", leaves.len());
            return Err(Error::new("tree", ErrorKind::InvalidArgument(message), Place::here()));
        }
        Ok(tree)
    }

    /// The same tree with `f` applied to every tensor.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, Tree};
    /// let tree = (Tensor::from(1.0), Tensor::from([2.0, 3.0]));
    /// let (x, y) = tree.map_leaves(|x| x * 10.0);
    /// assert_eq!(x.item::<f64>()?, 10.0);
    /// assert_eq!(y.to_vec::<f64>()?, [20.0, 30.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    fn map_leaves(&self, mut f: impl FnMut(&Tensor) -> Tensor) -> Self {
        self.rebuild(&mut f)
    }

    /// Two trees of one structure combined tensor by tensor.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, Tree};
    /// let (a, b) = ((Tensor::from(1), Tensor::from(2)), (Tensor::from(3), Tensor::from(4)));
    /// let (x, y) = a.zip_map(&b, |a, b| a + b);
    /// assert_eq!((x.item::<i32>()?, y.item::<i32>()?), (4, 6));
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by every tensor of the result: `TreeMismatch` if the structures differ.
    #[track_caller]
    fn zip_map(&self, other: &Self, mut f: impl FnMut(&Tensor, &Tensor) -> Tensor) -> Self {
        if let Err(kind) = self.structure().require_same(&other.structure()) {
            let error = Error::new("zip_map", kind, Place::here());
            return self.rebuild(&mut |leaf| Tensor::error_like(error.clone(), leaf.ty()));
        }
        let leaves = other.leaves();
        let mut next = leaves.iter();
        self.rebuild(&mut |leaf| next.next().map_or_else(|| leaf.clone(), |other| f(leaf, other)))
    }

    /// Trees of one structure as one: each tensor is the stack of theirs, along a new axis 0, over
    /// which `vmap` runs a function of one of them. Rows of plain numbers collect into a struct of arrays
    /// that has `#[tree(rows = Row)]`: see the derive macro.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, Tree};
    /// let points = [(1.0, 2), (3.0, 4)];
    /// let (x, n) = Tree::stack(points.map(|(x, n)| (Tensor::from(x), Tensor::from(n))))?;
    /// assert_eq!(x.to_vec::<f64>()?, [1.0, 3.0]);
    /// assert_eq!(n.to_vec::<i32>()?, [2, 4]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` of no tree; `TreeMismatch` if structures differ; `Incompatible` or
    /// `DTypeMismatch` if shapes or dtypes do; those that a tensor carries.
    #[track_caller]
    fn stack(trees: impl IntoIterator<Item: Borrow<Self>>) -> Result<Self> {
        ravel::stack(trees)
    }

    /// The trees that a stack is made of, in order: what [`Tree::stack`] undoes.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, Tree};
    /// let stack = (Tensor::from([1.0, 3.0]), Tensor::from([[1], [2]]));
    /// let [_, (x, n)] = &Tree::unstack(&stack)?[..] else { unreachable!() };
    /// assert_eq!((x.item::<f64>()?, n.shape()), (3.0, &[1][..]));
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` of no tensor, or a scalar; `BatchSizes` if sizes along axis 0 differ; those
    /// that a tensor carries.
    #[track_caller]
    fn unstack(&self) -> Result<Vec<Self>> {
        ravel::unstack(self)
    }

    /// The entries along axis 0 of every tensor, each with the structure of this tree, for a pattern
    /// that names them.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, Tree};
    /// let stack = (Tensor::from([1, 3]), Tensor::from([5, 7]));
    /// let [_, (x, y)] = stack.unstack_array();
    /// assert_eq!((x.item::<i32>()?, y.item::<i32>()?), (3, 7));
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried by the tensors of each: `InvalidArgument` where there are not `N` entries.
    #[track_caller]
    fn unstack_array<const N: usize>(&self) -> [Self; N] {
        operation("unstack_array", || {
            let mut entries: Vec<[Tensor; N]> = Vec::new();
            self.visit(&mut |leaf| entries.push(leaf.unstack_array()));
            std::array::from_fn(|i| {
                let mut next = entries.iter();
                self.rebuild(&mut |old| next.next().map_or_else(|| old.clone(), |x| x[i].clone()))
            })
        })
    }

    /// The tree itself.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, Tree};
    /// let tree = (Tensor::from(1), Tensor::from([1.0]).sum_axis(5));
    /// assert!(tree.check().is_err());
    /// ```
    ///
    /// # Errors
    /// The first that one of its tensors carries.
    fn check(&self) -> Result<&Self> {
        let mut first = None;
        self.visit(&mut |leaf| {
            if let (None, Some(error)) = (&first, leaf.as_error()) {
                first = Some(error.clone());
            }
        });
        first.map_or(Ok(self), Err)
    }
}

/// What a [`Tree`] is apart from its tensors' values: kinds, names, lengths, static fields. Cheap to
/// compare and to hash.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Structure {
    /// A tensor.
    Leaf,
    /// A static value, by its `Debug` form.
    Static(String),
    /// A tree of named or numbered children.
    Node {
        /// The name of the type: `tuple`, `Vec`, a struct's name.
        kind: &'static str,
        /// The children with their names.
        children: Vec<(Cow<'static, str>, Structure)>,
    },
}

impl Structure {
    /// A node whose children are numbered.
    pub fn numbered(kind: &'static str, children: impl Iterator<Item = Structure>) -> Structure {
        let name = |(i, child): (usize, Structure)| (i.to_string().into(), child);
        Structure::Node { kind, children: children.enumerate().map(name).collect() }
    }

    /// A node whose children are named.
    pub fn named(kind: &'static str, children: Vec<(Cow<'static, str>, Structure)>) -> Structure {
        Structure::Node { kind, children }
    }

    /// A static field: two are the same when their `Debug` forms are.
    pub fn of_static(value: &impl fmt::Debug) -> Structure {
        Structure::Static(format!("{value:?}"))
    }

    /// The number of tensors.
    pub fn leaf_count(&self) -> usize {
        self.paths().len()
    }

    /// The path of every tensor, such as `layers.2.w`; empty for a tree that is a tensor.
    ///
    /// ```
    /// # use unloop_graph::{Tensor, Tree};
    /// let tree = (Tensor::from(1), vec![Tensor::from(2)]);
    /// assert_eq!(tree.structure().paths(), ["0", "1.0"]);
    /// ```
    pub fn paths(&self) -> Vec<String> {
        fn walk(structure: &Structure, path: &str, paths: &mut Vec<String>) {
            match structure {
                Structure::Leaf => paths.push(path.to_owned()),
                Structure::Static(_) => {}
                Structure::Node { children, .. } => {
                    for (name, child) in children {
                        walk(child, &join(path, name), paths);
                    }
                }
            }
        }
        let mut paths = Vec::new();
        walk(self, "", &mut paths);
        paths
    }

    /// Checks that two structures are the same.
    ///
    /// # Errors
    /// `TreeMismatch`, which names the first place where they differ.
    pub fn require_same(&self, other: &Structure) -> Result<(), ErrorKind> {
        fn differ(a: &Structure, b: &Structure, path: &str) -> Result<(), ErrorKind> {
            if let (
                Structure::Node { kind: k, children: x },
                Structure::Node { kind: l, children: y },
            ) = (a, b)
                && k == l
                && x.len() == y.len()
                && x.iter().zip(y).all(|((n, _), (m, _))| n == m)
            {
                return x
                    .iter()
                    .zip(y)
                    .try_for_each(|((n, a), (_, b))| differ(a, b, &join(path, n)));
            }
            if a == b {
                return Ok(());
            }
            let path = if path.is_empty() { "the root" } else { path };
            Err(ErrorKind::TreeMismatch {
                path: path.to_owned(),
                left: a.to_string(),
                right: b.to_string(),
            })
        }
        differ(self, other, "")
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The outermost level: `a tensor`, `Vec of 3`, `Mlp {w, b}`.
impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Structure::Leaf => f.write_str("a tensor"),
            Structure::Static(value) => f.write_str(value),
            Structure::Node { kind, children } => {
                let names: Vec<&str> = children.iter().map(|(name, _)| &**name).collect();
                match children.first() {
                    Some((name, _)) if name == "0" => write!(f, "{kind} of {}", children.len()),
                    _ => write!(f, "{kind} {{{}}}", names.join(", ")),
                }
            }
        }
    }
}

impl Tree for Tensor {
    fn visit(&self, f: &mut dyn FnMut(&Tensor)) {
        f(self);
    }

    fn rebuild(&self, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        f(self)
    }

    fn structure(&self) -> Structure {
        Structure::Leaf
    }
}

impl<T: Tree> Tree for Vec<T> {
    fn visit(&self, f: &mut dyn FnMut(&Tensor)) {
        self.iter().for_each(|child| child.visit(f));
    }

    fn rebuild(&self, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        self.iter().map(|child| child.rebuild(f)).collect()
    }

    fn structure(&self) -> Structure {
        Structure::numbered("Vec", self.iter().map(Tree::structure))
    }
}

impl<T: Tree, const N: usize> Tree for [T; N] {
    fn visit(&self, f: &mut dyn FnMut(&Tensor)) {
        self.iter().for_each(|child| child.visit(f));
    }

    fn rebuild(&self, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        std::array::from_fn(|i| self[i].rebuild(f))
    }

    fn structure(&self) -> Structure {
        Structure::numbered("array", self.iter().map(Tree::structure))
    }
}

impl<T: Tree> Tree for Option<T> {
    fn visit(&self, f: &mut dyn FnMut(&Tensor)) {
        self.iter().for_each(|child| child.visit(f));
    }

    fn rebuild(&self, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        self.as_ref().map(|child| child.rebuild(f))
    }

    fn structure(&self) -> Structure {
        match self {
            Some(child) => Structure::named("Some", vec![("some".into(), child.structure())]),
            None => Structure::named("None", Vec::new()),
        }
    }
}

impl<T: Tree> Tree for Box<T> {
    fn visit(&self, f: &mut dyn FnMut(&Tensor)) {
        (**self).visit(f);
    }

    fn rebuild(&self, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        Box::new((**self).rebuild(f))
    }

    fn structure(&self) -> Structure {
        (**self).structure()
    }
}

impl<T: Tree> Tree for BTreeMap<String, T> {
    fn visit(&self, f: &mut dyn FnMut(&Tensor)) {
        self.values().for_each(|child| child.visit(f));
    }

    fn rebuild(&self, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
        self.iter().map(|(key, child)| (key.clone(), child.rebuild(f))).collect()
    }

    fn structure(&self) -> Structure {
        let child = |(key, child): (&String, &T)| (key.clone().into(), child.structure());
        Structure::named("map", self.iter().map(child).collect())
    }
}

macro_rules! tree_for_tuples {
    ($($($name:ident)*;)+) => {$(
        #[allow(non_snake_case, unused_variables)]
        impl<$($name: Tree),*> Tree for ($($name,)*) {
            fn visit(&self, f: &mut dyn FnMut(&Tensor)) {
                let ($($name,)*) = self;
                $($name.visit(f);)*
            }

            #[allow(clippy::unused_unit)]
            fn rebuild(&self, f: &mut dyn FnMut(&Tensor) -> Tensor) -> Self {
                let ($($name,)*) = self;
                ($($name.rebuild(f),)*)
            }

            fn structure(&self) -> Structure {
                let ($($name,)*) = self;
                let children: Vec<Structure> = vec![$($name.structure()),*];
                Structure::numbered("tuple", children.into_iter())
            }
        }
    )+};
}
tree_for_tuples! {
    ; A; A B; A B C; A B C D; A B C D E; A B C D E F; A B C D E F G; A B C D E F G H;
    A B C D E F G H I; A B C D E F G H I J; A B C D E F G H I J K; A B C D E F G H I J K L;
}
