//! Questions that are asked at the moment: once for all who ask the same, and no more than there
//! may be.

use super::Outcome;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::OnceCell;

/// What part of all places those have who wait for the same delegate: one that is silent must not
/// keep the questions for all others out.
const SHARE: usize = 4;

/// Places for those who wait for an answer.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By delegate.
    of: HashMap<u64, usize>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'p> {
    places: &'p Places,
    delegate: u64,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: Mutex::default(),
        }
    }

    /// A place to wait for a delegate; `None`: there is none left.
    pub(super) fn take(&self, delegate: u64) -> Option<Place<'_>> {
        let mut taken = self.taken.lock();
        let of_delegate = taken.of.get(&delegate).copied().unwrap_or(0);
        if taken.all >= self.most || of_delegate >= (self.most / SHARE).max(1) {
            return None;
        }
        taken.all += 1;
        taken.of.insert(delegate, of_delegate + 1);
        Some(Place {
            places: self,
            delegate,
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        if let Some(count) = taken.of.get_mut(&self.delegate) {
            *count -= 1;
            if *count == 0 {
                taken.of.remove(&self.delegate);
            }
        }
    }
}

/// All that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) spelling: Box<str>,
    /// Where it starts.
    pub(super) origin: u64,
    /// The services that it has passed through before: the fewer, the further it may go.
    pub(super) hops: u8,
}

/// Questions under way: who asks the same meanwhile waits for the answer.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    questions: Mutex<HashMap<Asked, Weak<OnceCell<Outcome>>>>,
}

/// One's part in a question.
#[derive(Debug)]
pub(super) struct Joined<'u> {
    under_way: &'u UnderWay,
    asked: Asked,
    /// `None` only while it is dropped.
    question: Option<Arc<OnceCell<Outcome>>>,
}

impl UnderWay {
    /// A part in the question that is under way, or in a new one.
    pub(super) fn join(&self, asked: Asked) -> Joined<'_> {
        let mut questions = self.questions.lock();
        let under_way = questions.get(&asked).and_then(Weak::upgrade);
        let question = under_way.filter(|it| !it.initialized()).unwrap_or_else(|| {
            let question = Arc::default();
            questions.insert(asked.clone(), Arc::downgrade(&question));
            question
        });
        Joined {
            under_way: self,
            asked,
            question: Some(question),
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.questions.lock().len()
    }
}

impl Joined<'_> {
    /// The answer, which one of those who wait for it gets by `ask`.
    pub(super) async fn answer(&self, ask: impl Future<Output = Outcome>) -> Outcome {
        match &self.question {
            Some(question) => question.get_or_init(|| ask).await.clone(),
            None => ask.await,
        }
    }
}

impl Drop for Joined<'_> {
    /// The last one who waits for a question takes it away; one that was asked since stays.
    fn drop(&mut self) {
        let mut questions = self.under_way.questions.lock();
        self.question = None;
        let question = questions.get(&self.asked);
        if question.is_some_and(|it| it.strong_count() == 0) {
            questions.remove(&self.asked);
        }
    }
}
