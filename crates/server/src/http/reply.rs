//! Answers as HTTP: the core's, and those that the front gives by itself.
//!
//! Invariant: every body that is not a success is `{"message", "code"}`.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::core::ErrorBody;
use crate::link::message::Reply;
use crate::policy::NotRecognised;

/// An error answer.
pub(super) fn error(
    status: StatusCode,
    code: &'static str,
    message: impl Into<String>,
) -> Response {
    (status, Json(ErrorBody { message: message.into(), code, evidence: None })).into_response()
}

/// The core's answer; one of another kind than was asked for is our bug.
pub(super) fn of(reply: Reply) -> Response {
    match reply {
        Reply::Signature(signature) => {
            let body = format!("{{\"signature\":\"{signature}\"}}");
            ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
        }
        Reply::Json { status, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let kind = [(header::CONTENT_TYPE, "application/json")];
            let mut response = (status, kind, body).into_response();
            if status == StatusCode::UNAUTHORIZED {
                challenge(&mut response);
            }
            response
        }
        Reply::NoContent => StatusCode::NO_CONTENT.into_response(),
        Reply::Metrics(_) | Reply::Missing(_) | Reply::Console(_) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "an answer to another question; please report this",
        ),
    }
}

impl IntoResponse for NotRecognised {
    fn into_response(self) -> Response {
        unauthorised(self.code(), self.to_string())
    }
}

/// 401, with what would be a credential.
pub(super) fn unauthorised(code: &'static str, message: impl Into<String>) -> Response {
    let mut response = error(StatusCode::UNAUTHORIZED, code, message);
    challenge(&mut response);
    response
}

fn challenge(response: &mut Response) {
    let bearer = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
}

pub(super) async fn no_such_path(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(120).collect();
    error(
        StatusCode::NOT_FOUND,
        "no-such-path",
        format!(
            "there is nothing at {path}; /openapi.json on the signing port lists what there is"
        ),
    )
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(120).collect();
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "no-such-method",
        format!("{path} does not take {method}; see /openapi.json on the signing port"),
    )
}
