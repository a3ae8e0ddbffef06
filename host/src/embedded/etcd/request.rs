//! From the fields of a request to what is asked of the store, with etcd's checks in etcd's order.

use bytes::Bytes;

use super::event::Nanos;
use super::failure::{Code, Failure};
use super::form::Form;
use super::key::Key;
use super::write::{Content, Expected, Write};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Read a node. `quorum` goes through the log of a real cluster.
    Get { deep: bool, quorum: bool },
    /// Wait for an event; `since` 0 is from now on.
    Wait { deep: bool, stream: bool, since: u64 },
    /// Change something.
    Write(Write),
}

/// A request to the keys API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The key.
    pub(super) key: Key,
    /// What is asked of it.
    pub(super) ask: Ask,
    /// Whether the answer to a successful write is to be without nodes.
    pub(super) brief: bool,
}

/// The fields that were checked.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the request")]
struct Fields {
    prev_index: u64,
    wait_index: u64,
    deep: bool,
    wait: bool,
    dir: bool,
    quorum: bool,
    stream: bool,
    prev_value: Bytes,
    brief: bool,
    ttl: Option<u64>,
    prev_exist: Option<bool>,
    refresh: bool,
    value: Bytes,
}

impl Request {
    /// What a request with one of etcd's methods asks.
    pub(super) fn read(method: &str, key: Key, form: &Form, now: Nanos) -> Result<Self, Failure> {
        let fields = Fields::read(method, form)?;
        let brief = fields.brief;
        let ask = match method {
            "PUT" => Ask::Write(fields.put(now)),
            "POST" => Ask::Write(Write::CreateInOrder(fields.content(now))),
            "DELETE" => Ask::Write(fields.delete()),
            // A wait that asks for a quorum is no wait.
            "GET" if fields.wait && !fields.quorum => {
                Ask::Wait { deep: fields.deep, stream: fields.stream, since: fields.wait_index }
            }
            _ => Ask::Get { deep: fields.deep, quorum: fields.quorum && method == "GET" },
        };
        Ok(Self { key, ask, brief })
    }
}

impl Fields {
    fn read(method: &str, form: &Form) -> Result<Self, Failure> {
        let index = |name: &str| {
            form.number(name).map_err(|()| invalid(Code::IndexNotANumber, &format!("\"{name}\"")))
        };
        let flag =
            |name: &str| form.flag(name).map_err(|()| invalid(Code::InvalidField, &format!("\"{name}\"")));
        let bare_flag = |name: &str| {
            let value = form.flag(name).map_err(|()| invalid(Code::InvalidField, name))?;
            Ok(form.has(name).then_some(value))
        };
        let (prev_index, wait_index) = (index("prevIndex")?, index("waitIndex")?);
        let (deep, _sorted, wait) = (flag("recursive")?, flag("sorted")?, flag("wait")?);
        let (dir, quorum, stream) = (flag("dir")?, flag("quorum")?, flag("stream")?);
        if wait && method != "GET" {
            let cause = "\"wait\" can only be used with GET requests";
            return Err(Failure::request(Code::InvalidField, cause));
        }
        let prev_value = Bytes::copy_from_slice(form.text("prevValue"));
        if form.has("prevValue") && prev_value.is_empty() {
            return Err(Failure::request(Code::PrevValueRequired, "\"prevValue\" cannot be empty"));
        }
        let brief = flag("noValueOnSuccess")?;
        let ttl = if form.text("ttl").is_empty() {
            None
        } else {
            Some(form.number("ttl").map_err(|()| invalid(Code::TtlNotANumber, "\"ttl\""))?)
        };
        let prev_exist = bare_flag("prevExist")?;
        let refresh = bare_flag("refresh")?.unwrap_or_default();
        let value = Bytes::copy_from_slice(form.text("value"));
        if refresh && !value.is_empty() {
            return Err(Failure::request(Code::RefreshValue, "A value was provided on a refresh"));
        }
        if refresh && ttl.is_none() {
            return Err(Failure::request(Code::RefreshTtlRequired, "No TTL value set"));
        }
        Ok(Self {
            prev_index,
            wait_index,
            deep,
            wait,
            dir,
            quorum,
            stream,
            prev_value,
            brief,
            ttl,
            prev_exist,
            refresh,
            value,
        })
    }

