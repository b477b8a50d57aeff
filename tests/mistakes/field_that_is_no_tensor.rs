//~ `String` is not a tree of tensors
//~ a field that holds no tensor is marked `#[tree(static)]`

use unloop::prelude::*;

#[derive(Tree)]
pub struct Params {
    pub w: Tensor,
    #[cfg_attr(right, tree(static))]
    pub name: String,
}
