//! One request as it stands on the wire, and its answer.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, ensure};

/// The same for all: as patient as a person.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order in which they came.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// All values of a field.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Sends one request and reads its answer, which has to say where it ends.
///
/// # Errors
/// When the server cannot be reached or does not answer in that form.
pub(crate) fn ask(
    server: SocketAddr,
    method: &str,
    path: &str,
    fields: &[(&str, String)],
    body: &str,
) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes())?;
    read(&mut BufReader::new(stream)).with_context(|| format!("{method} {path} at {server}"))
}

fn read(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Answer> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status line")?;
    let mut fields = Vec::new();
    loop {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the header does not end");
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, fields, body: Vec::new() };
    if answer.all("transfer-encoding").eq(["chunked"]) {
        answer.body = chunks(stream)?;
        return Ok(answer);
    }
    let length = answer.all("content-length").next().and_then(|text| text.parse().ok());
    answer.body = vec![0; length.context("no Content-Length")?];
    stream.read_exact(&mut answer.body)?;
    Ok(answer)
}

/// RFC 9112 section 7.1, from a server that means well.
fn chunks(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).context("no size of a chunk")?;
        let begin = body.len();
        body.resize(begin + size, 0);
        stream.read_exact(&mut body[begin..])?;
        stream.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
