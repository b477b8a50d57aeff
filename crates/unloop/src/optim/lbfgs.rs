//! L-BFGS.

use unloop_derive::Tree;
use unloop_graph::{Place, Tensor, Tree, ravel};
use unloop_transform::{Function, value_and_grad, while_loop};

use crate::linalg::epsilon;

/// The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno: steps by the gradient and what
/// the last steps told of the curvature. For smooth functions of all data, where it converges to many
/// digits; stochastic gradients spoil it.
///
/// The direction is that of Nocedal & Wright, *Numerical optimization*, 2006, algorithm 7.4. The length
/// is found by bisection between lengths that decrease the function too little and those that leave the
/// slope too steep (Lewis & Overton, *Nonsmooth optimization via quasi-Newton methods*, 2013, algorithm
/// 2.6). **A length where the function or its slope is NaN or infinite is one that is too long**: a
/// factorisation that fails on the way, a logarithm of what became negative, end in a shorter step, and
/// never in the parameters.
///
/// ```
/// use unloop::prelude::*;
/// use unloop::optim::Lbfgs;
/// // Rosenbrock's valley, as a function of a tree.
/// let valley = |(x, y): &(Tensor, Tensor)| (1.0 - x).square() + 100.0 * (y - x * x).square();
/// let start = (Tensor::from(-1.2), Tensor::from(1.0));
/// let ((x, y), state) = Lbfgs::new().minimize(valley, &start);
/// assert!((x.item::<f64>()? - 1.0).abs() < 1e-6 && (y.item::<f64>()? - 1.0).abs() < 1e-6);
/// assert!(state.value.item::<f64>()? < 1e-12);
/// # Ok::<(), unloop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lbfgs {
    history: usize,
    trials: usize,
    steps: usize,
    tolerance: f64,
}

/// The state of [`Lbfgs`].
#[derive(Clone, Debug, Tree)]
#[tree(crate = "crate")]
pub struct LbfgsState {
    /// Updates so far, i64.
    pub step: Tensor,
    /// The value of the function at the parameters.
    pub value: Tensor,
    /// Its gradient there, as [`ravel`] orders it.
    pub gradient: Tensor,
    /// Whether the last update found no better parameters, not even along the gradient: the minimum is
    /// reached up to rounding, or the function is not finite at the parameters.
    pub stuck: Tensor,
    /// The last steps, newest last; changes of the gradient; reciprocals of their products, 0 where
    /// there is none.
    steps: Tensor,
    changes: Tensor,
    weights: Tensor,
}

/// The search for the length of a step.
#[derive(Clone, Tree)]
#[tree(crate = "crate")]
struct Search {
    /// The length that comes next, between one too short and one too long.
    trial: Tensor,
    low: Tensor,
    high: Tensor,
    count: Tensor,
    is_done: Tensor,
    /// The best length so far, with value and gradient there; at first 0.
    length: Tensor,
    value: Tensor,
    gradient: Tensor,
}

/// The part of the decrease that the slope promises which a step must reach.
const DECREASE: f64 = 1e-4;
/// The part of the slope that may be left behind a step.
const SLOPE: f64 = 0.9;

impl Default for Lbfgs {
    fn default() -> Lbfgs {
        Lbfgs { history: 10, trials: 30, steps: 1000, tolerance: 1e-6 }
    }
}

impl Lbfgs {
    /// The usual: 10 steps remembered; [`Lbfgs::minimize`] ends after 1000 steps, or when the norm of
    /// the gradient is at most 1e-6.
    pub fn new() -> Lbfgs {
        Lbfgs::default()
    }

    /// The same with another number of steps that are remembered, at least 1; 10 unless said.
    pub fn history(self, steps: usize) -> Lbfgs {
        Lbfgs { history: steps.max(1), ..self }
    }

    /// The same with another largest number of steps of [`Lbfgs::minimize`]; 1000 unless said.
    pub fn steps(self, steps: usize) -> Lbfgs {
        Lbfgs { steps, ..self }
    }

    /// The same with another Euclidean norm of the gradient at which [`Lbfgs::minimize`] ends; 1e-6 unless
    /// said.
    pub fn tolerance(self, tolerance: f64) -> Lbfgs {
        Lbfgs { tolerance, ..self }
    }

