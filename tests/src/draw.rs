//! Arguments drawn from bytes: the same bytes give the same arguments, under a fuzzer that changes
//! bytes and under one that draws them at random.

use arbitrary::Unstructured;
use unloop::linalg::Norm;
use unloop::op::{Pad, PadAxis, TriangularSolve};
use unloop::{
    Complex, Conv, DType, Direction, DotDims, IndexArg, PadMode, ReduceOp, Scalar, Tensor,
    TensorType, WindowAxis, random, strided,
};
use unloop_graph::{Array, Number, Shape};

use crate::functions::{Arg, Domain, Dtypes, Extents, Function, Kind};
use crate::{Operand, Values};

/// Choices made of bytes; when they are used up, the first choice each time.
pub struct Draw<'a>(Unstructured<'a>);

impl<'a> Draw<'a> {
    /// Choices made of these bytes.
    pub fn new(bytes: &'a [u8]) -> Draw<'a> {
        Draw(Unstructured::new(bytes))
    }

    /// Whether all bytes are used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below `n`, which is not zero.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.int_in_range(0..=n.max(1) - 1).unwrap_or(0)
    }

    /// One of several.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// Whether one of `n` times; not when the bytes are used up.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// The seed of random numbers, of which there are few so that fuzzers can learn.
    pub fn seed(&mut self) -> u64 {
        self.below(256) as u64
    }

    /// One of several functions. A function that is new takes over few of the bytes that chose
    /// another one before, so that a corpus keeps its sense.
    pub fn function<'f>(&mut self, from: &[&'f Function]) -> &'f Function {
        let number = self.below(1 << 16) as u64;
        let weight = |f: &&&Function| {
            let mix = |hash: u64, byte: u8| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).rotate_left(29)
            };
            let name = f.of.bytes().chain(f.name.bytes()).chain(f.kinds.len().to_le_bytes());
            name.fold(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), mix)
        };
        from.iter().max_by_key(weight).copied().unwrap_or(from[0])
    }

    fn extent(&mut self) -> usize {
        *self.pick(&[2, 3, 1, 4, 5, 7, 0, 13])
    }

    fn shape(&mut self, least: usize) -> Shape {
        let rank = least + self.below(4 - least);
        (0..rank).map(|_| self.extent()).collect()
    }
}

/// A tensor that is wanted.
#[derive(Clone, Debug)]
pub struct Want {
    /// Its type.
    pub ty: TensorType,
    /// Its values.
    pub domain: Domain,
}

/// What an argument is to be.
#[derive(Clone)]
pub enum Wanted {
    /// A tensor.
    Tensor(Want),
    /// A complex tensor, of two such tensors.
    Complex(Want),
    /// A list of tensors.
    Tensors(Vec<Want>),
    /// Just this.
    Arg(Arg),
}

/// The type of the first tensor among arguments.
pub fn first(args: &[Arg]) -> TensorType {
    let ty = |arg: &Arg| match arg {
        Arg::Tensor(x) => Some(x.ty()),
        Arg::Complex(z) => Some(z.re.ty()),
        Arg::Tensors(list) => list.first().map(Tensor::ty),
        _ => None,
    };
    args.iter().find_map(ty).unwrap_or(TensorType::new(DType::F64, ()))
}

fn dtype(dtypes: Dtypes, first: DType, like: Option<DType>, draw: &mut Draw<'_>) -> DType {
    use DType::*;
    let among: &[DType] = match dtypes {
        Dtypes::Any => &[F64, F32, I32, I64, U32, Bool],
        Dtypes::Number => &[F64, F32, I32, I64, U32],
        Dtypes::Float => &[F64, F32],
        Dtypes::Int => &[I64, I32, U32],
        Dtypes::Bits => &[Bool, I64, I32, U32],
        Dtypes::Bool => &[Bool],
        Dtypes::Word => &[U32],
        Dtypes::Double => &[F64],
        Dtypes::Same => return first,
    };
    like.filter(|like| among.contains(like)).unwrap_or_else(|| *draw.pick(among))
}

