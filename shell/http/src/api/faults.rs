//! Everything that is wrong with one request, told at once.

use crate::routes::response;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};
use wtn_wish::Problem;

/// More faults than this help nobody.
const FAULTS_MAX: usize = 50;

/// One field that cannot be as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Fault {
    /// Where: names with dots, list places in brackets, such as `ice_servers[0].url`.
    pub field: String,
    /// What is wrong, and what it wants.
    pub detail: String,
}

/// Why a request of the administration is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// For one reason.
    Problem(Box<Problem>),
    /// For what its fields say.
    Faults(Vec<Fault>),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => response(problem.into_reply()),
            Self::Faults(faults) => {
                let mut reply = invalid(faults.len()).into_reply();
                let mut body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                body["errors"] = json!(faults);
                reply.body = body.to_string().into_bytes();
                response(reply)
            }
        }
    }
}

fn invalid(count: usize) -> Problem {
    let what = if count == 1 { "One field cannot".to_owned() } else { format!("{count} fields cannot") };
    Problem::new(
        422,
        "invalid_fields",
        "Invalid fields",
        format!("{what} be as sent; `errors` lists each."),
        "Change what `errors` lists, and send it again.",
    )
}

/// Collects faults while a request is read.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(Fault { field: field.into(), detail: detail.into() });
        }
    }

    /// `value`, unless there were faults.
    pub fn or<T>(self, value: impl FnOnce() -> T) -> Result<T, Refusal> {
        if self.0.is_empty() { Ok(value()) } else { Err(Refusal::Faults(self.0)) }
    }

    /// The fields of an object; all that are not `known` are faults. `field` is empty for the body itself.
    pub fn object<'v>(
        &mut self,
        field: &str,
        value: &'v Value,
        known: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let Some(object) = value.as_object() else {
            self.add(field, "wants an object");
            return None;
        };
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            let near = known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
            let near = near.filter(|near| strsim::damerau_levenshtein(near, name) <= 1 + near.len() / 4);
            let detail = match near {
                Some(near) => format!("there is no such field; did you mean `{near}`?"),
                None => format!("there is no such field; there are {}", known.join(", ")),
            };
            self.add(inside(field, name), detail);
        }
        Some(object)
    }

    /// The value of a field as `read` takes it; one that is absent or null is `None`.
    pub fn field<'v, T>(
        &mut self,
        prefix: &str,
        object: &'v Map<String, Value>,
        name: &str,
        wants: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Option<T> {
        let value = object.get(name).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            self.add(inside(prefix, name), format!("wants {wants}"));
        }
        read
    }
}

/// `name` within `field`.
pub(crate) fn inside(field: &str, name: &str) -> String {
    // Names come from outside: bounded, or the answer would be as long as the question.
    let name: String = name.chars().take(64).collect();
    if field.is_empty() { name } else { format!("{field}.{name}") }
}
