//! One batch of appends: committed as one, each answered. On PostgreSQL from rows to JSON and one blob, one statement a
//! table.
//!
//! Owns: the positions that the statements in `engine_sql.rs` read, the grouping by owner that PostgreSQL's row-level
//! security needs, the transaction there (SQLite's is in `visit.rs`), and the search for the append that spoils a batch. Bodies travel as bytes, cut apart by the database
//! (`substr`), because binary in JSON would double in size. Never acknowledges before COMMIT.

use super::{HotRow, Pending, Target};
use crate::engine_sql::{
    APPEND_CONVERSATIONS, APPEND_MESSAGES, APPEND_SESSIONS, APPEND_TOUCHES, APPEND_USAGE, MISSING_CONVERSATIONS,
};
use crate::statement::{execute, row, rows};
use crate::store::{Pools, set_owner};
use crate::tx::Tx;
use chatward_types::{ConversationId, Error, Kind, OwnerId, Result, SessionId, Timestamp};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Why a batch was not committed.
#[derive(Debug)]
pub(super) enum Failure {
    /// These conversations are gone; the appends that write to them fail, the others can go on.
    Missing(HashSet<(OwnerId, ConversationId)>),
    /// The database refused something in it.
    Refused(Error),
    /// The database cannot be used; no append of the batch can be saved by leaving another out.
    Down(Error),
}

/// Commits `appends` and answers each. One that cannot be written takes no neighbour with it.
pub(super) async fn commit(target: &Target, appends: Vec<Pending>) {
    let mut parts = vec![appends];
    while let Some(part) = parts.pop() {
        let (mut part, outcome) = match target {
            Target::Sqlite { writer, visits } => match writer.permit().await {
                Ok(permit) => visits.write(part, permit).await,
                Err(error) => (part, Err(error.into())),
            },
            Target::Postgres(pools) => {
                let outcome = attempt(pools, &part).await;
                (part, outcome)
            }
        };
        match outcome {
            Ok(()) => part.into_iter().for_each(|pending| pending.answer(Ok(()))),
            Err(Failure::Missing(gone)) => {
                let (lost, rest): (Vec<_>, Vec<_>) = part.into_iter().partition(|pending| pending.writes_to_any(&gone));
                // Nobody lost would mean to try the same again, for ever.
                let nobody = lost.is_empty();
                lost.into_iter().for_each(|pending| pending.answer(Err(Error::not_found())));
                if nobody {
                    rest.into_iter().for_each(|pending| pending.answer(Err(Error::internal("a batch lost messages"))));
                } else if !rest.is_empty() {
                    parts.push(rest);
                }
            }
            Err(Failure::Refused(error)) => {
                if part.len() == 1 {
                    part.into_iter().for_each(|pending| pending.answer(Err(again(&error))));
                } else {
                    let later = part.split_off(part.len() / 2);
                    parts.push(later);
                    parts.push(part);
                }
            }
            Err(Failure::Down(error)) => {
                for pending in part.into_iter().chain(parts.drain(..).flatten()) {
                    pending.answer(Err(again(&error)));
                }
            }
        }
    }
}

/// The transaction on PostgreSQL.
async fn attempt(pools: &Pools, appends: &[Pending]) -> Result<(), Failure> {
    let groups = group(appends)?;
    let mut tx = pools.write(None).await?;
    for (owner, group) in groups {
        set_owner(&mut tx, owner).await?;
        write_group(&mut tx, group).await?;
    }
    // Whatever fails here has an unknown outcome: it is not tried again.
    tx.commit().await.map_err(Failure::Down)
}

async fn write_group(tx: &mut Tx, group: Group) -> Result<(), Failure> {
    if let Some(sessions) = group.sessions.finish() {
        execute!(tx, APPEND_CONVERSATIONS, &sessions)?;
        execute!(tx, APPEND_SESSIONS, sessions)?;
    }
    let expected = group.messages.count;
    if let Some(messages) = group.messages.finish() {
        let written = execute!(tx, APPEND_MESSAGES, &messages, group.bodies)?;
        if written != expected {
            let gone = rows!(Gone, tx, MISSING_CONVERSATIONS, messages)?;
            return Err(Failure::Missing(gone.into_iter().map(|gone| (gone.owner, gone.conversation)).collect()));
        }
    }
    if let Some(usage) = group.usage.finish() {
        execute!(tx, APPEND_USAGE, usage)?;
    }
    let mut touches = Rows::default();
    for ((owner, session), at) in group.touches {
        touches.push(&(owner, session.as_str(), at))?;
    }
    if let Some(touches) = touches.finish() {
        execute!(tx, APPEND_TOUCHES, touches)?;
    }
    Ok(())
}

