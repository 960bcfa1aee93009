//! Background work: queued by anyone, claimed by one node, kept by its heartbeats.
//!
//! Owns: the table `jobs`, the rule of one open job a subject and the cap on attempts. The table is global, so a row
//! holds ids and numbers: never content, never a URL. Never runs anything.

use crate::engine_sql::CLAIM_JOB;
use crate::statement::{Statement, execute, first, row, rows, words};
use crate::store::Store;
use chatward_types::{Error, JobId, NodeId, OwnerId, Result, Scope, Timestamp};

/// How often a job is begun before it counts as failed.
pub const JOB_ATTEMPTS: i64 = 3;

const ENQUEUE_JOB: Statement = Statement::both(
    "INSERT INTO jobs (id, owner_id, kind, subject, state, attempts, progress, created_at, updated_at)
     VALUES ($1, $2, $3, $4, 'queued', 0, '{}', $5, $5) ON CONFLICT DO NOTHING",
);
const OPEN_JOB: Statement =
    Statement::both("SELECT id FROM jobs WHERE kind = $1 AND subject = $2 AND state IN ('queued', 'running')");
const GIVE_UP_JOBS: Statement = Statement::both(
    "UPDATE jobs SET state = 'failed', outcome = '{\"reason\":\"attempts\"}', lease_until = NULL, updated_at = $1
     WHERE state = 'running' AND lease_until < $1 AND attempts >= $2",
);
const HEARTBEAT_JOB: Statement = Statement::both(
    "UPDATE jobs SET lease_until = $3, progress = $4, updated_at = $5
     WHERE id = $1 AND node_id = $2 AND state = 'running'",
);
const FINISH_JOB: Statement = Statement::both(
    "UPDATE jobs SET state = $3, outcome = $4, lease_until = NULL, updated_at = $5
     WHERE id = $1 AND node_id = $2 AND state = 'running'",
);
const GET_JOB: Statement = Statement::both(
    "SELECT id, owner_id, kind, subject, state, attempts, node_id, lease_until, progress, outcome, created_at, updated_at
     FROM jobs WHERE id = $1",
);
const LIST_JOBS: Statement = Statement::both(
    "SELECT id, owner_id, kind, subject, state, attempts, node_id, lease_until, progress, outcome, created_at, updated_at
     FROM jobs ORDER BY created_at DESC, id DESC LIMIT $1",
);
const LIST_SUBJECT_JOBS: Statement = Statement::both(
    "SELECT id, owner_id, kind, subject, state, attempts, node_id, lease_until, progress, outcome, created_at, updated_at
     FROM jobs WHERE kind = $1 AND subject = $2 AND owner_id = $3 AND id < $4 ORDER BY id DESC LIMIT $5",
);
const PRUNE_JOBS: Statement = Statement::both("DELETE FROM jobs WHERE state IN ('done', 'failed') AND created_at < $1");

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for a node.
    Queued,
    /// A node works on it, as long as its lease runs.
    Running,
    /// It was done.
    Done,
    /// It was tried and given up.
    Failed,
}
words!(JobState { Queued = "queued", Running = "running", Done = "done", Failed = "failed" });

/// A piece of background work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Whom it is for.
    pub owner: OwnerId,
    /// What is to be done: `crawl`, …
    pub kind: String,
    /// The id of what it is to be done to.
    pub subject: String,
    /// Where it is in its life.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: i64,
    /// Who works, or worked, on it.
    pub node: Option<NodeId>,
    /// Until when that node may be silent, in microseconds.
    pub lease_until: Option<Timestamp>,
    /// How far it is: numbers, as a JSON object.
    pub progress: String,
    /// How it ended: words of ours and numbers, as a JSON object.
    pub outcome: Option<String>,
    /// When it was queued, in microseconds.
    pub created_at: Timestamp,
    /// When this row last changed, in microseconds.
    pub updated_at: Timestamp,
}
row!(JobRow {
    id, owner = "owner_id", kind, subject, state, attempts, node = "node_id", lease_until, progress, outcome,
    created_at, updated_at,
});

