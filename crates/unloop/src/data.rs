//! Batches of examples.

use unloop_graph::{DType, Error, ErrorKind, Place, Result, Tensor, Tree};

use crate::random::{self, Key};

/// What becomes of the examples that are left when the others are in full batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// They are a smaller batch. A compiled function compiles again for it, once.
    Keep,
    /// They are left out of this epoch.
    Drop,
    /// They are filled up to a full batch by examples from the start of the epoch, for which
    /// [`Batch::mask`] is false.
    Pad,
}

/// Some of the examples.
#[derive(Clone, Debug)]
pub struct Batch<T> {
    /// The examples, along axis 0 of every tensor.
    pub examples: T,
    /// Which of them are no padding: `[size]`, bool.
    pub mask: Tensor,
    /// The number of the epoch, from 0.
    pub epoch: usize,
}

/// An iterator of batches of examples, which are the entries along axis 0 of all tensors of a tree.
///
/// ```
/// use unloop::data::{Batches, Last};
/// use unloop::{Tensor, random};
/// let data = (Tensor::arange(0, 10, 1), Tensor::linspace(0.0, 1.0, 10));
/// let batches = Batches::new(&data, 4, Last::Keep)?.shuffled(&random::key(0)).epochs(2);
/// assert_eq!(batches.len(), 6);
/// let sizes: Vec<usize> = batches.map(|batch| batch.examples.0.size()).collect();
/// assert_eq!(sizes, [4, 4, 2, 4, 4, 2]);
///
/// let last = Batches::new(&data, 4, Last::Pad)?.last().unwrap();
/// assert_eq!(last.examples.0.to_vec::<i32>()?, [8, 9, 0, 1]);
/// assert_eq!(last.mask.to_vec::<bool>()?, [true, true, false, false]);
/// # Ok::<(), unloop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches<T> {
    data: T,
    count: usize,
    size: usize,
    last: Last,
    key: Option<Key>,
    epochs: usize,
    /// Batches so far.
    next: usize,
    /// The order of the examples in this epoch; `None` is their own.
    order: Option<Tensor>,
    place: Place,
}

impl<T: Tree> Batches<T> {
    /// One epoch of batches of `size` examples, in the order of the examples. Tensors of `data` are
    /// `[n, …]`, those of a batch `[size, …]`.
    ///
    /// # Errors
    /// `InvalidArgument` for a size of 0, for no tensors, and for one without axes; `BatchSizes` for sizes
    /// along axis 0 that differ; the error that a tensor carries.
    ///
    /// ```
    /// use unloop::{Tensor, data::{Batches, Last}};
    /// let mut batches = Batches::new(&Tensor::from([1.0, 2.0, 3.0]), 2, Last::Drop)?;
    /// assert_eq!(batches.next().unwrap().examples.to_vec::<f64>()?, [1.0, 2.0]);
    /// assert!(batches.next().is_none());
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn new(data: &T, size: usize, last: Last) -> Result<Batches<T>> {
        let place = Place::of("Batches::new");
        let fail = |kind: ErrorKind| Err(Error::new("Batches::new", kind, place));
        data.check()?;
        let leaves = data.leaves();
        let counts: Option<Vec<usize>> =
            leaves.iter().map(|leaf| leaf.shape().first().copied()).collect();
        let Some((&count, counts)) = counts.as_deref().and_then(<[usize]>::split_first) else {
            let message = "every tensor needs an axis of examples, and there must be one";
            return fail(ErrorKind::InvalidArgument(message.into()));
        };
        if counts.iter().any(|&other| other != count) {
            let paths = data.structure().paths();
            let counts = std::iter::once(count).chain(counts.iter().copied());
            return fail(ErrorKind::BatchSizes { sizes: paths.into_iter().zip(counts).collect() });
        }
        if size == 0 {
            return fail(ErrorKind::InvalidArgument(
                "batches of 0 examples; take 1 or more".into(),
            ));
        }
        let data = data.map_leaves(Tensor::clone);
        Ok(Batches { data, count, size, last, key: None, epochs: 1, next: 0, order: None, place })
    }

