//! "Did you mean": the word that was probably meant.

/// A longer word is no misspelling of anything, and comparing costs its square.
const WORD_BYTES_MAX: usize = 64;

/// How many candidates are looked at: enough for any real file, and a limit for a hostile one.
const CANDIDATES_MAX: usize = 1_000;

/// The candidate that is so near to `word` that it was probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let edits_max = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(CANDIDATES_MAX)
        .filter(|candidate| candidate.len() <= WORD_BYTES_MAX)
        .map(|candidate| (strsim::osa_distance(&word, &plain(candidate)), candidate))
        .filter(|(edits, candidate)| {
            *edits <= edits_max && *edits < candidate.chars().count() || starts(&word, &plain(candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Whether the word is the candidate cut off at an underscore: `scale_up` for `scale_up_policy`.
fn starts(word: &str, candidate: &str) -> bool {
    candidate.strip_prefix(word).is_some_and(|rest| rest.starts_with('_'))
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.pop() {
        Some(last) if quoted.is_empty() => last,
        Some(last) => format!("{} or {last}", quoted.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_different_word_is_not() {
        let keys = ["min_instance", "max_instance", "scale_up_policy", "scale_down_policy", "type"];
        for (word, meant) in [
            ("min_instances", Some("min_instance")),
            ("max-instance", Some("max_instance")),
            ("scale_up", Some("scale_up_policy")),
            ("Type", Some("type")),
            ("tpye", Some("type")),
            ("colour", None),
            ("", None),
            (&"x".repeat(100_000), None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word:.20}");
        }
        assert_eq!(nearest("x", ["a"]), None);
    }

    #[test]
    fn words_are_listed_with_or() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
