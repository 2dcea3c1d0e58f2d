//! Transactions, dumps and backups: what is written is read, and what is no such body is refused.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::handle::body::list::MAX_LIST_LEN;
use crate::handle::body::mirror::*;
use crate::value::tests::any_value;
use crate::value::{Value, encode_values};

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Create),
        Just(Action::Update),
        Just(Action::Delete)
    ]
}

prop_compose! {
    fn any_transaction()(
        number in any::<u64>(),
        at_ms in any::<u64>(),
        action in any_action(),
        handle in "\\PC{0,40}",
        values in vec(any_value(), 0..4),
    ) -> Transaction {
        Transaction { number, at_ms, action, handle, values }
    }
}

fn encoded(it: &Transaction) -> Vec<u8> {
    let mut out = Vec::new();
    let (count, values) = (it.values.len() as u32, encode_values(&it.values));
    put_transaction(
        &mut out, it.number, it.at_ms, it.action, &it.handle, count, &values,
    );
    out
}

fn body(head: &[u8], items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut list = Items::default();
    for item in items {
        assert!(list.push(&item));
    }
    list.encode(head)
}

proptest! {
    #[test]
    fn transactions_are_read_as_written(
        oldest in any::<u64>(), next in any::<u64>(), items in vec(any_transaction(), 0..5))
    {
        let body = body(&Transactions::head(oldest, next), items.iter().map(encoded));
        let read = Transactions { oldest, next, items };
        prop_assert_eq!(Transactions::decode(&body), Ok(read));
        for end in 0..body.len() {
            prop_assert!(Transactions::decode(&body[..end]).is_err());
        }
    }

    #[test]
    fn dumps_are_read_as_written(
        number in any::<u64>(), items in vec(("\\PC{0,40}", vec(any_value(), 0..4)), 0..5))
    {
        let encoded = |(handle, values): &(String, Vec<Value>)| {
            let mut out = Vec::new();
            put_dumped(&mut out, handle, values.len() as u32, &encode_values(values));
            out
        };
        let body = body(&Dump::head(number), items.iter().map(encoded));
        prop_assert_eq!(Dump::decode(&body), Ok(Dump { number, items }));
        for end in 0..body.len() {
            prop_assert!(Dump::decode(&body[..end]).is_err());
        }
    }

    #[test]
    fn requests_are_read_as_written(
        from in any::<u64>(), most in any::<u32>(), prefixes in vec("\\PC{0,40}", 0..5))
    {
        let prefixes: Vec<_> = prefixes.iter().map(String::as_str).collect();
        let dump = DumpRequest { prefixes: prefixes.clone() };
        let body = dump.encode();
        prop_assert_eq!(DumpRequest::decode(&body), Ok(dump));
        let asked = TransactionsRequest { from, most, prefixes };
        let body = asked.encode();
        prop_assert_eq!(TransactionsRequest::decode(&body), Ok(asked));
    }

    #[test]
    fn numbers_and_backups_are_read_as_written(number in any::<u64>(), name in "\\PC{0,40}") {
        prop_assert_eq!(decode_next_transaction(&encode_next_transaction(number)), Ok(number));
        let body = encode_backup(number, &name);
        prop_assert_eq!(decode_backup(&body), Ok((number, &name[..])));
    }
}

#[test]
fn a_message_takes_what_fits_and_one_item_whatever_its_length() {
    let mut list = Items::default();
    assert!(list.push(&vec![0; 3 * MAX_LIST_LEN]));
    assert!(!list.push(b""));
    let mut list = Items::default();
    let item = vec![0; 1_000];
    while list.push(&item) {}
    let length = list.encode(&Transactions::head(1, 2)).len();
    assert!(length <= MAX_LIST_LEN && length > MAX_LIST_LEN - 1_024);
}

#[test]
fn an_action_that_nobody_has_defined_is_refused() {
    let transaction = Transaction {
        number: 1,
        at_ms: 2,
        action: Action::Delete,
        handle: "88.118.8/x".to_owned(),
        values: Vec::new(),
    };
    let mut item = encoded(&transaction);
    item[16] = 4;
    let body = body(&Transactions::head(1, 2), [item]);
    assert!(Transactions::decode(&body).is_err());
    let many = [Dump::head(1), u32::MAX.to_be_bytes().to_vec()].concat();
    assert!(Dump::decode(&many).is_err());
}
