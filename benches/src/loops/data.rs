//! What goes in and comes out.

use std::error::Error;
use std::path::Path;

/// The elements of an array.
pub(crate) enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
}

macro_rules! values {
    ($($name:ident $variant:ident $t:ty;)+) => {
        impl Values {
            $(pub(crate) fn $name(&self) -> &[$t] {
                match self {
                    Values::$variant(x) => x,
                    _ => panic!("an input of another dtype"),
                }
            })+
        }
        $(impl From<Vec<$t>> for Values {
            fn from(x: Vec<$t>) -> Values {
                Values::$variant(x)
            }
        })+
    };
}

values! {
    f32 F32 f32;
    f64 F64 f64;
    i32 I32 i32;
}

impl Values {
    pub(crate) fn read(path: &Path, dtype: &str) -> Result<Values, Box<dyn Error>> {
        let bytes = std::fs::read(path)?;
        let (fours, eights) = (bytes.as_chunks::<4>().0, bytes.as_chunks::<8>().0);
        Ok(match dtype {
            "f4" => Values::F32(fours.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            "f8" => Values::F64(eights.iter().map(|b| f64::from_le_bytes(*b)).collect()),
            "i4" => Values::I32(fours.iter().map(|b| i32::from_le_bytes(*b)).collect()),
            other => return Err(format!("no row has inputs of {other}").into()),
        })
    }

    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let values: Vec<f64> = match self {
            Values::F32(x) => x.iter().map(|&x| x.into()).collect(),
            Values::F64(x) => x.clone(),
            Values::I32(x) => x.iter().map(|&x| x.into()).collect(),
        };
        std::fs::write(path, values.into_iter().flat_map(f64::to_le_bytes).collect::<Vec<u8>>())
    }
}

/// A sum of products, in eight parts, so that it fits vectors.
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut parts = [0f32; 8];
    let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in xs.zip(ys) {
        for (part, (x, y)) in parts.iter_mut().zip(x.iter().zip(y)) {
            *part += x * y;
        }
    }
    parts.iter().sum::<f32>() + rest
}

/// Adds a multiple of `x` to `y`.
pub(crate) fn add(y: &mut [f32], a: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}
