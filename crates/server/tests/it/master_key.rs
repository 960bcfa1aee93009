//! Rotation of the master key (SEC-08, SEC-09): nothing that was written is lost, wherever it stops; no node is left behind;
//! and the old key goes when nothing needs it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::keys::{eventually, second_node};
use crate::people::{Tokens, roomy};
use crate::world::{PATIENCE, QUESTION, Visitor, World};
use chatward::app::{App, Options};
use chatward::jobs;
use chatward::ops::master_key::{self, OVERLAP, Progress};
use chatward::ops::trail::Actor;
use chatward::ops::{data_keys, master_key_files, master_key_values, rotation};
use chatward_store::{Engine, MASTER_KEY_MOVED};
use chatward_testkit::TestDb;
use chatward_types::{Clock, DAY, Kind, NodeId, OwnerId, Role, SECOND, Scope};
use chatward_vault::{MasterKeyFile, SystemEntropy, random_secret};
use http::{Method, StatusCode};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const BY: Actor = Actor::Operator;

fn file(world: &World) -> PathBuf {
    world.app.config.vault.key_file.clone().unwrap()
}

/// The names of the keys in a file, the newest first.
fn names(path: &Path) -> Vec<String> {
    MasterKeyFile::load(path).unwrap().ring().ids().into_iter().map(str::to_owned).collect()
}

/// What was written before: a conversation, a user's login, and another owner's data key.
struct Past {
    visitor: Visitor,
    login: Tokens,
    owner: OwnerId,
}

async fn another_owner(world: &World, name: &str) -> OwnerId {
    let owner = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
    world.app.store.insert_owner(owner, name, world.clock.now()).await.unwrap();
    data_keys::of(&world.app, &Scope::of(owner)).await.unwrap();
    owner
}

impl Past {
    async fn of(world: &World) -> Self {
        world.user("ann@example.test", Role::Owner).await;
        let login = world.tokens("ann@example.test").await;
        let visitor = world.visitor().await;
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
        Self { visitor, login, owner: another_owner(world, "another").await }
    }

    /// All of it can be read, and what is new can be written.
    async fn is_whole(&self, world: &World, what: &str) {
        let state = world.by(&self.visitor, Method::GET, "/api/v1/widget/session").send().await;
        assert_eq!(state.status, StatusCode::OK, "{what}: {}", state.text());
        assert_eq!(state.json()["messages"][0]["text"], QUESTION, "{what}");
        assert!(world.holds(&self.login.access).await, "{what}");
        data_keys::of(&world.app, &Scope::of(self.owner)).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let visitor = world.visitor().await;
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK, "{what}");
        another_owner(world, what).await;
    }
}

async fn nothing_is_under(world: &World, id: &str) -> bool {
    !master_key_values::is_needed(&world.app, id).await.unwrap()
}

/// The same database and folder in a process that begins anew.
async fn restarted(world: World) -> World {
    let (now, (database, folder)) = (world.clock.now(), world.stop().await);
    let again = roomy().again(database, folder).start().await;
    again.clock.advance(now - again.clock.now());
    again
}

