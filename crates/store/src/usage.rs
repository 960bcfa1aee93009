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

impl Store {
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
