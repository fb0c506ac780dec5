//! A second reader of HTTP/1.1 that shares nothing with the gate: slow, plain, and stricter than anything that may stand
//! behind it. What the gate lets through has to pass it.

/// A request as it reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
}

/// The requests of a stream, and whether the last one is cut off in its body.
///
/// # Errors
/// What is wrong with it. A head that is not whole is wrong.
pub(crate) fn read(stream: &[u8]) -> Result<(Vec<Request>, bool), String> {
    let (mut requests, mut rest) = (Vec::new(), stream);
    while !rest.is_empty() {
        let end = find(rest, b"\r\n\r\n").ok_or("a head is not whole")?;
        let mut request = head(&rest[..end])?;
        rest = &rest[end + 4..];
        let is_whole = body(&mut request, &mut rest)?;
        requests.push(request);
        if !is_whole {
            return Ok((requests, true));
        }
    }
    Ok((requests, false))
}

fn head(head: &[u8]) -> Result<Request, String> {
    let mut lines = split(head);
    let line = String::from_utf8(lines.remove(0)).map_err(|_| "the request line is not text")?;
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = parts[..] else { return Err(format!("{line:?} has not three parts")) };
    if !method.chars().all(|c| c.is_ascii_uppercase() || c == '-') || method.is_empty() {
        return Err(format!("method {method:?}"));
    }
    let is_path = target.starts_with('/') && !target.starts_with("//");
    let path = target.split('?').next().unwrap_or_default();
    if !(is_path || target == "*" && method == "OPTIONS")
        || target.contains(['#', '"', '<', '>'])
        || path.contains(['\\', '{', '}', '`'])
        || !target.chars().all(|c| c.is_ascii_graphic())
    {
        return Err(format!("target {target:?}"));
    }
    if version != "HTTP/1.1" && version != "HTTP/1.0" {
        return Err(format!("version {version:?}"));
    }
    let fields = fields(lines)?;
    let request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        fields,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    let count = |name: &str| request.fields.iter().filter(|(n, _)| n == name).count();
    if count("host") != 1 {
        return Err(format!("{} Hosts", count("host")));
    }
    for name in
        ["content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "authorization"]
    {
        if count(name) > 1 {
            return Err(format!("{name} is repeated"));
        }
    }
    if count("content-length") + count("transfer-encoding") > 1 {
        return Err("two framings".to_owned());
    }
    Ok(request)
}

fn fields(lines: Vec<Vec<u8>>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut fields = Vec::new();
    for line in lines {
        let colon = line.iter().position(|b| *b == b':').ok_or("a field without a colon")?;
        let name = String::from_utf8(line[..colon].to_vec()).map_err(|_| "a name is not text")?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(format!("name {name:?}"));
        }
        let value = line[colon + 1..].trim_ascii();
        if value.iter().any(|b| (*b < 32 && *b != b'\t') || *b == 127) {
            return Err(format!("value of {name}"));
        }
        fields.push((name.to_ascii_lowercase(), value.to_vec()));
    }
    Ok(fields)
}

/// Whether it is whole.
fn body(request: &mut Request, rest: &mut &[u8]) -> Result<bool, String> {
    let value = |name: &str| request.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    if let Some(coding) = value("transfer-encoding") {
        if coding != b"chunked" || request.version != "HTTP/1.1" {
            return Err(format!("coding {}", coding.escape_ascii()));
        }
        return chunks(request, rest);
    }
    let Some(length) = value("content-length") else { return Ok(true) };
    let length = String::from_utf8(length).map_err(|_| "a length is not text")?;
    let number: usize = length.parse().map_err(|_| format!("length {length:?}"))?;
    if number.to_string() != length {
        return Err(format!("length {length:?}"));
    }
    let there = number.min(rest.len());
    request.body = rest[..there].to_vec();
    *rest = &rest[there..];
    Ok(there == number)
}

fn chunks(request: &mut Request, rest: &mut &[u8]) -> Result<bool, String> {
    loop {
        let Some(end) = find(rest, b"\r\n") else { return short(rest, "a chunk's size is not whole") };
        let text = std::str::from_utf8(&rest[..end]).map_err(|_| "a size is not text")?;
        let size = usize::from_str_radix(text, 16).map_err(|_| format!("size {text:?}"))?;
        if format!("{size:x}") != text {
            return Err(format!("size {text:?}"));
        }
        *rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        let there = size.min(rest.len());
        request.body.extend_from_slice(&rest[..there]);
        *rest = &rest[there..];
        match rest {
            [b'\r', b'\n', behind @ ..] if there == size => *rest = behind,
            [] | [b'\r'] => return Ok(false),
            _ => return Err("no CRLF behind a chunk".to_owned()),
        }
    }
    if let Some(behind) = rest.strip_prefix(b"\r\n") {
        *rest = behind;
        return Ok(true);
    }
    let end = find(rest, b"\r\n\r\n").ok_or("trailers are not whole")?;
    request.trailers = fields(split(&rest[..end]))?;
    *rest = &rest[end + 4..];
    Ok(true)
}

fn short(rest: &[u8], otherwise: &str) -> Result<bool, String> {
    if rest.is_empty() { Ok(false) } else { Err(otherwise.to_owned()) }
}

fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(end) = find(rest, b"\r\n") {
        lines.push(rest[..end].to_vec());
        rest = &rest[end + 2..];
    }
    lines.push(rest.to_vec());
    lines
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
