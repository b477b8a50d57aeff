//~ mismatched types
//~ + Sync

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() -> Tensor {
    let branches: [&dyn Fn(&Tensor) -> Tensor; 2] = [&|x| x + 1.0, &|x| -x];
    unloop::switch(&Tensor::from(1), &branches, &Tensor::from(3.0))
}

#[cfg(right)]
pub fn case() -> Tensor {
    let branches: [&(dyn Fn(&Tensor) -> Tensor + Sync); 2] = [&|x| x + 1.0, &|x| -x];
    unloop::switch(&Tensor::from(1), &branches, &Tensor::from(3.0))
}
