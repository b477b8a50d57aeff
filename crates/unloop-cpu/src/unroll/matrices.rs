//! Small matrices, element by element: factors, triangles, systems.

use unloop_graph::{Array, BinaryOp, CompareOp, DType, TensorType, UnaryOp};
use unloop_kernel::{Expr, ExprId};

use super::scalars::{MAX_ELEMENTS, MAX_EXPRS, Unroller, array, elements};

/// Rows of a matrix that is eliminated with pivots, at most.
const MAX_PIVOTED: usize = 4;

/// Rows and columns of a matrix that is factorised with pivots, at most.
const MAX_FACTORED: usize = 8;

impl Unroller {
    /// Applies `f` to every matrix of stacks and stacks the results.
    pub fn each_matrix(
        &mut self,
        operands: &[Array],
        ty: &TensorType,
        mut f: impl FnMut(&mut Self, &[Matrix]) -> Option<Matrix>,
    ) -> Option<Vec<Array>> {
        let [batch @ .., _, _] = &ty.shape[..] else { return None };
        let count: usize = batch.iter().product();
        let stacks: Vec<Vec<Matrix>> =
            operands.iter().map(|x| Matrix::stack(x, count)).collect::<Option<_>>()?;
        let mut ids = Vec::new();
        for i in 0..count {
            let matrices: Vec<Matrix> = stacks.iter().map(|stack| stack[i].clone()).collect();
            ids.extend(f(self, &matrices)?.ids);
        }
        Some(vec![array(ty.shape.clone(), ids)])
    }

    /// The lower factor; NaN if a pivot is not positive.
    pub fn cholesky(&mut self, a: &Matrix) -> Option<Matrix> {
        let n = a.columns;
        let dtype = self.dtype(*a.ids.first()?);
        let (zero, nan) = (self.number(0.0, dtype), self.number(f64::NAN, dtype));
        let mut l = Matrix { columns: n, ids: vec![zero; n * n] };
        let mut fits = None;
        for j in 0..n {
            let mut inverse = None;
            for i in j..n {
                let mut rest = a.at(i, j);
                for k in 0..j {
                    rest = self.less_product(rest, l.at(i, k), l.at(j, k));
                }
                let value = match inverse {
                    None => {
                        let positive =
                            self.push(Expr::Compare(CompareOp::Gt, rest, zero), DType::Bool);
                        fits = Some(match fits {
                            None => positive,
                            Some(fits) => self.binary(BinaryOp::And, fits, positive),
                        });
                        let root = self.push(Expr::Unary(UnaryOp::Sqrt, rest), dtype);
                        inverse = Some(self.push(Expr::Unary(UnaryOp::Reciprocal, root), dtype));
                        root
                    }
                    Some(inverse) => self.binary(BinaryOp::Mul, rest, inverse),
                };
                l.set(i, j, value);
            }
        }
        let fits = fits?;
        let values = l.ids.iter().map(|&x| self.select(fits, x, nan)).collect();
        Some(Matrix { columns: n, ids: values })
    }

    /// The solution of a triangular system.
    pub fn substitute(
        &mut self,
        a: &Matrix,
        b: &Matrix,
        lower: bool,
        unit: bool,
    ) -> Option<Matrix> {
        let n = a.columns;
        if n * n * b.columns > MAX_EXPRS {
            return None;
        }
        let mut x = b.clone();
        for step in 0..n {
            let i = if lower { step } else { n - 1 - step };
            let before = if lower { 0..i } else { i + 1..n };
            let dtype = self.dtype(a.at(i, i));
            for j in 0..b.columns {
                let mut rest = x.at(i, j);
                for k in before.clone() {
                    rest = self.less_product(rest, a.at(i, k), x.at(k, j));
                }
                if !unit {
                    let inverse = self.push(Expr::Unary(UnaryOp::Reciprocal, a.at(i, i)), dtype);
                    rest = self.binary(BinaryOp::Mul, rest, inverse);
                }
                x.set(i, j, rest);
            }
        }
        Some(x)
    }