    /// The state before the first update of parameters, for a function that gives a scalar.
    ///
    /// # Errors
    /// Carried by the state: those of the function and its gradient (`NonScalar`, `NotDifferentiable`);
    /// `InvalidArgument` for parameters of several dtypes, as [`ravel`] says.
    #[track_caller]
    pub fn init<P: Tree + Send + Sync>(
        &self,
        f: impl Function<(P,), Output = Tensor>,
        params: &P,
    ) -> LbfgsState {
        self.start(&f, params, Place::of("init"))
    }

    /// The next parameters and state, of the types of the given ones. There the function is at most what it
    /// was, up to rounding. `f` is the function that the state was made for.
    ///
    /// # Errors
    /// Carried by the results: those of [`Lbfgs::init`].
    ///
    /// ```
    /// use unloop::{Tensor, optim::Lbfgs};
    /// let bowl = |x: &Tensor| (x - 3.0).square().sum();
    /// let (lbfgs, mut x) = (Lbfgs::new(), Tensor::from([0.0, 10.0]));
    /// let mut state = lbfgs.init(bowl, &x);
    /// for _ in 0..5 {
    ///     (x, state) = lbfgs.update(bowl, &state, &x);
    /// }
    /// assert!((x - 3.0).abs().max().item::<f64>()? < 1e-6);
    /// # Ok::<(), unloop::Error>(())
    /// ```
    #[track_caller]
    pub fn update<P: Tree + Send + Sync>(
        &self,
        f: impl Function<(P,), Output = Tensor>,
        state: &LbfgsState,
        params: &P,
    ) -> (P, LbfgsState) {
        self.advance(&f, state, params, Place::of("update"))
    }

    /// Updates until the gradient is small, nothing better is found, or there were enough steps. One
    /// loop: under `jit` it is compiled once, under `vmap` it goes on until every example is done.
    ///
    /// # Errors
    /// Carried by the results: those of [`Lbfgs::init`].
    #[track_caller]
    pub fn minimize<P: Tree + Send + Sync>(
        &self,
        f: impl Function<(P,), Output = Tensor>,
        params: &P,
    ) -> (P, LbfgsState) {
        let place = Place::of("minimize");
        let start = (params.map_leaves(Tensor::clone), self.start(&f, params, place));
        place.scope(|| {
            let most = i64::try_from(self.steps).unwrap_or(i64::MAX);
            let goes_on = |(_, state): &(P, LbfgsState)| {
                let norm = state.gradient.norm();
                let is_small = norm.less_equal(self.tolerance);
                state.step.less(most) & (is_small | &state.stuck).logical_not()
            };
            while_loop(goes_on, |(p, state)| self.advance(&f, state, p, place), &start)
        })
    }

    fn start<P: Tree + Send + Sync>(
        &self,
        f: &impl Function<(P,), Output = Tensor>,
        params: &P,
        place: Place,
    ) -> LbfgsState {
        place.scope(|| {
            let (x, unravel) = ravel(params);
            let (value, gradient) = value_and_grad(|x: &Tensor| f.call((&unravel(x),)))(&x);
            let (m, dtype) = (self.history, x.dtype());
            let pairs = Tensor::zeros(dtype, [m, x.size()]);
            LbfgsState {
                step: Tensor::from(0i64),
                value,
                gradient,
                stuck: Tensor::from(false),
                steps: pairs.clone(),
                changes: pairs,
                weights: Tensor::zeros(dtype, m),
            }
        })
    }

    fn advance<P: Tree + Send + Sync>(
        &self,
        f: &impl Function<(P,), Output = Tensor>,
        state: &LbfgsState,
        params: &P,
        place: Place,
    ) -> (P, LbfgsState) {
        place.scope(|| {
            let (x, unravel) = ravel(params);
            let slope_at = value_and_grad(|x: &Tensor| f.call((&unravel(x),)));
            let (direction, slope) = state.descent();
            let found = self.search(&|x| slope_at(x), &x, &direction, &slope, state);
            let has_moved = found.length.greater(0.0);
            // A direction of NaN leads nowhere.
            let step = has_moved.select(&direction * &found.length, 0.0);
            let next = state.remembering(&step, &found, &has_moved);
            (unravel(&(x + step)), next)
        })
    }

