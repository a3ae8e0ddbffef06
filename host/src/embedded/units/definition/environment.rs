//! Variables: `Environment`, the files of `EnvironmentFile`, and how they are filled into the words of a command.

use super::words::{self, Escapes};

/// The longest environment file, in bytes; systemd's own limit.
pub(in super::super) const FILE_BYTES_MAX: u64 = 4 << 20;

/// Variables in the order of their last assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Environment(Vec<(String, String)>);

impl Environment {
    pub(in super::super) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value.into()));
    }

    /// Sets `NAME=value`; false when that is no assignment.
    pub(in super::super) fn assign(&mut self, text: &str) -> bool {
        let assignment = text.split_once('=').filter(|(name, value)| is_name(name) && !value.contains('\0'));
        if let Some((name, value)) = assignment {
            self.set(name, value);
        }
        assignment.is_some()
    }

    pub(in super::super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(in super::super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(in super::super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The words with variables filled in. `$NAME` as a whole word becomes as many words as its value has, `${NAME}`
    /// is filled in wherever it stands, and `$$` is one dollar.
    pub(in super::super) fn fill(&self, words: &[String]) -> Vec<String> {
        words.iter().flat_map(|word| self.fill_word(word)).collect()
    }

    fn fill_word(&self, word: &str) -> Vec<String> {
        let whole = word.strip_prefix('$').filter(|name| !name.starts_with(['{', '$']) && !name.is_empty());
        if let Some(name) = whole {
            let value = self.get(name).unwrap_or_default();
            // With plain escapes nothing but bytes that are not UTF-8 is an error, and there are none.
            return words::split(value, Escapes::Plain).unwrap_or_default();
        }
        let mut filled = String::new();
        let mut rest = word;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                filled.push('$');
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                filled.push_str(self.get(name).unwrap_or_default());
                rest = after;
            } else {
                filled.push('$');
            }
        }
        filled.push_str(rest);
        vec![filled]
    }

    /// Sets what an environment file assigns. Lines that assign nothing are skipped and returned, up to their `=`.
    pub(in super::super) fn read_file(&mut self, text: &str) -> Vec<String> {
        let mut skipped = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.trim_start_matches(words::is_blank);
            if rest.starts_with(['#', ';']) {
                skip_comment(&mut rest);
                continue;
            }
            let end = rest.find(['=', '\n', '\r']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let name = name.trim();
            let Some(value) = after.strip_prefix('=') else {
                skipped.extend((!name.is_empty()).then(|| name.to_owned()));
                rest = after;
                continue;
            };
            rest = value;
            let value = file_value(&mut rest);
            if is_name(name) && !value.contains('\0') {
                self.set(name, value);
            } else {
                skipped.push(name.to_owned());
            }
        }
        skipped
    }
}

/// Whether a text can name a variable.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A comment goes on behind a backslash at the end of its line.
fn skip_comment(rest: &mut &str) {
    let mut escaped = false;
    let end = rest.find(|character| {
        let ends = matches!(character, '\n' | '\r') && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    });
    *rest = end.map_or("", |end| &rest[end..]);
}

/// A value of an environment file: parts in single quotes as they are, parts in double quotes and bare ones with
/// backslashes, to the end of the line. Blanks between them do not count, and behind something bare quotes are
/// characters like any other.
fn file_value(rest: &mut &str) -> String {
    let mut value = String::new();
    // Blanks at the end count only within quotes.
    let mut kept = 0;
    let mut bare = false;
    let mut chars = rest.chars();
    while let Some(character) = chars.next() {
        match character {
            '\n' | '\r' => break,
            '\'' if !bare => {
                value.extend(chars.by_ref().take_while(|inner| *inner != '\''));
                kept = value.len();
            }
            '"' if !bare => {
                double_quoted(&mut chars, &mut value);
                kept = value.len();
            }
            '\\' => {
                // A newline behind a backslash goes on with the next line.
                value.extend(chars.next().filter(|next| !matches!(next, '\n' | '\r')));
                kept = value.len();
                bare = true;
            }
            _ if !bare && words::is_blank(character) => {}
            _ => {
                value.push(character);
                bare = true;
                if !words::is_blank(character) {
                    kept = value.len();
                }
            }
        }
    }
    *rest = chars.as_str();
    value.truncate(kept);
    value
}

fn double_quoted(chars: &mut std::str::Chars<'_>, value: &mut String) {
    while let Some(character) = chars.next() {
        match character {
            '"' => return,
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\' | '`' | '$')) => value.push(escaped),
                Some('\n') | None => {}
                Some(other) => value.extend(['\\', other]),
            },
            _ => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in pairs {
            environment.set(*name, *value);
        }
        environment
    }

    #[test]
    fn variables_are_split_as_words_and_kept_whole_in_braces() {
        let environment =
            environment(&[("ONE", "one"), ("TWO", "two two"), ("QUOTED", "'two two' too"), ("NONE", "")]);
        for (word, filled) in [
            ("$ONE", &["one"][..]),
            ("$TWO", &["two", "two"]),
            ("$QUOTED", &["two two", "too"]),
            ("$NONE", &[]),
            ("$UNKNOWN", &[]),
            ("${TWO}", &["two two"]),
            ("${UNKNOWN}", &[""]),
            ("a${ONE}b${TWO}", &["aonebtwo two"]),
            // Only a whole word is a variable without braces.
            ("a$ONE", &["a$ONE"]),
            ("$$ONE ${ONE", &["$ONE ${ONE"]),
            ("cost: 5$", &["cost: 5$"]),
            ("$", &["$"]),
            ("$$", &["$"]),
        ] {
            assert_eq!(environment.fill_word(word), filled, "{word}");
        }
    }

    #[test]
    fn an_assignment_has_a_name() {
        let mut environment = Environment::default();
        assert!(environment.assign("A=1") && environment.assign("A_2=x=y") && environment.assign("B="));
        for text in ["A", "=1", "1A=1", "A-B=1", "é=1", "A =1"] {
            assert!(!environment.assign(text), "{text}");
        }
        assert!(environment.assign("A=2"));
        let pairs: Vec<_> = environment.iter().collect();
        assert_eq!(pairs, [("A_2", "x=y"), ("B", ""), ("A", "2")]);
    }

    #[test]
    fn a_file_is_read_as_systemd_does() {
        let text = r#"
# a comment \
which goes on
; another
A=1
 B = two words  
C='single $x \n' "and \"double\" \w"
D=a\
b
E="x
y"
F=
nonsense
1=2
G=x#y ;z
H=it\'s "in "'one'
I={"a": "b c"}
J=--name="x y" --z
K=a"b"c
L="quoted "bare" 'x'
"#;
        let mut environment = Environment::default();
        assert_eq!(environment.read_file(text), ["nonsense", "1"]);
        let pairs: Vec<_> = environment.iter().collect();
        assert_eq!(
            pairs,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", r#"single $x \nand "double" \w"#),
                ("D", "ab"),
                ("E", "x\ny"),
                ("F", ""),
                ("G", "x#y ;z"),
                ("H", r#"it's "in "'one'"#),
                ("I", r#"{"a": "b c"}"#),
                ("J", r#"--name="x y" --z"#),
                ("K", r#"a"b"c"#),
                ("L", r#"quoted bare" 'x'"#),
            ]
        );
    }
}
