//! Several redis-servers that belong together: a primary with replicas and Sentinels, or a cluster.

use crate::redis_server::RedisServer;

/// The name under which the Sentinels know the primary.
const NAME: &str = "shop-primary";

/// A primary, two replicas, three Sentinels.
pub(crate) struct Watched {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) sentinels: Vec<RedisServer>,
}

impl Watched {
    pub(crate) async fn start() -> Self {
        let primary = RedisServer::start(&[]).await;
        let replicas = [RedisServer::replica_of(&primary).await, RedisServer::replica_of(&primary).await];
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(RedisServer::sentinel(NAME, &primary, 2).await);
        }
        for sentinel in &sentinels {
            for word in ["num-slaves\r\n$1\r\n2", "num-other-sentinels\r\n$1\r\n2"] {
                sentinel.says(&["SENTINEL", "MASTER", NAME], word).await;
            }
        }
        let servers = [primary].into_iter().chain(replicas).collect();
        Self { servers, sentinels }
    }

    /// The store's URL with this behind it.
    pub(crate) fn url(&self, options: &str) -> String {
        let hosts: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{NAME}{options}", hosts.join(","))
    }

    /// Waits until one of these is a primary, and tells which.
    pub(crate) async fn promoted(&self, of: &[usize]) -> usize {
        for _ in 0..3_000 {
            for &which in of {
                if self.servers[which].tried(&["ROLE"]).await.contains("master") {
                    return which;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("nobody was promoted in 15 s");
    }

    /// Has the Sentinels promote a replica though the primary is well.
    pub(crate) async fn hand_over(&self) {
        let said = self.sentinels[1].command(&["SENTINEL", "FAILOVER", NAME]).await;
        assert!(said.starts_with("+OK"), "{said}");
    }
}

/// Three primaries, each with a third of the slots, and replicas of some.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<RedisServer>,
}

impl Cluster {
    pub(crate) async fn start(replicas: usize) -> Self {
        let mut servers = Vec::new();
        for _ in 0..3 + replicas {
            servers.push(RedisServer::node().await);
        }
        let cluster = Self { servers };
        let slots = ["0 5460", "5461 10922", "10923 16383"];
        for (server, range) in cluster.servers.iter().zip(slots) {
            let (first, last) = range.split_once(' ').expect("two ends");
            server.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
        }
        let bus = cluster.servers[0].command(&["CONFIG", "GET", "cluster-port"]).await;
        let bus = bus.lines().last().expect("a port").to_owned();
        let (ip, port) =
            (cluster.servers[0].address().ip().to_string(), cluster.servers[0].address().port().to_string());
        for (number, server) in cluster.servers.iter().enumerate().skip(1) {
            // Two that meet nobody the same time are told apart by their epochs.
            server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
            server.command(&["CLUSTER", "MEET", &ip, &port, &bus]).await;
        }
        for server in &cluster.servers {
            server.says(&["CLUSTER", "INFO"], "cluster_state:ok").await;
            server.says(&["CLUSTER", "INFO"], &format!("cluster_known_nodes:{}", 3 + replicas)).await;
        }
        cluster
    }

    /// The store's URL: one of them is enough to find the others.
    pub(crate) fn url(&self) -> String {
        format!("redis+cluster://{}", self.servers[1].address())
    }

    /// The place of the server whose slots hold the key.
    pub(crate) async fn owner(&self, key: &str) -> usize {
        for (number, server) in self.servers.iter().enumerate() {
            if server.command(&["EXISTS", key]).await.starts_with(':') {
                return number;
            }
        }
        panic!("nobody owns {key}");
    }

    /// Makes one a replica of another, and waits until it follows.
    pub(crate) async fn follow(&self, replica: usize, primary: usize) {
        let id = self.id(primary).await;
        let said = self.servers[replica].command(&["CLUSTER", "REPLICATE", &id]).await;
        assert!(said.starts_with("+OK"), "{said}");
        self.servers[replica].says(&["INFO", "replication"], "master_link_status:up").await;
    }

    pub(crate) async fn id(&self, of: usize) -> String {
        let said = self.servers[of].command(&["CLUSTER", "MYID"]).await;
        said.lines().nth(1).expect("an id").to_owned()
    }

    pub(crate) async fn flush(&self) {
        for server in &self.servers {
            server.command(&["FLUSHALL"]).await;
        }
    }
}
