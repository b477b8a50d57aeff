//! The arguments of public functions: their kinds, as the catalogue names them, and their values.

use unloop::linalg::Norm;
use unloop::op::{Pad, TriangularSolve};
use unloop::random::Key;
use unloop::{
    Complex, Conv, DType, Direction, DotDims, IndexArg, PadMode, ReduceOp, Scalar, Tensor,
    WindowAxis,
};

/// The dtypes that a tensor may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dtypes {
    /// Every dtype.
    Any,
    /// Every dtype but bool.
    Number,
    /// f32 and f64.
    Float,
    /// i32, i64 and u32.
    Int,
    /// bool and integers.
    Bits,
    /// bool.
    Bool,
    /// u32.
    Word,
    /// f64.
    Double,
    /// The dtype of the first tensor.
    Same,
}

/// The shapes that a tensor may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extents {
    /// Every shape.
    Any,
    /// Every shape of one axis or more.
    Ranked,
    /// A scalar.
    Scalar,
    /// `[n]`.
    Vector,
    /// `[m, n]`.
    Matrix,
    /// `[m, n]`, or a stack of them.
    Matrices,
    /// `[n, n]`.
    Square,
    /// The shape of the first tensor.
    Like,
    /// `[n]` for `[n, n]` or `[n, m]` of the first tensor: a right-hand side, or several.
    RightSide,
    /// `[n]` or `[n, m]`, where `n` is the last extent of the first tensor.
    Contracted,
    /// `[n]`, where `n` is the last extent of the first tensor.
    Last,
    /// `[n - 1]` for `[n]` of the first tensor.
    OneLess,
    /// `[examples, channels, size]`.
    Signal,
    /// `[features, channels, size]` for the channels of the first tensor.
    Kernel,
    /// Axes of size 1.
    Ones,
    /// Two elements.
    Two,
    /// Three elements.
    Three,
    /// A shape to which that of the first tensor can be broadcast, or that can be broadcast to it.
    Beside,
}

/// The values of a tensor for which a function is defined and smooth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Domain {
    /// All of the dtype.
    Any,
    /// Numbers between these.
    Within(f64, f64),
    /// The domain of the first tensor.
    Same,
    /// Matrices far from singular; different singular values.
    Regular,
    /// Symmetric positive definite matrices.
    Definite,
    /// Ascending.
    Sorted,
    /// Positions along every axis of the first tensor.
    Index,
}

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// A tensor.
    Tensor(Dtypes, Extents, Domain),
    /// A complex tensor of f64.
    Complex(Extents, Domain),
    /// A list of tensors of one dtype that agree in all extents.
    Tensors,
    /// A list of matrices each of which can be multiplied by the next.
    Chain,
    /// A key of random numbers.
    Key,
    /// An axis of the first tensor.
    Axis,
    /// Several axes of the first tensor.
    Axes,
    /// All axes of the first tensor, in some order.
    Order,
    /// An axis of the first tensor, as `vmap` takes it.
    ExampleAxis,
    /// One entry of the first tensor's first axis for each.
    Examples,
    /// Different axes of the first tensor, none from the end.
    Dimensions,
    /// A small extent or count.
    Size,
    /// How often a loop runs, which takes its time.
    Times,
    /// Extents of a new tensor.
    Shape,
    /// Extents with as many elements as the first tensor.
    Reshaped,
    /// Extents to which the first tensor can be broadcast.
    Wider,
    /// One small number for each axis of the first tensor.
    Sizes,
    /// A distance, to either side.
    Offset,
    /// A small integer.
    Whole,
    /// A number.
    Number,
    /// A part, from 0 to 1.
    Part,
    /// A condition.
    Flag,
    /// A dtype.
    DType,
    /// A number with a dtype.
    Scalar,
    /// A reduction.
    Reduction,
    /// A direction.
    Direction,
    /// A way to pad.
    PadMode,
    /// A norm.
    Norm,
    /// A window, one entry an axis of the first tensor.
    Windows,
    /// A convolution of one spatial axis.
    Conv,
    /// Pairs of amounts, one an axis of the first tensor.
    Amounts,
    /// Padding, one entry an axis of the first tensor.
    Pad,
    /// An index, one entry an axis of the first tensor.
    Index,
    /// The formula of an einsum of two operands.
    Formula,
    /// The dimensions of a general product.
    Dims,
    /// How a triangular system is solved.
    Triangle,
}