    /// The factors of each matrix packed in one, the row that each step exchanges, and the order of rows.
    pub fn lu(&mut self, x: &Array, types: &[&TensorType]) -> Option<Vec<Array>> {
        let [batch @ .., rows, columns] = &types[0].shape[..] else { return None };
        let (rows, columns) = (*rows, *columns);
        if rows.max(columns) > MAX_FACTORED {
            return None;
        }
        let mut results = [Vec::new(), Vec::new(), Vec::new()];
        for matrix in Matrix::stack(x, batch.iter().product())? {
            let mut a = matrix;
            let dtype = self.dtype(a.at(0, 0));
            let zero = self.number(0.0, dtype);
            let numbers: Vec<ExprId> =
                (0..rows).map(|i| self.number(i as f64, DType::I32)).collect();
            let mut order = Matrix { columns: 1, ids: numbers.clone() };
            for k in 0..rows.min(columns) {
                let mut most = self.push(Expr::Unary(UnaryOp::Abs, a.at(k, k)), dtype);
                let mut pivot = numbers[k];
                for (i, &number) in numbers.iter().enumerate().skip(k + 1) {
                    let size = self.push(Expr::Unary(UnaryOp::Abs, a.at(i, k)), dtype);
                    let larger = self.push(Expr::Compare(CompareOp::Gt, size, most), DType::Bool);
                    most = self.select(larger, size, most);
                    pivot = self.select(larger, number, pivot);
                }
                for (i, &number) in numbers.iter().enumerate().skip(k + 1) {
                    let is_pivot = Expr::Compare(CompareOp::Eq, pivot, number);
                    let is_pivot = self.push(is_pivot, DType::Bool);
                    for m in [&mut a, &mut order] {
                        for j in 0..m.columns {
                            let (x, y) = (m.at(i, j), m.at(k, j));
                            m.set(k, j, self.select(is_pivot, x, y));
                            m.set(i, j, self.select(is_pivot, y, x));
                        }
                    }
                }
                results[1].push(pivot);
                let top = a.at(k, k);
                let none = self.push(Expr::Compare(CompareOp::Eq, top, zero), DType::Bool);
                for i in k + 1..rows {
                    let quotient = self.binary(BinaryOp::Div, a.at(i, k), top);
                    // A column of zeros is left as it is.
                    let factor = self.select(none, a.at(i, k), quotient);
                    a.set(i, k, factor);
                    for j in k + 1..columns {
                        a.set(i, j, self.less_product(a.at(i, j), factor, a.at(k, j)));
                    }
                }
            }
            results[0].extend(a.ids);
            results[2].extend(order.ids);
        }
        let results = results.into_iter().zip(types);
        Some(results.map(|(ids, ty)| array(ty.shape.clone(), ids)).collect())
    }

    /// Elimination with partial pivoting, rows exchanged by selects; NaN if the matrix is singular.
    pub fn solve(&mut self, mut a: Matrix, mut b: Matrix) -> Option<Matrix> {
        let n = a.columns;
        if n == 0 || n > MAX_PIVOTED || b.ids.is_empty() {
            return None;
        }
        let dtype = self.dtype(a.at(0, 0));
        let (zero, nan) = (self.number(0.0, dtype), self.number(f64::NAN, dtype));
        let mut singular = None;
        for k in 0..n {
            for i in k + 1..n {
                let [x, y] = [a.at(i, k), a.at(k, k)]
                    .map(|x| self.push(Expr::Unary(UnaryOp::Abs, x), dtype));
                let larger = self.push(Expr::Compare(CompareOp::Gt, x, y), DType::Bool);
                for m in [&mut a, &mut b] {
                    for j in 0..m.columns {
                        let (x, y) = (m.at(i, j), m.at(k, j));
                        m.set(k, j, self.select(larger, x, y));
                        m.set(i, j, self.select(larger, y, x));
                    }
                }
            }
            let none = self.push(Expr::Compare(CompareOp::Eq, a.at(k, k), zero), DType::Bool);
            singular = Some(match singular {
                None => none,
                Some(before) => self.binary(BinaryOp::Or, before, none),
            });
            let inverse = self.push(Expr::Unary(UnaryOp::Reciprocal, a.at(k, k)), dtype);
            for i in k + 1..n {
                let factor = self.binary(BinaryOp::Mul, a.at(i, k), inverse);
                for j in k + 1..n {
                    a.set(i, j, self.less_product(a.at(i, j), factor, a.at(k, j)));
                }
                for j in 0..b.columns {
                    b.set(i, j, self.less_product(b.at(i, j), factor, b.at(k, j)));
                }
            }
        }
        let x = self.substitute(&a, &b, false, false)?;
        let singular = singular?;
        let ids = x.ids.iter().map(|&x| self.select(singular, nan, x)).collect();
        Some(Matrix { columns: x.columns, ids })
    }
}

/// A matrix of values.
#[derive(Clone)]
pub(super) struct Matrix {
    pub columns: usize,
    pub ids: Vec<ExprId>,
}

impl Matrix {
    /// The matrices of a stack.
    fn stack(x: &Array, count: usize) -> Option<Vec<Matrix>> {
        let [.., rows, columns] = x.shape()[..] else { return None };
        if rows * columns == 0 || count * rows * columns > MAX_ELEMENTS {
            return None;
        }
        let ids = elements(x);
        let matrix = |ids: &[ExprId]| Matrix { columns, ids: ids.to_vec() };
        Some(ids.chunks(rows * columns).map(matrix).collect())
    }

    fn at(&self, i: usize, j: usize) -> ExprId {
        self.ids[i * self.columns + j]
    }

    fn set(&mut self, i: usize, j: usize, x: ExprId) {
        self.ids[i * self.columns + j] = x;
    }

    pub fn transposed(&self) -> Matrix {
        let n = self.columns;
        let ids = (0..n * n).map(|k| self.at(k % n, k / n)).collect();
        Matrix { columns: n, ids }
    }
}
