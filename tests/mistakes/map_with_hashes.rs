//~ is not a tree of tensors

use unloop::prelude::*;

#[cfg(not(right))]
pub fn case() {
    let f = jit(|p: &std::collections::HashMap<String, Tensor>| p["w"].sin());
    drop(f);
}

#[cfg(right)]
pub fn case() {
    let f = jit(|p: &std::collections::BTreeMap<String, Tensor>| p["w"].sin());
    drop(f);
}
