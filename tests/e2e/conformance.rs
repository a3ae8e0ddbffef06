//! One suite of requests for the real etcd and the embedded one: both must answer what is expected, and alike to the
//! byte, apart from the time of day and the ids.

mod ask;
mod hostile;
mod script;
mod tools;

use std::fmt::Write as _;

use dynamite::embedded::etcd::{EtcdServer, Options};
use dynamite_tests::etcd::{self, Etcd};

use self::ask::{Answer, Connection};

/// A fresh real etcd and a fresh embedded one.
struct Both {
    real: Etcd,
    own: EtcdServer,
}

impl Both {
    async fn start() -> Self {
        let real = Etcd::start(etcd::Options { v2: true, ..etcd::Options::default() }).await.unwrap();
        // It is healthy a moment before it has written about itself.
        let endpoint = real.endpoint();
        dynamite_tests::wait::until("etcd to settle", super::store::LIMIT, async || {
            let answer = Connection::open(&endpoint).await.ask("GET", "/v2/keys", "").await;
            if answer.header("x-etcd-index") == "3" { Ok(()) } else { Err(answer) }
        })
        .await
        .unwrap();
        let own = EtcdServer::start(Options::default(), fastrand::Rng::with_seed(1)).await.unwrap();
        Self { real, own }
    }

    /// `host:port` of each, with a name.
    fn addresses(&self) -> [(&'static str, String); 2] {
        [("etcd", self.real.endpoint()), ("embedded", self.own.address().to_string())]
    }

    /// Plays a script on both.
    async fn play(&self, text: &str) {
        let mut transcripts = Vec::new();
        for (name, address) in self.addresses() {
            transcripts.push(script::play(name, &address, text).await);
        }
        for (real, own) in transcripts[0].iter().zip(&transcripts[1]) {
            assert_eq!(own, real, "embedded against etcd");
        }
    }

    /// What both answer to these bytes.
    async fn answers(&self, bytes: &[u8]) -> [Option<Answer>; 2] {
        let mut answers = Vec::new();
        for (_, address) in self.addresses() {
            let mut connection = Connection::open(&address).await;
            connection.send(bytes).await;
            answers.push(connection.answer().await);
        }
        let own = answers.pop().flatten();
        [answers.pop().flatten(), own]
    }
}

#[tokio::test]
async fn values_and_directories() {
    let both = Both::start().await;
    both.play(include_str!("conformance/values.txt")).await;
    both.play(include_str!("conformance/lifetimes.txt")).await;
}

#[tokio::test]
async fn comparisons() {
    Both::start().await.play(include_str!("conformance/comparisons.txt")).await;
}

#[tokio::test]
async fn what_cannot_be_asked() {
    Both::start().await.play(include_str!("conformance/wrong.txt")).await;
}

#[tokio::test]
async fn waits() {
    Both::start().await.play(include_str!("conformance/waits.txt")).await;
}

#[tokio::test]
async fn history_overflows() {
    let both = Both::start().await;
    let mut script = String::new();
    for at in 4..=1_010 {
        writeln!(script, "201 PUT /many/{at} value=x").unwrap();
    }
    script += "200 GET /many/1000?recursive=true\n\
        400/401 GET /many/10?wait=true&waitIndex=10\n\
        200 GET /many/11?wait=true&waitIndex=11\n\
        200 GET /many/1010?wait=true&waitIndex=11\n\
        400/401 GET /?wait=true&recursive=true&waitIndex=1\n\
        wait future /other?waitIndex=1012\n\
        201 PUT /other value=1\n\
        silent future\n\
        200 PUT /other value=2\n\
        told future\n";
    both.play(&script).await;
}
