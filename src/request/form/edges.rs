//! The Access Edges of the form with their domains, in pairs; adds and removes them.

use super::{MAX_EDGES, RequestForm};

impl RequestForm {
    /// The edges with their domains as typed, in pairs; what is missing of a pair is empty.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let count = self.edge.len().max(self.domains.len());
        (0..count).map(|place| (at(&self.edge, place), at(&self.domains, place)))
    }

    /// Adds fields for one more edge, unless there are ten already.
    pub fn add_edge(&mut self) {
        self.even_out();
        if self.edge.len() < MAX_EDGES {
            self.edge.push(String::new());
            self.domains.push(String::new());
        }
    }

    /// Removes the edge at index `place`, with its domains; one edge always remains.
    pub fn remove_edge(&mut self, place: usize) {
        self.even_out();
        if place < self.edge.len() {
            self.edge.remove(place);
            self.domains.remove(place);
        }
        if self.edge.is_empty() {
            self.add_edge();
        }
    }

    fn even_out(&mut self) {
        let count = self.edge.len().max(self.domains.len());
        self.edge.resize(count, String::new());
        self.domains.resize(count, String::new());
    }
}

/// What was typed at this index; empty where one of a pair is missing.
fn at(list: &[String], place: usize) -> &str {
    list.get(place).map_or("", String::as_str)
}