#[tokio::test]
async fn a_rotation_keeps_everything_and_the_old_key_goes_when_its_overlap_ends() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let past = Past::of(&world).await;
        let (path, old) = (file(&world), world.app.vault.master_key_id());
        let before = std::fs::read_to_string(&path).unwrap();
        let Progress::Kept(rotation, until) = master_key::rotate(&world.app, OVERLAP, false, &BY).await.unwrap() else {
            panic!("the old key is kept")
        };
        assert_eq!((rotation.from.as_str(), until), (old.as_str(), world.clock.now() + DAY));
        let new = world.app.vault.master_key_id();
        assert_eq!((&rotation.to, names(&path)), (&new, vec![new.clone(), old.clone()]));
        assert!(nothing_is_under(&world, &old).await && !nothing_is_under(&world, &new).await);
        past.is_whole(&world, "after").await;
        let again = master_key::rotate(&world.app, OVERLAP, false, &BY).await.unwrap_err();
        assert_eq!(again.code(), "master_key_rotated");
        let world = restarted(world).await;
        past.is_whole(&world, "after a restart").await;
        assert_eq!(names(&path).len(), 2);
        world.clock.advance(DAY - 1);
        jobs::run_housekeeping(&world.app).await.unwrap();
        assert_eq!(names(&path).len(), 2, "the overlap runs");
        world.clock.advance(1);
        jobs::run_housekeeping(&world.app).await.unwrap();
        assert_eq!(names(&path), std::slice::from_ref(&new), "and then it is gone");
        assert_eq!(world.app.vault.ring().ids(), [new.as_str()], "also from memory");
        let trail = world.app.store.trail_head().await.unwrap().unwrap();
        assert_eq!((trail.name.as_str(), trail.subject.as_str()), ("MASTER_KEY_ROTATED", old.as_str()));
        assert!(trail.detail.contains("retired") && world.has_event("MASTER_KEY_ROTATED"));
        // What the file holds now is all that it takes; and the key from before opens nothing.
        let (database, folder) = world.stop().await;
        let world = roomy().again(database, folder).start().await;
        let state = world.by(&past.visitor, Method::GET, "/api/v1/widget/session").send().await;
        assert_eq!(state.json()["messages"][0]["text"], QUESTION, "{}", state.text());
        let config = world.app.config.clone();
        world.app.stop().await;
        std::fs::write(&path, before).unwrap();
        let refused = App::start(config, Options::default()).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        assert!(refused.public().contains(&new) && refused.public().contains(&old), "{refused}");
        assert!(refused.public().contains("not the master key that the database was sealed with"), "{refused}");
    }
}

#[tokio::test]
async fn at_once_the_old_key_goes_with_the_last_value_under_it() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let past = Past::of(&world).await;
        let (path, old) = (file(&world), world.app.vault.master_key_id());
        let done = master_key::rotate(&world.app, 0, false, &BY).await.unwrap();
        assert!(matches!(&done, Progress::Over(rotation, None) if rotation.from == old), "{done:?}");
        assert_eq!(names(&path), [world.app.vault.master_key_id()]);
        past.is_whole(&world, "at once").await;
        // An overlap that runs is ended by the same word.
        master_key::rotate(&world.app, OVERLAP, false, &BY).await.unwrap();
        assert_eq!(names(&path).len(), 2);
        let done = master_key::rotate(&world.app, 0, false, &BY).await.unwrap();
        assert!(matches!(done, Progress::Over(_, None)), "{done:?}");
        assert_eq!(names(&path).len(), 1);
        let world = restarted(world).await;
        past.is_whole(&world, "after a restart").await;
    }
}

/// Where a rotation stops, as if the process had been killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stop {
    Prepared,
    Recorded,
    Put,
    Written,
    Promoted,
    PartlyRewrapped,
    Rewrapped,
    Retired,
}

async fn rotate_until(app: &App, stop: Stop) {
    let prepared = master_key::prepare(app, 0).await.unwrap();
    if stop == Stop::Prepared {
        return;
    }
    master_key::record(app, &prepared, &BY).await.unwrap();
    if stop == Stop::Recorded {
        return;
    }
    let prepared = master_key::put(app, prepared).await.unwrap();
    if stop == Stop::Put {
        return;
    }
    master_key::set_written(app, prepared).await.unwrap();
    let rotation = master_key::under_way(app).await.unwrap().unwrap();
    if stop == Stop::Written {
        return;
    }
    master_key::promote(app, &rotation).await.unwrap();
    let rotation = master_key::under_way(app).await.unwrap().unwrap();
    if stop == Stop::PartlyRewrapped {
        let mark = app.vault.ring().mark(&rotation.from).unwrap();
        let row = app.store.admin_data_keys_under(&mark, 1).await.unwrap().remove(0);
        let wrapped = app.vault.rewrap_data_key(&row.owner, row.version, &row.wrapped).unwrap();
        assert_eq!(app.store.sealed_under(&rotation.to).replace_wrapped(&[(row, wrapped)]).await.unwrap(), 1);
    }
    if matches!(stop, Stop::Promoted | Stop::PartlyRewrapped) {
        assert!(master_key_values::is_needed(app, &rotation.from).await.unwrap());
        return;
    }
    assert!(master_key_values::rewrap(app, &rotation).await.unwrap() > 2);
    if stop == Stop::Rewrapped {
        return;
    }
    master_key::retire(app, &rotation).await.unwrap();
}

