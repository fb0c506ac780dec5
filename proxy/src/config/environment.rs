//! What a configuration may refer to outside its file.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The surroundings of a configuration file: the process's in the binary, made-up ones in tests.
pub(crate) trait Env {
    /// The environment variable `name`, when it is set and is UTF-8.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of the file at `path`.
    ///
    /// # Errors
    /// Whatever the system says; [`io::ErrorKind::InvalidData`] when it is not UTF-8, and
    /// [`io::ErrorKind::FileTooLarge`] when it is longer than `limit_bytes`.
    fn read(&self, path: &Path, limit_bytes: usize) -> io::Result<String>;
}

/// The environment and the disk of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path, limit_bytes: usize) -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(limit_bytes as u64 + 1).read_to_string(&mut text)?;
        if text.len() > limit_bytes {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it is longer than {limit_bytes} bytes"),
            ));
        }
        Ok(text)
    }
}
