//! Usage: what answers cost, in tokens and millionths of a US dollar.
//!
//! Owns: the table `usage`. Rows are written by `append`; sums are for people and reports.
//! Never decides a budget: `budgets.rs` does, and the two are settled apart.

use crate::statement::{Statement, row, rows};
use crate::store::Store;
use chatward_types::{Result, Scope, SiteId, Timestamp, UsageId};

const USAGE_SINCE: Statement = Statement::both(
    "SELECT provider, model, CAST(COUNT(*) AS BIGINT) AS answers,
            CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
            CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
            CAST(SUM(micro_usd) AS BIGINT) AS micro_usd
     FROM usage WHERE owner_id = $1 AND site_id = $2 AND at >= $3
     GROUP BY provider, model ORDER BY provider, model LIMIT 1000",
);

// A day has 86400000000 microseconds. Twice, because a condition that may be absent would keep PostgreSQL from the index.
const USAGE_BY_DAY: Statement = Statement::both(
    "SELECT day, provider, model, answers, input_tokens, output_tokens, micro_usd FROM (
       SELECT CAST(at / 86400000000 AS BIGINT) AS day, provider, model, CAST(COUNT(*) AS BIGINT) AS answers,
              CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
              CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
              CAST(SUM(micro_usd) AS BIGINT) AS micro_usd
       FROM usage WHERE owner_id = $1 AND at >= $2 AND at < $3
       GROUP BY at / 86400000000, provider, model) AS sums
     WHERE (day, provider, model) > ($4, $5, $6) ORDER BY day, provider, model LIMIT $7",
);
const SITE_USAGE_BY_DAY: Statement = Statement::both(
    "SELECT day, provider, model, answers, input_tokens, output_tokens, micro_usd FROM (
       SELECT CAST(at / 86400000000 AS BIGINT) AS day, provider, model, CAST(COUNT(*) AS BIGINT) AS answers,
              CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
              CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
              CAST(SUM(micro_usd) AS BIGINT) AS micro_usd
       FROM usage WHERE owner_id = $1 AND site_id = $8 AND at >= $2 AND at < $3
       GROUP BY at / 86400000000, provider, model) AS sums
     WHERE (day, provider, model) > ($4, $5, $6) ORDER BY day, provider, model LIMIT $7",
);

/// What one answer cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Its id.
    pub id: UsageId,
    /// The site that was asked.
    pub site: SiteId,
    /// Who answered.
    pub provider: String,
    /// With which model; empty where there is none.
    pub model: String,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// The price, in millionths of a US dollar.
    pub micro_usd: i64,
    /// When, in microseconds.
    pub at: Timestamp,
}

/// What the answers of one provider and model cost together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageTotal {
    /// Who answered.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// How many answers.
    pub answers: i64,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// The price, in millionths of a US dollar.
    pub micro_usd: i64,
}
row!(UsageTotal { provider, model, answers, input_tokens, output_tokens, micro_usd });

/// What the answers of one day, provider and model cost together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDay {
    /// The day (UTC), counted from 1970-01-01.
    pub day: i64,
    /// Who answered.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// How many answers.
    pub answers: i64,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// The price, in millionths of a US dollar.
    pub micro_usd: i64,
}
row!(UsageDay { day, provider, model, answers, input_tokens, output_tokens, micro_usd });

/// Which usage is summed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// From this time on, in microseconds.
    pub from: Timestamp,
    /// Before this time.
    pub until: Timestamp,
    /// Of one site alone.
    pub site: Option<SiteId>,
    /// What comes after this day, provider and model.
    pub after: (i64, String, String),
}

impl Store {
    /// Up to `limit` sums by day, provider and model, in this order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn usage_by_day(&self, scope: &Scope, query: &UsageQuery, limit: u32) -> Result<Vec<UsageDay>> {
        let (from, until) = (query.from, query.until);
        let (day, provider, model) = &query.after;
        let (day, owner) = (*day, scope.owner());
        let mut tx = self.read(scope).await?;
        let days = match query.site {
            None => rows!(UsageDay, tx, USAGE_BY_DAY, owner, from, until, day, provider, model, limit)?,
            Some(site) => {
                rows!(UsageDay, tx, SITE_USAGE_BY_DAY, owner, from, until, day, provider, model, limit, site)?
            }
        };
        tx.commit().await?;
        Ok(days)
    }

    /// What a site's answers have cost since `since`, by provider and model.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn usage_since(&self, scope: &Scope, site: SiteId, since: Timestamp) -> Result<Vec<UsageTotal>> {
        let mut tx = self.read(scope).await?;
        let totals = rows!(UsageTotal, tx, USAGE_SINCE, scope.owner(), site, since)?;
        tx.commit().await?;
        Ok(totals)
    }
}
