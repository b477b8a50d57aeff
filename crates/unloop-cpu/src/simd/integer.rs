//! Integer arithmetic on single elements: it wraps, nothing traps. Division by zero gives all bits
//! one (-1 for signed), the remainder by zero the dividend, `MIN / -1` is `MIN`; shifts by the width
//! or more shift everything out.

use super::arith::*;

map_op! {
    Neg: i32 i64 u32 => |x| x.wrapping_neg();
    Abs: i32 i64 => |x| x.wrapping_abs();
    Abs: u32 => |x| x;
    Sign: i32 i64 => |x| x.signum();
    Sign: u32 => |x| x.min(1);
    Square: i32 i64 u32 => |x| x.wrapping_mul(x);
    Not: i32 i64 u32 => |x| !x;
    PopulationCount: i32 => |x| x.count_ones() as i32;
    PopulationCount: i64 => |x| i64::from(x.count_ones());
    PopulationCount: u32 => |x| x.count_ones();
}

zip_op! {
    Add: i32 i64 u32 => |x, y| x.wrapping_add(y);
    Sub: i32 i64 u32 => |x, y| x.wrapping_sub(y);
    Mul: i32 i64 u32 => |x, y| x.wrapping_mul(y);
    // 32-bit quotients are exact after truncation of the rounded f64 quotient, which vectorises.
    // Saturation turns `MIN / -1` into `MAX`, so a divisor of -1 has its own branch.
    Div: i32 => |x, y| {
        let quotient = (f64::from(x) / f64::from(y)) as i32;
        if y == 0 { -1 } else if y == -1 { x.wrapping_neg() } else { quotient }
    };
    Div: u32 => |x, y| {
        let quotient = (f64::from(x) / f64::from(y)) as u32;
        if y == 0 { u32::MAX } else { quotient }
    };
    Div: i64 => |x, y| if y == 0 { -1 } else { x.wrapping_div(y) };
    Rem: i32 => |x, y| {
        let quotient = <Div as Zip<i32>>::zip(x, y);
        x.wrapping_sub(if y == 0 { 0 } else { quotient.wrapping_mul(y) })
    };
    Rem: u32 => |x, y| {
        let quotient = <Div as Zip<u32>>::zip(x, y);
        x.wrapping_sub(if y == 0 { 0 } else { quotient.wrapping_mul(y) })
    };
    Rem: i64 => |x, y| if y == 0 { x } else { x.wrapping_rem(y) };
    Max: i32 i64 u32 => |x, y| x.max(y);
    Min: i32 i64 u32 => |x, y| x.min(y);
    And: i32 i64 u32 => |x, y| x & y;
    Or: i32 i64 u32 => |x, y| x | y;
    Xor: i32 i64 u32 => |x, y| x ^ y;
    // A shift amount is read as unsigned.
    ShiftLeft: i32 u32 => |x, y| {
        let y = y as u32;
        if y < 32 { x << (y & 31) } else { 0 }
    };
    ShiftLeft: i64 => |x, y| {
        let y = y as u64;
        if y < 64 { x << (y & 63) } else { 0 }
    };
    ShiftRightLogical: i32 => |x, y| {
        let y = y as u32;
        if y < 32 { (x as u32 >> (y & 31)) as i32 } else { 0 }
    };
    ShiftRightLogical: u32 => |x, y| if y < 32 { x >> (y & 31) } else { 0 };
    ShiftRightLogical: i64 => |x, y| {
        let y = y as u64;
        if y < 64 { (x as u64 >> (y & 63)) as i64 } else { 0 }
    };
    ShiftRightArithmetic: i32 => |x, y| x >> (y as u32).min(31);
    ShiftRightArithmetic: u32 => |x, y| (x as i32 >> y.min(31)) as u32;
    ShiftRightArithmetic: i64 => |x, y| x >> (y as u64).min(63);
}
