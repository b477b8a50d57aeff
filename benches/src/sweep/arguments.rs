//! Arguments of functions, as the runner writes them: JSON by the kind of the argument, with the
//! elements of tensors in files.

use std::error::Error;
use std::path::Path;

use serde_json::Value;
use unloop::linalg::Norm;
use unloop::op::{Pad, PadAxis, TriangularSolve};
use unloop::random::Key;
use unloop::{
    Complex, Conv, DType, Direction, DotDims, IndexArg, PadMode, ReduceOp, Scalar, Tensor,
    WindowAxis, random,
};
use unloop_tests::functions::{Arg, Kind};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// An argument of some kind.
pub fn argument(kind: Kind, json: &Value, folder: &Path) -> Fallible<Arg> {
    Ok(match kind {
        Kind::Tensor(..) => Arg::Tensor(tensor(json, folder)?),
        Kind::Complex(..) => {
            let part = |name: &str| tensor(&json[name], folder);
            Arg::Complex(Complex::new(&part("re")?, &part("im")?))
        }
        Kind::Tensors | Kind::Chain => Arg::Tensors(list(json, |x| tensor(x, folder))?),
        Kind::Key => Arg::Key(random::key(whole(&json["key"])?)),
        Kind::Axis => Arg::Axis(whole(json)?),
        Kind::Axes | Kind::Order => Arg::Axes(list(json, whole)?),
        Kind::ExampleAxis | Kind::Whole => Arg::Whole(whole(json)?),
        Kind::Examples
        | Kind::Dimensions
        | Kind::Shape
        | Kind::Reshaped
        | Kind::Wider
        | Kind::Sizes => Arg::Sizes(list(json, whole)?),
        Kind::Size | Kind::Times => Arg::Size(whole(json)?),
        Kind::Offset => Arg::Offset(whole(json)?),
        Kind::Number | Kind::Part => Arg::Number(number(json)?),
        Kind::Flag => Arg::Flag(json.as_bool().ok_or("no flag")?),
        Kind::DType => Arg::DType(dtype(json)?),
        Kind::Scalar => Arg::Scalar(Scalar::F64(number(json)?)),
        Kind::Reduction => {
            let name = word(json)?;
            let op = ReduceOp::ALL.iter().find(|op| op.name() == name);
            Arg::Reduction(*op.ok_or("no such reduction")?)
        }
        Kind::Direction => Arg::Direction(match word(json)? {
            "forward" => Direction::Forward,
            _ => Direction::Reverse,
        }),
        Kind::PadMode => Arg::PadMode(match word(json)? {
            "edge" => PadMode::Edge,
            "reflect" => PadMode::Reflect,
            "symmetric" => PadMode::Symmetric,
            _ => PadMode::Wrap,
        }),
        Kind::Norm => Arg::Norm(match json.as_str() {
            None => Norm::P(number(json)?),
            Some("fro") => Norm::Euclidean,
            Some("nuc") => Norm::Nuclear,
            Some(other) => return Err(format!("no such norm: {other}").into()),
        }),
        Kind::Windows => Arg::Windows(list(json, window)?),
        Kind::Conv => {
            let windows = list(&json["windows"], window)?;
            Arg::Conv(Conv { windows, groups: whole(&json["groups"])? })
        }
        Kind::Amounts => {
            Arg::Amounts(list(json, |x| pair(x).map(|(a, b)| (a as usize, b as usize)))?)
        }
        Kind::Pad => Arg::Pad(Pad(list(json, padding)?.into_iter().collect())),
        Kind::Index => Arg::Index(list(json, |x| index(x, folder))?),
        Kind::Formula => Arg::Formula(word(json)?.to_string()),
        Kind::Dims => {
            let axes = |name: &str| Ok::<_, Box<dyn Error>>(list(&json[name], whole)?.into_iter());
            Arg::Dims(DotDims {
                lhs_contract: axes("lhs_contract")?.collect(),
                rhs_contract: axes("rhs_contract")?.collect(),
                lhs_batch: axes("lhs_batch")?.collect(),
                rhs_batch: axes("rhs_batch")?.collect(),
            })
        }
        Kind::Triangle => {
            let flag = |name: &str| json[name].as_bool().unwrap_or(false);
            Arg::Triangle(TriangularSolve {
                lower: flag("lower"),
                transpose: flag("transpose"),
                unit_diagonal: flag("unit_diagonal"),
            })
        }
    })
}

