//! Does every file import only what its place in the house allows?
//!
//! The rules are those of `docs/design.md#the-house`. A file is judged by what its production code
//! names: `use` lines and paths alike, up to its tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file, without comments and tests.
struct Source {
    /// Path below `src`.
    path: String,
    code: String,
}

impl Source {
    /// Whether the file names `what`, such as `sqlx` or `crate::error`, in one piece or in braces.
    fn names(&self, what: &str) -> bool {
        let path: Vec<_> = what.split("::").collect();
        // The name of a crate alone may be any word.
        let written = if path.len() == 1 {
            format!("{what}::")
        } else {
            what.to_owned()
        };
        has_word(&self.code, &written) || self.uses(&path)
    }

    /// Whether a `use` line leads to `path`.
    fn uses(&self, path: &[&str]) -> bool {
        let mut rest = self.code.as_str();
        while let Some((_, after)) = rest.split_once("use ") {
            let (tree, next) = after.split_once(';').unwrap_or((after, ""));
            if imports(tree).iter().any(|import| {
                let parts: Vec<_> = import.split("::").collect();
                parts.starts_with(path)
            }) {
                return true;
            }
            rest = next;
        }
        false
    }
}

/// The paths of a `use` tree, braces taken apart.
fn imports(tree: &str) -> Vec<String> {
    let tree: String = tree.split_whitespace().collect();
    let Some((stem, rest)) = tree.split_once('{') else {
        return vec![tree];
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let whole = |part: &str| imports(part).into_iter();
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .flat_map(whole)
        .map(|import| format!("{stem}{import}"))
        .collect()
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let part = |c: char| c.is_alphanumeric() || c == '_';
        !before.is_some_and(|c| part(c) || c == ':')
            && (word.ends_with(':') || !after.is_some_and(part))
    })
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut open, mut files) = (vec![root.clone()], Vec::<PathBuf>::new());
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                files.push(path);
            }
        }
    }
    files
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().lines();
            let code: Vec<_> = code
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            Source {
                path: path.strip_prefix(&root).unwrap().display().to_string(),
                code: code.join("\n"),
            }
        })
        .collect()
}

/// Whether `path` is one of `places`: a file, or a directory with a slash at the end.
fn is_in(path: &str, places: &[&str]) -> bool {
    places
        .iter()
        .any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

/// No file that `is_bound` holds for may name any of `forbidden`; there must be such files.
fn forbid(is_bound: impl Fn(&str) -> bool, forbidden: &[&str]) {
    let sources = sources();
    let bound: Vec<_> = sources.iter().filter(|s| is_bound(&s.path)).collect();
    assert!(!bound.is_empty(), "the rule is about files that are gone");
    let faults: Vec<_> = bound
        .iter()
        .flat_map(|source| {
            let named = forbidden.iter().filter(|what| source.names(what));
            named.map(|what| format!("src/{} names {what}", source.path))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_browsers_see_speaks_no_sql() {
    let pages = |path: &str| path.contains("/pages") || path.contains("/live");
    forbid(pages, &["sqlx", "crate::provisioning", "crate::config"]);
    forbid(|path| path.starts_with("web/"), &["sqlx"]);
}

#[test]
fn stores_know_the_domain_and_the_database() {
    let stores = |path: &str| path.ends_with("store.rs");
    forbid(
        stores,
        &[
            "axum",
            "axum_extra",
            "askama",
            "crate::app",
            "crate::cli",
            "crate::config",
            "crate::error",
            "crate::server",
            "crate::web",
        ],
    );
}

#[test]
fn the_background_task_has_no_face() {
    forbid(
        |path| path.starts_with("provisioning/"),
        &[
            "axum",
            "axum_extra",
            "askama",
            "crate::app",
            "crate::error",
            "crate::web",
        ],
    );
}

#[test]
fn the_domain_stands_on_its_own() {
    let domain = |path: &str| {
        let places = &[
            "names.rs",
            "names/",
            "agreement.rs",
            "agreement/",
            "code.rs",
            "request/mod.rs",
            "request/form.rs",
            "request/reference.rs",
            "service/mod.rs",
            "readiness/mod.rs",
        ];
        is_in(path, places)
    };
    forbid(
        domain,
        &[
            "sqlx",
            "tokio",
            "axum",
            "axum_extra",
            "askama",
            "tracing",
            "crate::app",
            "crate::cli",
            "crate::config",
            "crate::db",
            "crate::error",
            "crate::provisioning",
            "crate::server",
            "crate::telemetry",
            "crate::web",
        ],
    );
}

#[test]
fn stores_alone_speak_sql() {
    let others = |path: &str| {
        // A store may have parts.
        let is_store = path.ends_with("store.rs") || path.contains("/store/");
        let may = is_store || path.starts_with("retention/") || path.starts_with("db/");
        !may
    };
    forbid(
        others,
        &[
            "sqlx::query",
            "sqlx::query_as",
            "sqlx::query_scalar",
            "sqlx::query_file",
            "sqlx::query_file_as",
            "sqlx::query_file_scalar",
            "sqlx::raw_sql",
            "sqlx::QueryBuilder",
        ],
    );
}

#[test]
fn the_eye_of_these_tests_is_sharp() {
    let source = |code: &str| Source {
        path: String::new(),
        code: code.to_owned(),
    };
    for (code, what) in [
        ("use sqlx::PgPool;", "sqlx"),
        ("use std::fmt;\nuse {axum::Router, sqlx};", "sqlx"),
        ("fn f(p: &sqlx::PgPool) {}", "sqlx"),
        (
            "use crate::{\n    db::{self, Impossible},\n    web,\n};",
            "crate::web",
        ),
        ("use crate::{web::{form::Fields, page}};", "crate::web"),
        ("fn f() { crate::web::page() }", "crate::web"),
        ("sqlx::query!(\"SELECT 1\")", "sqlx::query"),
        ("use sqlx::{PgPool, query};", "sqlx::query"),
    ] {
        assert!(source(code).names(what), "{code} names {what}");
    }
    for (code, what) in [
        ("use crate::request::pages::view::count;", "crate::web"),
        ("use my_sqlx::PgPool;", "sqlx"),
        ("use crate::website;", "crate::web"),
        ("sqlx::query_scalar!(\"SELECT 1\")", "sqlx::query"),
    ] {
        assert!(!source(code).names(what), "{code} does not name {what}");
    }
}