    /// The same with the examples of each epoch in an order of its own, which the key decides: that of
    /// [`random::permutation`] of the key and the number of the epoch.
    ///
    /// # Errors
    /// Carried by the batches: those of [`random::permutation`].
    ///
    /// ```
    /// use unloop::{Tensor, data::{Batches, Last}, random};
    /// let data = Tensor::arange(0, 100, 1);
    /// let batch = Batches::new(&data, 100, Last::Keep)?.shuffled(&random::key(1)).next().unwrap();
    /// assert_ne!(batch.examples.to_vec::<i32>()?, data.to_vec::<i32>()?);
    /// assert_eq!(batch.examples.sum().item::<i32>()?, 4950);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn shuffled(self, key: &Key) -> Batches<T> {
        Batches { key: Some(key.clone()), ..self }
    }

    /// The same for several epochs, one after the other; [`Batch::epoch`] says which.
    ///
    /// ```
    /// use unloop::{Tensor, data::{Batches, Last}};
    /// let batches = Batches::new(&Tensor::from([1.0, 2.0]), 2, Last::Keep)?.epochs(3);
    /// assert_eq!(batches.map(|batch| batch.epoch).collect::<Vec<_>>(), [0, 1, 2]);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn epochs(self, epochs: usize) -> Batches<T> {
        Batches { epochs, ..self }
    }

    /// The number of batches of an epoch.
    ///
    /// ```
    /// use unloop::{Tensor, data::{Batches, Last}};
    /// let data = Tensor::arange(0, 10, 1);
    /// assert_eq!(Batches::new(&data, 4, Last::Keep)?.per_epoch(), 3);
    /// assert_eq!(Batches::new(&data, 4, Last::Drop)?.per_epoch(), 2);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn per_epoch(&self) -> usize {
        match self.last {
            Last::Drop => self.count / self.size,
            Last::Keep | Last::Pad => self.count.div_ceil(self.size),
        }
    }

    fn left(&self) -> usize {
        self.per_epoch().saturating_mul(self.epochs).saturating_sub(self.next)
    }

    /// The batch from `start` on in the order of this epoch.
    fn batch(&self, start: usize, epoch: usize) -> Batch<T> {
        let real = self.size.min(self.count - start);
        if real == self.size || self.last != Last::Pad {
            let part = |x: &Tensor| x.slice_axis(0, start, start + real);
            let examples = match &self.order {
                None => self.data.map_leaves(part),
                Some(order) => self.take(&part(order)),
            };
            return Batch { examples, mask: Tensor::ones(DType::Bool, real), epoch };
        }
        // Behind the last example comes the first again.
        let along = Tensor::iota(DType::I64, self.size, 0);
        let rows = (&along + start) % self.count;
        let rows = self.order.as_ref().map_or(rows.clone(), |order| order.take(&rows, 0));
        Batch { examples: self.take(&rows), mask: along.less(real), epoch }
    }

    fn take(&self, rows: &Tensor) -> T {
        self.data.map_leaves(|leaf| leaf.take(rows, 0))
    }
}

impl<T: Tree> Iterator for Batches<T> {
    type Item = Batch<T>;

    fn next(&mut self) -> Option<Batch<T>> {
        if self.left() == 0 {
            return None;
        }
        let per_epoch = self.per_epoch();
        let (epoch, at) = (self.next / per_epoch, self.next % per_epoch);
        self.next += 1;
        // Errors name the line that asked for batches; the standard library hides that of the loop.
        self.place.scope(|| {
            if let (0, Some(key)) = (at, &self.key) {
                let key = random::fold_in(key, epoch as i64);
                self.order = Some(random::permutation(&key, self.count));
            }
            Some(self.batch(at * self.size, epoch))
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left(), Some(self.left()))
    }
}

impl<T: Tree> ExactSizeIterator for Batches<T> {}
