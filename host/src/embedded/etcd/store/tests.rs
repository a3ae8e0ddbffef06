//! The store against a plain model, through random writes at random times.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::model::{Model, Row};
use super::*;

/// A time after which expiry counts.
const START: Nanos = EARLIEST_EXPIRY + 1_000;

const PATHS: [&str; 8] = ["/a", "/a/b", "/a/b/c", "/a/_h", "/a-b", "/d", "/d/e", "/_top/x"];

fn content() -> impl Strategy<Value = Content> {
    let value = prop_oneof![Just(""), Just("1"), Just("2")].prop_map(Bytes::from);
    let expires = option::weighted(0.3, (0..40_i64).prop_map(|after| START + after));
    (any::<bool>(), value, expires, prop::bool::weighted(0.2)).prop_map(|(dir, value, expires, refresh)| {
        let value = if refresh { Bytes::new() } else { value };
        Content { dir, value, expires, refresh }
    })
}

fn expected() -> impl Strategy<Value = Expected> {
    let value = prop_oneof![Just(""), Just("1")].prop_map(Bytes::from);
    (value, 0..12_u64).prop_map(|(value, index)| Expected { value, index })
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => content().prop_map(Write::Set),
        2 => content().prop_map(Write::Create),
        1 => content().prop_map(Write::CreateInOrder),
        2 => content().prop_map(Write::Update),
        2 => (expected(), content()).prop_map(|(expected, content)| Write::CompareAndSwap(expected, content)),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(dir, deep)| Write::Delete { dir, deep }),
        1 => expected().prop_map(Write::CompareAndDelete),
    ]
}

fn listed(store: &mut Store, now: Nanos) -> Vec<Row> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let found = store.get(now, &Key::root(), true).unwrap().below.into_iter();
    let row = |(key, node): (Key, Node)| {
        (text(key.as_bytes()), node.value.as_deref().map(text), node.created, node.modified, node.expires)
    };
    let mut rows: Vec<_> = found.map(row).collect();
    rows.sort();
    rows
}

proptest! {
    #[test]
    fn it_does_what_a_plain_model_does(steps in vec((0..8_usize, write(), 0..3_i64), 1..60)) {
        let (mut store, mut model, mut now) = (Store::new(BYTES_MAX), Model::new(), START);
        for (path, write, pause) in steps {
            now += pause;
            store.expire(now);
            model.expire(now);
            let path = PATHS[path];
            let outcome = store.write(now, &Key::parse(path.as_bytes()), write.clone());
            let outcome = outcome.map(|event| event.index).map_err(|failure| failure.code.number());
            prop_assert_eq!(outcome, model.write(path, &write), "{} {:?}", path, write);
            prop_assert_eq!(listed(&mut store, now), model.listed());
            prop_assert_eq!(store.index(), model.index);
        }
        let told: Vec<_> = store.take_happened().into_iter().map(|happened| {
            let Event { action, index, node, .. } = (*happened.event).clone();
            (index, action.name(), String::from_utf8_lossy(node.key.as_bytes()).into_owned())
        }).collect();
        prop_assert_eq!(&told, &model.log);
    }

    #[test]
    fn looking_back_finds_the_first_event(steps in vec((0..8_usize, 0..2_u8), 1..40), since in 1..40_u64) {
        let (mut store, mut model) = (Store::new(BYTES_MAX), Model::new());
        for (path, kind) in steps {
            let content = Content { dir: false, value: Bytes::new(), expires: None, refresh: false };
            let write = if kind == 0 { Write::Set(content) } else { Write::Delete { dir: false, deep: false } };
            let _ = store.write(START, &Key::parse(PATHS[path].as_bytes()), write.clone());
            let _ = model.write(PATHS[path], &write);
        }
        for path in PATHS {
            let found = store.look_back(&Key::parse(path.as_bytes()), true, since).unwrap();
            prop_assert_eq!(found.map(|event| event.index), model.first_since(path, since));
        }
    }

    #[test]
    fn what_is_kept_is_the_store_again(steps in vec((0..8_usize, write(), 0..3_i64, any::<bool>()), 1..60)) {
        let (mut store, mut now) = (Store::restored(Vec::new(), Vec::new(), BYTES_MAX), START);
        let (mut nodes, mut events) = (std::collections::BTreeMap::new(), Vec::new());
        for (path, write, pause, save) in steps {
            now += pause;
            store.expire(now);
            let _ = store.write(now, &Key::parse(PATHS[path].as_bytes()), write);
            let Some(batch) = save.then(|| store.take_batch()).flatten() else { continue };
            for (key, node) in batch.nodes {
                match node {
                    Some(node) => nodes.insert(key, node),
                    None => nodes.remove(&key),
                };
            }
            events.extend(batch.events.iter().map(|event| (**event).clone()));
            let kept = nodes.iter().map(|(key, node)| (key.clone(), node.clone())).collect();
            let mut again = Store::restored(kept, events.clone(), BYTES_MAX);
            prop_assert_eq!(listed(&mut again, now), listed(&mut store, now));
            prop_assert_eq!((again.index(), again.next_deadline()), (store.index(), store.next_deadline()));
            prop_assert_eq!(again.tree.bytes(), store.tree.bytes());
        }
    }
}

#[test]
fn a_full_store_takes_no_more_but_gives_way() {
    let mut store = Store::new(10_000);
    let key = Key::parse(b"/a");
    let content = |value: &'static [u8]| Content {
        dir: false,
        value: Bytes::from_static(value),
        expires: None,
        refresh: false,
    };
    store.write(0, &key, Write::Set(content(&[b'x'; 9_000]))).unwrap();
    let full = store.write(0, &Key::parse(b"/b"), Write::Set(content(&[b'x'; 900]))).unwrap_err();
    assert_eq!(
        (full.code, full.cause.as_slice()),
        (Code::RaftInternal, b"etcdserver: mvcc: database space exceeded".as_slice())
    );
    assert_eq!(
        store.write(0, &key, Write::Update(content(&[b'x'; 9_900]))).unwrap_err().code,
        Code::RaftInternal
    );
    store.write(0, &key, Write::Update(content(b"small"))).unwrap();
    store.write(0, &Key::parse(b"/b"), Write::Set(content(&[b'x'; 900]))).unwrap();
    store.write(0, &key, Write::Delete { dir: false, deep: false }).unwrap();
}

#[test]
fn depth_is_no_danger() {
    let mut store = Store::new(BYTES_MAX);
    let content = Content { dir: false, value: Bytes::new(), expires: None, refresh: false };
    let deeper = Key::parse("/x".repeat(DEPTH_MAX + 2).as_bytes());
    let failure = store.write(0, &deeper, Write::Set(content.clone())).unwrap_err();
    assert_eq!((failure.code, store.tree.bytes()), (Code::RaftInternal, 0));
    let deep = Key::parse("/x".repeat(DEPTH_MAX + 1).as_bytes());
    store.write(0, &deep, Write::Set(content)).unwrap();
    let found = store.get(0, &Key::root(), true).unwrap();
    assert_eq!(found.below.len(), DEPTH_MAX + 1);
    assert!(super::super::json::found(&found, 0).ends_with(b"}]}}\n"));
    store.write(0, &Key::parse(b"/x"), Write::Delete { dir: true, deep: true }).unwrap();
    assert_eq!(store.tree.bytes(), 0);
}
