//! Tensors from `.npz` archives and from JSON.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::{DType as Npy, TypeChar};
use serde_json::Value;
use unloop::prelude::*;
use zip::ZipArchive;

/// The arrays of a group.
pub struct Archive(ZipArchive<BufReader<File>>);

impl Archive {
    /// Opens `<group>.npz`.
    pub fn open(path: &Path) -> Result<Archive, Box<dyn Error>> {
        Ok(Archive(ZipArchive::new(BufReader::new(File::open(path)?))?))
    }

    /// The array of a name.
    pub fn get(&mut self, name: &str) -> Result<Tensor, Box<dyn Error>> {
        let file = npyz::NpyFile::new(self.0.by_name(&format!("{name}.npy"))?)?;
        let shape: Vec<usize> = file.shape().iter().map(|&d| d as usize).collect();
        let transposed = file.order() == npyz::Order::Fortran && shape.len() > 1;
        let Npy::Plain(kind) = file.dtype() else { return Err("a structured array".into()) };
        let tensor = match (kind.type_char(), kind.size_field()) {
            (TypeChar::Float, 4) => fill::<f32, _>(file, &shape, transposed)?,
            (TypeChar::Float, 8) => fill::<f64, _>(file, &shape, transposed)?,
            (TypeChar::Int, 4) => fill::<i32, _>(file, &shape, transposed)?,
            (TypeChar::Int, 8) => fill::<i64, _>(file, &shape, transposed)?,
            (TypeChar::Uint, 4) => fill::<u32, _>(file, &shape, transposed)?,
            (TypeChar::Bool, _) => fill::<bool, _>(file, &shape, transposed)?,
            (kind, size) => return Err(format!("arrays of {kind:?}{size} are not read").into()),
        };
        Ok(tensor)
    }

    /// The arrays `<tag>.0`, `<tag>.1`, … .
    pub fn all(&mut self, tag: &str, count: usize) -> Result<Vec<Tensor>, Box<dyn Error>> {
        (0..count).map(|i| self.get(&format!("{tag}.{i}"))).collect()
    }
}

fn fill<T, R>(
    file: npyz::NpyFile<R>,
    shape: &[usize],
    transposed: bool,
) -> Result<Tensor, Box<dyn Error>>
where
    T: unloop::Element + npyz::Deserialize,
    R: Read,
{
    let values = file.into_vec::<T>()?;
    if !transposed {
        return Ok(Tensor::from_vec(shape, values));
    }
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let axes: Vec<isize> = (0..shape.len() as isize).rev().collect();
    Ok(Tensor::from_vec(reversed, values).permute(&axes))
}

/// The dtype of a name such as `float32`.
pub fn dtype(name: &str) -> Option<DType> {
    Some(match name {
        "bool" => DType::Bool,
        "int32" => DType::I32,
        "int64" => DType::I64,
        "uint32" => DType::U32,
        "float32" => DType::F32,
        "float64" => DType::F64,
        _ => return None,
    })
}

/// A JSON number, or one of the words for what is none.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(word) => word.parse().ok(),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        value => value.as_f64(),
    }
}

/// An array `{dtype, shape, data}`.
pub fn from_json(value: &Value) -> Option<Tensor> {
    let dtype = dtype(value["dtype"].as_str()?)?;
    let shape: Vec<usize> =
        value["shape"].as_array()?.iter().filter_map(|d| d.as_u64().map(|d| d as usize)).collect();
    let data = value["data"].as_array()?;
    if dtype.is_int() {
        let values: Option<Vec<i64>> = data.iter().map(Value::as_i64).collect();
        return Some(Tensor::from_vec(shape, values?).cast(dtype));
    }
    let values: Option<Vec<f64>> = data.iter().map(number).collect();
    Some(Tensor::from_vec(shape, values?).cast(dtype))
}
