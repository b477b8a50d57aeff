//~ transforms take functions of references to tensors, or to other trees, with annotated types
//~ a closure annotates its parameters, as in `|x: &Tensor, p: &Params| …`

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = vmap(|x: Tensor| x * 2.0, 0);
    f.graph((&x(),)).ok();
}

#[cfg(right)]
pub fn case() {
    let f = vmap(|x: &Tensor| x * 2.0, 0);
    f.graph((&x(),)).ok();
}

pub fn x() -> Tensor {
    Tensor::from([1.0, 2.0])
}
