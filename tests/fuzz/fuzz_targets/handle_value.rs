//! Handle values as they are stored and sent, and the data of the predefined types.
#![no_main]

mod bounded;

use bounded::decoded;
use idnode_proto::handle::predefined::{decode_handle_data, decode_value_list, encode_value_list};
use idnode_proto::handle::{Admin, Site};
use idnode_proto::value::Values;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for value in Values::all(bytes).map_while(Result::ok) {
        let mut again = Vec::new();
        decoded(bytes, || value.to_owned()).encode(&mut again);
        assert_eq!(again, value.raw());
    }
    if let Ok(site) = decoded(bytes, || Site::decode(bytes)) {
        assert_eq!(Site::decode(&site.encode()).expect("a site"), site);
    }
    if let Ok(admin) = decoded(bytes, || Admin::decode(bytes)) {
        assert_eq!(Admin::decode(&admin.encode()).expect("an admin"), admin);
    }
    if let Ok(list) = decoded(bytes, || decode_value_list(bytes)) {
        let again = decode_value_list(&encode_value_list(&list));
        assert_eq!(again.expect("a list"), list);
    }
    let _ = decoded(bytes, || decode_handle_data(bytes));
});