#[tokio::test]
async fn wherever_a_rotation_stops_it_is_finished_by_the_command_or_the_server() {
    use Stop::{PartlyRewrapped, Prepared, Promoted, Put, Recorded, Retired, Rewrapped, Written};
    for engine in World::ENGINES {
        let mut world = roomy().engine(engine).start().await;
        let past = Past::of(&world).await;
        for by_the_server in [false, true] {
            for stop in [Prepared, Recorded, Put, Written, Promoted, PartlyRewrapped, Rewrapped, Retired] {
                let what = format!("{stop:?} {by_the_server}");
                let (path, old) = (file(&world), world.app.vault.master_key_id());
                rotate_until(&world.app, stop).await;
                world = restarted(world).await;
                past.is_whole(&world, &what).await;
                // Nobody else writes the file by then.
                world.clock.advance(15 * SECOND);
                let is_begun = !matches!(stop, Prepared | Recorded);
                if by_the_server {
                    jobs::run_housekeeping(&world.app).await.unwrap();
                    assert_eq!(names(&path).len(), 1, "{what}");
                    assert_eq!(world.app.vault.master_key_id() != old, is_begun, "{what}");
                } else if stop != Retired {
                    let done = master_key::rotate(&world.app, 0, false, &BY).await.unwrap();
                    assert!(matches!(done, Progress::Over(_, None)), "{what}: {done:?}");
                } else {
                    assert!(master_key::advance(&world.app).await.unwrap().is_none());
                }
                assert_eq!(master_key::under_way(&world.app).await.unwrap(), None, "{what}");
                assert_eq!(names(&path), [world.app.vault.master_key_id()], "{what}");
                if !by_the_server || is_begun {
                    assert!(nothing_is_under(&world, &old).await, "{what}");
                }
                past.is_whole(&world, &what).await;
            }
        }
        let world = restarted(world).await;
        past.is_whole(&world, "in the end").await;
    }
}

#[tokio::test]
async fn a_rotation_does_not_begin_without_its_record() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let path = file(&world);
        let before = std::fs::read_to_string(&path).unwrap();
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        assert!(master_key::rotate(&world.app, 0, false, &BY).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        assert_eq!(master_key::under_way(&world.app).await.unwrap(), None);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        assert!(matches!(master_key::rotate(&world.app, 0, false, &BY).await.unwrap(), Progress::Over(_, None)));
    }
}

#[tokio::test]
async fn two_rotations_at_once_are_one() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let past = Past::of(&world).await;
        let old = world.app.vault.master_key_id();
        let one = master_key::rotate(&world.app, OVERLAP, false, &BY);
        let (one, other) = tokio::join!(one, master_key::rotate(&world.app, OVERLAP, false, &BY));
        let new = world.app.vault.master_key_id();
        let mut kept = 0;
        for outcome in [one, other] {
            match outcome {
                Ok(Progress::Kept(rotation, _)) => {
                    kept += 1;
                    assert_eq!((&rotation.from, &rotation.to), (&old, &new));
                }
                Ok(progress) => panic!("{progress:?}"),
                Err(error) => assert_eq!(error.kind(), Kind::Conflict, "{error:?}"),
            }
        }
        assert!(kept > 0);
        assert_eq!(names(&file(&world)), [new, old.clone()]);
        assert!(nothing_is_under(&world, &old).await);
        past.is_whole(&world, "after two").await;
    }
}

