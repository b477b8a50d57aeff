//! Derivatives that are written down, where those by the chain rule leave the range of numbers.

use crate::Tensor;
use crate::op::Derivative;

/// The derivative of an elementwise function, by its slopes in each argument.
pub(super) struct Slopes<const N: usize> {
    pub name: &'static str,
    pub in_each: [fn([&Tensor; N]) -> Tensor; N],
}

impl<const N: usize> std::fmt::Debug for Slopes<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<const N: usize> Derivative for Slopes<N> {
    fn key(&self) -> String {
        self.name.into()
    }

    fn jvp(&self, x: &[&Tensor], t: &[Option<&Tensor>], _: &[Tensor]) -> Vec<Tensor> {
        let x: [&Tensor; N] = std::array::from_fn(|i| x[i]);
        let part = |i: usize| t[i].map(|t| t * (self.in_each[i])(x));
        match (0..N).filter_map(part).reduce(|a, b| a + b) {
            Some(tangent) => vec![tangent],
            None => unreachable!("the derivative in some argument"),
        }
    }
}

impl<const N: usize> Slopes<N> {
    /// The function with these slopes. Arguments have equal shapes, or are scalars.
    pub fn of(self, x: [&Tensor; N], f: impl FnOnce([&Tensor; N]) -> Tensor) -> Tensor {
        // Tangents have the shape of the result.
        let widest = x.iter().find(|x| x.rank() > 0).unwrap_or(&x[0]);
        let wide = |x: &Tensor| match x.rank() {
            0 => x.broadcast_to(widest.shape()),
            _ => x.clone(),
        };
        let x = x.map(wide);
        let [y] =
            Tensor::with_derivative(self, &x.each_ref(), |x| [f(std::array::from_fn(|i| &x[i]))]);
        y
    }
}