fn shape(extents: Extents, first: &Shape, like: Option<&Shape>, draw: &mut Draw<'_>) -> Shape {
    let last = first.last().copied().unwrap_or(1);
    let rank = match extents {
        Extents::Any => 0..4,
        Extents::Ranked => 1..4,
        Extents::Vector => 1..2,
        Extents::Matrix => 2..3,
        Extents::Matrices => 2..4,
        Extents::Signal | Extents::Kernel => 3..4,
        _ => 0..0,
    };
    let square = |like: &&Shape| match like[..] {
        [m, n] => extents == Extents::Square && m == n,
        _ => false,
    };
    let fits = |like: &&Shape| rank.contains(&like.rank()) && extents != Extents::Kernel;
    if let Some(like) = like.filter(|like| fits(like) || square(like)) {
        return like.clone();
    }
    match extents {
        Extents::Any => draw.shape(0),
        Extents::Ranked => draw.shape(1),
        Extents::Scalar => Shape::scalar(),
        Extents::Vector => Shape::from([draw.extent()]),
        Extents::Matrix => Shape::from([draw.extent(), draw.extent()]),
        Extents::Matrices => draw.shape(2),
        Extents::Square => {
            let n = draw.extent().min(5);
            Shape::from([n, n])
        }
        Extents::Like => first.clone(),
        Extents::RightSide | Extents::Contracted => {
            let mut shape = Shape::from([last]);
            if draw.once_in(2) {
                shape.push(draw.extent());
            }
            shape
        }
        Extents::Last => Shape::from([last]),
        Extents::OneLess => Shape::from([last.saturating_sub(1)]),
        Extents::Signal => Shape::from([draw.extent(), 2, draw.extent()]),
        Extents::Kernel => {
            let channels = first.get(1).copied().unwrap_or(1);
            Shape::from([2, channels, 1 + draw.below(3)])
        }
        Extents::Ones => (0..1 + draw.below(3)).map(|_| 1).collect(),
        Extents::Two => Shape::from([2]),
        Extents::Three => Shape::from([3]),
        Extents::Beside => {
            let mut stretched: Shape =
                first.iter().map(|&d| if draw.once_in(3) { 1 } else { d }).collect();
            if stretched.rank() > 1 && draw.once_in(2) {
                stretched = stretched.without(0);
            }
            stretched
        }
    }
}

/// What an argument of a function is to be, after the arguments before it. A tensor is `like`
/// another one where its kind leaves that open.
pub fn wanted(
    kinds: &[Kind],
    before: &[Arg],
    like: Option<&TensorType>,
    draw: &mut Draw<'_>,
) -> Wanted {
    let kind = kinds[before.len()];
    let given = first(before);
    let domain = |domain: Domain| match (domain, kinds[0]) {
        (Domain::Same, Kind::Tensor(_, _, first) | Kind::Complex(_, first)) => first,
        (Domain::Same, _) => Domain::Any,
        _ => domain,
    };
    match kind {
        Kind::Tensor(dtypes, extents, values) => {
            let dtype = dtype(dtypes, given.dtype, like.map(|like| like.dtype), draw);
            let shape = shape(extents, &given.shape, like.map(|like| &like.shape), draw);
            Wanted::Tensor(Want { ty: TensorType::new(dtype, shape), domain: domain(values) })
        }
        Kind::Complex(extents, values) => {
            let shape = shape(extents, &given.shape, like.map(|like| &like.shape), draw);
            Wanted::Complex(Want { ty: TensorType::new(DType::F64, shape), domain: domain(values) })
        }
        Kind::Tensors => {
            let shape = shape(Extents::Matrix, &given.shape, like.map(|like| &like.shape), draw);
            let like = like.map(|like| like.dtype);
            let dtype = dtype(Dtypes::Number, given.dtype, like, draw);
            let want = Want { ty: TensorType::new(dtype, shape), domain: Domain::Any };
            Wanted::Tensors(vec![want; 1 + draw.below(3)])
        }
        Kind::Chain => {
            let extents: Vec<usize> = (0..3 + draw.below(3)).map(|_| draw.extent()).collect();
            let want = |pair: &[usize]| Want {
                ty: TensorType::new(DType::F64, Shape::from(pair)),
                domain: Domain::Any,
            };
            Wanted::Tensors(extents.windows(2).map(want).collect())
        }
        _ => Wanted::Arg(plain(kind, &given, draw)),
    }
}

