//! What the DNS front does against those who would have it do too much: limits of rates and
//! connections, access lists, small answers.

mod addresses;
mod admission;
mod rates;
mod sizes;
