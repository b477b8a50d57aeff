//! A nest as text: one statement a line, loops indented.

use std::fmt;

use super::{AxisId, Buffer, BufferId, Index, Kind, Loop, Nest, Role, Stmt};
use crate::ir::{Expr, ExprId};

/// A buffer's name.
struct Name(BufferId);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.0;
        let letter = (b'a' + (n % 26) as u8) as char;
        match n / 26 {
            0 => write!(f, "{letter}"),
            round => write!(f, "{letter}{round}"),
        }
    }
}

impl fmt::Display for ExprId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x{}", self.0)
    }
}

impl fmt::Display for AxisId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |first: bool, minus: bool| match (first, minus) {
            (true, false) => "",
            (true, true) => "-",
            (false, false) => " + ",
            (false, true) => " - ",
        };
        let mut is_first = true;
        for (axis, stride) in self.terms.iter().filter(|(_, stride)| *stride != 0) {
            f.write_str(sign(std::mem::take(&mut is_first), *stride < 0))?;
            match stride.unsigned_abs() {
                1 => write!(f, "{axis}")?,
                stride => write!(f, "{stride}·{axis}")?,
            }
        }
        if let Some(x) = self.computed {
            write!(f, "{}{x}", sign(std::mem::take(&mut is_first), false))?;
        }
        if self.offset != 0 || is_first {
            write!(f, "{}{}", sign(is_first, self.offset < 0), self.offset.unsigned_abs())?;
        }
        Ok(())
    }
}

impl fmt::Display for Nest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Buffer { role, dtype, len }) in self.buffers.iter().enumerate() {
            let role = match role {
                Role::Input => "in",
                Role::Output => "out",
                Role::Local => "local",
            };
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{}: {role} {dtype}[{len}]", Name(BufferId(i as u32)))?;
        }
        writeln!(f)?;
        self.print_block(&self.body, 1, f)
    }
}

impl Nest {
    fn print_block(&self, block: &[Stmt], depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = 2 * depth;
        for stmt in block {
            write!(f, "{:indent$}", "")?;
            match stmt {
                Stmt::Let(x) => self.print_expr(*x, f)?,
                Stmt::Store { buffer, index, value } => {
                    writeln!(f, "{}[{index}] = {value}", Name(*buffer))?;
                }
                Stmt::Loop(each) => self.print_loop(each, depth, f)?,
            }
        }
        Ok(())
    }

    fn print_expr(&self, x: ExprId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{x} = ")?;
        if let Some(read) = self.read(x) {
            write!(f, "{}[{}]", Name(read.buffer), read.index)?;
            if let (Some(mask), Some(otherwise)) = (read.mask, read.otherwise) {
                write!(f, " if {mask} else {}", otherwise)?;
            }
            return writeln!(f);
        }
        match self.expr(x) {
            Expr::Constant(value) => write!(f, "{value}")?,
            Expr::Iota { axis, scale, offset, dtype } => {
                let terms = [(AxisId(*axis as u32), *scale)].into_iter().collect();
                let index = Index { offset: *offset, terms, computed: None };
                write!(f, "{dtype} {index}")?;
            }
            expr => {
                f.write_str(expr.name())?;
                if let Expr::Convert(to, _) | Expr::Bitcast(to, _) = expr {
                    write!(f, " {to}")?;
                }
                expr.operands().iter().try_for_each(|x| write!(f, " {x}"))?;
            }
        }
        writeln!(f)
    }

    fn print_loop(&self, each: &Loop, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = 2 * depth;
        let (axis, extent) = (each.axis, self.axes[each.axis.0 as usize]);
        match &each.kind {
            Kind::Grid => write!(f, "grid {axis} < {extent}")?,
            Kind::Lanes => write!(f, "lanes {axis} < {extent}")?,
            Kind::Serial { reverse: false } => write!(f, "serial {axis} < {extent}")?,
            Kind::Serial { reverse: true } => write!(f, "serial {axis} < {extent}, last first")?,
            Kind::While { limit: None, .. } => f.write_str("while")?,
            Kind::While { limit: Some(limit), .. } => write!(f, "while, at most {limit} times")?,
        }
        for (i, carried) in each.carried.iter().enumerate() {
            let word = if i == 0 { ", from" } else { "," };
            write!(f, "{word} {} = {}", carried.value, carried.start)?;
        }
        writeln!(f)?;
        if let Kind::While { head, on, .. } = &each.kind {
            self.print_block(head, depth + 1, f)?;
            writeln!(f, "{:indent$}as long as {on}", "")?;
        }
        self.print_block(&each.body, depth + 1, f)?;
        for (i, carried) in each.carried.iter().enumerate() {
            let indent = indent + 2;
            match i {
                0 => write!(f, "{:indent$}next {} = {}", "", carried.value, carried.next)?,
                _ => write!(f, ", {} = {}", carried.value, carried.next)?,
            }
        }
        if each.carried.is_empty() { Ok(()) } else { writeln!(f) }
    }
}
