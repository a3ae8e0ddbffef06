//! Scripts: a request a line, with what is expected of the answer.
//!
//! - `201 PUT /a value=1`: the status, the method, the key (or, after `=`, a path) and the form.
//! - `404/100 GET /a`: the status and the `errorCode`.
//! - `wait NAME KEY?FIELDS`: starts to wait; `told NAME`: the event comes; `silent NAME`: none comes;
//!   `ended NAME`: the answer ends.

use std::collections::BTreeMap;

use super::ask::Connection;

/// Plays a script, checks what it expects, and returns what came, line by line.
pub(super) async fn play(server: &str, address: &str, text: &str) -> Vec<String> {
    let mut waiting = BTreeMap::new();
    let mut transcript = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap();
        let said = match word {
            "wait" => {
                let (name, target) = rest.split_once(' ').unwrap();
                let mark = if target.contains('?') { '&' } else { '?' };
                let mut connection = Connection::open(address).await;
                connection.request("GET", &format!("/v2/keys{target}{mark}wait=true"), "").await;
                let begun = connection.begun().await;
                waiting.insert(name, connection);
                format!("{begun:?}")
            }
            "told" => waiting.get_mut(rest).unwrap().chunk().await.unwrap(),
            "ended" => format!("{:?}", waiting.get_mut(rest).unwrap().chunk().await),
            "silent" => {
                assert!(waiting.get_mut(rest).unwrap().is_silent().await, "{server}: {line}");
                String::new()
            }
            _ => ask(server, address, word, rest).await,
        };
        transcript.push(format!("{line}\n{said}"));
    }
    transcript
}

async fn ask(server: &str, address: &str, expected: &str, request: &str) -> String {
    let mut words = request.splitn(3, ' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let form = words.next().unwrap_or_default();
    let target = target.strip_prefix('=').map_or_else(|| format!("/v2/keys{target}"), str::to_owned);
    let answer = Connection::open(address).await.ask(method, &target, form).await;
    let code = serde_json::from_str::<serde_json::Value>(&answer.body).ok();
    let code = code.and_then(|body| body.get("errorCode").cloned());
    let outcome = answer.status.to_string() + &code.map_or(String::new(), |code| format!("/{code}"));
    assert_eq!(outcome, expected, "{server}: {request}: {answer:?}");
    format!("{answer:#?}")
}
