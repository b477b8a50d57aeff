//! Rates that change from step to step.

use std::sync::Arc;

use unloop_graph::{DType, Tensor, operation};

use super::number;

/// A rate of learning as a function of the step, from 0. Plain numbers and scalar tensors are schedules
/// that stay.
///
/// ```
/// use unloop::optim::{Adam, Schedule};
/// use unloop::Tensor;
/// let rate = Schedule::cosine(1e-3, 0.0, 900).warm_up(100);
/// assert_eq!(rate.at(&Tensor::from(50)).item::<f64>()?, 5e-4);
/// assert_eq!(rate.at(&Tensor::from(100)).item::<f64>()?, 1e-3);
/// assert_eq!(rate.at(&Tensor::from(1000)).item::<f64>()?, 0.0);
/// let adam = Adam::new(rate);
/// # Ok::<(), unloop::Error>(())
/// ```
#[derive(Clone)]
pub struct Schedule(Arc<dyn Fn(&Tensor) -> Tensor + Send + Sync>);

macro_rules! constant {
    ($($t:ty)+) => {$(
        /// A rate that stays.
        impl From<$t> for Schedule {
            fn from(rate: $t) -> Schedule {
                Schedule::constant(rate)
            }
        }
    )+};
}
constant!(f64 f32 Tensor &Tensor);

impl Schedule {
    /// A function of the step, which is given as an f64 scalar, to the rate, a scalar.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Schedule};
    /// let rate = Schedule::new(|step| 1.0 / (step + 1.0));
    /// assert_eq!(rate.at(&Tensor::from(3)).item::<f64>()?, 0.25);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn new(rate: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static) -> Schedule {
        Schedule(Arc::new(rate))
    }

    /// The same rate at every step.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Schedule};
    /// assert_eq!(Schedule::constant(0.5).at(&Tensor::from(7)).item::<f64>()?, 0.5);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn constant(rate: impl Into<Tensor>) -> Schedule {
        let rate = number(rate);
        Schedule::new(move |_| rate.clone())
    }

    /// From `start` at step 0 to `end` at step `steps`, by equal differences, and `end` from then on.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Schedule};
    /// let rate = Schedule::linear(1.0, 0.0, 4);
    /// assert_eq!(rate.at(&Tensor::from(1)).item::<f64>()?, 0.75);
    /// assert_eq!(rate.at(&Tensor::from(9)).item::<f64>()?, 0.0);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn linear(start: impl Into<Tensor>, end: impl Into<Tensor>, steps: usize) -> Schedule {
        let (start, end) = (number(start), number(end));
        Schedule::new(move |step| &start + (&end - &start) * progress(step, steps))
    }

    /// `start·factor^(step/every)`: times `factor` every so many steps, without jumps; an `every` of 0
    /// counts as 1.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Schedule};
    /// let rate = Schedule::exponential(1.0, 0.5, 10);
    /// assert_eq!(rate.at(&Tensor::from(20)).item::<f64>()?, 0.25);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn exponential(
        start: impl Into<Tensor>,
        factor: impl Into<Tensor>,
        every: usize,
    ) -> Schedule {
        let (start, factor) = (number(start), number(factor));
        Schedule::new(move |step| &start * factor.pow(&(step / every.max(1) as f64)))
    }

    /// From `start` to `end` along half a wave of the cosine, and `end` from then on. Loshchilov &
    /// Hutter, 2017, <https://arxiv.org/abs/1608.03983>.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Schedule};
    /// let rate = Schedule::cosine(1.0, 0.0, 10);
    /// assert!((rate.at(&Tensor::from(5)).item::<f64>()? - 0.5).abs() < 1e-12);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn cosine(start: impl Into<Tensor>, end: impl Into<Tensor>, steps: usize) -> Schedule {
        let (start, end) = (number(start), number(end));
        Schedule::new(move |step| {
            let wave = (progress(step, steps) * std::f64::consts::PI).cos() * 0.5 + 0.5;
            &end + (&start - &end) * wave
        })
    }

    /// The rate `start`, then, from each of the steps on, the rate beside it.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Schedule};
    /// let rate = Schedule::piecewise(0.1, &[(10, 0.01), (20, 0.001)]);
    /// assert_eq!(rate.at(&Tensor::from(9)).item::<f64>()?, 0.1);
    /// assert_eq!(rate.at(&Tensor::from(10)).item::<f64>()?, 0.01);
    /// assert_eq!(rate.at(&Tensor::from(30)).item::<f64>()?, 0.001);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn piecewise(start: impl Into<Tensor>, rates: &[(usize, f64)]) -> Schedule {
        let next = |before: Schedule, &(from, rate): &(usize, f64)| before.then(from, rate);
        rates.iter().fold(Schedule::constant(start), next)
    }

    /// This schedule, and from step `from` on another, whose steps begin there.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Schedule};
    /// let rate = Schedule::constant(1.0).then(10, Schedule::linear(1.0, 0.0, 10));
    /// assert_eq!(rate.at(&Tensor::from(15)).item::<f64>()?, 0.5);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn then(self, from: usize, next: impl Into<Schedule>) -> Schedule {
        let (from, next) = (from as f64, next.into());
        Schedule::new(move |step| {
            let is_before = step.less(from);
            is_before.select(self.at_number(step), next.at_number(&(step - from)))
        })
    }

    /// A linear rise from 0 to the first rate of this schedule within so many steps, and then this schedule.
    ///
    /// ```
    /// use unloop::{Tensor, optim::Schedule};
    /// let rate = Schedule::constant(1.0).warm_up(4);
    /// assert_eq!(rate.at(&Tensor::from(1)).item::<f64>()?, 0.25);
    /// assert_eq!(rate.at(&Tensor::from(8)).item::<f64>()?, 1.0);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    pub fn warm_up(self, steps: usize) -> Schedule {
        let first = self.at_number(&0.0.into());
        Schedule::linear(0.0, first, steps).then(steps, self)
    }

    /// The rate at a step, a scalar of any dtype: an f64 scalar.
    ///
    /// # Errors
    /// Carried by the result: those of the step, and of the function of [`Schedule::new`].
    #[track_caller]
    pub fn at(&self, step: &Tensor) -> Tensor {
        operation("at", || self.at_number(&step.cast(DType::F64)))
    }

    fn at_number(&self, step: &Tensor) -> Tensor {
        (self.0)(step)
    }
}

/// The part of some steps that is done, at most 1.
fn progress(step: &Tensor, steps: usize) -> Tensor {
    match steps {
        0 => step.ones_like(),
        _ => (step / steps as f64).minimum(1.0),
    }
}
