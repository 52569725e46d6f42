//! The console: one page that a person opens to see how the guard is.
//!
//! Rendered here, works without scripts, and its content security policy allows nothing but its own
//! style sheet. Everything that came from outside is escaped by the template.

use std::time::SystemTime;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use palisade_protect::Duty;

use super::Shared;
use super::reply::forbidden_by;
use crate::engine::{Decision, Verdict};

const STYLE: &str = include_str!("console.css");

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
                                       form-action 'none'; frame-ancestors 'none'";

/// Keys shown on the page; a guard can hold 100,000.
const KEYS_SHOWN: usize = 100;

/// `GET /`
pub(super) async fn page(State(shared): State<Shared>) -> Response {
    let missing = shared.readiness.missing().await;
    let page = render(&shared, &missing).into_string();
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

fn render(shared: &Shared, missing: &[String]) -> Markup {
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
                    (readiness(missing))
                }
                main {
                    (summary(shared))
                    (refusals(&shared.engine.recent().denied()))
                    (duties(&shared.engine.recent().signed()))
                    (keys(shared))
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

fn summary(shared: &Shared) -> Markup {
    let engine = &shared.engine;
    let quantile = |share: f64| match engine.metrics().latency_quantile(share) {
        None => "–".to_owned(),
        Some(seconds) if seconds.is_finite() => format!("≤ {:.1} ms", seconds * 1_000.0),
        Some(_) => "> 2.5 s".to_owned(),
    };
    let root = engine
        .genesis_validators_root()
        .map_or_else(|| "not learned yet".to_owned(), |root| root.to_string());
    html! {
        section aria-label="Summary" {
            dl {
                div { dt { "Network" } dd { (engine.network().name) } }
                div {
                    dt { "Genesis validators root" }
                    dd.mono { (root) }
                }
                div { dt { "Keys" } dd id="key-count" { (engine.keychain().len()) } }
                div { dt { "Latency, half of all" } dd { (quantile(0.5)) } }
                div { dt { "Latency, 99 of 100" } dd { (quantile(0.99)) } }
                div { dt { "Waiting for the ledger" } dd { (engine.ledger().queue_depth()) } }
                div { dt { "Durable commits" } dd { (engine.ledger().statistics().commits) } }
            }
        }
    }
}

fn refusals(decisions: &[Decision]) -> Markup {
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

fn refusal_row(decision: &Decision) -> Markup {
    let Verdict::Denied { code, message, refusal } = &decision.verdict else { return html! {} };
    html! {
        tr {
            td { (ago(decision.time)) }
            td { (decision.client) }
            td.mono { (short(&decision.asked.public_key)) }
            td { (decision.asked.kind) " " (place(decision.asked.duty.as_ref())) }
            td { span.code { (code) } br; (message) }
            td.mono {
                @if let Some(refusal) = refusal { (forbidden_by(refusal).to_string()) }
            }
        }
    }
}

fn duties(decisions: &[Decision]) -> Markup {
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
                                td { (ago(decision.time)) }
                                td { (decision.client) }
                                td.mono { (short(&decision.asked.public_key)) }
                                td {
                                    (decision.asked.kind) " "
                                    (place(decision.asked.duty.as_ref()))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn keys(shared: &Shared) -> Markup {
    let keychain = shared.engine.keychain();
    let validators = keychain.public_keys().map(|key| (key.to_string(), None));
    // A session key that is for several types stands here once for each.
    let sessions = keychain.sessions().iter();
    let sessions = sessions.map(|key| (key.public_key.to_string(), Some(key.key_type)));
    let rows = keychain.public_keys().count() + keychain.sessions().len();
    html! {
        section id="keys" {
            h2 { "Keys" }
            @if keychain.is_empty() {
                p.empty {
                    "This guard holds no key. Add one with " code { "palisade keys import" } "."
                }
            } @else {
                ul.mono {
                    @for (key, key_type) in validators.chain(sessions).take(KEYS_SHOWN) {
                        li { (key) @if let Some(key_type) = key_type { " " (key_type) } }
                    }
                }
                @if rows > KEYS_SHOWN {
                    p { "… and " (rows - KEYS_SHOWN) " more: " code { "palisade keys list" } }
                }
            }
        }
    }
}

fn place(duty: Option<&Duty>) -> String {
    match duty {
        Some(Duty::Proposal { slot } | Duty::Seal { slot }) => format!("slot {slot}"),
        Some(Duty::Attestation { source, target }) => format!("epochs {source} → {target}"),
        Some(Duty::GrandpaVote { stage, set_id, round }) => {
            format!("{stage}, set {set_id}, round {round}")
        }
        Some(Duty::BeefyVote { set_id, block }) => format!("set {set_id}, block {block}"),
        _ => String::new(),
    }
}

fn short(key: &str) -> String {
    key.chars().take(12).chain(['…']).collect()
}

fn ago(time: SystemTime) -> String {
    let seconds = time.elapsed().map_or(0, |passed| passed.as_secs());
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}
