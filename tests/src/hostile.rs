//! Arguments that no function should be given, and what must hold of what it does with them: no panic,
//! an error that names the function and the line that called it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use unloop::linalg::Norm;
use unloop::op::{Pad, PadAxis};
use unloop::prelude::*;
use unloop::{Complex, Conv, DotDims, IndexArg, PadMode, ReduceOp, TensorType, WindowAxis, random};

use crate::draw::{Draw, arguments, first};
use crate::functions::{Arg, Fact, Function, Kind};
use crate::programs::FUNCTIONS;
use crate::{Operand, Values};

/// Sizes that only a function that checks them survives.
pub const SIZES: [usize; 14] = [
    0,
    1,
    2,
    3,
    7,
    100,
    1 << 24,
    1 << 31,
    1 << 40,
    1 << 62,
    isize::MAX as usize,
    isize::MAX as usize + 1,
    usize::MAX - 1,
    usize::MAX,
];

const OFFSETS: [i64; 10] = [0, 1, -1, 5, -7, 1 << 31, 1 << 40, i64::MIN, i64::MIN + 1, i64::MAX];

const NUMBERS: [f64; 13] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -3.7,
    1e308,
    -1e308,
    5e-324,
    1e18,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

const AXES: [isize; 9] = [0, 1, -1, 2, 3, -4, 9, isize::MAX, isize::MIN];

const SHAPES: [&[usize]; 14] = [
    &[],
    &[0],
    &[1],
    &[3],
    &[2, 3],
    &[3, 2],
    &[3, 3],
    &[0, 3],
    &[3, 0],
    &[0, 0],
    &[1, 1],
    &[2, 0, 3],
    &[2, 3, 3],
    &[1, 2, 1, 2, 1],
];

/// A tensor with an error of its own.
pub fn failed() -> Tensor {
    Tensor::from([1.0, 2.0]) + Tensor::from([1.0, 2.0, 3.0])
}

fn tensors(shapes: &[&[usize]], dtypes: &[DType]) -> Vec<Tensor> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut all = Vec::new();
    for dtype in dtypes {
        for shape in shapes {
            all.push(Operand::new(*dtype, *shape, Values::Any).tensor(&mut rng));
        }
    }
    all
}

