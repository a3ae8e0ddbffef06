//! Paging: fleet cuts every listing into pages and hands out a token for the next.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::{Answer, Call};

/// fleet wants the padding and so writes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Which page is asked for, from 1; an error is in fleet's words.
pub(super) fn requested(call: &Call<'_>, page_items: u16) -> Result<u16, String> {
    let mut tokens = form_urlencoded::parse(call.query.as_bytes()).filter(|(key, _)| key == "nextPageToken");
    let Some((_, token)) = tokens.next() else { return Ok(1) };
    if tokens.next().is_some() {
        return Err("too many values for page token".into());
    }
    let bytes = BASE64.decode(token.as_bytes()).map_err(|error| {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _) => at,
            base64::DecodeError::InvalidLastSymbol { offset, .. } => offset,
            _ => token.len(),
        };
        format!("illegal base64 data at input byte {at}")
    })?;
    match bytes.as_slice() {
        [] => Err("EOF".into()),
        [a, b, c, d, ..] => match (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d])) {
            (limit, _) if limit != page_items => Err(format!("token limit must be {page_items}")),
            (_, 0) => Err("token page must be greater than zero".into()),
            (_, page) => Ok(page),
        },
        _ => Err("unexpected EOF".into()),
    }
}

/// The page of a listing that is asked for, under a key. A full last page has a token for an empty one, as in fleet.
pub(super) fn answer<T>(
    call: &Call<'_>,
    page_items: u16,
    key: &str,
    items: &[T],
    show: impl Fn(&T) -> Value,
) -> Answer {
    let page = match requested(call, page_items) {
        Ok(page) => page,
        Err(message) => return Answer::error(400, &message),
    };
    // fleet computes both ends with 16 bits.
    let start = usize::from((page - 1).wrapping_mul(page_items));
    let stop = usize::from(page.wrapping_mul(page_items));
    let shown: Vec<Value> =
        items.get(start..stop.min(items.len())).unwrap_or_default().iter().map(show).collect();
    let mut fields = Vec::new();
    if !shown.is_empty() {
        fields.push((key.to_owned(), Value::Array(shown)));
    }
    if start < items.len() && stop <= items.len() {
        let [a, b] = page_items.to_le_bytes();
        let [c, d] = page.wrapping_add(1).to_le_bytes();
        fields.push(("nextPageToken".to_owned(), Value::String(BASE64.encode([a, b, c, d]))));
    }
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    Answer::json(&Value::Object(Map::from_iter(fields)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Result<u16, &str>) {
        let call = Call { method: "GET", path: "/", query, content_types: Vec::new(), body: b"" };
        assert_eq!(requested(&call, 100), expected.map_err(str::to_owned), "{query}");
    }

    #[test]
    fn tokens_are_read_as_fleet_does() {
        check("", Ok(1));
        check("alt=json", Ok(1));
        check("nextPageToken=ZAACAA==", Ok(2));
        check("nextPageToken=ZAACAA%3D%3D&alt=json", Ok(2));
        check("nextPageToken=", Err("EOF"));
        check("nextPageToken=ZAA%3D", Err("unexpected EOF"));
        check("nextPageToken=ZAAAAA==", Err("token page must be greater than zero"));
        check("nextPageToken=ZQACAA==", Err("token limit must be 100"));
        check("nextPageToken=!!!!", Err("illegal base64 data at input byte 0"));
        check("nextPageToken=ZAACAA==&nextPageToken=ZAACAA==", Err("too many values for page token"));
    }
}
