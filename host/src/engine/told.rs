//! What was logged last, so that the same reason is not logged over and over.

use jiff::{SignedDuration, Timestamp};

use crate::scaling::Reason;

/// How long the same reason to hold is not logged again.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// The last reason to hold that was logged, and when.
#[derive(Debug, Default)]
pub(super) struct Told(Option<(Reason, Timestamp)>);

impl Told {
    /// Whether a reason is worth a line: it is of another kind than the last, or that was long ago.
    pub(super) fn is_news(&mut self, reason: &Reason, at: Timestamp) -> bool {
        let news = self
            .0
            .as_ref()
            .is_none_or(|(told, when)| !told.same_kind(reason) || at.duration_since(*when) >= AGAIN_AFTER);
        if news {
            self.0 = Some((reason.clone(), at));
        }
        news
    }

    /// Something else happened: the next reason is news.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