/// Values that no function should be given as an argument of some kind, where the first tensor has
/// some type.
pub fn values(kind: Kind, given: &TensorType) -> Vec<Arg> {
    let rank = given.rank();
    let lists = |of: &[usize]| -> Vec<Vec<usize>> {
        let same = of.iter().map(|&n| vec![n; rank]);
        let one = of.iter().map(|&n| vec![n]);
        let last = of.iter().map(|&n| {
            let mut list = vec![1; rank.max(1)];
            list[rank.max(1) - 1] = n;
            list
        });
        same.chain(one).chain(last).chain([vec![], vec![0; 9], vec![1; 40]]).collect()
    };
    match kind {
        Kind::Tensor(..) => {
            let mut all = tensors(&SHAPES, &[DType::F64]);
            all.extend(tensors(&[&given.shape], &DType::ALL));
            all.extend(tensors(&[&[3], &[3, 3]], &DType::ALL));
            all.extend(NUMBERS.map(|x| Tensor::full(given.shape.clone(), x)));
            all.push(failed());
            all.into_iter().map(Arg::Tensor).collect()
        }
        Kind::Complex(..) => {
            let mut all: Vec<Complex> =
                tensors(&SHAPES, &DType::ALL).iter().map(|x| Complex::new(x, x)).collect();
            all.push(Complex::new(1.0, Tensor::from([1.0, 2.0])));
            all.push(Complex::new(1.0, Tensor::from(1.0f32)));
            all.push(Complex::new(failed(), 1.0));
            all.into_iter().map(Arg::Complex).collect()
        }
        Kind::Tensors | Kind::Chain => {
            let all = tensors(&SHAPES, &DType::ALL);
            let pairs = all.windows(2).map(<[Tensor]>::to_vec);
            let single = all.iter().map(|x| vec![x.clone()]);
            let lists = pairs.chain(single).chain([vec![], vec![failed()], vec![failed(); 2]]);
            lists.map(Arg::Tensors).collect()
        }
        Kind::Key => {
            let all = tensors(&SHAPES, &DType::ALL);
            all.into_iter().chain([failed()]).map(|x| Arg::Key(random::Key::from_data(x))).collect()
        }
        Kind::Axis => AXES.map(Arg::Axis).to_vec(),
        Kind::Axes | Kind::Order => {
            let mut all: Vec<Vec<isize>> = AXES.iter().map(|&a| vec![a]).collect();
            all.extend([
                vec![],
                vec![0, 0],
                vec![0, -1],
                vec![1, 0, 2, 3, 4, 5, 6, 7, 8],
                vec![-1, 1],
            ]);
            all.into_iter().map(Arg::Axes).collect()
        }
        Kind::Times => [0, 1, 2, 100, 1000].map(Arg::Size).to_vec(),
        Kind::Size => SIZES.map(Arg::Size).to_vec(),
        Kind::Shape
        | Kind::Reshaped
        | Kind::Wider
        | Kind::Sizes
        | Kind::Dimensions
        | Kind::Examples => lists(&SIZES).into_iter().map(Arg::Sizes).collect(),
        Kind::Offset => OFFSETS.map(Arg::Offset).to_vec(),
        Kind::Whole | Kind::ExampleAxis => {
            [0, 1, -1, 5, -7, 1000, i32::MIN, i32::MIN + 1, i32::MAX].map(Arg::Whole).to_vec()
        }
        Kind::Number | Kind::Part => NUMBERS.map(Arg::Number).to_vec(),
        Kind::Flag => [true, false].map(Arg::Flag).to_vec(),
        Kind::DType => DType::ALL.map(Arg::DType).to_vec(),
        // Every value of these is in order.
        Kind::Scalar | Kind::Direction | Kind::Triangle => vec![],
        Kind::Reduction => ReduceOp::ALL.iter().copied().map(Arg::Reduction).collect(),
        Kind::PadMode => {
            use PadMode::{Edge, Reflect, Symmetric, Wrap};
            [Edge, Reflect, Symmetric, Wrap].map(Arg::PadMode).to_vec()
        }
        Kind::Norm => {
            let named = [Norm::Euclidean, Norm::Infinity, Norm::MinusInfinity, Norm::Nuclear];
            let powers = NUMBERS.map(Norm::P);
            named.into_iter().chain([Norm::Zero]).chain(powers).map(Arg::Norm).collect()
        }
        Kind::Windows => {
            let mut all = vec![vec![], vec![WindowAxis::one(); rank + 1]];
            all.extend(windows().map(|window| vec![window; rank]));
            all.into_iter().map(Arg::Windows).collect()
        }
        Kind::Conv => {
            let one = |windows: Vec<WindowAxis>, groups| Arg::Conv(Conv { windows, groups });
            let groups = SIZES.map(|groups| one(vec![WindowAxis::one()], groups));
            let few = [one(vec![], 1), one(vec![WindowAxis::one(); 3], 1)];
            groups.into_iter().chain(few).chain(windows().map(|w| one(vec![w], 1))).collect()
        }
        Kind::Amounts => {
            let pair = |n: usize| [vec![(n, 0); rank], vec![(0, n); rank], vec![(n, n); rank]];
            let all = SIZES.into_iter().flat_map(pair).chain([vec![], vec![(0, 0); 9]]);
            all.map(Arg::Amounts).collect()
        }
        Kind::Pad => {
            let axis =
                |low, high, interior| Pad(vec![PadAxis { low, high, interior }; rank].into());
            let mut all: Vec<Pad> = OFFSETS.map(|n| axis(n, 0, 0)).to_vec();
            all.extend(OFFSETS.map(|n| axis(n, n, 0)));
            all.extend(OFFSETS.map(|n| axis(0, n.wrapping_neg(), 1)));
            all.extend(SIZES.map(|n| axis(0, 0, n)));
            all.push(Pad(vec![].into()));
            all.into_iter().map(Arg::Pad).collect()
        }
        Kind::Index => {
            let mut all: Vec<Vec<IndexArg>> = vec![vec![], vec![IndexArg::from(..); 9]];
            all.extend(OFFSETS.map(|at| vec![IndexArg::from(at); rank]));
            all.extend(OFFSETS.map(|at| vec![strided(at.., 1); rank]));
            all.extend(OFFSETS.map(|at| vec![strided(..at, 2); rank]));
            all.extend(SIZES.map(|step| vec![strided(.., step); rank]));
            all.push(vec![strided(i64::MIN..i64::MAX, 1); rank]);
            let computed = tensors(&[&[], &[0], &[2], &[2, 3]], &DType::ALL);
            for x in computed.iter().chain([&failed()]) {
                let mut index = vec![IndexArg::from(..); rank.max(1)];
                index[0] = IndexArg::from(x);
                all.push(index);
            }
            all.into_iter().map(Arg::Index).collect()
        }
        Kind::Formula => {
            let formulas = [
                "",
                "->",
                ",",
                ",->",
                "a",
                "a,b",
                "ab,bc->ac",
                "ab,ab->abc",
                "aa,aa->a",
                "ab,ab->aa",
                "a b , a b",
                "...",
                "...,...->...",
                "ab...,ab...->a",
                "a->b->c",
                "é,é->é",
                "A1,_b->b",
                "a,a,a->a",
                "abcdefghijklmnopqrstuvwxyz,a->a",
                "-",
                ">",
                "a-b>c",
                "a,a-> a\u{0}",
            ];
            formulas.iter().map(|f| Arg::Formula(f.to_string())).collect()
        }
        Kind::Dims => {
            let dims = |a: &[usize], b: &[usize], c: &[usize], d: &[usize]| DotDims {
                lhs_contract: a.iter().copied().collect(),
                rhs_contract: b.iter().copied().collect(),
                lhs_batch: c.iter().copied().collect(),
                rhs_batch: d.iter().copied().collect(),
            };
            let all = [
                dims(&[], &[], &[], &[]),
                dims(&[0], &[], &[], &[]),
                dims(&[], &[], &[], &[0]),
                dims(&[0, 0], &[0, 0], &[], &[]),
                dims(&[0], &[0], &[0], &[0]),
                dims(&[9], &[9], &[], &[]),
                dims(&[usize::MAX], &[0], &[], &[]),
                dims(&[0], &[usize::MAX], &[1], &[isize::MAX as usize]),
            ];
            all.into_iter().map(Arg::Dims).collect()
        }
    }
}

