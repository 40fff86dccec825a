//! Parses pages, so that tests find elements by name and not by how they are written.

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, HtmlString, Token, Tokenizer};

/// An element of a page.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: BTreeMap<String, String>,
    /// Its text before the next tag: the whole content for a `textarea`.
    pub(crate) text: String,
}

impl Element {
    /// The value of an attribute, empty if it has none.
    pub(crate) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).map(String::as_str)
    }

    /// Whether it is a form field of this name.
    pub(crate) fn is_field(&self, name: &str) -> bool {
        self.get("name") == Some(name)
    }

    /// Whether this is one of its classes.
    pub(crate) fn has_class(&self, class: &str) -> bool {
        let mut classes = self.get("class").unwrap_or_default().split_whitespace();
        classes.any(|it| it == class)
    }

    /// The value of a field.
    pub(crate) fn value(&self) -> &str {
        if self.name == "textarea" {
            // A line break at the beginning does not belong to its text.
            self.text.strip_prefix('\n').unwrap_or(&self.text)
        } else {
            self.get("value").unwrap_or_default()
        }
    }
}

/// The elements of a page, in order.
pub(crate) fn elements(html: &str) -> Vec<Element> {
    let mut emitter = DefaultEmitter::default();
    // The content of a `textarea`, a `title` or a `script` is text, even if it looks like tags.
    emitter.naively_switch_states(true);
    let mut elements = Vec::<Element>::new();
    let mut before_next_tag = false;
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        match token {
            Token::StartTag(tag) => {
                before_next_tag = true;
                let attributes = tag.attributes.into_iter();
                elements.push(Element {
                    name: text(&tag.name),
                    attributes: attributes.map(|(n, v)| (text(&n), text(&v))).collect(),
                    text: String::new(),
                });
            }
            Token::String(found) if before_next_tag => {
                let last = elements.last_mut().unwrap();
                last.text.push_str(&text(&found));
            }
            Token::EndTag(_) => before_next_tag = false,
            _ => {}
        }
    }
    elements
}

fn text(bytes: &HtmlString) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_field_is_found_however_it_is_written() {
    let page = "<p title=\"<b>\">A</p><INPUT value=a&#38;b checked name='n'>\
                <textarea name=t>\n <b>one</b>\r\n&lt;two</textarea>after";
    let elements = elements(page);
    let names: Vec<_> = elements.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["p", "input", "textarea"]);
    let [p, input, area] = &elements[..] else {
        unreachable!()
    };
    assert_eq!((p.text.as_str(), p.get("title")), ("A", Some("<b>")));
    assert!(input.is_field("n") && input.get("checked") == Some(""));
    assert_eq!(input.value(), "a&b");
    assert_eq!(
        (area.value(), area.get("checked")),
        (" <b>one</b>\n<two", None)
    );
}
