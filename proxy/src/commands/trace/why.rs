//! Why a record was credited as it was, out of the trace that was written with it.

use crate::commands::words::plain;
use serde_json::Value;

/// A trace as lines; one of a shape that is not known is shown field by field.
pub(super) fn lines(trace: Option<&str>) -> Vec<String> {
    let Some(trace) = trace else { return Vec::new() };
    match serde_json::from_str(trace) {
        Ok(value) => fields(&value),
        Err(_) => vec![plain(trace)],
    }
}

/// Any JSON, one line a field, named by its path: `signals.click.id: ush_1`. What is null, false or empty is left out.
fn fields(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", value, &mut lines);
    lines
}

fn walk(path: &str, value: &Value, lines: &mut Vec<String>) {
    let under = |name: &str| if path.is_empty() { plain(name) } else { format!("{path}.{}", plain(name)) };
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Object(object) => object.iter().for_each(|(name, value)| walk(&under(name), value, lines)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| walk(&under(&(at + 1).to_string()), value, lines));
        }
        Value::Bool(true) => lines.push(path.to_owned()),
        Value::String(text) => lines.push(format!("{path}: {}", plain(text))),
        Value::Number(number) => lines.push(format!("{path}: {number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_shape_is_told() {
        let old = r#"{"signals":{"click":null,"code":{"code":"SPRING10","affiliate":"alice"},"unknown_customer":false},"decision":{"rule":"code"}}"#;
        assert_eq!(
            lines(Some(old)),
            ["decision.rule: code", "signals.code.affiliate: alice", "signals.code.code: SPRING10"]
        );
        assert_eq!(lines(Some(r#"[true,"a\u001b",3]"#)), ["1", "2: a\u{fffd}", "3: 3"]);
        assert_eq!((lines(Some("what")), lines(None)), (vec!["what".to_owned()], vec![]));
    }
}
