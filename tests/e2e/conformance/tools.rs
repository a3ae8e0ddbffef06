//! etcd's own command, v2, against the embedded server and the real one.

use std::process::Command;

use super::Both;

fn ctl(address: &str, arguments: &str) -> String {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "2").arg("--endpoints").arg(format!("http://{address}"));
    // It comes with `apt-get install etcd-client`.
    let output = command.args(arguments.split(' ')).output().unwrap();
    let (said, erred) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{:?}\n{said}{erred}", output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn etcdctl_works() {
    let both = Both::start().await;
    for command in [
        "mkdir /d",
        "mkdir /d",
        "set /d/a 1",
        "get /d/a",
        "-o extended get /d/a",
        "get /d/none",
        "ls /d",
        "ls --recursive --sort -p /",
        "mk /d/b 2",
        "mk /d/b 2",
        "mk --in-order /q x",
        "update /d/b 3",
        "set --swap-with-value 3 /d/b 4",
        "set --swap-with-value 3 /d/b 5",
        "set --ttl 100 /d/c 1",
        "setdir /e",
        "updatedir --ttl 100 /e",
        "rmdir /d",
        "rmdir /e",
        "rm --with-value 1 /d/b",
        "rm /d/b",
        "rm --recursive /d",
        "get /d/a",
    ] {
        let [real, own] = both.addresses().map(|(_, address)| ctl(&address, command));
        assert_eq!(own, real, "embedded against etcd: {command}");
    }
    let own = both.own.address().to_string();
    assert!(ctl(&own, "cluster-health").contains("cluster is healthy"), "{}", ctl(&own, "cluster-health"));
    assert!(ctl(&own, "member list").contains("isLeader=true"), "{}", ctl(&own, "member list"));
}

#[tokio::test(flavor = "multi_thread")]
async fn etcdctl_watches() {
    let both = Both::start().await;
    let outputs = both.addresses().map(|(_, address)| {
        ctl(&address, "set /w/a 1");
        let watch = ctl(&address, "watch --after-index 3 --recursive /w");
        ctl(&address, "rm /w/a");
        (watch, ctl(&address, "watch --after-index 4 /w/a"))
    });
    assert_eq!(outputs[1], outputs[0]);
    assert!(outputs[0].0.contains("[set] /w/a"), "{outputs:?}");
}