    fn put(self, now: Nanos) -> Write {
        let compares = self.prev_index > 0 || !self.prev_value.is_empty();
        let (prev_exist, expected, content) = (self.prev_exist, self.expected(), self.content(now));
        match prev_exist {
            Some(false) => Write::Create(content),
            _ if compares => Write::CompareAndSwap(expected, content),
            Some(true) => Write::Update(content),
            None => Write::Set(content),
        }
    }

    fn delete(self) -> Write {
        if self.prev_index > 0 || !self.prev_value.is_empty() {
            return Write::CompareAndDelete(self.expected());
        }
        Write::Delete { dir: self.dir, deep: self.deep }
    }

    fn expected(&self) -> Expected {
        Expected { value: self.prev_value.clone(), index: self.prev_index }
    }

    fn content(self, now: Nanos) -> Content {
        let expires = self.ttl.map(|seconds| end_of(seconds, now));
        Content { dir: self.dir, value: self.value, expires, refresh: self.refresh }
    }
}

/// The end of a lifetime in seconds. It wraps around where etcd's arithmetic does, to times that etcd takes for past.
fn end_of(seconds: u64, now: Nanos) -> Nanos {
    seconds.cast_signed().wrapping_mul(1_000_000_000).wrapping_add(now)
}

fn invalid(code: Code, name: &str) -> Failure {
    Failure::request(code, format!("invalid value for {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, query: &str) -> Result<Ask, (u16, String)> {
        let form = Form::read(method, query, "", Some(b"")).unwrap();
        let request = Request::read(method, Key::parse(b"/a"), &form, 1_000);
        let cause = |failure: Failure| (failure.code.number(), String::from_utf8(failure.cause).unwrap());
        request.map(|request| request.ask).map_err(cause)
    }

    fn content(value: &'static str, expires: Option<Nanos>) -> Content {
        Content { dir: false, value: value.into(), expires, refresh: false }
    }

    #[test]
    fn fields_decide_what_is_asked() {
        let expected = |value: &'static str, index| Expected { value: value.into(), index };
        for (method, query, ask) in [
            ("GET", "recursive=true", Ask::Get { deep: true, quorum: false }),
            ("HEAD", "quorum=true", Ask::Get { deep: false, quorum: false }),
            ("GET", "wait=1&waitIndex=7", Ask::Wait { deep: false, stream: false, since: 7 }),
            ("GET", "wait=1&quorum=1", Ask::Get { deep: false, quorum: true }),
            ("PUT", "value=v", Ask::Write(Write::Set(content("v", None)))),
            ("PUT", "value=v&ttl=2", Ask::Write(Write::Set(content("v", Some(2_000_001_000))))),
            ("PUT", "prevExist=false&prevValue=x", Ask::Write(Write::Create(content("", None)))),
            ("PUT", "prevExist=true", Ask::Write(Write::Update(content("", None)))),
            (
                "PUT",
                "prevExist=true&prevIndex=3",
                Ask::Write(Write::CompareAndSwap(expected("", 3), content("", None))),
            ),
            ("POST", "value=v&prevExist=true", Ask::Write(Write::CreateInOrder(content("v", None)))),
            ("DELETE", "recursive=1", Ask::Write(Write::Delete { dir: false, deep: true })),
            ("DELETE", "prevValue=x&dir=1", Ask::Write(Write::CompareAndDelete(expected("x", 0)))),
        ] {
            assert_eq!(read(method, query), Ok(ask), "{method} {query}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (query, code, cause) in [
            ("prevIndex=", 203, "invalid value for \"prevIndex\""),
            ("dir=maybe", 209, "invalid value for \"dir\""),
            ("wait=true", 209, "\"wait\" can only be used with GET requests"),
            ("prevValue=", 201, "\"prevValue\" cannot be empty"),
            ("ttl=1.5", 202, "invalid value for \"ttl\""),
            ("prevExist=", 209, "invalid value for prevExist"),
            ("refresh=true&value=1&ttl=1", 211, "A value was provided on a refresh"),
            ("refresh=true", 212, "No TTL value set"),
        ] {
            assert_eq!(read("PUT", query), Err((code, cause.to_owned())));
        }
        assert!(read("PUT", "ttl=&refresh=0&prevIndex=0").is_ok());
    }
}
