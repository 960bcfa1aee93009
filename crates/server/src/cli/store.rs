//! `chatward migrate` and `chatward health`.

use super::{Common, Failure, Outcome, print};
use crate::app::{App, Options};
use crate::ops::installation;
use chatward_egress::SystemResolver;

pub(super) async fn migrate(common: &Common) -> Outcome {
    let config = common.load(None)?;
    let store = installation::open_store(&config, &SystemResolver::default()).await?;
    let durability = store.durability().await?;
    store.close().await;
    if common.json {
        print::json(&serde_json::json!({ "ok": true, "durability": durability }));
    } else {
        print::line("The schema is up to date.");
    }
    Ok(())
}

pub(super) async fn health(common: &Common) -> Outcome {
    let config = common.load(None)?;
    let app = App::start(config, Options { write_events: false, ..Options::default() }).await?;
    app.store.check().await?;
    let nodes = app.store.live_nodes(app.clock.now()).await?.len();
    let providers: Vec<String> = app.providers.providers().map(|provider| provider.name().to_owned()).collect();
    app.store.close().await;
    if common.json {
        print::json(&serde_json::json!({ "ok": true, "running_servers": nodes, "providers": providers }));
    } else {
        print::line("database   in order");
        print::line("master key opens this database");
        print::line(&format!("providers  {}", providers.join(", ")));
        print::line(&format!("servers    {nodes} running"));
    }
    Ok::<(), Failure>(())
}