macro_rules! arguments {
    ($($variant:ident($owned:ty) => $lent:ty, |$x:ident| $lend:expr;)+) => {
        /// The value of an argument.
        #[derive(Clone)]
        #[allow(missing_docs)]
        pub enum Arg {
            $($variant($owned),)+
        }

        $(impl<'a> Lent<'a> for $lent {
            fn lent(arg: &'a Arg) -> Self {
                match arg {
                    Arg::$variant($x) => $lend,
                    _ => unreachable!("arguments are drawn by their kinds"),
                }
            }
        })+
    };
}

/// A type of a parameter.
pub trait Lent<'a> {
    /// The argument as the parameter takes it.
    fn lent(arg: &'a Arg) -> Self;
}

arguments! {
    Tensor(Tensor) => &'a Tensor, |x| x;
    Complex(Complex) => &'a Complex, |x| x;
    Tensors(Vec<Tensor>) => Vec<&'a Tensor>, |x| x.iter().collect();
    Key(Key) => &'a Key, |x| x;
    Axis(isize) => isize, |x| *x;
    Axes(Vec<isize>) => &'a [isize], |x| x;
    Size(usize) => usize, |x| *x;
    Sizes(Vec<usize>) => &'a [usize], |x| x;
    Offset(i64) => i64, |x| *x;
    Whole(i32) => i32, |x| *x;
    Number(f64) => f64, |x| *x;
    Flag(bool) => bool, |x| *x;
    DType(DType) => DType, |x| *x;
    Scalar(Scalar) => Scalar, |x| *x;
    Reduction(ReduceOp) => ReduceOp, |x| *x;
    Direction(Direction) => Direction, |x| *x;
    PadMode(PadMode) => PadMode, |x| *x;
    Norm(Norm) => Norm, |x| *x;
    Windows(Vec<WindowAxis>) => &'a [WindowAxis], |x| x;
    Conv(Conv) => &'a Conv, |x| x;
    Amounts(Vec<(usize, usize)>) => &'a [(usize, usize)], |x| x;
    Pad(Pad) => Pad, |x| x.clone();
    Index(Vec<IndexArg>) => Vec<IndexArg>, |x| x.clone();
    Formula(String) => &'a str, |x| x;
    Dims(DotDims) => DotDims, |x| x.clone();
    Triangle(TriangularSolve) => TriangularSolve, |x| *x;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $lent:ty = $kind:expr;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl<'a> Parameter<'a> for $name {
            type Type = $lent;
            const KIND: Kind = $kind;
        }
    )+};
}

/// A parameter, as the catalogue names it.
pub trait Parameter<'a> {
    /// The type that the function takes.
    type Type: Lent<'a>;
    /// What the argument is.
    const KIND: Kind;
}

/// The names of the catalogue.
#[allow(missing_docs)]
pub mod parameters {
    use super::*;
    use super::{Domain as D, Dtypes as T, Extents as E};

