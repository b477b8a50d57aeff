//! Embeddings.

use unloop_derive::Tree;
use unloop_graph::{DType, Tensor, operation};

use crate::random::{self, Key};

/// A vector for each of some things that are numbered: words, users, places.
///
/// ```
/// use unloop::prelude::*;
/// use unloop::{nn, random};
/// let words = nn::Embedding::new(&random::key(0), DType::F32, 1000, 16);
/// let sentence = Tensor::from([3, 141, 59]);
/// assert_eq!(vmap(|word: &Tensor| words.call(word), 0)(&sentence).shape(), [3, 16]);
/// ```
#[derive(Clone, Debug, Tree)]
#[tree(crate = "crate")]
pub struct Embedding {
    /// One vector a row, `[count, size]`.
    pub vectors: Tensor,
}

impl Embedding {
    /// Normal vectors with a mean square of 1, in f32 or f64.
    #[track_caller]
    pub fn new(key: &Key, dtype: DType, count: usize, size: usize) -> Embedding {
        operation("Embedding::new", || {
            let scale = (size.max(1) as f64).sqrt().recip();
            Embedding { vectors: random::normal(key, dtype, [count, size]) * scale }
        })
    }

    /// The vector of number `index`, an integer scalar.
    ///
    /// # Errors
    /// Carried: the index is out of bounds, or not an integer.
    #[track_caller]
    pub fn call(&self, index: &Tensor) -> Tensor {
        operation("Embedding::call", || self.vectors.at((index, ..)))
    }
}
