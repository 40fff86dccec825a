//! Builds the portal anew when a migration is added, and tells it by `PORTAL_BUILD` which build it is:
//! the same for the same sources, so that what browsers have of one process is known to another.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

/// All that decides what the portal shows.
const SOURCES: [&str; 8] = [
    "src",
    "templates",
    "migrations",
    "static/app.css",
    "static/app.js",
    "static/favicon.svg",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() {
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        collect(Path::new(source), &mut files);
    }
    files.sort();
    // With keys that are always the same: nobody is kept out by it.
    let mut build = DefaultHasher::new();
    for file in files {
        let contents = fs::read(&file).expect("a source can be read");
        (file, contents).hash(&mut build);
    }
    // Cargo hands it on to what it runs: a name with `PIC_` would be warned of as an unknown setting.
    println!("cargo::rustc-env=PORTAL_BUILD={:016x}", build.finish());
}

/// The files at and below `path`.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory of sources can be read") {
            collect(&entry.expect("so can its entries").path(), files);
        }
    } else {
        files.push(path.to_owned());
    }
}