struct OpenJob {
    id: JobId,
}
row!(OpenJob { id });

impl Store {
    /// Queues a job under `id`, unless one of this kind is open for the subject already; returns the open one's id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn enqueue_job(
        &self,
        id: JobId,
        owner: OwnerId,
        kind: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<JobId> {
        // The open job may end between our insert, which it blocks, and our look at it; then the next insert succeeds.
        for _ in 0..3 {
            let mut tx = self.write_global().await?;
            execute!(tx, ENQUEUE_JOB, id, owner, kind, subject, now)?;
            let open = first!(OpenJob, tx, OPEN_JOB, kind, subject)?;
            tx.commit().await?;
            if let Some(open) = open {
                return Ok(open.id);
            }
        }
        Err(Error::unavailable("a job could be neither queued nor found"))
    }

    /// Gives `node` the oldest job that waits or whose lease ran out, until `lease_until`. Jobs that used up their
    /// attempts are failed on the way.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn claim_job(&self, node: NodeId, now: Timestamp, lease_until: Timestamp) -> Result<Option<JobRow>> {
        let mut tx = self.write_global().await?;
        execute!(tx, GIVE_UP_JOBS, now, JOB_ATTEMPTS)?;
        let job = first!(JobRow, tx, CLAIM_JOB, node, now, lease_until, JOB_ATTEMPTS)?;
        tx.commit().await?;
        Ok(job)
    }

    /// Extends the lease and stores the progress. `false` when the job is not this node's any more: stop working.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn heartbeat_job(
        &self,
        id: JobId,
        node: NodeId,
        lease_until: Timestamp,
        progress: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.write_global().await?;
        let mine = execute!(tx, HEARTBEAT_JOB, id, node, lease_until, progress, now)?;
        tx.commit().await?;
        Ok(mine == 1)
    }

    /// Ends a job as `Done` or `Failed`. `false` when it is not this node's any more.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] for a state that is no end.
    pub async fn finish_job(
        &self,
        id: JobId,
        node: NodeId,
        outcome: &str,
        state: JobState,
        now: Timestamp,
    ) -> Result<bool> {
        if !matches!(state, JobState::Done | JobState::Failed) {
            return Err(Error::invalid("A job ends as done or failed."));
        }
        let mut tx = self.write_global().await?;
        let mine = execute!(tx, FINISH_JOB, id, node, state, outcome, now)?;
        tx.commit().await?;
        Ok(mine == 1)
    }

    /// One job.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_job(&self, id: JobId) -> Result<Option<JobRow>> {
        let mut tx = self.read_global().await?;
        let job = first!(JobRow, tx, GET_JOB, id)?;
        tx.commit().await?;
        Ok(job)
    }

    /// The newest `limit` jobs, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_jobs(&self, limit: u32) -> Result<Vec<JobRow>> {
        let mut tx = self.read_global().await?;
        let jobs = rows!(JobRow, tx, LIST_JOBS, limit)?;
        tx.commit().await?;
        Ok(jobs)
    }

    /// Up to `limit` jobs of a kind for one subject of an owner, newest first, those older than `before` alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_subject_jobs(
        &self,
        scope: &Scope,
        kind: &str,
        subject: &str,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<JobRow>> {
        // Every id is smaller than this text, in every collation.
        let before = before.map_or_else(|| "zzzz".to_owned(), |id| id.to_string());
        let mut tx = self.read_global().await?;
        let jobs = rows!(JobRow, tx, LIST_SUBJECT_JOBS, kind, subject, scope.owner(), before, limit)?;
        tx.commit().await?;
        Ok(jobs)
    }

    /// Removes ended jobs that were queued before `before`. Returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_jobs(&self, before: Timestamp) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let pruned = execute!(tx, PRUNE_JOBS, before)?;
        tx.commit().await?;
        Ok(pruned)
    }
}
