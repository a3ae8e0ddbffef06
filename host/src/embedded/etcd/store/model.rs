//! A store that is as plain as can be, to hold the real one against: a list of paths, searched from end to end.

use super::*;

/// Path, value (`None` for a directory), created, modified, expires.
pub(super) type Row = (String, Option<String>, u64, u64, Option<i64>);

#[derive(Debug, Default)]
pub(super) struct Model {
    rows: Vec<Row>,
    pub(super) index: u64,
    /// Index, action, path of every event.
    pub(super) log: Vec<(u64, &'static str, String)>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self { index: FIRST_INDEX, ..Self::default() }
    }

    fn at(&self, path: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.0 == path)
    }

    fn log(&mut self, action: &'static str, path: &str) -> u64 {
        self.index += 1;
        self.log.push((self.index, action, path.to_owned()));
        self.index
    }

    /// The first thing above a path that keeps it from being there.
    fn blocked(&self, path: &str, must_exist: bool) -> Option<u16> {
        let ends = path.char_indices().skip(1).filter(|(_, letter)| *letter == '/');
        for (end, _) in ends {
            match self.at(&path[..end]) {
                Some((_, Some(_), ..)) => return Some(104),
                None if must_exist => return Some(100),
                _ => {}
            }
        }
        None
    }

    fn find(&self, path: &str) -> Result<Row, u16> {
        match (self.at(path), self.blocked(path, true)) {
            (Some(row), _) => Ok(row.clone()),
            (None, blocked) => Err(blocked.unwrap_or(100)),
        }
    }

    fn put(&mut self, path: &str, content: &Content, action: &'static str) -> Result<u64, u16> {
        if let Some(code) = self.blocked(path, false) {
            return Err(code);
        }
        let index = self.index + 1;
        let ends: Vec<usize> = path.match_indices('/').map(|(end, _)| end).skip(1).collect();
        for end in ends {
            if self.at(&path[..end]).is_none() {
                self.rows.push((path[..end].to_owned(), None, index, index, None));
            }
        }
        let expires = content.expires.filter(|at| *at >= EARLIEST_EXPIRY);
        self.rows.retain(|row| row.0 != path);
        self.rows.push((
            path.to_owned(),
            (!content.dir).then(|| text(&content.value)),
            index,
            index,
            expires,
        ));
        Ok(self.log(action, path))
    }

    fn rewrite(&mut self, path: &str, content: &Content, action: &'static str) -> u64 {
        let index = self.log(action, path);
        for row in self.rows.iter_mut().filter(|row| row.0 == path) {
            row.4 = content.expires;
            if let Some(value) = &mut row.1 {
                if !content.refresh {
                    *value = text(&content.value);
                }
                row.3 = index;
            }
        }
        index
    }

    fn remove(&mut self, path: &str, action: &'static str) -> u64 {
        let below = format!("{path}/");
        self.rows.retain(|row| row.0 != path && !row.0.starts_with(&below));
        self.log(action, path)
    }

    fn compare(row: &Row, expected: &Expected) -> Result<(), u16> {
        let Some(value) = &row.1 else { return Err(102) };
        let value_fits = expected.value.is_empty() || text(&expected.value) == *value;
        let index_fits = expected.index == 0 || expected.index == row.3;
        if value_fits && index_fits { Ok(()) } else { Err(101) }
    }

    pub(super) fn write(&mut self, path: &str, write: &Write) -> Result<u64, u16> {
        match write {
            Write::Set(content) => {
                let content = match self.find(path) {
                    Ok((_, None, ..)) => return Err(102),
                    Ok((_, Some(value), ..)) if content.refresh => {
                        Content { value: value.into(), ..content.clone() }
                    }
                    Err(100) if !content.refresh => content.clone(),
                    Err(code) => return Err(code),
                    Ok(_) => content.clone(),
                };
                self.put(path, &content, "set")
            }
            Write::Create(_) if self.at(path).is_some() => Err(105),
            Write::Create(content) => self.put(path, content, "create"),
            Write::CreateInOrder(content) => {
                let path = format!("{path}/{:020}", self.index + 1);
                self.put(&path, content, "create")
            }
            Write::Update(content) => match self.find(path)? {
                (_, None, ..) if !content.value.is_empty() => Err(102),
                _ => Ok(self.rewrite(path, content, "update")),
            },
            Write::CompareAndSwap(expected, content) => {
                Self::compare(&self.find(path)?, expected)?;
                Ok(self.rewrite(path, content, "compareAndSwap"))
            }
            Write::Delete { dir, deep } => {
                let row = self.find(path)?;
                let below = format!("{path}/");
                let empty = !self.rows.iter().any(|row| row.0.starts_with(&below));
                match row.1 {
                    None if !dir && !deep => Err(102),
                    None if !deep && !empty => Err(108),
                    _ => Ok(self.remove(path, "delete")),
                }
            }
            Write::CompareAndDelete(expected) => {
                Self::compare(&self.find(path)?, expected)?;
                Ok(self.remove(path, "compareAndDelete"))
            }
        }
    }

    pub(super) fn expire(&mut self, now: i64) {
        loop {
            let due =
                self.rows.iter().filter_map(|row| Some((row.4.filter(|at| *at <= now)?, row.0.clone())));
            let Some((_, path)) =
                due.min_by(|a, b| (a.0, Key::parse(a.1.as_bytes())).cmp(&(b.0, Key::parse(b.1.as_bytes()))))
            else {
                return;
            };
            self.remove(&path, "expire");
        }
    }

    /// What a recursive listing shows, by path.
    pub(super) fn listed(&self) -> Vec<Row> {
        let mut rows = self.rows.clone();
        rows.retain(|row| !row.0.split('/').any(|name| name.starts_with('_')));
        rows.sort();
        rows
    }

    /// The first event at a path or below it from an index on.
    pub(super) fn first_since(&self, path: &str, since: u64) -> Option<u64> {
        let below = format!("{path}/");
        let told =
            |(index, _, of): &&(u64, &str, String)| *index >= since && (of == path || of.starts_with(&below));
        self.log.iter().find(told).map(|(index, ..)| *index)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
