#![doc = include_str!("../README.md")]

// What callers use.
mod error;
mod openapi;
mod server;

// What stands before every route.
mod extract;
mod guard;
mod problem;

// The routes, and the shapes they speak in.
mod routes;
mod wire;

// What several routes share.
mod as_of;
mod cells;
mod csv_body;
mod cursor;
mod entity_tag;

pub use error::ApiError;
pub use openapi::openapi;
pub use server::{ServerConfig, bind, router, serve};
