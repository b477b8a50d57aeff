//! Ending work that is no longer wanted, in order: what is under way fails with
//! [`ErrorKind::Cancelled`], and everything can be used as before.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::error::ErrorKind;

/// A way to end calls from outside: from another thread, or when a time has come.
///
/// Work inside of [`CancelToken::run`] looks at the token between operations, between the steps of a
/// program, between tiles of a step and between runs of a loop, also while programs are traced,
/// rewritten and compiled. A call that is ended fails with [`ErrorKind::Cancelled`]; its program is not
/// kept half-compiled, and can be called again. Single calls of other libraries are not interrupted:
/// one large matrix product, one large factorisation, a function of your own.
///
/// Clones are the same token. A token that has been cancelled stays so; take a new one.
///
/// ```
/// # use std::time::Duration;
/// # use unloop_graph::{CancelToken, ErrorKind, Tensor};
/// let x = Tensor::from([1.0, 2.0]);
/// let token = CancelToken::new();
/// assert!(token.run(|| &x + &x).check().is_ok());
/// // Usually another thread does this, through a clone.
/// token.cancel();
/// let ended = token.run(|| &x + &x);
/// assert_eq!(*ended.as_error().unwrap().kind(), ErrorKind::Cancelled);
/// // Whatever runs elsewhere goes on.
/// assert!((&x + &x).check().is_ok());
/// // The same when a time has come.
/// let token = CancelToken::after(Duration::ZERO);
/// assert!(token.run(|| &x + &x).check().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct CancelToken(Arc<State>);

#[derive(Debug)]
struct State {
    is_cancelled: AtomicBool,
    deadline: Option<Instant>,
}

impl Default for CancelToken {
    fn default() -> CancelToken {
        CancelToken::new()
    }
}

impl CancelToken {
    /// A token that ends nothing until somebody calls [`CancelToken::cancel`].
    pub fn new() -> CancelToken {
        CancelToken::with(None)
    }

    /// A token that is cancelled at a time, if not before.
    pub fn at(deadline: Instant) -> CancelToken {
        CancelToken::with(Some(deadline))
    }

    /// A token that is cancelled when a time has passed, if not before.
    pub fn after(time: Duration) -> CancelToken {
        // A time that no clock will show never comes.
        CancelToken::with(Instant::now().checked_add(time))
    }

    fn with(deadline: Option<Instant>) -> CancelToken {
        CancelToken(Arc::new(State { is_cancelled: AtomicBool::new(false), deadline }))
    }

    /// Ends what runs under this token, and whatever will: it fails with [`ErrorKind::Cancelled`].
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the token has been cancelled, or its time has come.
    pub fn is_cancelled(&self) -> bool {
        if self.0.is_cancelled.load(Ordering::Relaxed) {
            return true;
        }
        let is_over = self.0.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if is_over {
            self.cancel();
        }
        is_over
    }

    /// Runs `f` under this token: on this thread, and on the threads that compute for it. Within
    /// another token's `run` both can end it.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        Scope(Some(Arc::new(Link { token: self.clone(), outer: Scope::current().0 }))).run(f)
    }
}

#[derive(Debug)]
struct Link {
    token: CancelToken,
    outer: Option<Arc<Link>>,
}

/// The tokens that a thread works under.
#[derive(Clone, Debug)]
pub struct Scope(Option<Arc<Link>>);

/// How many scopes are being run: without any, nothing else is looked at.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CURRENT: RefCell<Option<Arc<Link>>> = const { RefCell::new(None) };
}

impl Scope {
    /// The tokens that this thread works under.
    pub fn current() -> Scope {
        match RUNNING.load(Ordering::Relaxed) {
            0 => Scope(None),
            _ => Scope(CURRENT.with_borrow(Clone::clone)),
        }
    }

    /// Runs `f`, which may be on another thread, under these tokens.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Restore(Option<Arc<Link>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
                RUNNING.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if self.0.is_none() && RUNNING.load(Ordering::Relaxed) == 0 {
            return f();
        }
        RUNNING.fetch_add(1, Ordering::Relaxed);
        let _restore = Restore(CURRENT.replace(self.0.clone()));
        f()
    }
}

/// Whether the work of this thread is still wanted. Costs a nanosecond where no token runs.
///
/// # Errors
/// `Cancelled` if not.
#[inline]
pub fn check() -> Result<(), ErrorKind> {
    match RUNNING.load(Ordering::Relaxed) {
        0 => Ok(()),
        _ => check_tokens(),
    }
}

#[cold]
fn check_tokens() -> Result<(), ErrorKind> {
    CURRENT.with_borrow(|current| {
        let mut link = current.as_ref();
        while let Some(Link { token, outer }) = link.map(|link| &**link) {
            if token.is_cancelled() {
                return Err(ErrorKind::Cancelled);
            }
            link = outer.as_ref();
        }
        Ok(())
    })
}
