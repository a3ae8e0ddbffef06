//! The path of a sample: `<base>/<service type>/[<instance id>/]<metric>/<time>`.

use jiff::Timestamp;

/// A path under the metrics base, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'k> {
    pub(super) service_type: &'k str,
    /// `None` when the metric is aggregated over all instances.
    pub(super) instance: Option<&'k str>,
    pub(super) metric: &'k str,
    pub(super) time: &'k str,
    /// Everything before the time.
    pub(super) prefix: &'k str,
}

/// Takes a key apart; `None` when it is not below `base` or has not three or four parts there.
pub(super) fn parse<'k>(base: &str, key: &'k str) -> Option<Path<'k>> {
    let below = key.strip_prefix(base)?.strip_prefix('/')?;
    let mut parts = below.split('/');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    let fourth = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let (instance, metric, time) = match fourth {
        Some(fourth) => (Some(second), third, fourth),
        None => (None, second, third),
    };
    Some(Path { service_type: first, instance, metric, time, prefix: &key[..key.len() - time.len()] })
}

/// Unix times below this are seconds, others milliseconds: as seconds it is the year 5138, as milliseconds it is 1973.
const SECONDS_BELOW: i64 = 100_000_000_000;

/// Reads a time: RFC 3339 with `Z` or an offset, with or without a fraction; or unix seconds or milliseconds.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<Timestamp> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return if number < SECONDS_BELOW {
            Timestamp::from_second(number).ok()
        } else {
            Timestamp::from_millisecond(number).ok()
        };
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_three_or_four_parts() {
        let parse = |key| {
            parse("/metrics", key).map(|path| (path.service_type, path.instance, path.metric, path.time))
        };
        assert_eq!(parse("/metrics/web/4f2a/cpu/5"), Some(("web", Some("4f2a"), "cpu", "5")));
        assert_eq!(parse("/metrics/web/cpu/5"), Some(("web", None, "cpu", "5")));
        for key in [
            "/metrics/web/5",
            "/metrics/a/b/c/d/e",
            "/other/web/cpu/5",
            "/metricsweb/cpu/5/6",
            "/metrics",
            "",
        ] {
            assert_eq!(parse(key), None, "{key}");
        }
    }

    #[test]
    fn times_are_rfc_3339_or_unix() {
        let expected = Timestamp::from_millisecond(1_438_089_350_631).ok();
        for text in [
            "2015-07-28T13:15:50.631Z",
            "2015-07-28T15:15:50.631+02:00",
            "2015-07-28T13:15:50.631000000Z",
            "1438089350631",
        ] {
            assert_eq!(parse_timestamp(text), expected, "{text}");
        }
        assert_eq!(parse_timestamp("2015-07-28T13:15:50Z"), parse_timestamp("1438089350"));
        for text in
            ["", "yesterday", "-5", "1e9", "2015-07-28", "99999999999999999999", "9223372036854775807", "5 "]
        {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
