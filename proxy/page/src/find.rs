//! Finds the place for the tag: the end of `<head>`.
//!
//! Only the place is asked of the HTML parser. What goes out is what came in, so that nothing of a page can be lost or changed.

use crate::{policy::is_nonce, tag::Tag};
use lol_html::{
    HandlerResult, MemorySettings, OutputSink, Selector,
    errors::RewritingError,
    html_content::Doctype,
    send::{DocumentContentHandlers, Element, ElementContentHandlers, HtmlRewriter, Settings},
};
use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};
use usher_model::limits::PAGE_HELD_BYTES;

/// Every element.
static EVERY: LazyLock<Option<Selector>> = LazyLock::new(|| "*".parse().ok());

/// The parser need not go on: what there is to know is known.
#[derive(Debug, thiserror::Error)]
#[error("the place is known")]
struct Known;

/// Reads a page from its beginning until it knows.
pub(crate) struct Finder {
    rewriter: HtmlRewriter<'static, Passed>,
    seen: Arc<Mutex<Seen>>,
}

/// What the page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A whole page: the tag goes before the byte of this offset.
    At(usize, Particulars),
    /// No tag goes in: it is a part of a page, has the tag already, or cannot be read.
    Nowhere,
}

/// What the page says before that place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Particulars {
    /// The nonce of its first script that has one.
    pub(crate) nonce: Option<String>,
    /// The policies in its `<meta>` elements.
    pub(crate) policies: Vec<String>,
    /// Paths are those of another address, by its `<base>`.
    pub(crate) is_based_elsewhere: bool,
}

/// What the parser has come across.
#[derive(Default)]
struct Seen {
    /// Bytes that it is done with.
    passed: usize,
    /// A doctype, `<html>` or `<head>` came first: it is a whole page.
    whole: bool,
    /// Inside `<template>`, whose content is not the page's.
    templates: usize,
    particulars: Particulars,
    place: Option<Place>,
}

/// Counts what the parser is done with.
struct Passed(Arc<Mutex<Seen>>);

impl OutputSink for Passed {
    fn handle_chunk(&mut self, chunk: &[u8]) {
        lock(&self.0).passed += chunk.len();
    }
}

impl Finder {
    /// For pages that shall have `tag`.
    pub(crate) fn new(tag: Arc<Tag>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (at_doctype, at_element) = (Arc::clone(&seen), Arc::clone(&seen));
        let everything = ElementContentHandlers::default()
            .element(move |element: &mut Element<'_, '_>| see(&at_element, &tag, element));
        let document = DocumentContentHandlers::default().doctype(move |_: &mut Doctype<'_>| {
            lock(&at_doctype).whole = true;
            Ok(())
        });
        let memory = MemorySettings::new().with_max_allowed_memory_usage(PAGE_HELD_BYTES);
        let mut settings = Settings::new_send().append_document_content_handler(document);
        if let Some(every) = &*EVERY {
            settings = settings.append_element_content_handler((Cow::Borrowed(every), everything));
        }
        let settings = settings.with_memory_settings(memory).with_strict(false);
        Self { rewriter: HtmlRewriter::new(settings, Passed(Arc::clone(&seen))), seen }
    }

    /// Reads on. `None`: the place may still come. It must not be called again after that.
    pub(crate) fn read(&mut self, html: &[u8]) -> Option<Place> {
        let read: Result<(), RewritingError> = self.rewriter.write(html);
        let place = lock(&self.seen).place.take();
        // A page that its parser cannot read, such as one with a tag of many kilobytes, has none.
        place.or_else(|| read.is_err().then_some(Place::Nowhere))
    }

    /// How many bytes from the beginning cannot come after the place.
    pub(crate) fn passed(&self) -> usize {
        lock(&self.seen).passed
    }
}

/// What every start tag is looked at for, until the place is found.
fn see(shared: &Arc<Mutex<Seen>>, tag: &Tag, element: &mut Element<'_, '_>) -> HandlerResult {
    let mut seen = lock(shared);
    let name = element.tag_name();
    seen.whole |= matches!(name.as_str(), "html" | "head");
    if !seen.whole {
        seen.place = Some(Place::Nowhere);
        return seen.verdict();
    }
    match name.as_str() {
        // AMP pages are none any more with a script of one's own (https://amp.dev/documentation/guides-and-tutorials/learn/spec/amphtml).
        "html" if element.has_attribute("amp") || element.has_attribute("⚡") => {
            seen.place = Some(Place::Nowhere);
        }
        "html" => {}
        "head" => at_end(shared, element, "head", |seen, start| seen.put(start)),
        "template" => {
            seen.templates += 1;
            at_end(shared, element, "template", |seen, _| seen.templates = seen.templates.saturating_sub(1));
        }
        _ if seen.templates > 0 => {}
        "script" => seen.script(tag, element),
        "meta" => seen.meta(element),
        "base" => seen.base(element),
        // What else may stand in a head (https://html.spec.whatwg.org/#parsing-main-inhead).
        "title" | "link" | "style" | "noscript" | "noframes" | "basefont" | "bgsound" => {}
        // The head was never closed, or never there: a browser closes it here.
        _ => {
            let start = element.source_location().bytes().start;
            seen.put(start);
        }
    }
    seen.verdict()
}

/// Does something where the element's own end tag begins. One that an element around it ends has none.
fn at_end(
    shared: &Arc<Mutex<Seen>>,
    element: &mut Element<'_, '_>,
    name: &'static str,
    act: impl FnOnce(&mut Seen, usize) + Send + 'static,
) {
    if let Some(handlers) = element.end_tag_handlers() {
        let shared = Arc::clone(shared);
        handlers.push(Box::new(move |end| {
            if end.name() == name {
                act(&mut lock(&shared), end.source_location().bytes().start);
            }
            lock(&shared).verdict()
        }));
    }
}

impl Seen {
    /// Goes on only while the place is not known.
    fn verdict(&self) -> HandlerResult {
        if self.place.is_some() { Err(Known.into()) } else { Ok(()) }
    }

    fn put(&mut self, at: usize) {
        if self.place.is_none() && self.templates == 0 {
            self.place = Some(Place::At(at, std::mem::take(&mut self.particulars)));
        }
    }

    fn script(&mut self, tag: &Tag, script: &Element<'_, '_>) {
        // By the attribute every script of this kind finds its own tag, so there must be one only.
        if script.has_attribute("data-affonso")
            || script.get_attribute("src").is_some_and(|src| tag.is_at(&src))
        {
            self.place = Some(Place::Nowhere);
        }
        if self.particulars.nonce.is_none() {
            self.particulars.nonce = script.get_attribute("nonce").filter(|nonce| is_nonce(nonce));
        }
    }

    fn meta(&mut self, meta: &Element<'_, '_>) {
        let kind = meta.get_attribute("http-equiv").unwrap_or_default();
        if kind.trim().eq_ignore_ascii_case("content-security-policy")
            && let Some(policy) = meta.get_attribute("content")
        {
            self.particulars.policies.push(policy);
        }
    }

    fn base(&mut self, base: &Element<'_, '_>) {
        let href = base.get_attribute("href").unwrap_or_default();
        // Browsers read a backslash as a slash, and drop tabs and newlines.
        let start: String =
            href.trim().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).take(64).collect();
        let start = start.replace('\\', "/");
        let scheme = start.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':'));
        self.particulars.is_based_elsewhere |= scheme || start.starts_with("//");
    }
}

/// Nothing is half done when a handler panics, so the lock is good after that as well.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
