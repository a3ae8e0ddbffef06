//! The fields of a request: those of a form in its body, then those of its query, as Go reads them.

use super::super::go::broken_escape;
use super::failure::{Code, Failure};

/// The longest form that is read, in bytes: Go's own limit.
pub(super) const FORM_BYTES_MAX: usize = 10 << 20;

const SEMICOLON: &str = "invalid semicolon separator in query";

const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// The fields in the order in which they count; of several with one name it is the first.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<Field>);

/// Name and value.
type Field = (Vec<u8>, Vec<u8>);

impl Form {
    /// Reads the fields. `body` is only looked at if the method is one with a body and the type that of a form; `None`
    /// is one that is too large.
    pub(super) fn read(
        method: &str,
        query: &str,
        content_type: &str,
        body: Option<&[u8]>,
    ) -> Result<Self, Failure> {
        let mut form = Self::default();
        let of_body = match method {
            "POST" | "PUT" | "PATCH" => form.read_body(content_type, body),
            _ => Ok(()),
        };
        let of_query = form.read_fields(query.as_bytes());
        of_body.and(of_query).map_err(|cause| Failure::request(Code::InvalidForm, cause))?;
        Ok(form)
    }

    fn read_body(&mut self, content_type: &str, body: Option<&[u8]>) -> Result<(), String> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !content_type.is_empty() && media_type.is_empty() {
            return Err("mime: no media type".to_owned());
        }
        if media_type != FORM_TYPE {
            return Ok(());
        }
        self.read_fields(body.ok_or("http: POST too large")?)
    }

    /// Reads what it can. Of several errors the first counts, but those about semicolons count more.
    fn read_fields(&mut self, text: &[u8]) -> Result<(), String> {
        let mut outcome = Ok(());
        for field in text.split(|&byte| byte == b'&') {
            match read_field(field) {
                Ok(Some(field)) => self.0.push(field),
                Err(error) if outcome.is_ok() || error == SEMICOLON => outcome = Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        outcome
    }

    /// Whether there is such a field.
    pub(super) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// The value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(other, _)| other == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// The value of a field; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &[u8] {
        self.field(name).unwrap_or_default()
    }

    /// A field with a truth value; false if there is none. The error is for a value that is none.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ()> {
        match self.field(name) {
            None | Some(b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False") => Ok(false),
            Some(b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True") => Ok(true),
            Some(_) => Err(()),
        }
    }

    /// A field with a number; 0 if there is none. The error is for a value that is none.
    pub(super) fn number(&self, name: &str) -> Result<u64, ()> {
        let Some(digits) = self.field(name) else { return Ok(0) };
        let text = std::str::from_utf8(digits).map_err(drop)?;
        // Rust would take a sign too.
        if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().map_err(drop) } else { Err(()) }
    }
}

fn read_field(field: &[u8]) -> Result<Option<Field>, String> {
    if field.contains(&b';') {
        return Err(SEMICOLON.to_owned());
    }
    if field.is_empty() {
        return Ok(None);
    }
    let at = field.iter().position(|&byte| byte == b'=').unwrap_or(field.len());
    let value = field.get(at + 1..).unwrap_or_default();
    Ok(Some((unescaped(&field[..at])?, unescaped(value)?)))
}

fn unescaped(text: &[u8]) -> Result<Vec<u8>, String> {
    if let Some(escape) = broken_escape(text) {
        return Err(format!("invalid URL escape \"{}\"", escape.escape_ascii()));
    }
    let text: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Ok(percent_encoding::percent_decode(&text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, body: &str) -> Result<Form, String> {
        let form = Form::read(
            "PUT",
            query,
            "Application/X-WWW-form-urlencoded; charset=utf-8",
            Some(body.as_bytes()),
        );
        form.map_err(|failure| String::from_utf8(failure.cause).unwrap())
    }

    #[test]
    fn fields_of_the_body_come_first() {
        let form = read("value=q&ttl=5&a", "value=a+b%26&value=c&=x&&").unwrap();
        assert_eq!(
            (form.text("value"), form.number("ttl"), form.text("a")),
            (b"a b&".as_slice(), Ok(5), b"".as_slice())
        );
        assert!(form.has("a") && !form.has("b"));
    }

    #[test]
    fn other_bodies_are_not_read() {
        let read = |method, content_type| {
            Form::read(method, "", content_type, Some(b"value=1")).unwrap().has("value")
        };
        assert!(read("PUT", FORM_TYPE) && read("POST", FORM_TYPE));
        assert!(!read("DELETE", FORM_TYPE) && !read("PUT", "text/plain") && !read("PUT", ""));
    }

    #[test]
    fn broken_forms_are_refused() {
        for (query, body, cause) in [
            ("", "a;b", "invalid semicolon separator in query"),
            ("x=%zz", "", "invalid URL escape \"%zz\""),
            ("x;y", "a=%4", "invalid URL escape \"%4\""),
        ] {
            assert_eq!(read(query, body).unwrap_err(), cause);
        }
        let failure = Form::read("PUT", "", FORM_TYPE, None).unwrap_err();
        assert_eq!(failure.cause, b"http: POST too large");
        let failure = Form::read("PUT", "", ";;", Some(b"")).unwrap_err();
        assert_eq!(failure.cause, b"mime: no media type");
    }

    #[test]
    fn flags_and_numbers_are_those_of_go() {
        let form =
            read("a=T&b=yes&c=&d=False&e=+1&f=18446744073709551615&g=18446744073709551616&h=-1", "").unwrap();
        let flags = ["a", "b", "c", "d", "none"].map(|name| form.flag(name));
        assert_eq!(flags, [Ok(true), Err(()), Err(()), Ok(false), Ok(false)]);
        let numbers = ["c", "e", "f", "g", "h", "none"].map(|name| form.number(name));
        assert_eq!(numbers, [Err(()), Err(()), Ok(u64::MAX), Err(()), Err(()), Ok(0)]);
    }
}
