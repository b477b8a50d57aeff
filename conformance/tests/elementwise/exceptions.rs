//! Where the numbers are not those of JAX, each with its reason. An exception that is none fails.

/// Numbers that differ from those of JAX.
pub struct Exception {
    /// Names, with or without what follows the colon.
    pub functions: &'static str,
    /// Derivatives; `_` is the value.
    pub words: &'static str,
    /// `f32` or `f64`, `f:` or `r:` (forward or reverse), or both; without, all.
    pub only: &'static str,
    /// The points; `y` is NaN for functions of one argument.
    pub at: fn(f64, f64) -> bool,
    /// What the number is instead.
    pub ours: Ours,
    /// Why.
    pub reason: &'static str,
}

/// The number at a point.
pub enum Ours {
    /// The exact number, which is stored: JAX loses digits, overflows, or meets 0·∞ on its way.
    Exact,
    /// The same everywhere.
    Is(f64),
    /// By a formula.
    By(fn(f64, f64) -> f64),
}

impl Exception {
    pub fn holds_for(&self, function: &str, word: &str) -> bool {
        let bare = function.split(':').next().unwrap_or_default();
        let word = if word.is_empty() { "_" } else { word };
        self.functions.split_whitespace().any(|name| name == function || name == bare)
            && self.words.split_whitespace().any(|name| name == word)
    }
}

/// The table.
pub const EXCEPTIONS: &[Exception] = &[];