fn windows() -> impl Iterator<Item = WindowAxis> {
    let one = WindowAxis::one();
    let sizes = SIZES.into_iter().flat_map(move |n| {
        [
            WindowAxis { size: n, ..one },
            WindowAxis { stride: n, ..one },
            WindowAxis { base_dilation: n, ..one },
            WindowAxis { size: 2, window_dilation: n, ..one },
        ]
    });
    let offsets = OFFSETS.into_iter().flat_map(move |n| {
        [
            WindowAxis { padding: (n, 0), ..one },
            WindowAxis { padding: (n, n), ..one },
            WindowAxis { padding: (1, n.wrapping_neg()), ..one },
        ]
    });
    sizes.chain(offsets)
}

/// Where a function is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inside {
    Nothing,
    Jit,
    Vmap,
    Grad,
}

/// A function with arguments, some of them hostile.
pub struct Case {
    function: &'static Function,
    args: Vec<Arg>,
    inside: Inside,
}

impl Case {
    /// The case that bytes make.
    pub fn new(bytes: &[u8]) -> Case {
        let draw = &mut Draw::new(bytes);
        let all: Vec<&Function> = FUNCTIONS.iter().collect();
        let function: &'static Function = draw.function(&all);
        let special = draw.once_in(2);
        let mut args = arguments(function, special, draw);
        for _ in 0..1 + draw.below(3) {
            if args.is_empty() {
                break;
            }
            let i = draw.below(args.len());
            let values = values(function.kinds[i], &first(&args));
            if !values.is_empty() {
                args[i] = draw.pick(&values).clone();
            }
        }
        let nothing = Inside::Nothing;
        let places = [nothing, nothing, Inside::Jit, Inside::Vmap, Inside::Grad];
        Case { function, args, inside: *draw.pick(&places) }
    }

    /// What is wrong, if anything is.
    pub fn fault(&self) -> Option<String> {
        let tensor = |arg: &Arg| match arg {
            Arg::Tensor(x) => Some(x.clone()),
            _ => None,
        };
        let at = self.args.iter().position(|arg| tensor(arg).is_some());
        let (Some(at), true) = (at, self.inside != Inside::Nothing) else {
            return fault(self.function, &self.args);
        };
        let x = tensor(&self.args[at])?;
        let call = |x: &Tensor| {
            let mut args = self.args.clone();
            args[at] = Arg::Tensor(x.clone());
            (self.function.call)(&args)
        };
        let total = |x: &Tensor| {
            let floats = call(x).into_iter().filter(|y| y.dtype().is_float());
            let sums = floats.map(|y| y.cast(DType::F64).sum());
            sums.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::from(0.0))
        };
        let inside = || match self.inside {
            Inside::Vmap => vmap(call, 0)(&Tensor::stack(&[&x, &x], 0)),
            Inside::Grad => vec![grad(total)(&x)],
            Inside::Jit | Inside::Nothing => jit(call)(&x),
        };
        let results = match attempt(inside) {
            Ok(results) => results,
            Err(fault) => return Some(fault),
        };
        let error = results.iter().find_map(Tensor::as_error)?;
        // A large constant takes no memory until a program that has it as a result runs.
        let is_memory = matches!(error.kind(), unloop::ErrorKind::OutOfMemory { .. });
        let is_constant = || call(&x).iter().all(|y| y.as_error().is_none());
        if is_memory && error.op() == "run" && self.inside == Inside::Jit && is_constant() {
            return None;
        }
        let file = error.location().map_or("", |at| at.file());
        let ours = [self.function.at.0, file!()].contains(&file);
        (!ours).then(|| format!("names no line, or one of its own: {error}"))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.inside {
            Inside::Nothing => "",
            Inside::Jit => " inside jit",
            Inside::Vmap => " inside vmap",
            Inside::Grad => " inside grad",
        };
        write!(out, "{}({}){place}", self.function.path(), shown(&self.args))
    }
}

