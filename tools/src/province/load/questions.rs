//! What is asked, and what is right.

use idnode_proto::handle::{OpFlags, RequestHead, Response, ResponseCode};

use crate::province::city::City;
use crate::province::error::Failure;
use crate::province::seed::Registered;

/// Where a message has the request's ID (RFC 3652 §2.1).
const REQUEST_ID_AT: usize = 8;

/// Identifiers of some cities, the requests for them, and what they were registered with.
#[derive(Debug)]
pub(super) struct Questions {
    all: Vec<Question>,
}

#[derive(Debug)]
struct Question {
    city: City,
    registered: Registered,
    /// The request with ID 0, which wants recursion.
    request: Vec<u8>,
}

/// What an answer turns out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What was registered.
    Right,
    /// A failure that says so, by its response code: nobody could answer.
    Refused(u32),
    /// Something else than what was registered.
    Wrong(String),
}

impl Questions {
    /// `each` identifiers of each city.
    ///
    /// # Errors
    /// A request cannot be encoded.
    pub(super) fn new(cities: &[City], series: &str, each: usize) -> Result<Self, Failure> {
        let mut head = RequestHead::new(0);
        head.flags = head.flags | OpFlags::RECURSE;
        let question = |city, number| {
            let registered = Registered::new(city, series, number);
            let request = head.resolve(&registered.identifier, &[], &[]);
            Ok(Question {
                city,
                request: request.map_err(|error| Failure::Program(error.to_string()))?,
                registered,
            })
        };
        let all = cities
            .iter()
            .flat_map(|city| (1..=each).map(move |number| (*city, number)));
        let all = all.map(|(city, number)| question(city, number));
        Ok(Self {
            all: all.collect::<Result<_, Failure>>()?,
        })
    }

    /// What is to be registered in a city.
    pub(super) fn of(&self, city: City) -> Vec<Registered> {
        let its = self.all.iter().filter(|it| it.city == city);
        its.map(|it| it.registered.clone()).collect()
    }

    /// The numbers of all questions.
    pub(super) fn numbers(&self) -> Vec<u32> {
        (0..self.all.len() as u32).collect()
    }

    /// The numbers of the questions for a city's identifiers.
    pub(super) fn numbers_of(&self, city: City) -> Vec<u32> {
        let numbered = (0_u32..).zip(&self.all);
        let its = numbered.filter(|(_, it)| it.city == city);
        its.map(|(number, _)| number).collect()
    }

    /// Whose identifier a question asks for.
    pub(super) fn city(&self, number: u32) -> Option<City> {
        self.all.get(number as usize).map(|it| it.city)
    }

    /// The request with an ID.
    pub(super) fn request(&self, number: u32, id: u32, into: &mut Vec<u8>) {
        into.clear();
        let question = self.all.get(number as usize);
        into.extend_from_slice(question.map_or(&[], |it| &it.request));
        if let Some(place) = into.get_mut(REQUEST_ID_AT..REQUEST_ID_AT + 4) {
            place.copy_from_slice(&id.to_be_bytes());
        }
    }

    /// Compares an answer with what was registered.
    pub(super) fn judge(&self, number: u32, answer: &Response) -> Verdict {
        let Some(Question { registered, .. }) = self.all.get(number as usize) else {
            return Verdict::Wrong("an answer to nothing".to_owned());
        };
        let asked = &registered.identifier;
        match answer.code {
            ResponseCode::SUCCESS => {}
            ResponseCode::HANDLE_NOT_FOUND | ResponseCode::VALUES_NOT_FOUND => {
                return Verdict::Wrong(format!("{asked}: code {}", answer.code.0));
            }
            code => return Verdict::Refused(code.0),
        }
        if answer.handle() != Some(asked) {
            return Verdict::Wrong(format!("{asked}: answered as {:?}", answer.handle()));
        }
        match answer.values() {
            [value] if &*value.value_type == "URL" && *value.data == *registered.url.as_bytes() => {
                Verdict::Right
            }
            others => Verdict::Wrong(format!("{asked}: {} other values", others.len())),
        }
    }
}
