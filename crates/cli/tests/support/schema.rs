//! The part of JSON Schema that our OpenAPI document uses, checked against real bodies.

use serde_json::Value;

/// What is wrong with `value`, each fault with its place; empty when it fits.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    fits(document, schema, value, "$", &mut faults);
    faults
}

fn fits(document: &Value, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    let mut fault = |what: String| faults.push(format!("{place}: {what}"));
    if let Some(expected) = schema.get("const").filter(|expected| *expected != value) {
        fault(format!("{value} is not {expected}"));
    }
    if let Some(among) = schema["enum"].as_array().filter(|among| !among.contains(value)) {
        fault(format!("{value} is none of {among:?}"));
    }
    if let Some(kind) = schema["type"].as_str().filter(|kind| !is_of(kind, value)) {
        fault(format!("{value} is no {kind}"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !matches(pattern, text)
    {
        fault(format!("{text:?} is not like {pattern}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            fault(format!("{name} is missing"));
        }
    }
    if let Some(pointer) = schema["$ref"].as_str() {
        let target = document.pointer(&pointer[1..]).expect("every reference leads somewhere");
        fits(document, target, value, place, faults);
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let fitting = alternatives.iter().filter(|one| check(document, one, value).is_empty());
        let fitting = fitting.count();
        if fitting != 1 {
            faults.push(format!("{place}: fits {fitting} of {} forms", alternatives.len()));
        }
    }
    inside(document, schema, value, place, faults);
}

fn inside(document: &Value, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            fits(document, schema, value, &format!("{place}.{name}"), faults);
        }
    }
    if schema["items"].is_object() {
        for (index, value) in value.as_array().into_iter().flatten().enumerate() {
            fits(document, &schema["items"], value, &format!("{place}[{index}]"), faults);
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the checker does not know type {other}"),
    }
}

/// The few patterns of the document; an unknown one is a fault of the checker.
fn matches(pattern: &str, text: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match pattern {
        "^[0-9]+$" => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        "^0x([0-9a-fA-F]{2})*$" => {
            text.strip_prefix("0x").is_some_and(|digits| is_hex(digits) && digits.len() % 2 == 0)
        }
        "^[a-z0-9]+(-[a-z0-9]+)*$" => text.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        }),
        _ => {
            let digits = pattern.strip_prefix("^0x[0-9a-fA-F]{").and_then(|p| p.strip_suffix("}$"));
            let digits: usize = digits.expect("a pattern that the checker knows").parse().unwrap();
            text.strip_prefix("0x").is_some_and(|hex| hex.len() == digits && is_hex(hex))
        }
    }
}