/// An argument that is not a tensor.
fn plain(kind: Kind, given: &TensorType, draw: &mut Draw<'_>) -> Arg {
    let (shape, rank) = (&given.shape, given.rank());
    match kind {
        Kind::Tensor(..) | Kind::Complex(..) | Kind::Tensors | Kind::Chain => {
            unreachable!("tensors are wanted by their types")
        }
        Kind::Key => Arg::Key(random::key(draw.seed() as i64)),
        Kind::Axis => {
            let axis = draw.below(rank.max(1)) as isize;
            Arg::Axis(if draw.once_in(4) { axis - rank as isize } else { axis })
        }
        Kind::Axes => {
            let axes = (0..rank as isize).filter(|_| !draw.once_in(2)).collect();
            Arg::Axes(axes)
        }
        Kind::Order => {
            let mut axes: Vec<isize> = (0..rank as isize).collect();
            fastrand::Rng::with_seed(draw.seed()).shuffle(&mut axes);
            Arg::Axes(axes)
        }
        Kind::ExampleAxis => Arg::Whole(draw.below(rank.max(1)) as i32),
        Kind::Examples => {
            let n = shape.first().copied().unwrap_or(0);
            Arg::Sizes((0..n).map(|_| draw.below(n)).collect())
        }
        Kind::Dimensions => Arg::Sizes((0..rank).filter(|_| !draw.once_in(4)).collect()),
        Kind::Size | Kind::Times => Arg::Size(*draw.pick(&[1, 2, 3, 0, 4, 5, 8])),
        Kind::Shape => Arg::Sizes(draw.shape(0).to_vec()),
        Kind::Reshaped => {
            let size = shape.size();
            let divides = |d: &usize| size > 0 && size.is_multiple_of(*d);
            let left: Vec<usize> = (1..=size.min(64)).filter(divides).collect();
            let d = if left.is_empty() { 0 } else { *draw.pick(&left) };
            let shapes = match size {
                0 => vec![vec![0], vec![3, 0], vec![0, 2, 1]],
                _ => vec![vec![size], vec![d, size / d], vec![1, size / d, d]],
            };
            Arg::Sizes(draw.pick(&shapes).clone())
        }
        Kind::Wider => {
            let more = (0..draw.below(3)).map(|_| draw.extent()).collect::<Vec<_>>();
            let stretched = shape.iter().map(|&d| if d == 1 && draw.once_in(2) { 3 } else { d });
            Arg::Sizes(more.iter().copied().chain(stretched.collect::<Vec<_>>()).collect())
        }
        Kind::Sizes => Arg::Sizes((0..rank).map(|_| *draw.pick(&[1, 2, 0, 3])).collect()),
        Kind::Offset => Arg::Offset(*draw.pick(&[0, 1, -1, 2, -3, 7])),
        Kind::Whole => Arg::Whole(*draw.pick(&[0, 1, 2, -1, 3, -2])),
        Kind::Number => Arg::Number(*draw.pick(&[1.0, 0.5, 2.0, 3.0, 0.0, -1.5, 1e-3])),
        Kind::Part => Arg::Number(*draw.pick(&[0.5, 0.25, 1.0, 0.0, 0.9])),
        Kind::Flag => Arg::Flag(draw.once_in(2)),
        Kind::DType => Arg::DType(*draw.pick(&DType::ALL)),
        Kind::Scalar => {
            let dtype = *draw.pick(&DType::ALL);
            Arg::Scalar(Scalar::new(dtype, Number::Int(draw.below(3) as i128)))
        }
        Kind::Reduction => Arg::Reduction(*draw.pick(ReduceOp::ALL)),
        Kind::Direction => Arg::Direction(*draw.pick(&[Direction::Forward, Direction::Reverse])),
        Kind::PadMode => {
            use PadMode::{Edge, Reflect, Symmetric, Wrap};
            Arg::PadMode(*draw.pick(&[Edge, Reflect, Symmetric, Wrap]))
        }
        Kind::Norm => {
            use Norm::{Euclidean, Infinity, MinusInfinity, Nuclear, P, Zero};
            let norms = [
                Euclidean,
                P(1.0),
                P(2.0),
                P(-1.0),
                P(-2.0),
                Infinity,
                MinusInfinity,
                Nuclear,
                Zero,
            ];
            Arg::Norm(*draw.pick(&norms))
        }
        Kind::Windows => {
            let window = |_| WindowAxis {
                size: 1 + draw.below(3),
                stride: 1 + draw.below(2),
                padding: (draw.below(2) as i64, draw.below(2) as i64),
                base_dilation: 1 + draw.below(2),
                window_dilation: 1 + draw.below(2),
            };
            Arg::Windows((0..rank).map(window).collect())
        }
        Kind::Conv => {
            let window =
                WindowAxis::one().stride(1 + draw.below(2)).padding(draw.below(3) as i64, 1);
            Arg::Conv(Conv { windows: vec![window], groups: 1 })
        }
        Kind::Amounts => Arg::Amounts((0..rank).map(|_| (draw.below(3), draw.below(2))).collect()),
        Kind::Pad => {
            let axis = |_| PadAxis {
                low: draw.below(4) as i64 - 1,
                high: draw.below(4) as i64 - 1,
                interior: draw.below(2),
            };
            Arg::Pad(Pad((0..rank).map(axis).collect()))
        }
        Kind::Index => Arg::Index(shape.iter().map(|&d| index(d, draw)).collect()),
        Kind::Formula => {
            let letters = &"abcd"[..rank.min(4)];
            let reversed: String = letters.chars().rev().collect();
            let formulas = [
                format!("{letters},{letters}->{letters}"),
                format!("{letters},{letters}->"),
                format!("{letters},{letters}->{reversed}"),
                format!("{letters},{letters}->{}", &letters[..letters.len().min(1)]),
            ];
            Arg::Formula(draw.pick(&formulas).clone())
        }
        Kind::Dims => {
            let mut axes: Vec<usize> = (0..rank).collect();
            let batch = axes.split_off(draw.below(rank + 1));
            let contract = axes.split_off(draw.below(axes.len() + 1));
            Arg::Dims(DotDims {
                lhs_contract: contract.iter().copied().collect(),
                rhs_contract: contract.iter().copied().collect(),
                lhs_batch: batch.iter().copied().collect(),
                rhs_batch: batch.iter().copied().collect(),
            })
        }
        Kind::Triangle => Arg::Triangle(TriangularSolve {
            lower: draw.once_in(2),
            transpose: draw.once_in(2),
            unit_diagonal: draw.once_in(2),
        }),
    }
}

