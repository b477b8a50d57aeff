//~ does not index a dimension of a tensor
//~ an index is an integer, a range of integers

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case(x: &Tensor) -> Tensor {
    x.at((0, 1.5))
}

#[cfg(right)]
pub fn case(x: &Tensor) -> Tensor {
    x.at((0, 1..5))
}
