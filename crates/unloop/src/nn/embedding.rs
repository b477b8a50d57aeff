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
    /// Normal vectors whose squared length is 1 in the mean, in f32 or f64: `[count, size]`.
    ///
    /// # Errors
    /// Carried by the vectors: `UnsupportedDType` for a dtype other than f32 and f64; `InvalidArgument` for
    /// what is not one key.
    #[track_caller]
    pub fn new(key: &Key, dtype: DType, count: usize, size: usize) -> Embedding {
        operation("Embedding::new", || {
            let scale = (size.max(1) as f64).sqrt().recip();
            Embedding { vectors: random::normal(key, dtype, [count, size]) * scale }
        })
    }

    /// The vector `[size]` of number `index`, an integer scalar; several go through `vmap`.
    ///
    /// # Errors
    /// Carried by the result: `IndexOutOfBounds` for a number that there is not; `IndexDType` for one that is
    /// no integer.
    ///
    /// ```
    /// use unloop::{Tensor, nn};
    /// let words = nn::Embedding { vectors: Tensor::from([[1.0, 2.0], [3.0, 4.0]]) };
    /// assert_eq!(words.call(&Tensor::from(1)).to_vec::<f64>()?, [3.0, 4.0]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn call(&self, index: &Tensor) -> Tensor {
        operation("Embedding::call", || self.vectors.at((index, ..)))
    }
}
