//! Keeps chunks on their way, takes their results in order, and connects again when it must.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use idnode_proto::api::ImportChunkResult;
use idnode_proto::api::import_response::Message;

use super::super::error::Failure;
use super::super::session::Session;
use super::bar::Bar;
use super::record::Recorder;
use super::stream::Upload;
use super::{Source, Units};
use crate::bulk::chunk::Unit;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Imports a source from the recorder's place to its end.
pub(super) async fn upload(
    session: &Session,
    recorder: &mut Recorder,
    source: Source,
    retry_for: Duration,
    bar: &mut Bar,
) -> Result<(), Failure> {
    let place = source.place.clone();
    let mut call = Upload::open(session, recorder.state()).await?;
    check_known(recorder, &call)?;
    recorder.limit_chunk(call.started.max_items)?;
    let state = recorder.state();
    let chunk = usize::try_from(state.chunk).unwrap_or(usize::MAX);
    let mut flight = Flight {
        place,
        units: source.cut(chunk, state.units),
        at_end: false,
        waiting: VecDeque::new(),
        chunks: 0,
    };
    // The place is on disk before anything is sent: the id must not be lost.
    recorder.save()?;
    let mut broken_since = None;
    loop {
        let before = recorder.state().units;
        let failure = match flight.run(&mut call, recorder, bar).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        if recorder.state().units > before {
            broken_since = None;
        }
        recorder.save()?;
        let since = *broken_since.get_or_insert_with(Instant::now);
        call = reconnect(session, recorder, failure, since, retry_for, bar).await?;
        check_known(recorder, &call)?;
        if call.started.max_items != 0 && call.started.max_items < recorder.state().chunk {
            return Err(Failure::Answer(format!(
                "the node takes {} items in a chunk now; --restart begins anew",
                call.started.max_items
            )));
        }
        flight.send_again(&call).await;
    }
}

/// Opens the call again, with longer and longer pauses, as long as that may help.
async fn reconnect(
    session: &Session,
    recorder: &Recorder,
    mut failure: Failure,
    since: Instant,
    retry_for: Duration,
    bar: &mut Bar,
) -> Result<Upload, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        if !failure.may_be_retried() || since.elapsed() + pause > retry_for {
            return Err(failure);
        }
        bar.waiting(&failure);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match Upload::open(session, recorder.state()).await {
            Ok(call) => return Ok(call),
            Err(next) => failure = next,
        }
    }
}

/// A node that has committed nothing of what it once acknowledged is another one, or has lost it.
fn check_known(recorder: &Recorder, call: &Upload) -> Result<(), Failure> {
    let state = recorder.state();
    if call.started.last_chunk == 0 && state.tally.created + state.tally.updated > 0 {
        return Err(Failure::Answer(format!(
            "the node does not know import {} any more; --restart begins anew",
            state.import_id
        )));
    }
    Ok(())
}

/// What is being read and what is on its way.
struct Flight {
    /// The file's name for people.
    place: String,
    units: Units,
    at_end: bool,
    /// Units that are not done, in order.
    waiting: VecDeque<Unit>,
    /// How many of them have a chunk.
    chunks: usize,
}

impl Flight {
    /// Sends and records until everything is done or the call breaks.
    async fn run(
        &mut self,
        call: &mut Upload,
        recorder: &mut Recorder,
        bar: &mut Bar,
    ) -> Result<(), Failure> {
        loop {
            self.record_bare(recorder, bar)?;
            if self.at_end && self.waiting.is_empty() {
                return Ok(());
            }
            tokio::select! {
                unit = self.units.recv(), if !self.at_end && self.chunks < call.in_flight => {
                    match unit {
                        Some(Ok(unit)) => {
                            if let Some(chunk) = &unit.chunk {
                                self.chunks += 1;
                                call.send(chunk.request.clone()).await;
                            }
                            self.waiting.push_back(unit);
                        }
                        Some(Err(error)) => return Err(Failure::reading(&self.place, error)),
                        None => self.at_end = true,
                    }
                }
                answer = call.answer(), if self.chunks > 0 => match answer? {
                    Message::Result(result) => self.take(&result, recorder, bar)?,
                    Message::Started(_) => {
                        return Err(Failure::Answer("the node begins the import twice".to_owned()));
                    }
                },
            }
        }
    }

    /// Records the units in front that wait for no answer.
    fn record_bare(&mut self, recorder: &mut Recorder, bar: &mut Bar) -> Result<(), Failure> {
        while let Some(unit) = self.waiting.pop_front_if(|unit| unit.chunk.is_none()) {
            recorder.record(&unit, None)?;
            bar.done(&unit, recorder.state().tally);
        }
        Ok(())
    }

    /// Records the unit in front, whose chunk was answered.
    fn take(
        &mut self,
        result: &ImportChunkResult,
        recorder: &mut Recorder,
        bar: &mut Bar,
    ) -> Result<(), Failure> {
        let expected = self.waiting.front().and_then(|unit| unit.chunk.as_ref());
        let (number, items) = expected.map_or((0, 0), |chunk| (chunk.number, chunk.items));
        if result.number != number || result.items.len() != items {
            return Err(Failure::Answer(format!(
                "the node answers chunk {} with {} results where chunk {number} with {items} items \
                 was the next",
                result.number,
                result.items.len()
            )));
        }
        if let Some(unit) = self.waiting.pop_front() {
            self.chunks -= 1;
            recorder.record(&unit, Some(result))?;
            bar.done(&unit, recorder.state().tally);
        }
        Ok(())
    }

    /// Sends what was on its way over another call.
    async fn send_again(&self, call: &Upload) {
        for chunk in self.waiting.iter().filter_map(|unit| unit.chunk.as_ref()) {
            call.send(chunk.request.clone()).await;
        }
    }
}
