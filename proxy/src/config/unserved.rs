//! What the file may say already though this version does not act on it.

use super::reader::Section;

/// Says that `key` changes nothing, when it is there.
pub(super) fn warn(section: &Section<'_>, key: &str) {
    if let Some((place, _)) = section.get(key) {
        place
            .warn("is read but not served by this version", "remove it, or leave it for a version that does");
    }
}
