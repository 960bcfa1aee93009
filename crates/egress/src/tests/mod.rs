//! Tests that need public addresses: a stage on which local listeners stand in for them.
//!
//! Every dial of the connector passes the stage, is written down, and reaches a real socket: the listener that plays
//! the public address, or else the canary, which must never hear anything.

mod pools;
mod rebinding;
mod redirects;
#[path = "../../tests/it/support.rs"]
pub(crate) mod support;

use crate::{Egress, EgressBuilder, Resolve, Resolving};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use support::{Server, serve};

/// A global unicast address that a local listener plays.
pub(crate) const PUBLIC: &str = "93.184.216.34";

/// Leads dials of public addresses to local listeners and all others to the canary.
#[derive(Debug)]
pub(crate) struct Stage {
    actors: HashMap<SocketAddr, SocketAddr>,
    canary: SocketAddr,
    dialled: Mutex<Vec<SocketAddr>>,
}

impl Stage {
    pub(crate) fn enter(&self, to: SocketAddr) -> SocketAddr {
        self.dialled.lock().unwrap().push(to);
        *self.actors.get(&to).unwrap_or(&self.canary)
    }

    fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().unwrap().clone()
    }
}

/// Answers each name with a list of answers, one a look-up; the last stays.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
}

impl Script {
    fn of(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let answers = names.iter().map(|(name, answers)| {
            let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect());
            ((*name).to_owned(), answers.collect())
        });
        Arc::new(Self { answers: Mutex::new(answers.collect()) })
    }
}

impl Resolve for Script {
    fn resolve(&self, host: String) -> Resolving {
        let mut answers = self.answers.lock().unwrap();
        let answer = answers
            .get_mut(&host)
            .map(|answers| if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() });
        Box::pin(async move { answer.ok_or_else(|| std::io::ErrorKind::NotFound.into()) })
    }
}

/// A canary and an `Egress` whose dials all pass the stage.
struct Theatre {
    egress: Egress,
    stage: Arc<Stage>,
    canary: Server,
}

impl Theatre {
    /// `actors` play public sockets.
    async fn new(actors: &[(&str, &Server)], script: Arc<Script>) -> Self {
        Self::with(Egress::builder(), actors, script).await
    }

    async fn with(mut builder: EgressBuilder, actors: &[(&str, &Server)], script: Arc<Script>) -> Self {
        let canary = serve(|_| support::ok("", "the canary was reached")).await;
        let stage = Arc::new(Stage {
            actors: actors.iter().map(|(socket, server)| (socket.parse().unwrap(), server.address)).collect(),
            canary: canary.address,
            dialled: Mutex::default(),
        });
        builder.dialler = crate::connector::Dialler::Stage(Arc::clone(&stage));
        let egress = builder.resolver(script).build().unwrap();
        Self { egress, stage, canary }
    }

    /// Fails if anything but `sockets` was dialled, in this order, or if the canary heard anything.
    fn assert_dialled(&self, sockets: &[&str]) {
        let expected: Vec<SocketAddr> = sockets.iter().map(|to| to.parse().unwrap()).collect();
        assert_eq!(self.stage.dialled(), expected);
        assert_eq!(self.canary.connections(), 0, "the canary was dialled");
    }
}
