//! What the stories are told with: a gateway on a clock moved by hand, and vendors that do as they are told.

pub mod captured;
pub mod chance;
pub mod collector;
pub mod exposition;
pub mod gateway;
pub mod ledgers;
pub mod logs;
pub mod month;
pub mod program;
pub mod simulated;
pub mod tls;
pub mod two_vendors;
pub mod vendor;

pub use gateway::{Answer, TestGateway, question_body};
pub use simulated::SimulatedGateway;
pub use vendor::{Step, Vendor};
