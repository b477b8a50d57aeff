//! Small models: layers and losses, optimisers, trees as vectors, batches. `tests/vectors/models.py` wrote
//! what Optax and JAX compute.

mod data;
mod factors;
mod nn;
mod optim;
mod trees;

use unloop::Tensor;
use unloop_tests::vectors::{read, tensors};

/// The inputs and the outputs of an entry of the vectors.
fn entry(name: &str) -> (Vec<Tensor>, Vec<Tensor>) {
    let all = read(include_str!("../../../vectors/models.json"));
    let found = all.iter().find(|entry| entry["name"] == name);
    let entry = found.unwrap_or_else(|| panic!("there is no entry {name}"));
    (tensors(&entry["in"]), tensors(&entry["out"]))
}
