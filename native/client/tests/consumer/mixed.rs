//! Groups mixed with Java members, either of them leading. Needs a real cluster (DOHLE_TEST_BROKERS), `java`, and a
//! folder with Kafka's jars (DOHLE_TEST_KAFKA_JARS); does nothing without them.

use std::process::{Child, Command, Stdio};

use dohle_client::{Client, Lane};
use dohle_protocol::messages::DescribeGroupsRequest;

use crate::support::*;

struct Java(Child);

impl Java {
    fn start(jars: &str, servers: &str, topic: &str, group: &str, assignor: &str) -> Java {
        let mut command = Command::new("java");
        command.args(["-cp", &format!("{jars}/*"), "org.apache.kafka.tools.consumer.ConsoleConsumer"]);
        command.args(["--bootstrap-server", servers, "--topic", topic, "--group", group]);
        for property in ["group.protocol=classic", "heartbeat.interval.ms=300", assignor] {
            command.args(["--command-property", property]);
        }
        Java(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Ends it as a signal does: it leaves its group.
    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        self.0.wait().unwrap();
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// Waits until the group is stable with its Java member alone.
async fn joined(client: &Client, group: &str) {
    let request = DescribeGroupsRequest { groups: vec![group.to_owned()], ..Default::default() };
    let wait = async {
        loop {
            let node = client.coordinator(dohle_client::CoordinatorKind::Group, group).await.unwrap();
            let answer = client.request(node, Lane::General, &request, PATIENCE).await.unwrap();
            if answer.groups[0].group_state == "Stable" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the Java consumer never joined");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_members_and_ours_share_a_group_whoever_leads() {
    let Ok(jars) = std::env::var("DOHLE_TEST_KAFKA_JARS") else { return };
    let cluster = Cluster::start().await;
    if cluster.broker.is_some() {
        return;
    }
    let client = cluster.client();
    let classes = [
        ("range", "RangeAssignor"),
        ("roundrobin", "RoundRobinAssignor"),
        ("sticky", "StickyAssignor"),
        ("cooperative-sticky", "CooperativeStickyAssignor"),
    ];
    for (strategy, class) in classes {
        let assignor = format!("partition.assignment.strategy=org.apache.kafka.clients.consumer.{class}");
        for we_lead in [true, false] {
            let (topic, group) = (cluster.topic(6).await, unique("group"));
            let start = || Java::start(&jars, &cluster.servers, &topic, &group, &assignor);
            let (one, java);
            if we_lead {
                one = Member::subscribed(&cluster, options(&group, strategy), &topic);
                shared_out(&[(&one, 6)]).await;
                java = start();
            } else {
                java = start();
                joined(&client, &group).await;
                one = Member::subscribed(&cluster, options(&group, strategy), &topic);
            }
            shared_out(&[(&one, 3)]).await;
            let two = Member::subscribed(&cluster, options(&group, strategy), &topic);
            shared_out(&[(&one, 2), (&two, 2)]).await;
            java.stop();
            shared_out(&[(&one, 3), (&two, 3)]).await;
            assert!(!one.lost() && !two.lost(), "{}\n{}", one.story(), two.story());
            one.close().await;
            two.close().await;
        }
    }
}