    kinds! {
        Anything: &'a Tensor = Kind::Tensor(T::Any, E::Any, D::Any);
        Numbers: &'a Tensor = Kind::Tensor(T::Number, E::Any, D::Any);
        Real: &'a Tensor = Kind::Tensor(T::Float, E::Any, D::Any);
        Moderate: &'a Tensor = Kind::Tensor(T::Float, E::Any, D::Within(-2.0, 2.0));
        Positive: &'a Tensor = Kind::Tensor(T::Float, E::Any, D::Within(0.3, 3.0));
        AboveOne: &'a Tensor = Kind::Tensor(T::Float, E::Any, D::Within(1.2, 4.0));
        AboveMinusOne: &'a Tensor = Kind::Tensor(T::Float, E::Any, D::Within(-0.5, 2.0));
        InsideOne: &'a Tensor = Kind::Tensor(T::Float, E::Any, D::Within(-0.9, 0.9));
        Chance: &'a Tensor = Kind::Tensor(T::Float, E::Any, D::Within(0.1, 0.9));
        Whole: &'a Tensor = Kind::Tensor(T::Int, E::Any, D::Any);
        Bits: &'a Tensor = Kind::Tensor(T::Bits, E::Any, D::Any);
        Counts: &'a Tensor = Kind::Tensor(T::Int, E::Any, D::Within(0.0, 4.0));
        Condition: &'a Tensor = Kind::Tensor(T::Bool, E::Any, D::Any);
        /// Dtype and shape of the first tensor.
        Like: &'a Tensor = Kind::Tensor(T::Same, E::Like, D::Same);
        LikeChance: &'a Tensor = Kind::Tensor(T::Same, E::Like, D::Within(0.1, 0.9));
        Narrow: &'a Tensor = Kind::Tensor(T::Any, E::Ones, D::Any);
        Words: &'a Tensor = Kind::Tensor(T::Word, E::Two, D::Any);
        Double: &'a Tensor = Kind::Tensor(T::Double, E::Any, D::Any);
        DoubleMatrix: &'a Tensor = Kind::Tensor(T::Double, E::Matrix, D::Any);
        DoubleScalar: &'a Tensor = Kind::Tensor(T::Double, E::Scalar, D::Any);
        /// Dtype and shape of the first tensor, above its values.
        Above: &'a Tensor = Kind::Tensor(T::Same, E::Like, D::Within(2.5, 4.0));
        LikePositive: &'a Tensor = Kind::Tensor(T::Same, E::Like, D::Within(0.3, 3.0));
        LikeNumbers: &'a Tensor = Kind::Tensor(T::Number, E::Like, D::Any);
        LikeWhole: &'a Tensor = Kind::Tensor(T::Int, E::Like, D::Within(-4.0, 4.0));
        LikeIndex: &'a Tensor = Kind::Tensor(T::Int, E::Like, D::Index);
        One: &'a Tensor = Kind::Tensor(T::Same, E::Scalar, D::Same);
        OnePositive: &'a Tensor = Kind::Tensor(T::Float, E::Scalar, D::Within(0.3, 3.0));
        OneChance: &'a Tensor = Kind::Tensor(T::Float, E::Scalar, D::Within(0.1, 0.9));
        Position: &'a Tensor = Kind::Tensor(T::Int, E::Scalar, D::Index);
        Beside: &'a Tensor = Kind::Tensor(T::Same, E::Beside, D::Any);
        Ranked: &'a Tensor = Kind::Tensor(T::Any, E::Ranked, D::Any);
        RankedNumbers: &'a Tensor = Kind::Tensor(T::Number, E::Ranked, D::Any);
        RankedReal: &'a Tensor = Kind::Tensor(T::Float, E::Ranked, D::Any);
        RankedBits: &'a Tensor = Kind::Tensor(T::Bits, E::Ranked, D::Any);
        Vector: &'a Tensor = Kind::Tensor(T::Any, E::Vector, D::Any);
        VectorReal: &'a Tensor = Kind::Tensor(T::Float, E::Vector, D::Any);
        VectorPositive: &'a Tensor = Kind::Tensor(T::Float, E::Vector, D::Within(0.3, 3.0));
        VectorSame: &'a Tensor = Kind::Tensor(T::Same, E::Vector, D::Any);
        VectorOneLess: &'a Tensor = Kind::Tensor(T::Same, E::OneLess, D::Any);
        Last: &'a Tensor = Kind::Tensor(T::Same, E::Last, D::Within(0.3, 3.0));
        Indices: &'a Tensor = Kind::Tensor(T::Int, E::Vector, D::Index);
        Sorted: &'a Tensor = Kind::Tensor(T::Float, E::Vector, D::Sorted);
        SortedSame: &'a Tensor = Kind::Tensor(T::Same, E::Vector, D::Sorted);
        Matrix: &'a Tensor = Kind::Tensor(T::Any, E::Matrix, D::Any);
        MatrixReal: &'a Tensor = Kind::Tensor(T::Float, E::Matrix, D::Regular);
        Matrices: &'a Tensor = Kind::Tensor(T::Number, E::Matrices, D::Any);
        Square: &'a Tensor = Kind::Tensor(T::Float, E::Square, D::Regular);
        LikeRegular: &'a Tensor = Kind::Tensor(T::Same, E::Like, D::Regular);
        Definite: &'a Tensor = Kind::Tensor(T::Float, E::Square, D::Definite);
        RightSide: &'a Tensor = Kind::Tensor(T::Same, E::RightSide, D::Within(-2.0, 2.0));
        Contracted: &'a Tensor = Kind::Tensor(T::Same, E::Contracted, D::Any);
        Signal: &'a Tensor = Kind::Tensor(T::Number, E::Signal, D::Any);
        Kernel: &'a Tensor = Kind::Tensor(T::Same, E::Kernel, D::Any);
        Three: &'a Tensor = Kind::Tensor(T::Number, E::Three, D::Any);
        ComplexAny: &'a Complex = Kind::Complex(E::Any, D::Within(-2.0, 2.0));
        ComplexRanked: &'a Complex = Kind::Complex(E::Ranked, D::Within(-2.0, 2.0));
        ComplexVector: &'a Complex = Kind::Complex(E::Vector, D::Within(-2.0, 2.0));
        ComplexMatrix: &'a Complex = Kind::Complex(E::Matrix, D::Within(-2.0, 2.0));
        ComplexSquare: &'a Complex = Kind::Complex(E::Square, D::Regular);
        ComplexLike: &'a Complex = Kind::Complex(E::Like, D::Within(-2.0, 2.0));
        ComplexContracted: &'a Complex = Kind::Complex(E::Contracted, D::Within(-2.0, 2.0));
        ComplexRightSide: &'a Complex = Kind::Complex(E::RightSide, D::Within(-2.0, 2.0));
        List: Vec<&'a Tensor> = Kind::Tensors;
        Chain: Vec<&'a Tensor> = Kind::Chain;
        AKey: &'a Key = Kind::Key;
        Axis: isize = Kind::Axis;
        Axes: &'a [isize] = Kind::Axes;
        Order: &'a [isize] = Kind::Order;
        Size: usize = Kind::Size;
        Times: usize = Kind::Times;
        Extent: &'a [usize] = Kind::Shape;
        Reshaped: &'a [usize] = Kind::Reshaped;
        Wider: &'a [usize] = Kind::Wider;
        Sizes: &'a [usize] = Kind::Sizes;
        ExampleAxis: i32 = Kind::ExampleAxis;
        Examples: &'a [usize] = Kind::Examples;
        Dimensions: &'a [usize] = Kind::Dimensions;
        Offset: i64 = Kind::Offset;
        Power: i32 = Kind::Whole;
        Number: f64 = Kind::Number;
        Part: f64 = Kind::Part;
        Flag: bool = Kind::Flag;
        ADType: DType = Kind::DType;
        AScalar: Scalar = Kind::Scalar;
        Reduction: ReduceOp = Kind::Reduction;
        ADirection: Direction = Kind::Direction;
        APadMode: PadMode = Kind::PadMode;
        ANorm: Norm = Kind::Norm;
        Windows: &'a [WindowAxis] = Kind::Windows;
        AConv: &'a Conv = Kind::Conv;
        Amounts: &'a [(usize, usize)] = Kind::Amounts;
        APad: Pad = Kind::Pad;
        Index: Vec<IndexArg> = Kind::Index;
        Formula: &'a str = Kind::Formula;
        Dims: DotDims = Kind::Dims;
        Triangle: TriangularSolve = Kind::Triangle;
    }
}
