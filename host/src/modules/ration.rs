//! How many lines a policy may log over time. The lines of one decision are bounded where they are written; a policy that
//! writes as many at each decision, all day long, would still fill a disk.

use std::time::Duration;

use tokio::time::Instant;

/// How many lines may come at once: a few decisions with as many as one may log.
const AT_ONCE_MAX: u32 = 100;
/// How often one more may come after that: some 10 MB a day, of lines of usual length.
const ONE_MORE_EVERY: Duration = Duration::from_secs(1);
/// How often it is said how many were left out.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// The lines that a policy may still log.
#[derive(Debug)]
pub(super) struct Ration {
    lines: u32,
    /// When the last of them was added.
    filled_at: Instant,
    left_out: usize,
    told_at: Option<Instant>,
}

impl Ration {
    /// A full one.
    pub(super) fn new(now: Instant) -> Self {
        Self { lines: AT_ONCE_MAX, filled_at: now, left_out: 0, told_at: None }
    }

    /// Whether a line may be logged; if not, it is counted.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let more = now.saturating_duration_since(self.filled_at).as_secs() / ONE_MORE_EVERY.as_secs();
        let more = u32::try_from(more).unwrap_or(u32::MAX).min(AT_ONCE_MAX);
        self.lines = self.lines.saturating_add(more).min(AT_ONCE_MAX);
        self.filled_at = if more == AT_ONCE_MAX { now } else { self.filled_at + ONE_MORE_EVERY * more };
        let may = self.lines > 0;
        self.lines = self.lines.saturating_sub(1);
        self.left_out += usize::from(!may);
        may
    }

    /// Counts lines that are not there any more.
    pub(super) fn leave_out(&mut self, lines: usize) {
        self.left_out = self.left_out.saturating_add(lines);
    }

    /// How many lines were left out since that was last told, when it is time to tell.
    pub(super) fn untold(&mut self, now: Instant) -> Option<usize> {
        let is_time = self.told_at.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        if self.left_out == 0 || !is_time {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_flood_is_bounded_and_every_line_is_accounted_for() {
        let start = Instant::now();
        let mut ration = Ration::new(start);
        let (mut logged, mut left_out, mut told) = (0, 0, 0);
        for second in 0..86_400 {
            let now = start + Duration::from_secs(second);
            logged += (0..20).filter(|_| ration.take(now)).count();
            ration.leave_out(5);
            if let Some(lines) = ration.untold(now) {
                (left_out, told) = (left_out + lines, told + 1);
            }
        }
        assert_eq!(logged, 86_400 + AT_ONCE_MAX as usize - 1, "one a second, and what may come at once");
        assert_eq!(told, 1_440, "once a minute");
        left_out += ration.untold(start + Duration::from_hours(25)).unwrap();
        assert_eq!(logged + left_out, 25 * 86_400);
    }

    #[test]
    fn who_was_silent_may_say_as_much_as_at_first() {
        let start = Instant::now();
        let mut ration = Ration::new(start);
        let burst = |ration: &mut Ration, now| (0..500).filter(|_| ration.take(now)).count();
        assert_eq!(burst(&mut ration, start), AT_ONCE_MAX as usize);
        assert_eq!(ration.untold(start), Some(400), "said at once the first time");
        assert_eq!(burst(&mut ration, start + Duration::from_millis(2_900)), 2);
        assert_eq!(burst(&mut ration, start + Duration::from_millis(3_100)), 1);
        assert_eq!(burst(&mut ration, start + Duration::from_hours(24)), AT_ONCE_MAX as usize);
    }
}
