//! Reading JSON into types, with the path of what does not fit.
//!
//! The path costs time, so it is looked for only after reading has failed.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::RequestError;

/// Reads a whole document. `path` is where it stands in the request; empty for the request itself.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8], path: &str) -> Result<T, RequestError> {
    serde_json::from_slice(bytes).map_err(|error| explain::<T>(bytes, path, &error))
}

/// Reads a part of the request.
pub(super) fn read_part<'a, T: Deserialize<'a>>(
    part: Option<&'a RawValue>,
    path: &str,
) -> Result<T, RequestError> {
    let part = part.ok_or_else(|| RequestError::missing(path))?;
    read(part.get().as_bytes(), path)
}

fn explain<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    path: &str,
    error: &serde_json::Error,
) -> RequestError {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let below = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => error.path().to_string(),
        Ok(_) => String::new(),
    };
    let full = match (path, below.as_str()) {
        (_, "." | "") => path.to_owned(),
        ("", _) => below,
        _ => format!("{path}.{below}"),
    };
    RequestError::from_json(error, full)
}
