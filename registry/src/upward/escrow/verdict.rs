//! What has become of deposits that have arrived: the receiver is asked until it says.

use super::directory_name;
use super::entry::{Deposit, Status};
use super::make::MakeError;
use super::schedule::BACKOFF_MS;
use super::sftp::{Link, Receipt};
use super::task::{Escrow, Log, blocking, count, parsed, put};
use crate::now_ms;
use crate::upward::Channel;
use bytes::Bytes;
use std::time::Duration;

/// How long a receiver's verdict is asked for.
const RECEIPT_MS: u64 = 7 * 86_400_000;
/// Between two questions for it: as long as the deposit has been there, within these.
const RECEIPT_PAUSE_MS: (u64, u64) = (1_000, 3_600_000);

impl Escrow {
    /// Asks what has become of deposits.
    pub(super) async fn ask_for_receipts(
        &mut self,
        log: &Log,
        link: &mut Option<Result<Link, String>>,
    ) -> Result<(), MakeError> {
        let now = now_ms();
        let waiting = self.waiting.iter().filter(|(_, at)| **at <= now);
        let wanted: Vec<(Bytes, u64)> = waiting.map(|(which, _)| which.clone()).collect();
        for which in wanted {
            let (key, number) = &which;
            let entry = entry_of(log, key, *number).await?;
            let age = entry
                .as_ref()
                .map_or(u64::MAX, |it| now.saturating_sub(it.ended_ms));
            let Some(entry) = entry.filter(|it| it.status() == Status::Sent && age < RECEIPT_MS)
            else {
                self.waiting.remove(&which);
                continue;
            };
            let pause = age.clamp(RECEIPT_PAUSE_MS.0, RECEIPT_PAUSE_MS.1);
            self.waiting.insert(which.clone(), now + pause);
            let prefix = directory_name(&parsed(key)?);
            let receipt = match self.linked(link).await {
                Err(reason) => Err(reason),
                Ok(link) => {
                    let receipt = link.receipt(&prefix, &entry.id).await;
                    receipt.map_err(|error| error.to_string())
                }
            };
            match receipt {
                Ok(None) => {}
                Ok(Some(receipt)) => {
                    self.settle(log, key, entry, receipt).await?;
                    self.waiting.remove(&which);
                }
                Err(reason) => {
                    self.uplink.fails(Channel::Escrow, &reason, now_ms());
                    *link = Some(Err(reason));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes the receiver's verdict down.
    async fn settle(
        &self,
        log: &Log,
        key: &Bytes,
        mut entry: Deposit,
        receipt: Receipt,
    ) -> Result<(), MakeError> {
        if receipt.accepted {
            entry.set_status(Status::Accepted);
            count(&entry, "accepted");
        } else {
            tracing::error!(prefix = %parsed(key)?, id = entry.id, reason = receipt.reason,
                "a deposit was refused");
            // The next one is made at once if this is the first, later if it goes on like this.
            let refused = {
                let log = log.lock();
                let before = log
                    .recent(key)
                    .rev()
                    .skip_while(|it| it.number >= entry.number);
                before
                    .take_while(|it| it.status() == Status::Refused)
                    .count()
            };
            let (least_ms, most_ms) = BACKOFF_MS;
            let pause = match refused {
                0 => 0,
                many => (least_ms << many.min(20)).min(most_ms),
            };
            entry.next_try_ms = now_ms() + pause;
            entry.reason = receipt.reason;
            entry.set_status(Status::Refused);
            count(&entry, "refused");
            self.uplink.desk().wake();
        }
        put(log, key, &entry).await
    }

    /// The pause until a verdict is to be asked for.
    pub(super) fn next_question(&self) -> Duration {
        let next = self.waiting.values().min();
        next.map_or(self.check, |at| {
            Duration::from_millis(at.saturating_sub(now_ms()).max(200))
        })
    }
}

async fn entry_of(log: &Log, key: &Bytes, number: u64) -> Result<Option<Deposit>, MakeError> {
    let (log, key) = (log.clone(), key.clone());
    blocking(move || Ok(log.lock().entry(&key, number)?)).await
}