/// Runs something that must not panic; else what it said.
fn attempt<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        format!("panics: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?"))
    })
}

/// Calls a function with arguments; what is wrong with what it did, if anything is.
pub fn fault(function: &Function, args: &[Arg]) -> Option<String> {
    let results = match attempt(|| (function.call)(args)) {
        Ok(results) => results,
        Err(fault) => return Some(fault),
    };
    let error = results.iter().find_map(Tensor::as_error)?;
    let Some(at) = error.location() else {
        return Some(format!("names no line: {error}"));
    };
    // An error that came with an argument is told as it was.
    let failed = failed();
    if Some(at) == failed.as_error().and_then(|error| error.location()) {
        return None;
    }
    if at.file() != function.at.0 {
        return Some(format!("names a line of its own: {error}"));
    }
    let name = function.name;
    let base = name.trim_end_matches("_axis").trim_end_matches("_keep");
    let composed = function.is(Fact::Composed) || function.of.is_empty();
    if !composed && error.op() != name && error.op() != base {
        return Some(format!("names another function: {error}"));
    }
    None
}

/// Arguments, for people to read.
pub fn shown(args: &[Arg]) -> String {
    let one = |x: &Tensor| match (x.as_error(), x.size() <= 6, x.value("shown")) {
        (Some(_), ..) => "error".to_string(),
        (None, true, Ok(value)) => {
            let mut numbers = Vec::new();
            value.shape().for_each_index(|i| numbers.push(format!("{:?}", value.get(i))));
            format!("{}({})", x.ty(), numbers.join(" "))
        }
        _ => x.ty().to_string(),
    };
    let index = |index: &IndexArg| match index {
        IndexArg::Position(at) => at.to_string(),
        IndexArg::Range { start, end, step } => format!("{start:?}..{end:?} by {step}"),
        IndexArg::Computed(x) => one(x),
        _ => "an index of each".to_string(),
    };
    let text = |arg: &Arg| match arg {
        Arg::Tensor(x) => one(x),
        Arg::Complex(z) => format!("{} + i·{}", one(&z.re), one(&z.im)),
        Arg::Tensors(list) => format!("[{}]", list.iter().map(one).collect::<Vec<_>>().join(", ")),
        Arg::Key(key) => format!("key {}", one(key.data())),
        Arg::Axis(x) => x.to_string(),
        Arg::Axes(x) => format!("{x:?}"),
        Arg::Size(x) => x.to_string(),
        Arg::Sizes(x) => format!("{x:?}"),
        Arg::Offset(x) => x.to_string(),
        Arg::Whole(x) => x.to_string(),
        Arg::Number(x) => format!("{x:?}"),
        Arg::Flag(x) => x.to_string(),
        Arg::DType(x) => x.to_string(),
        Arg::Scalar(x) => format!("{x:?}"),
        Arg::Reduction(x) => format!("{x:?}"),
        Arg::Direction(x) => format!("{x:?}"),
        Arg::PadMode(x) => format!("{x:?}"),
        Arg::Norm(x) => format!("{x:?}"),
        Arg::Windows(x) => format!("{x:?}"),
        Arg::Conv(x) => format!("{x:?}"),
        Arg::Amounts(x) => format!("{x:?}"),
        Arg::Pad(x) => format!("{x:?}"),
        Arg::Index(x) => format!("[{}]", x.iter().map(index).collect::<Vec<_>>().join(", ")),
        Arg::Formula(x) => format!("{x:?}"),
        Arg::Dims(x) => format!("{x:?}"),
        Arg::Triangle(x) => format!("{x:?}"),
    };
    args.iter().map(text).collect::<Vec<_>>().join("; ")
}
