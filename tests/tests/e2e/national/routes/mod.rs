//! Routes between secondary nodes: what they tell the national node, and how they ask each other.

mod announcing;
mod faults;
mod hostile;
mod registered;
mod resolver;
mod siblings;
mod world;