/// The tensors of an argument, in order.
pub fn tensors(arg: &Arg) -> Vec<Tensor> {
    match arg {
        Arg::Tensor(x) => vec![x.clone()],
        Arg::Complex(z) => vec![z.re.clone(), z.im.clone()],
        Arg::Tensors(list) => list.clone(),
        Arg::Key(key) => vec![key.data().clone()],
        Arg::Index(index) => index.iter().filter_map(computed).cloned().collect(),
        _ => Vec::new(),
    }
}

/// The argument with other tensors, which are taken in order.
pub fn with_tensors(arg: &Arg, next: &mut dyn FnMut() -> Tensor) -> Arg {
    match arg {
        Arg::Tensor(_) => Arg::Tensor(next()),
        Arg::Complex(_) => Arg::Complex(Complex { re: next(), im: next() }),
        Arg::Tensors(list) => Arg::Tensors(list.iter().map(|_| next()).collect()),
        Arg::Key(_) => Arg::Key(Key::from_data(next())),
        Arg::Index(index) => {
            let entry = |entry: &IndexArg| match computed(entry) {
                Some(_) => IndexArg::Computed(next()),
                None => entry.clone(),
            };
            Arg::Index(index.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}

fn computed(index: &IndexArg) -> Option<&Tensor> {
    match index {
        IndexArg::Computed(positions) => Some(positions),
        _ => None,
    }
}

fn tensor(json: &Value, folder: &Path) -> Fallible<Tensor> {
    let bytes = std::fs::read(folder.join(word(&json["file"])?))?;
    let shape: Vec<usize> = list(&json["shape"], whole)?;
    macro_rules! values {
        ($t:ty) => {{
            let parts = bytes.chunks_exact(size_of::<$t>());
            let values: Result<Vec<$t>, _> =
                parts.map(|b| b.try_into().map(<$t>::from_le_bytes)).collect();
            Tensor::from_vec(shape, values?)
        }};
    }
    Ok(match dtype(&json["dtype"])? {
        DType::Bool => Tensor::from_vec(shape, bytes.iter().map(|&b| b != 0).collect()),
        DType::I32 => values!(i32),
        DType::I64 => values!(i64),
        DType::U32 => values!(u32),
        DType::F32 => values!(f32),
        DType::F64 => values!(f64),
    })
}

fn index(json: &Value, folder: &Path) -> Fallible<IndexArg> {
    if json.get("file").is_some() {
        return Ok(IndexArg::Computed(tensor(json, folder)?));
    }
    if let Some(position) = json.get("at") {
        return Ok(IndexArg::Position(whole(position)?));
    }
    let range = &json["range"];
    let step = if range[2].is_null() { 1 } else { whole(&range[2])? };
    Ok(IndexArg::Range { start: range[0].as_i64(), end: range[1].as_i64(), step })
}

fn window(json: &Value) -> Fallible<WindowAxis> {
    let or_one = |name: &str| json.get(name).map_or(Ok(1), whole);
    Ok(WindowAxis {
        size: or_one("size")?,
        stride: or_one("stride")?,
        padding: json.get("padding").map_or(Ok((0, 0)), pair)?,
        base_dilation: or_one("base_dilation")?,
        window_dilation: or_one("window_dilation")?,
    })
}

fn padding(json: &Value) -> Fallible<PadAxis> {
    Ok(PadAxis { low: whole(&json[0])?, high: whole(&json[1])?, interior: whole(&json[2])? })
}

fn pair(json: &Value) -> Fallible<(i64, i64)> {
    Ok((whole(&json[0])?, whole(&json[1])?))
}

fn dtype(json: &Value) -> Fallible<DType> {
    let name = json.get("dtype").unwrap_or(json).as_str().ok_or("no dtype")?;
    Ok(*DType::ALL.iter().find(|dtype| dtype.name() == name).ok_or("no such dtype")?)
}

fn whole<T: TryFrom<i64>>(json: &Value) -> Fallible<T> {
    let number = json.as_i64().ok_or_else(|| format!("no integer: {json}"))?;
    T::try_from(number).map_err(|_| format!("out of range: {number}").into())
}

fn number(json: &Value) -> Fallible<f64> {
    json.as_f64().ok_or_else(|| format!("no number: {json}").into())
}

fn word(json: &Value) -> Fallible<&str> {
    json.as_str().ok_or_else(|| format!("no text: {json}").into())
}

fn list<T>(json: &Value, one: impl Fn(&Value) -> Fallible<T>) -> Fallible<Vec<T>> {
    json.as_array().ok_or_else(|| format!("no list: {json}"))?.iter().map(one).collect()
}
