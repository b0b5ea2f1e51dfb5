//! Progress for somebody who waits: drawn on stderr, and not at all where that is no terminal.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tagmill_ingest::raw::Progress;

/// How often what turns is drawn anew.
const TICK: Duration = Duration::from_millis(120);

/// Says that something is going on, until it is dropped.
pub(crate) fn busy(what: impl Into<Cow<'static, str>>) -> Working {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style("{spinner} {msg} · {elapsed}"));
    bar.set_message(what);
    bar.enable_steady_tick(TICK);
    Working(bar)
}

/// Says how many of so many bytes have been read, until it is dropped. Without a size, only that reading is going on.
pub(crate) fn reading(total_bytes: u64) -> Working {
    if total_bytes == 0 {
        return busy("reading");
    }
    let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::stderr());
    bar.set_style(style("{bar:32} {bytes} of {total_bytes} · {bytes_per_sec} · {elapsed}").progress_chars("━╸─"));
    bar.enable_steady_tick(TICK);
    Working(bar)
}

/// Something that is going on. Its line is taken away when it is dropped.
pub(crate) struct Working(ProgressBar);

impl Working {
    /// What the reading tells its bytes.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes(self.0.clone())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Counts the bytes of what is going on.
pub(crate) struct Bytes(ProgressBar);

impl Progress for Bytes {
    fn bytes_read(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

/// A line as the template says; the library's own where the template were wrong.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
