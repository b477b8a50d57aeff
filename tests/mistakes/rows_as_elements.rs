//~ `Vec<f64>` is not the type of a tensor's elements
//~ rows go in one after the other

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() -> Tensor {
    Tensor::from(rows())
}

#[cfg(right)]
pub fn case() -> Tensor {
    let rows = rows();
    Tensor::from_vec([rows.len(), 2], rows.concat())
}

pub fn rows() -> Vec<Vec<f64>> {
    vec![vec![1.0, 2.0], vec![3.0, 4.0]]
}