#[tokio::test]
async fn a_second_node_on_the_same_file_goes_on_through_a_rotation() {
    let one = roomy().engine(Engine::Postgres).start().await;
    let past = Past::of(&one).await;
    let (other, jobs) = second_node(&one).await;
    past.is_whole(&other, "before").await;
    let old = one.app.vault.master_key_id();
    let done = master_key::rotate(&one.app, 0, false, &BY).await.unwrap();
    assert!(matches!(done, Progress::Over(_, None)), "{done:?}");
    let new = one.app.vault.master_key_id();
    past.is_whole(&other, "after").await;
    eventually("the other node has the new key alone", async || other.app.vault.ring().ids() == [new.as_str()]).await;
    past.is_whole(&one, "here").await;
    assert!(nothing_is_under(&one, &old).await, "nor has the other node written under the old one");
    other.app.stopping.cancel();
    tokio::time::timeout(PATIENCE, jobs).await.unwrap().unwrap();
}

/// A node with a key file of its own, which has what the first one's had at that time.
async fn node_elsewhere(one: &World) -> (World, tokio::task::JoinHandle<()>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    std::fs::copy(file(one), &path).unwrap();
    let url = one.database.config().url.expose().clone();
    let other = roomy().set("database.url", url).set("vault.key_file", path.display()).start().await;
    let jobs = tokio::spawn(jobs::run(other.app.clone()));
    while other.app.store.live_nodes(other.clock.now()).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    (other, jobs, folder)
}

