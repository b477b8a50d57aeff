//! Where the numbers are not those of JAX, each with its reason. An exception that is none fails.

mod edges;
mod exact;
mod range;

/// Exceptions with the same points and the same reason.
pub struct Group {
    /// The points: one argument, two, or a row of them.
    at: fn(&[f64]) -> bool,
    reason: &'static str,
    /// What the numbers are instead, of which functions (with or without what follows the colon), and of
    /// which derivatives (`_` is the value).
    rows: &'static [(Ours, &'static str, &'static str)],
}

const fn group(
    at: fn(&[f64]) -> bool,
    reason: &'static str,
    rows: &'static [(Ours, &'static str, &'static str)],
) -> Group {
    Group { at, reason, rows }
}

/// Numbers that differ from those of JAX.
pub struct Exception {
    pub functions: &'static str,
    pub words: &'static str,
    pub at: fn(&[f64]) -> bool,
    pub ours: &'static Ours,
    pub reason: &'static str,
}

/// The number at a point.
pub enum Ours {
    /// The exact number, which is stored: JAX loses digits, overflows, or meets 0·∞ on its way.
    Exact,
    /// The same everywhere.
    Is(f64),
    /// That of JAX with the other sign.
    Opposite,
    /// The exact number, but for roundings of terms of about 1.
    Rounding,
    /// Different numbers, for which no exact one is stored. Never NaN.
    Unclaimed,
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
pub fn exceptions() -> Vec<Exception> {
    let groups = [exact::GROUPS, edges::GROUPS, range::GROUPS];
    groups
        .into_iter()
        .flatten()
        .flat_map(|group| {
            group.rows.iter().map(|(ours, functions, words)| Exception {
                functions,
                words,
                at: group.at,
                ours,
                reason: group.reason,
            })
        })
        .collect()
}

fn everywhere(_: &[f64]) -> bool {
    true
}

fn with_nan(point: &[f64]) -> bool {
    point.iter().any(|v| v.is_nan())
}

fn infinite(point: &[f64]) -> bool {
    point.iter().any(|v| v.is_infinite())
}

/// An infinite or huge argument, whose square is infinite.
fn huge(point: &[f64]) -> bool {
    point.iter().any(|v| v.abs() >= 1e9)
}

fn with_zero(point: &[f64]) -> bool {
    point.contains(&0.0)
}

fn at_origin(point: &[f64]) -> bool {
    point.iter().all(|v| *v == 0.0)
}

/// An argument or the sum is 0, or a negative whole number, or infinite.
fn beside_poles(point: &[f64]) -> bool {
    let pole = |v: f64| !v.is_finite() || (v <= 0.0 && v == v.floor());
    point.iter().any(|v| pole(*v)) || pole(point.iter().sum())
}

/// Below the negative real axis, and on it.
fn below_the_cut(point: &[f64]) -> bool {
    point[0] < 0.0 && point[1] == 0.0 && point[1].is_sign_negative()
}

/// Where poles are denser than numbers.
fn below_all_poles(point: &[f64]) -> bool {
    point[0] <= -1e9
}

fn very_large(point: &[f64]) -> bool {
    point[0] >= 1e9
}

/// So far below that squares overflow.
fn far_below(point: &[f64]) -> bool {
    point[0] <= -1e20
}

fn negative(point: &[f64]) -> bool {
    point[0] < 0.0
}

fn zero_base(point: &[f64]) -> bool {
    point[0] == 0.0
}

fn outside_of_unit(point: &[f64]) -> bool {
    point[0] <= 0.0 || point[0] >= 1.0
}

fn at_minus_one(point: &[f64]) -> bool {
    point[0] == -1.0
}

fn at_ones(point: &[f64]) -> bool {
    point.iter().all(|v| *v == 1.0)
}