/// What one set of statements writes.
#[derive(Default)]
struct Group {
    sessions: Rows,
    messages: Rows,
    bodies: Vec<u8>,
    usage: Rows,
    /// The latest a session: a statement may touch a row once only.
    touches: HashMap<(OwnerId, SessionId), Timestamp>,
}

/// A conversation that a message was for.
struct Gone {
    owner: OwnerId,
    conversation: ConversationId,
}

row!(Gone { owner = "owner_id", conversation = "id" });

/// A JSON array of rows in the making.
#[derive(Default)]
struct Rows {
    text: Vec<u8>,
    count: u64,
}

impl Rows {
    fn push(&mut self, row: &impl Serialize) -> Result<()> {
        self.text.push(if self.count == 0 { b'[' } else { b',' });
        serde_json::to_writer(&mut self.text, row).map_err(Error::internal)?;
        self.count += 1;
        Ok(())
    }

    fn finish(mut self) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        self.text.push(b']');
        // serde_json writes UTF-8 only.
        String::from_utf8(self.text).ok()
    }
}

fn group(appends: &[Pending]) -> Result<Vec<(OwnerId, Group)>> {
    let mut groups: Vec<(OwnerId, Group)> = Vec::with_capacity(1);
    let mut places: HashMap<OwnerId, usize> = HashMap::new();
    for row in appends.iter().flat_map(|pending| &pending.rows) {
        let owner = row.owner();
        let place = *places.entry(owner).or_insert_with(|| {
            groups.push((owner, Group::default()));
            groups.len() - 1
        });
        if let Some((_, group)) = groups.get_mut(place) {
            group.add(owner, row)?;
        }
    }
    Ok(groups)
}

impl Group {
    fn add(&mut self, owner: OwnerId, row: &HotRow) -> Result<()> {
        match row {
            HotRow::Session(row) => self.sessions.push(&(
                owner,
                row.conversation,
                row.site,
                row.created_at,
                row.id.as_str(),
                &row.origin,
                &row.network,
                row.last_activity_at,
            )),
            HotRow::Message { row, .. } => {
                // substr counts from one.
                let offset = self.bodies.len() + 1;
                self.bodies.extend_from_slice(&row.sealed);
                self.messages.push(&(
                    owner,
                    row.conversation,
                    row.id,
                    row.role.as_str(),
                    row.state.as_str(),
                    &row.provider,
                    offset,
                    row.sealed.len(),
                    row.created_at,
                ))
            }
            HotRow::Usage { row, .. } => self.usage.push(&(
                owner,
                row.site,
                row.at,
                row.id,
                &row.provider,
                &row.model,
                row.input_tokens,
                row.output_tokens,
                row.micro_usd,
            )),
            HotRow::Touch { session, at, .. } => {
                let latest = self.touches.entry((owner, session.clone())).or_insert(*at);
                *latest = (*latest).max(*at);
                Ok(())
            }
        }
    }
}

impl HotRow {
    pub(super) fn owner(&self) -> OwnerId {
        match self {
            Self::Session(row) => row.owner,
            Self::Message { scope, .. } | Self::Usage { scope, .. } | Self::Touch { scope, .. } => scope.owner(),
        }
    }
}

impl Pending {
    fn answer(self, outcome: Result<()>) {
        // Whoever waited may have left; the rows stay as they are.
        let _ = self.acknowledge.send(outcome);
    }

    fn writes_to_any(&self, gone: &HashSet<(OwnerId, ConversationId)>) -> bool {
        self.rows.iter().any(|row| match row {
            HotRow::Message { scope, row } => gone.contains(&(scope.owner(), row.conversation)),
            _ => false,
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::Unavailable => Self::Down(error),
            _ => Self::Refused(error),
        }
    }
}

/// The same error for one more append; the source is carried as text, since it has one owner.
fn again(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.code(), error.public().to_owned());
    let copy = match error.retry_after_seconds() {
        Some(seconds) => copy.retry_after(seconds),
        None => copy,
    };
    match error.source_line() {
        Some(line) => copy.with_source(line),
        None => copy,
    }
}
