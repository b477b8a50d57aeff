//! Which axis `vmap` maps: an integer, [`Shared`], or a tree of these.

use unloop_graph::{ErrorKind, Structure};

use crate::Arguments;

/// Marks an argument of `vmap` that every example shares; nothing of it is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shared;

/// The mapped axis of an argument, or of the parts of an argument that is a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AxisSpec {
    /// This axis of every tensor; negative ones count from the end.
    Axis(isize),
    /// No axis: all examples share the argument.
    Shared,
    /// One entry for each child of a tree.
    Children(Vec<AxisSpec>),
}

impl From<i32> for AxisSpec {
    fn from(axis: i32) -> AxisSpec {
        AxisSpec::Axis(axis as isize)
    }
}

impl From<Shared> for AxisSpec {
    fn from(_: Shared) -> AxisSpec {
        AxisSpec::Shared
    }
}

impl<X: Into<AxisSpec>> From<Vec<X>> for AxisSpec {
    fn from(children: Vec<X>) -> AxisSpec {
        AxisSpec::Children(children.into_iter().map(Into::into).collect())
    }
}

impl<X: Into<AxisSpec>, const N: usize> From<[X; N]> for AxisSpec {
    fn from(children: [X; N]) -> AxisSpec {
        AxisSpec::Children(children.into_iter().map(Into::into).collect())
    }
}

/// The axes of all arguments of a function: a tuple with one entry an argument, or one integer for
/// all of them.
pub trait IntoAxes<Args> {
    /// One entry an argument.
    fn into_axes(self) -> Vec<AxisSpec>;
}

impl<Args: Arguments> IntoAxes<Args> for i32 {
    fn into_axes(self) -> Vec<AxisSpec> {
        vec![self.into(); Args::ARITY]
    }
}

macro_rules! axes_of_tuples {
    ($($($arg:ident $axis:ident)+;)+) => {$(
        impl<$($arg, $axis: Into<AxisSpec>),+> IntoAxes<($($arg,)+)> for ($($axis,)+) {
            #[allow(non_snake_case)]
            fn into_axes(self) -> Vec<AxisSpec> {
                let ($($axis,)+) = self;
                vec![$($axis.into()),+]
            }
        }

        impl<$($axis: Into<AxisSpec>),+> From<($($axis,)+)> for AxisSpec {
            #[allow(non_snake_case)]
            fn from(children: ($($axis,)+)) -> AxisSpec {
                let ($($axis,)+) = children;
                AxisSpec::Children(vec![$($axis.into()),+])
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
