//! Which axis `vmap` maps: an integer, [`Shared`], or a tree of these.

use unloop_graph::{AxisNumber, ErrorKind, Structure};

use crate::Arguments;

/// Marks an argument of [`vmap`](crate::vmap) that every example shares; nothing of it is mapped.
///
/// ```
/// # use unloop_graph::Tensor;
/// # use unloop_transform::{Shared, vmap};
/// let dots = vmap(Tensor::dot, (0, Shared)); // each row with the same vector
/// let y = dots(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]), &Tensor::from([1.0, 1.0]));
/// assert_eq!(y.to_vec::<f64>()?, [3.0, 7.0]);
/// # Ok::<(), unloop_graph::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shared;

/// The mapped axis of an argument, or of the parts of an argument that is a tree. An axis that a tensor
/// does not have, and a list of other length than the tree has children, are errors (`InvalidArgument`)
/// of the call.
///
/// ```
/// # use unloop_transform::{AxisSpec, IntoAxis, Shared};
/// let pair = (0, Shared).into_axis(); // a tree of two: axis 0 of the first, the second shared
/// assert_eq!(pair, AxisSpec::Children(vec![AxisSpec::Axis(0), AxisSpec::Shared]));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AxisSpec {
    /// This axis of every tensor; negative ones count from the end.
    Axis(isize),
    /// No axis: all examples share the argument.
    Shared,
    /// One entry for each child of a tree.
    Children(Vec<AxisSpec>),
}

/// What says which axis of an argument is mapped: an integer, [`Shared`], an [`AxisSpec`], or a tuple,
/// a `Vec`, an array or a slice of these, with one entry for each child of a tree.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an axis that `vmap` maps",
    label = "not an axis",
    note = "an axis is an integer, or `Shared` for an argument that all examples have in common; for a tree it may be a list or a tuple of these, with one entry a child"
)]
pub trait IntoAxis {
    /// The axis, or those of the children.
    fn into_axis(self) -> AxisSpec;
}

macro_rules! integer_axes {
    ($($t:ty)+) => {$(
        impl IntoAxis for $t {
            fn into_axis(self) -> AxisSpec {
                AxisSpec::Axis(self.number())
            }
        }

        impl<Args: Arguments> IntoAxes<Args> for $t {
            fn into_axes(self) -> Vec<AxisSpec> {
                vec![self.into_axis(); Args::ARITY]
            }
        }
    )+};
}
integer_axes! { i32 i64 isize u32 u64 usize }

impl From<i32> for AxisSpec {
    fn from(axis: i32) -> AxisSpec {
        axis.into_axis()
    }
}

impl From<Shared> for AxisSpec {
    fn from(shared: Shared) -> AxisSpec {
        shared.into_axis()
    }
}

impl IntoAxis for Shared {
    fn into_axis(self) -> AxisSpec {
        AxisSpec::Shared
    }
}

impl IntoAxis for AxisSpec {
    fn into_axis(self) -> AxisSpec {
        self
    }
}

impl<X: IntoAxis> IntoAxis for Vec<X> {
    fn into_axis(self) -> AxisSpec {
        AxisSpec::Children(self.into_iter().map(X::into_axis).collect())
    }
}

impl<X: IntoAxis, const N: usize> IntoAxis for [X; N] {
    fn into_axis(self) -> AxisSpec {
        AxisSpec::Children(self.into_iter().map(X::into_axis).collect())
    }
}

impl<X: IntoAxis + Clone> IntoAxis for &[X] {
    fn into_axis(self) -> AxisSpec {
        self.to_vec().into_axis()
    }
}

/// The axes of all arguments of a function: a tuple with one entry an argument, or one integer for
/// all of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which axis of each argument `vmap` maps",
    label = "not one axis an argument",
    note = "one integer stands for all arguments; else a tuple has one entry an argument, as in `(0, Shared)`, and `(0,)` for a single one",
    note = "an entry is an integer, or `Shared` for an argument that all examples have in common; for a tree it may be a list or a tuple of these"
)]
pub trait IntoAxes<Args> {
    /// One entry an argument.
    fn into_axes(self) -> Vec<AxisSpec>;
}

macro_rules! axes_of_tuples {
    ($($($arg:ident $axis:ident)+;)+) => {$(
        impl<$($arg, $axis: IntoAxis),+> IntoAxes<($($arg,)+)> for ($($axis,)+) {
            #[allow(non_snake_case)]
            fn into_axes(self) -> Vec<AxisSpec> {
                let ($($axis,)+) = self;
                vec![$($axis.into_axis()),+]
            }
        }

        impl<$($axis: IntoAxis),+> IntoAxis for ($($axis,)+) {
            #[allow(non_snake_case)]
            fn into_axis(self) -> AxisSpec {
                let ($($axis,)+) = self;
                AxisSpec::Children(vec![$($axis.into_axis()),+])
            }
        }
    )+};
}
axes_of_tuples! {
    A U;
    A U B V;
    A U B V C W;
    A U B V C W D X;
    A U B V C W D X E Y;
    A U B V C W D X E Y F Z;
    A U B V C W D X E Y F Z G T;
    A U B V C W D X E Y F Z G T H S;
}

impl AxisSpec {
    /// Adds the mapped axis of every tensor of an argument; `None` is shared.
    pub(crate) fn of_leaves(
        &self,
        structure: &Structure,
        axes: &mut Vec<Option<isize>>,
    ) -> Result<(), ErrorKind> {
        match (self, structure) {
            (_, Structure::Static(_)) => Ok(()),
            (AxisSpec::Axis(axis), _) => {
                axes.extend(std::iter::repeat_n(Some(*axis), structure.leaf_count()));
                Ok(())
            }
            (AxisSpec::Shared, _) => {
                axes.extend(std::iter::repeat_n(None, structure.leaf_count()));
                Ok(())
            }
            (AxisSpec::Children(specs), Structure::Node { children, .. }) => {
                let dynamic =
                    children.iter().filter(|(_, child)| !matches!(child, Structure::Static(_)));
                if dynamic.clone().count() != specs.len() {
                    return Err(mismatch(specs.len(), structure));
                }
                specs.iter().zip(dynamic).try_for_each(|(s, (_, child))| s.of_leaves(child, axes))
            }
            (AxisSpec::Children(specs), Structure::Leaf) => Err(mismatch(specs.len(), structure)),
        }
    }
}

fn mismatch(given: usize, structure: &Structure) -> ErrorKind {
    ErrorKind::InvalidArgument(format!(
        "{given} axes are given for {structure}; give one entry a child, or one axis for all of it"
    ))
}
