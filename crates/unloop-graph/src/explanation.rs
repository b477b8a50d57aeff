//! What was rewritten, for people.

use std::fmt;

use crate::Graph;

/// A program before and after, with the predicted costs and the rules that made the difference.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The program as traced.
    pub before: Graph,
    /// The program as it is compiled.
    pub after: Graph,
    /// The predicted time of the program as traced, in nanoseconds of this kind of machine.
    pub cost_before: f64,
    /// The predicted time of the program as it is compiled.
    pub cost_after: f64,
    /// The rules that changed the program, and how often.
    pub rules: Vec<(&'static str, usize)>,
    /// What else is worth knowing of the compiled function.
    pub notes: Vec<String>,
}

impl Explanation {
    /// An explanation from both programs with their costs, and one name for each rule that fired.
    pub fn new(
        before: Graph,
        after: Graph,
        (cost_before, cost_after): (f64, f64),
        mut fired: Vec<&'static str>,
    ) -> Explanation {
        fired.sort_unstable();
        let mut rules: Vec<(&'static str, usize)> = Vec::new();
        for name in fired {
            match rules.last_mut() {
                Some((last, count)) if *last == name => *count += 1,
                _ => rules.push((name, 1)),
            }
        }
        Explanation { before, after, cost_before, cost_after, rules, notes: Vec::new() }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micro = |nanoseconds: f64| nanoseconds / 1e3;
        writeln!(f, "as traced, about {:.3} µs:\n{}\n", micro(self.cost_before), self.before)?;
        writeln!(f, "as compiled, about {:.3} µs:\n{}\n", micro(self.cost_after), self.after)?;
        if self.rules.is_empty() {
            f.write_str("no rule applied")?;
        } else {
            f.write_str("rules:")?;
        }
        self.rules.iter().try_for_each(|(name, count)| write!(f, "\n  {count} × {name}"))?;
        self.notes.iter().try_for_each(|note| write!(f, "\n\n{note}"))
    }
}
