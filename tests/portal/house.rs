//! Checks that every file imports only what its place in the code allows.
//!
//! The rules are those of `docs/design.md#the-house`. What counts are the names in a file's
//! production code: `use` lines and paths alike, up to its tests. Where a module re-exports a name
//! (`pub use`), an import of that name counts as one of the file that defines it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules of `src`, from the bottom up: each may import those before it, and no others.
const FLOORS: &[&[&str]] = &[
    &["base32", "clock", "column", "meter", "topic"],
    &["text_enum"],
    &["names", "secret"],
    &["agreement", "readiness", "server"],
    &["db"],
    &["error"],
    &["web"],
    &["session"],
    &["request"],
    &["gateway", "help", "provisioning", "retention", "service"],
    &["backup", "staff"],
    &["app", "config"],
    &["demo"],
    &["metrics", "routes", "telemetry"],
    &["cli"],
];

/// The most files that may import each other in a circle.
const LONGEST_CIRCLE: usize = 3;

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
        // A single crate name may be an ordinary word.
        let written = if path.len() == 1 {
            format!("{what}::")
        } else {
            what.to_owned()
        };
        has_word(&self.code, &written) || self.uses(&path)
    }

    /// Its module path.
    fn module(&self) -> String {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.replace('/', "::")
    }

    /// All paths that begin with `crate`, `self` or `super`, and whether each is re-exported.
    fn paths(&self) -> Vec<(String, bool)> {
        let mut paths = Vec::new();
        let mut statements = self.code.split(';');
        for statement in &mut statements {
            let lines: Vec<&str> = statement.lines().collect();
            let used = lines.iter().rposition(|line| {
                let line = line.trim_start();
                line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use "))
            });
            let (before, used) = lines.split_at(used.unwrap_or(lines.len()));
            for line in before {
                paths.extend(inline_paths(line).map(|path| (path, false)));
            }
            let tree = used.join(" ");
            if let Some((visibility, tree)) = tree.split_once("use ") {
                let is_handed_on = visibility.contains("pub");
                let trees = imports(tree).into_iter();
                paths.extend(trees.map(|path| (path.replace("::self", ""), is_handed_on)));
            }
        }
        paths
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

/// The paths in a line of code that begin with `crate`, `self` or `super`.
fn inline_paths(line: &str) -> impl Iterator<Item = String> {
    ["crate::", "self::", "super::"]
        .into_iter()
        .flat_map(move |stem| {
            line.match_indices(stem).filter_map(move |(at, _)| {
                let part = |c: char| c.is_alphanumeric() || c == '_';
                let before = line[..at].chars().next_back();
                let end = line[at..].find(|c: char| !part(c) && c != ':');
                let path = &line[at..end.map_or(line.len(), |end| at + end)];
                let is_start = !before.is_some_and(|c| part(c) || c == ':' || c == '$');
                // A visibility, `pub(in super::super)`, is no import.
                let is_path = is_start && !line[..at].ends_with("pub(in ");
                is_path.then(|| path.trim_end_matches(':').to_owned())
            })
        })
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

/// Which file of `src` imports which, by their modules, such as `request::pages::form`.
struct Arrows(BTreeMap<String, BTreeSet<String>>);

impl Arrows {
    fn read() -> Self {
        let sources = sources();
        let modules: BTreeSet<String> = sources.iter().map(Source::module).collect();
        let mut handed_on = BTreeMap::new();
        let mut imported = Vec::new();
        for source in &sources {
            let own = source.module();
            for (path, is_handed_on) in source.paths() {
                let Some(path) = absolute(&own, &path) else {
                    continue;
                };
                let name = path.rsplit("::").next().unwrap_or_default();
                if is_handed_on && path.starts_with(&format!("{own}::")) {
                    let handed_name = format!("{own}::{name}");
                    // A function may have the name of its module, which is found by its path
                    // anyway.
                    if !modules.contains(&handed_name) {
                        handed_on.insert(handed_name, path);
                    }
                } else {
                    imported.push((own.clone(), path));
                }
            }
        }
        let mut arrows = BTreeMap::<_, BTreeSet<_>>::new();
        for (from, mut path) in imported {
            // Such as `request::State`, which is `request::state::State`, and names in it.
            while let Some((name, true_name)) = handed_on
                .iter()
                .find(|(name, _)| path == **name || path.starts_with(&format!("{name}::")))
            {
                path = format!("{true_name}{}", &path[name.len()..]);
            }
            let mut to = std::iter::successors(Some(path.as_str()), |path| {
                path.rsplit_once("::").map(|(before, _)| before)
            });
            let to = to.find(|to| modules.contains(*to));
            if let Some(to) = to.filter(|to| *to != from) {
                arrows.entry(from).or_default().insert(to.to_owned());
            }
        }
        Self(arrows)
    }

    fn of(&self, module: &str) -> impl Iterator<Item = &String> {
        self.0.get(module).into_iter().flatten()
    }

    /// All that can be reached from `module`.
    fn reached(&self, module: &str) -> BTreeSet<&str> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![module]);
        while let Some(module) = open.pop() {
            for next in self.of(module) {
                if reached.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        reached
    }
}

/// `path` as an absolute path in the crate, if it is of this crate.
fn absolute(own: &str, path: &str) -> Option<String> {
    let mut base: Vec<&str> = own.split("::").collect();
    let mut parts = path.split("::").peekable();
    match parts.next()? {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            base.pop();
        }
        _ => return None,
    }
    while parts.next_if_eq(&"super").is_some() {
        base.pop();
    }
    Some(base.into_iter().chain(parts).collect::<Vec<_>>().join("::"))
}

#[test]
fn nobody_imports_upwards() {
    let floor = |module: &str| {
        let room = module.split("::").next().unwrap_or_default();
        let floor = FLOORS.iter().position(|rooms| rooms.contains(&room));
        (room.to_owned(), floor)
    };
    let mut faults = Vec::new();
    for (from, to) in &Arrows::read().0 {
        if ["lib", "main"].contains(&from.as_str()) {
            continue;
        }
        let (room, own) = floor(from);
        let own = own.unwrap_or_else(|| panic!("{room} has no floor: add it to FLOORS"));
        for to in to {
            let (other, below) = floor(to);
            if other != room && below.is_none_or(|below| below >= own) {
                faults.push(format!("{from} imports {to}"));
            }
        }
    }
    assert!(faults.is_empty(), "upwards:\n{}", faults.join("\n"));
}

#[test]
fn circles_are_small() {
    let arrows = Arrows::read();
    let mut circles = BTreeSet::new();
    for module in arrows.0.keys() {
        let back = |other: &&str| arrows.reached(other).contains(module.as_str());
        let circle: Vec<_> = arrows.reached(module).into_iter().filter(back).collect();
        if circle.len() > LONGEST_CIRCLE {
            let inside = |from: &&str| {
                let to = arrows.of(from).filter(|to| circle.contains(&to.as_str()));
                format!("{from} -> {}", to.cloned().collect::<Vec<_>>().join(", "))
            };
            circles.insert(circle.iter().map(inside).collect::<Vec<_>>().join("\n"));
        }
    }
    let circles: Vec<_> = circles.into_iter().collect();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n\n"));
}

/// Checks that no file that `is_bound` selects names any of `forbidden`, and that it selects some.
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
            "base32.rs",
            "request.rs",
            "request/form.rs",
            "request/reference.rs",
            "service.rs",
            "readiness.rs",
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
        // A store may be split into several files.
        let is_store = path.ends_with("store.rs") || path.contains("/store/");
        let may = is_store || path.starts_with("retention/") || is_in(path, &["db.rs", "db/"]);
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
            "use crate::{\n    db::{self, InvalidRow},\n    web,\n};",
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
