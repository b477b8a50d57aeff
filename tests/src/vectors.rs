//! Results of other libraries, as JSON: `tests/vectors/` has them with the program that wrote them.

use serde_json::Value;
use unloop::prelude::*;

/// The entries of a file.
pub fn read(text: &str) -> Vec<Value> {
    let value: Value = serde_json::from_str(text).expect("the file is JSON");
    value.as_array().expect("the file is a list").clone()
}

/// A tensor of an entry.
pub fn tensor(value: &Value) -> Tensor {
    let shape: Vec<usize> =
        list(&value["shape"]).map(|n| n.as_u64().unwrap_or(0) as usize).collect();
    let data = &value["data"];
    let float = |v: &Value| match v {
        Value::String(text) => text.parse().expect("a number"),
        v => v.as_f64().expect("a number"),
    };
    let int = |v: &Value| v.as_i64().expect("an integer");
    let flat = match value["dtype"].as_str() {
        Some("float64") => Tensor::from(list(data).map(float).collect::<Vec<f64>>()),
        Some("float32") => Tensor::from(list(data).map(|v| float(v) as f32).collect::<Vec<f32>>()),
        Some("int64") => Tensor::from(list(data).map(int).collect::<Vec<i64>>()),
        Some("int32") => Tensor::from(list(data).map(|v| int(v) as i32).collect::<Vec<i32>>()),
        Some("uint32") => Tensor::from(list(data).map(|v| int(v) as u32).collect::<Vec<u32>>()),
        Some("bool") => {
            Tensor::from(list(data).map(|v| v.as_bool() == Some(true)).collect::<Vec<bool>>())
        }
        other => panic!("dtype {other:?}"),
    };
    flat.reshape(&shape[..])
}

/// The tensors of a list.
pub fn tensors(value: &Value) -> Vec<Tensor> {
    list(value).map(tensor).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// What is wrong with a result, if it is not the expected one: dtype and shape (integers of any width
/// count as one), and elements within `tolerance`, relative to the element or to 1.
pub fn difference(actual: &Tensor, expected: &Tensor, tolerance: f64) -> Option<String> {
    if let Err(error) = actual.check() {
        return Some(error.to_string());
    }
    let kind = |x: &Tensor| (x.dtype().is_float(), x.dtype() == DType::Bool);
    if kind(actual) != kind(expected) || actual.shape() != expected.shape() {
        return Some(format!("{} where {} is expected", actual.ty(), expected.ty()));
    }
    let wide = |x: &Tensor| x.cast(DType::F64).to_vec::<f64>();
    let (Ok(a), Ok(b)) = (wide(actual), wide(expected)) else { return Some("no values".into()) };
    let differs = |(_, (a, b)): &(usize, (&f64, &f64))| {
        let near = (*a - *b).abs() <= tolerance * b.abs().max(1.0);
        !(near || a == b || (a.is_nan() && b.is_nan()))
    };
    let (i, (a, b)) = a.iter().zip(&b).enumerate().find(differs)?;
    Some(format!("element {i} is {a:e} where {b:e} is expected"))
}
