//! Words and quotes as systemd splits them: blanks separate, single and double quotes hold together, C escapes stand for
//! characters.

/// What a backslash does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// It starts a C escape; an unknown one is an error.
    Strict,
    /// It starts a C escape; an unknown one is kept as it stands.
    Lenient,
    /// It takes the next character as it is, and a quote may be left open.
    Plain,
}

/// Why a text cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// A quote is not closed, or a backslash stands at the end.
    #[error("a quote is not closed, or a backslash stands at the end")]
    Unbalanced,
    /// There is no such escape.
    #[error("`\\{0}` is no escape")]
    Escape(char),
    /// The bytes that escapes stand for are not UTF-8.
    #[error("its escapes do not make UTF-8")]
    NotUtf8,
}

/// Every word of a text.
pub(super) fn split(text: &str, escapes: Escapes) -> Result<Vec<String>, Error> {
    let mut rest = text;
    let mut words = Vec::new();
    while let Some(word) = next(&mut rest, escapes)? {
        words.push(word);
    }
    Ok(words)
}

/// Takes the first word from a text, with the blanks around it.
pub(super) fn next(rest: &mut &str, escapes: Escapes) -> Result<Option<String>, Error> {
    *rest = rest.trim_start_matches(is_blank);
    if rest.is_empty() {
        return Ok(None);
    }
    let mut word = Vec::new();
    let mut quote = None;
    let mut chars = rest.chars();
    while let Some(character) = chars.next() {
        match character {
            '\\' => escape(&mut chars, escapes, quote, &mut word)?,
            '\'' | '"' if quote.is_none() => quote = Some(character),
            _ if quote == Some(character) => quote = None,
            _ if quote.is_none() && is_blank(character) => break,
            _ => push(&mut word, character),
        }
    }
    if quote.is_some() && escapes != Escapes::Plain {
        return Err(Error::Unbalanced);
    }
    *rest = chars.as_str().trim_start_matches(is_blank);
    String::from_utf8(word).map(Some).map_err(|_| Error::NotUtf8)
}

/// systemd's own white space.
pub(super) fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn escape(
    chars: &mut std::str::Chars<'_>,
    escapes: Escapes,
    quote: Option<char>,
    word: &mut Vec<u8>,
) -> Result<(), Error> {
    let after = chars.as_str();
    let Some(character) = chars.next() else {
        return match escapes {
            Escapes::Plain => Ok(()),
            Escapes::Lenient if quote.is_none() => {
                word.push(b'\\');
                Ok(())
            }
            _ => Err(Error::Unbalanced),
        };
    };
    if escapes == Escapes::Plain {
        push(word, character);
        return Ok(());
    }
    match decoded(after) {
        Some((bytes, length)) => {
            word.extend_from_slice(&bytes);
            *chars = after[length..].chars();
        }
        None if escapes == Escapes::Lenient => {
            word.push(b'\\');
            push(word, character);
        }
        None => return Err(Error::Escape(character)),
    }
    Ok(())
}

/// What the escape at the start of a text, behind its backslash, stands for, and how long it is.
fn decoded(text: &str) -> Option<(Vec<u8>, usize)> {
    let first = *text.as_bytes().first()?;
    let one = |byte: u8| Some((vec![byte], 1));
    match first {
        b'a' => one(7),
        b'b' => one(8),
        b'f' => one(12),
        b'n' => one(b'\n'),
        b'r' => one(b'\r'),
        b't' => one(b'\t'),
        b'v' => one(11),
        b's' => one(b' '),
        b'\\' | b'"' | b'\'' => one(first),
        b'x' => number(text.get(1..3)?, 16).and_then(byte).map(|value| (vec![value], 3)),
        b'u' => number(text.get(1..5)?, 16).and_then(utf8).map(|bytes| (bytes, 5)),
        b'U' => number(text.get(1..9)?, 16).and_then(utf8).map(|bytes| (bytes, 9)),
        b'0'..=b'7' => number(text.get(..3)?, 8).and_then(byte).map(|value| (vec![value], 3)),
        _ => None,
    }
}

fn number(digits: &str, radix: u32) -> Option<u32> {
    // `from_str_radix` takes a sign.
    let all = digits.chars().all(|digit| digit.is_digit(radix));
    all.then(|| u32::from_str_radix(digits, radix).ok()).flatten().filter(|value| *value != 0)
}

fn byte(value: u32) -> Option<u8> {
    u8::try_from(value).ok()
}

fn utf8(value: u32) -> Option<Vec<u8>> {
    char::from_u32(value).map(|character| character.to_string().into_bytes())
}

fn push(word: &mut Vec<u8>, character: char) {
    word.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, escapes: Escapes, expected: Result<&[&str], Error>) {
        let expected = expected.map(|words| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert_eq!(split(text, escapes), expected, "{text}");
    }

    #[test]
    fn quotes_hold_together_wherever_they_stand() {
        for (text, words) in [
            ("", &[][..]),
            ("  a\tb \n c ", &["a", "b", "c"]),
            (r#"sh -c 'a "b" c' "d 'e'""#, &["sh", "-c", "a \"b\" c", "d 'e'"]),
            (r#"a"b c"d"#, &["ab cd"]),
            ("'' \"\"", &["", ""]),
            ("'a''b'", &["ab"]),
            ("a;b ; $$x", &["a;b", ";", "$$x"]),
        ] {
            check(text, Escapes::Strict, Ok(words));
        }
    }

    #[test]
    fn escapes_are_those_of_c_in_both_kinds_of_quotes() {
        for (text, words) in [
            (r"a\sb \x41\102 \u00e9 \U0001F600", &["a b", "AB", "é", "😀"][..]),
            (r#"'it\'s' "a\"b" \\ "#, &["it's", "a\"b", "\\"]),
            (r"\xc3\xa9", &["é"]),
            (r"a\tb\n", &["a\tb\n"]),
        ] {
            check(text, Escapes::Strict, Ok(words));
        }
        check(r"\xff", Escapes::Strict, Err(Error::NotUtf8));
        check(r"\000", Escapes::Strict, Err(Error::Escape('0')));
        check(r"\x+1", Escapes::Strict, Err(Error::Escape('x')));
    }

    #[test]
    fn an_unknown_escape_is_refused_or_kept() {
        check(r"a\d b", Escapes::Strict, Err(Error::Escape('d')));
        check(r"a\d 'b\w' c\", Escapes::Lenient, Ok(&[r"a\d", r"b\w", r"c\"]));
        check(r"'a\", Escapes::Lenient, Err(Error::Unbalanced));
        check("a \"b", Escapes::Lenient, Err(Error::Unbalanced));
        check("it's", Escapes::Strict, Err(Error::Unbalanced));
    }

    #[test]
    fn plain_text_takes_what_follows_a_backslash_and_open_quotes() {
        check(r"a\nb 'c d", Escapes::Plain, Ok(&["anb", "c d"]));
        check(r"a\ b\", Escapes::Plain, Ok(&["a b"]));
    }
}
