//! Numbers, dates, times and mobile numbers as exports write them, Excel's and Chinese ones above all.
//!
//! Each form has one meaning, or it is not read: a date whose day and month could change places, a comma that may be a
//! point. What cannot be read is nothing (in SQL NULL), never a guess. The README of this crate lists the forms.
//!
//! The files read one kind of value each and know no engine; [`functions`] makes SQL functions of them. Times with an
//! offset or a zone are not read here, because what comes out has none: conforming reads those.

mod date;
mod excel;
mod functions;
mod mobile;
mod number;
mod plain;
mod scan;
mod time;

pub(crate) use date::parse_date;
pub(crate) use functions::value_functions;
pub(crate) use mobile::parse_mobile;
pub(crate) use time::parse_time;
