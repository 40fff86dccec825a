//! What tests with a real browser need.

pub(crate) mod axe;
pub(crate) mod browser;
pub(crate) mod html;
pub(crate) mod page;
pub(crate) mod portal;
pub(crate) mod snapshot;

use std::path::{Path, PathBuf};

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file of an npm package that the browser tests use.
///
/// # Panics
/// If it is not installed, with how to install it.
pub(crate) fn npm_file(path: &str) -> PathBuf {
    let file = repository("static/source/node_modules").join(path);
    assert!(
        file.exists(),
        "{} is missing: run `make test`, or `npm ci --ignore-scripts` in static/source",
        file.display()
    );
    file
}

/// Saves a picture or a print-out for inspection.
pub(crate) fn keep(name: &str, bytes: &[u8]) {
    let folder = std::env::var_os("BROWSER_OUT").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}