    /// The length of a step along a direction with a negative slope.
    fn search(
        &self,
        slope_at: &dyn Fn(&Tensor) -> (Tensor, Tensor),
        x: &Tensor,
        direction: &Tensor,
        slope: &Tensor,
        state: &LbfgsState,
    ) -> Search {
        let start = Search {
            trial: number(x, 1.0),
            low: number(x, 0.0),
            high: number(x, f64::INFINITY),
            count: Tensor::from(0i64),
            is_done: Tensor::from(false),
            length: number(x, 0.0),
            value: state.value.clone(),
            gradient: state.gradient.clone(),
        };
        let most = i64::try_from(self.trials).unwrap_or(i64::MAX);
        let goes_on = |s: &Search| s.count.less(most) & s.is_done.logical_not();
        let rounding = state.value.abs() * (10.0 * epsilon(x.dtype()));
        let next = |s: &Search| {
            let (value, gradient) = slope_at(&(x + direction * &s.trial));
            let left = gradient.dot(direction);
            // Near the minimum, differences of values are rounding, and slopes tell more (Hager &
            // Zhang, 2005).
            let decreases = value.less_equal(&state.value + slope * &s.trial * DECREASE);
            let is_level = value.less_equal(&state.value + &rounding)
                & left.less_equal(slope * (2.0 * DECREASE - 1.0));
            // Comparisons with NaN are false.
            let is_good = (decreases | is_level) & left.is_finite() & value.is_finite();
            let is_short = &is_good & left.less(slope * SLOPE);
            let low = is_short.select(&s.trial, &s.low);
            let high = is_good.select(&s.high, &s.trial);
            let middle = (&low + &high) * 0.5;
            Search {
                trial: high.is_finite().select(middle, &s.trial * 2.0),
                low,
                high,
                count: &s.count + 1,
                is_done: &is_good & is_short.logical_not(),
                length: is_good.select(&s.trial, &s.length),
                value: is_good.select(&value, &s.value),
                gradient: is_good.select(&gradient, &s.gradient),
            }
        };
        while_loop(goes_on, next, &start)
    }
}

impl LbfgsState {
    /// Minus the gradient times the inverse curvature that the history tells, and the slope along it.
    fn descent(&self) -> (Tensor, Tensor) {
        let g = &self.gradient;
        let m = self.weights.size() as i64;
        let pair = |i: i64| (self.steps.at((i, ..)), self.changes.at((i, ..)), self.weights.at(i));
        let mut q = g.clone();
        let mut parts = Vec::new();
        for i in (0..m).rev() {
            let (s, y, w) = pair(i);
            let part = s.dot(&q) * w;
            q -= y * &part;
            parts.push(part);
        }
        // The first step is at most 1 long; later the newest pair tells the scale.
        let first = (1.0 / g.norm()).minimum(1.0);
        let (_, y, w) = pair(m - 1);
        let is_known = w.greater(0.0);
        q *= is_known.select(1.0 / (w * y.dot(&y)), &first);
        for i in 0..m {
            let (s, y, w) = pair(i);
            let part = parts.pop().unwrap_or_else(|| unreachable!("one part a pair"));
            q = &q + s * (part - y.dot(&q) * w);
        }
        // What rounding has turned away from the minimum is replaced by the gradient.
        let slope = -g.dot(&q);
        let falls = slope.less(0.0);
        let direction = falls.select(-q, -(g * &first));
        (direction, falls.select(&slope, -(g.dot(g) * first)))
    }

    /// The state behind a step.
    fn remembering(&self, step: &Tensor, found: &Search, has_moved: &Tensor) -> LbfgsState {
        let change = &found.gradient - &self.gradient;
        let product = step.dot(&change);
        let least = step.norm() * change.norm() * epsilon(step.dtype());
        // A pair without positive curvature would spoil the direction.
        let is_curved = product.greater(&least);
        let pushed = |rows: &Tensor, row: &Tensor| {
            let rest = rows.slice_axis(0, 1, rows.shape()[0]);
            let all = Tensor::concatenate(&[&rest, &row.expand_dims(0)], 0);
            is_curved.select(&all, rows)
        };
        let weights = pushed(&self.weights, &(1.0 / &product));
        // Where nothing better was found, the next search is along the gradient; if that was already so,
        // there is nothing more to find.
        let knows = self.weights.greater(0.0).any();
        LbfgsState {
            step: &self.step + 1,
            value: found.value.clone(),
            gradient: found.gradient.clone(),
            stuck: (has_moved | knows).logical_not(),
            steps: pushed(&self.steps, step),
            changes: pushed(&self.changes, &change),
            weights: has_moved.select(weights, 0.0),
        }
    }
}

/// A number in the dtype of a tensor.
fn number(like: &Tensor, value: f64) -> Tensor {
    Tensor::from(value).cast(like.dtype())
}