#[tokio::test]
async fn no_key_is_used_before_every_running_node_holds_it() {
    let one = roomy().engine(Engine::Postgres).start().await;
    let past = Past::of(&one).await;
    let (other, jobs, _folder) = node_elsewhere(&one).await;
    let old = one.app.vault.master_key_id();
    let prepared = master_key::prepare(&one.app, 0).await.unwrap();
    master_key::record(&one.app, &prepared, &BY).await.unwrap();
    let prepared = master_key::put(&one.app, prepared).await.unwrap();
    master_key::set_written(&one.app, prepared).await.unwrap();
    for _ in 0..3 {
        let waiting = master_key::advance(&one.app).await.unwrap().unwrap();
        let lacking: Vec<NodeId> = vec![other.app.node];
        assert!(matches!(&waiting, Progress::Waiting(_, nodes) if *nodes == lacking), "{waiting:?}");
        assert_eq!(one.app.vault.master_key_id(), old, "the old key wraps yet");
        past.is_whole(&other, "while it waits").await;
    }
    std::fs::copy(file(&one), file(&other)).unwrap();
    // The other node's own housekeeping would notice within a minute.
    jobs::run_housekeeping(&other.app).await.unwrap();
    eventually("it goes on by itself", async || {
        master_key::advance(&one.app).await.unwrap();
        master_key::under_way(&one.app).await.unwrap().is_none()
    })
    .await;
    for (world, what) in [(&one, "here"), (&other, "there")] {
        past.is_whole(world, what).await;
    }
    assert!(nothing_is_under(&one, &old).await);
    jobs::run_housekeeping(&other.app).await.unwrap();
    jobs::run_housekeeping(&one.app).await.unwrap();
    assert_eq!(names(&file(&other)), names(&file(&one)), "each takes the old key out of its own file");
    assert_eq!(names(&file(&one)).len(), 1);
    other.app.stopping.cancel();
    tokio::time::timeout(PATIENCE, jobs).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_program_that_missed_the_news_reads_the_file_when_it_meets_the_new_key() {
    let one = roomy().engine(Engine::Postgres).start().await;
    let past = Past::of(&one).await;
    // It follows no changes, as a command does not.
    let url = one.database.config().url.expose().clone();
    let other = roomy().set("database.url", url).set("vault.key_file", file(&one).display()).start().await;
    let old = other.app.vault.master_key_id();
    master_key::rotate(&one.app, 0, false, &BY).await.unwrap();
    assert_eq!(other.app.vault.master_key_id(), old);
    let scope = Scope::of(another_owner(&one, "for the fence").await);
    // Under the old key nothing is written any more,
    let wrapped = other.app.vault.new_data_key(&scope.owner(), 2).unwrap();
    let refused = other.app.store.sealed_under(&old).insert_data_key(&scope, 2, &wrapped).await.unwrap_err();
    assert_eq!(refused.code(), MASTER_KEY_MOVED);
    // what is under the new one is opened,
    data_keys::of(&other.app, &scope).await.unwrap();
    assert_eq!(other.app.vault.master_key_id(), one.app.vault.master_key_id());
    past.is_whole(&other, "there").await;
    assert!(nothing_is_under(&one, &old).await);
    // and where it does not stand in the file, the reason says what to do.
    let text = std::fs::read_to_string(file(&one)).unwrap();
    master_key::rotate(&one.app, 0, false, &BY).await.unwrap();
    std::fs::write(file(&one), text).unwrap();
    let error = master_key_files::read_again(&other.app).await.unwrap_err();
    let line = error.source_line().unwrap();
    assert!(line.contains(&one.app.vault.master_key_id()) && line.contains("copy the key file"), "{line}");
}

#[tokio::test]
async fn a_key_is_first_made_under_the_key_that_wraps_now() {
    let one = roomy().engine(Engine::Postgres).start().await;
    let url = one.database.config().url.expose().clone();
    let other = roomy().set("database.url", url).set("vault.key_file", file(&one).display()).start().await;
    let old = other.app.vault.master_key_id();
    master_key::rotate(&one.app, 0, false, &BY).await.unwrap();
    // Its first data key is made by a program that has the old key in memory alone.
    let owner = OwnerId::generate(other.app.clock.as_ref(), other.app.entropy.as_ref()).unwrap();
    other.app.store.insert_owner(owner, "late", other.clock.now()).await.unwrap();
    data_keys::of(&other.app, &Scope::of(owner)).await.unwrap();
    assert!(nothing_is_under(&one, &old).await);
    data_keys::of(&one.app, &Scope::of(owner)).await.unwrap();
}

/// A world whose key file has a name so long that nothing can be written beside it.
async fn with_a_file_that_cannot_be_written(engine: Engine) -> World {
    let (database, folder): (TestDb, TempDir) = roomy().engine(engine).start().await.stop().await;
    let path = folder.path().join("k".repeat(250));
    std::fs::rename(folder.path().join("keys/master.key"), &path).unwrap();
    roomy().again(database, folder).set("vault.key_file", path.display()).start().await
}

#[tokio::test]
async fn a_file_that_cannot_be_written_changes_nothing_and_a_prepared_key_is_taken() {
    for engine in World::ENGINES {
        let world = with_a_file_that_cannot_be_written(engine).await;
        let past = Past::of(&world).await;
        let (path, old) = (file(&world), world.app.vault.master_key_id());
        let before = std::fs::read_to_string(&path).unwrap();
        let refused = master_key::rotate(&world.app, 0, false, &BY).await.unwrap_err();
        assert_eq!(refused.code(), "master_key_unwritable");
        assert!(
            refused.public().contains("Nothing was changed") && refused.public().contains("--prepared"),
            "{refused}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        assert_eq!(master_key::under_way(&world.app).await.unwrap(), None);
        let refused = master_key::rotate(&world.app, 0, true, &BY).await.unwrap_err();
        assert_eq!(refused.code(), "master_key_not_prepared");
        // As an operator does where the file is mounted.
        use base64::Engine as _;
        let key = base64::engine::general_purpose::STANDARD.encode(random_secret(&SystemEntropy).unwrap().expose());
        std::fs::write(&path, format!("{key}\n{before}")).unwrap();
        let done = master_key::rotate(&world.app, 0, true, &BY).await.unwrap();
        let Progress::Over(rotation, Some(reason)) = done else { panic!("{done:?}") };
        assert!(reason.contains(&old) && reason.contains("yourself"), "{reason}");
        assert_eq!(names(&path), [rotation.to.clone(), old.clone()]);
        assert!(nothing_is_under(&world, &old).await);
        past.is_whole(&world, "prepared").await;
        std::fs::write(&path, key).unwrap();
        let refused = master_key::rotate(&world.app, 0, true, &BY).await.unwrap_err();
        assert_eq!(refused.code(), "master_key_not_prepared", "the key in use is no new one");
        past.is_whole(&world, "taken out").await;
        // A file that is damaged is told, and what is open stays open.
        std::fs::write(&path, "nonsense").unwrap();
        assert!(master_key::rotate(&world.app, 0, false, &BY).await.is_err());
        past.is_whole(&world, "a damaged file").await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_replaced_gives_the_rotation_up() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let past = Past::of(&world).await;
        let (path, old) = (file(&world), world.app.vault.master_key_id());
        let prepared = master_key::prepare(&world.app, 0).await.unwrap();
        master_key::record(&world.app, &prepared, &BY).await.unwrap();
        // Like a mount of its own, a folder cannot be replaced by a file.
        let aside = path.with_extension("aside");
        std::fs::rename(&path, &aside).unwrap();
        std::fs::create_dir(&path).unwrap();
        let refused = master_key::put(&world.app, prepared).await.unwrap_err();
        assert_eq!(refused.code(), "master_key_unwritable");
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(master_key::under_way(&world.app).await.unwrap(), None);
        assert_eq!((names(&path), world.app.vault.master_key_id()), (vec![old.clone()], old));
        past.is_whole(&world, "as before").await;
        assert!(matches!(master_key::rotate(&world.app, 0, false, &BY).await.unwrap(), Progress::Over(_, None)));
    }
}

#[tokio::test]
async fn a_key_in_a_variable_is_not_rotated_and_the_way_out_is_told() {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode(random_secret(&SystemEntropy).unwrap().expose());
    let world = roomy().variable("CHATWARD_VAULT_KEY", &key).start().await;
    let id = world.app.vault.master_key_id();
    let refused = master_key::rotate(&world.app, OVERLAP, false, &BY).await.unwrap_err();
    assert_eq!(refused.code(), "master_key_in_variable");
    assert!(refused.public().contains("--to-file") && !refused.public().contains(&key), "{refused}");
    assert_eq!((world.app.vault.master_key_id(), master_key::under_way(&world.app).await.unwrap()), (id, None));
}

#[tokio::test]
async fn the_master_key_comes_due_and_a_rotation_makes_it_young() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("keys.rotation_days", 10).start().await;
        let old = world.app.vault.master_key_id();
        let age = async || {
            let ages = rotation::ages(&world.app).await.unwrap();
            ages.into_iter().filter(|age| age.purpose == rotation::MASTER).collect::<Vec<_>>()
        };
        let told = || {
            let tail = world.app.events.tail().into_iter().filter(|event| event.name.as_str() == "KEY_OVERDUE");
            let of_master = |text: &str| text.contains("the master key ") && text.contains("secret rotate master");
            tail.filter(|event| event.detail.as_deref().is_some_and(of_master)).count()
        };
        world.clock.advance(10 * DAY - 1);
        jobs::run_housekeeping(&world.app).await.unwrap();
        assert_eq!((age().await[0].overdue, told()), (false, 0));
        world.clock.advance(1);
        for _ in 0..2 {
            jobs::run_housekeeping(&world.app).await.unwrap();
        }
        assert_eq!((age().await[0].overdue, told()), (true, 0), "this day's word was given before it was due");
        world.clock.advance(DAY);
        for _ in 0..2 {
            jobs::run_housekeeping(&world.app).await.unwrap();
        }
        assert_eq!(told(), 1, "once a day");
        master_key::rotate(&world.app, OVERLAP, false, &BY).await.unwrap();
        let ages = age().await;
        let shown: Vec<_> = ages.iter().map(|age| (age.state, age.overdue, age.until.is_some())).collect();
        assert_eq!(shown, [("wraps", false, false), ("held", false, true)]);
        assert_eq!((ages[0].since, ages[1].id.as_str()), (world.clock.now(), old.as_str()));
        world.clock.advance(DAY);
        jobs::run_housekeeping(&world.app).await.unwrap();
        assert_eq!(told(), 1);
    }
}