fn index(extent: usize, draw: &mut Draw<'_>) -> IndexArg {
    let at = draw.below(extent.max(1)) as i64;
    match draw.below(6) {
        0 => IndexArg::from(..),
        1 => IndexArg::from(at),
        2 => IndexArg::from(at - extent as i64),
        3 => IndexArg::from(at as i32..),
        4 => strided(.., 2),
        _ => IndexArg::from(..at as i32),
    }
}

/// Random values of a tensor that is wanted: in its domain, or special ones of its dtype too.
pub fn fresh(want: &Want, special: bool, before: &[Arg], draw: &mut Draw<'_>) -> Tensor {
    let mut rng = fastrand::Rng::with_seed(draw.seed());
    let values = match want.domain {
        Domain::Regular if want.ty.rank() >= 2 => Values::Regular,
        Domain::Definite if want.ty.rank() >= 2 => Values::Definite,
        Domain::Index => {
            let given = first(before);
            Values::Below(given.shape.iter().copied().filter(|&d| d > 0).min().unwrap_or(1))
        }
        _ if special => Values::Any,
        Domain::Within(low, high) => Values::Within(low, high),
        _ => Values::Within(-2.0, 2.0),
    };
    let operand = Operand::new(want.ty.dtype, want.ty.shape.clone(), values);
    let number = |_: &[usize]| match values {
        Values::Within(low, high) if want.ty.dtype == DType::U32 => {
            Number::Int(rng.i64(low.max(0.0) as i64..=high.max(0.0) as i64).into())
        }
        Values::Within(low, high) if want.ty.dtype.is_int() => {
            Number::Int(rng.i64(low as i64..=high as i64).into())
        }
        _ => Number::Bool(rng.bool()),
    };
    let is_float = want.ty.dtype.is_float();
    let x: Tensor = match values {
        Values::Within(..) if !is_float => Array::from_fn(&want.ty, number).into(),
        _ => operand.tensor(&mut fastrand::Rng::with_seed(draw.seed())),
    };
    if want.domain == Domain::Sorted && want.ty.rank() > 0 { x.sort(-1) } else { x }
}

/// Arguments that a function takes.
pub fn arguments(function: &Function, special: bool, draw: &mut Draw<'_>) -> Vec<Arg> {
    let mut args: Vec<Arg> = Vec::new();
    while args.len() < function.kinds.len() {
        let arg = match wanted(&function.kinds, &args, None, draw) {
            Wanted::Tensor(want) => Arg::Tensor(fresh(&want, special, &args, draw)),
            Wanted::Complex(want) => {
                let mut part = || fresh(&want, special, &args, draw);
                Arg::Complex(Complex::new(part(), part()))
            }
            Wanted::Tensors(wants) => {
                let mut one = |want| fresh(want, special, &args, draw);
                Arg::Tensors(wants.iter().map(&mut one).collect())
            }
            Wanted::Arg(arg) => arg,
        };
        args.push(arg);
    }
    args
}
