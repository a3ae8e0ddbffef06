//! The `%` specifiers of unit files.

use super::super::identity::Identity;

/// A specifier that is unknown, or not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the specifier `%{0}` is not known here; write `%%` for a percent sign")]
pub(super) struct Unknown(pub(super) char);

/// A text with its specifiers filled in. As in systemd a `%` before anything but a letter or digit stands for itself.
pub(super) fn fill(text: &str, unit: &Identity) -> Result<String, Unknown> {
    let mut filled = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(character) = chars.next() {
        if character != '%' {
            filled.push(character);
            continue;
        }
        match chars.next() {
            None | Some('%') => filled.push('%'),
            Some(letter) if letter.is_ascii_alphanumeric() => {
                filled.push_str(&value(letter, unit).ok_or(Unknown(letter))?);
            }
            Some(other) => filled.extend(['%', other]),
        }
    }
    Ok(filled)
}

fn value(letter: char, unit: &Identity) -> Option<String> {
    let fixed = |text: &str| Some(text.to_owned());
    match letter {
        'n' => fixed(&unit.name),
        'N' => fixed(unit.stem()),
        'p' => fixed(unit.prefix()),
        'P' => Some(unescaped(unit.prefix())),
        'i' => fixed(unit.instance()),
        'I' => Some(unescaped(unit.instance())),
        'j' => fixed(last_part(unit.prefix())),
        'J' => Some(unescaped(last_part(unit.prefix()))),
        'f' => {
            let instance = unit.instance();
            let path = unescaped(if instance.is_empty() { unit.prefix() } else { instance });
            Some(format!("/{}", path.trim_start_matches('/')))
        }
        'H' => fixed(&unit.hostname),
        'l' => fixed(unit.hostname.split('.').next().unwrap_or_default()),
        'm' => fixed(&unit.machine),
        'b' => Some(unit.boot.replace('-', "")),
        // The folders of a system service, and the user that one runs as.
        't' => fixed("/run"),
        'S' => fixed("/var/lib"),
        'C' => fixed("/var/cache"),
        'L' => fixed("/var/log"),
        'E' => fixed("/etc"),
        'T' => fixed("/tmp"),
        'V' => fixed("/var/tmp"),
        'u' | 'g' if unit.user == 0 => fixed("root"),
        'h' if unit.user == 0 => fixed("/root"),
        'U' => Some(unit.user.to_string()),
        _ => None,
    }
}

/// What stands behind the last dash of a prefix.
fn last_part(prefix: &str) -> &str {
    prefix.rsplit_once('-').map_or(prefix, |(_, part)| part)
}

/// A name as `systemd-escape --unescape` shows it: a dash is a slash, and `\x2d` is a dash.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escape = match tail {
            [b'x', high, low, after @ ..] if *first == b'\\' => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low, after))
            }
            _ => None,
        };
        match escape {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => bytes.push(if *first == b'-' { b'/' } else { *first }),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, expected: Result<&str, char>) {
        let unit = Identity {
            name: name.to_owned(),
            hostname: "core-1.example".to_owned(),
            machine: "0123".to_owned(),
            boot: "4a5b-6c".to_owned(),
            user: 0,
        };
        let expected = expected.map(str::to_owned).map_err(Unknown);
        assert_eq!(fill(text, &unit), expected, "{text} of {name}");
    }

    #[test]
    fn a_name_has_parts() {
        let name = r"web-app@a-b\x2dc.service";
        for (text, filled) in [
            ("%n", name),
            ("%N", r"web-app@a-b\x2dc"),
            ("%p|%P", "web-app|web/app"),
            ("%i|%I", r"a-b\x2dc|a/b-c"),
            ("%j|%J", "app|app"),
            ("%f", "/a/b-c"),
            ("%H %l", "core-1.example core-1"),
            ("%m %b", "0123 4a5b6c"),
            ("%u %U %h %t", "root 0 /root /run"),
        ] {
            check(text, name, Ok(filled));
        }
        check("[%i%I]", "web.service", Ok("[]"));
        check("%p:%N", "web.service", Ok("web:web"));
        check("%i|%p", "a@b@c.service", Ok("b@c|a"));
        check(r"%I", r"a@\xz1\x.service", Ok(r"\xz1\x"));
    }

    #[test]
    fn a_percent_sign_is_written_twice() {
        check("date +%%Y-%%m 100%", "a.service", Ok("date +%Y-%m 100%"));
        check("% d %-d", "a.service", Ok("% d %-d"));
        check("%%%%i", "a.service", Ok("%%i"));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        check("%Y", "a.service", Err('Y'));
        check("%1", "a.service", Err('1'));
    }
}
