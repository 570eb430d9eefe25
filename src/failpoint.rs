//! Places where a test stops the program as a crash would, or lets the database fail. Without the feature
//! `failpoints`, which no release has, they are nothing at all.

/// A boundary of the walk. `FAILPOINTS=name=return` ends the process here, with nothing flushed and nothing dropped.
#[cfg(feature = "failpoints")]
macro_rules! boundary {
    ($name:literal) => {
        fail::fail_point!($name, |_| std::process::abort())
    };
}

/// An operation of the database that a test counts, and lets fail: `FAILPOINTS=database=return(busy)`.
#[cfg(feature = "failpoints")]
macro_rules! database {
    () => {
        fail::fail_point!("database::operation");
        fail::fail_point!("database", |how| Err(Error::injected(how)))
    };
}

#[cfg(not(feature = "failpoints"))]
macro_rules! database {
    () => {};
}

#[cfg(not(feature = "failpoints"))]
macro_rules! boundary {
    ($name:literal) => {};
}
