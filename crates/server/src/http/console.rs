//! The console: one page that a person opens to see how the guard is.
//!
//! Rendered here, works without scripts, and its content security policy allows nothing but its own
//! style sheet. Everything that came from outside is escaped by the template.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::{Shared, reply};
use crate::core::{ConsoleState, DecisionRow};
use crate::dial::NodeState;
use crate::link::message::{Question, Reply};
use crate::policy::Presented;

const STYLE: &str = include_str!("console.css");

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
                                       form-action 'none'; frame-ancestors 'none'";

/// `GET /`
pub(super) async fn page(State(shared): State<Shared>) -> Response {
    let mut state = match shared.core.ask(&Presented::default(), Question::Console).await {
        Reply::Console(state) => state,
        answer => return reply::of(answer),
    };
    state.missing.extend(shared.nodes.missing());
    let page = render(&state, &shared.nodes.all()).into_string();
    (
        [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::CACHE_CONTROL, "no-store"),
        ],
        page,
    )
        .into_response()
}

/// `GET /console.css`
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

fn render(state: &ConsoleState, dialled: &[NodeState]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="12";
                title { "Palisade guard" }
                link rel="stylesheet" href="/console.css";
            }
            body {
                header {
                    h1 { "Palisade guard" }
                    (readiness(&state.missing))
                }
                main {
                    (summary(state))
                    (nodes(dialled))
                    (refusals(&state.denied))
                    (duties(&state.signed))
                    (keys(state))
                }
                footer { "The page renews itself every 12 seconds. Times are since the event." }
            }
        }
    }
}

fn readiness(missing: &[String]) -> Markup {
    html! {
        @if missing.is_empty() {
            p.state.good id="readiness" { "Ready" }
        } @else {
            p.state.bad id="readiness" { "Not ready: " (missing.join("; ")) }
        }
    }
}

fn summary(state: &ConsoleState) -> Markup {
    let latency = |microseconds: Option<u64>| match microseconds {
        None => "–".to_owned(),
        Some(u64::MAX) => "> 2.5 s".to_owned(),
        Some(microseconds) => format!("≤ {:.1} ms", microseconds as f64 / 1_000.0),
    };
    let root = state.genesis_validators_root.as_deref().unwrap_or("not learned yet");
    html! {
        section aria-label="Summary" {
            dl {
                div { dt { "Network" } dd { (state.network) } }
                div {
                    dt { "Genesis validators root" }
                    dd.mono { (root) }
                }
                div { dt { "Keys" } dd id="key-count" { (state.key_count) } }
                div { dt { "Latency, half of all" } dd { (latency(state.latency_half_us)) } }
                div { dt { "Latency, 99 of 100" } dd { (latency(state.latency_99_us)) } }
                @if 0 < state.announced_headers {
                    div { dt { "Blocks announced" } dd id="announced" { (announced(state)) } }
                }
                div { dt { "Waiting for the ledger" } dd { (state.ledger_queue) } }
                div { dt { "Durable commits" } dd { (state.commits) } }
            }
        }
    }
}

fn announced(state: &ConsoleState) -> String {
    let kilobytes = state.announced_body_bytes.div_ceil(1_000);
    format!("{}, {kilobytes} kB with them", state.announced_headers)
}

/// Nothing for a guard that dials none.
fn nodes(dialled: &[NodeState]) -> Markup {
    html! {
        @if !dialled.is_empty() {
            section id="nodes" {
                h2 { "Dialled nodes" }
                table {
                    thead { tr { th { "Node" } th { "Address" } th { "State" } th { "Since" } } }
                    tbody {
                        @for node in dialled {
                            tr {
                                td { (node.name) }
                                td.mono { (node.url) }
                                td { (node.why_not.as_deref().unwrap_or("connected")) }
                                td { (ago(node.since.elapsed().as_secs())) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn refusals(decisions: &[DecisionRow]) -> Markup {
    html! {
        section id="refusals" {
            h2 { "Not signed" }
            @if decisions.is_empty() {
                p.empty { "Nothing was refused since the start." }
            } @else {
                table {
                    thead {
                        tr {
                            th { "Ago" } th { "Client" } th { "Key" } th { "Duty" } th { "Why" }
                            th { "Evidence" }
                        }
                    }
                    tbody {
                        @for decision in decisions { (refusal_row(decision)) }
                    }
                }
            }
        }
    }
}

fn refusal_row(decision: &DecisionRow) -> Markup {
    html! {
        tr {
            td { (ago(decision.ago_s)) }
            td { (decision.client) }
            td.mono { (short(&decision.public_key)) }
            td { (decision.duty) }
            td {
                span.code { (decision.code.as_deref().unwrap_or_default()) }
                br;
                (decision.message.as_deref().unwrap_or_default())
            }
            td.mono { (decision.evidence.as_deref().unwrap_or_default()) }
        }
    }
}

fn duties(decisions: &[DecisionRow]) -> Markup {
    html! {
        section id="duties" {
            h2 { "Last duties" }
            @if decisions.is_empty() {
                p.empty { "No block and no vote was signed since the start." }
            } @else {
                table {
                    thead { tr { th { "Ago" } th { "Client" } th { "Key" } th { "Duty" } } }
                    tbody {
                        @for decision in decisions {
                            tr {
                                td { (ago(decision.ago_s)) }
                                td { (decision.client) }
                                td.mono { (short(&decision.public_key)) }
                                td { (decision.duty) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn keys(state: &ConsoleState) -> Markup {
    html! {
        section id="keys" {
            h2 { "Keys" }
            @if state.keys.is_empty() {
                p.empty {
                    "This guard holds no key. Add one with " code { "palisade keys import" } "."
                }
            } @else {
                ul.mono {
                    @for key in &state.keys { li { (key) } }
                }
                @if state.keys.len() < state.key_rows {
                    p {
                        "… and " (state.key_rows - state.keys.len()) " more: "
                        code { "palisade keys list" }
                    }
                }
            }
        }
    }
}

fn short(key: &str) -> String {
    key.chars().take(12).chain(['…']).collect()
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}
