//~ `Params` is not a tree of tensors
//~ a struct of tensors becomes a tree by `#[derive(Tree)]`

use unloop::prelude::*;

#[cfg_attr(right, derive(Tree))]
struct Params {
    w: Tensor,
}

pub fn case() {
    let f = jit(|p: &Params| p.w.sin());
    f(&Params { w: Tensor::from(1.0) });
}
