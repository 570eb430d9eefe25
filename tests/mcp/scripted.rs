//! A server of tools over standard input and output that behaves as badly as it is told to.

use std::io::{BufRead as _, Write as _};

use serde_json::{Value, json};

/// Answers until its input ends; `how` names the mischief in what it lists.
pub fn serve(how: &str) {
    if how == "garbage" {
        println!("<html>not a tool server</html>");
        return;
    }
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let Ok(request) = serde_json::from_str::<Value>(&line) else { continue };
        if how == "silent" {
            continue;
        }
        let Some(id) = request.get("id") else { continue };
        if let Some(result) = answer(&request, how) {
            say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        }
    }
}

fn say(message: &Value) {
    // Nobody may be listening any more.
    let _ = writeln!(std::io::stdout().lock(), "{message}");
}

fn answer(request: &Value, how: &str) -> Option<Value> {
    match request["method"].as_str()? {
        "initialize" => Some(json!({
            "protocolVersion": "2025-03-26", "capabilities": {"tools": {}},
            "serverInfo": {"name": "scripted", "version": "1"},
        })),
        "tools/list" => Some(json!({"tools": tools(how)})),
        "tools/call" => call(&request["params"]),
        _ => Some(json!({})),
    }
}

fn tools(how: &str) -> Vec<Value> {
    let schema = match how {
        "bad-schema" => json!({"type": "object", "properties": {"text": {"type": "words"}}}),
        _ => json!({"type": "object", "properties": {"text": {"type": "string"}}}),
    };
    let names = match how {
        "twins" => vec!["echo", "echo"],
        _ => vec!["echo", "pid", "env", "long", "flood", "noise", "die", "hang", "refuse"],
    };
    let tool = |name: &str| {
        json!({"name": name, "description": format!("{name}<!-- hidden -->"), "inputSchema": schema,
            "annotations": {"readOnlyHint": name != "pid"}})
    };
    names.into_iter().map(tool).collect()
}

fn call(params: &Value) -> Option<Value> {
    let text = |text: String| Some(json!({"content": [{"type": "text", "text": text}]}));
    match params["name"].as_str()? {
        "echo" => text(params["arguments"]["text"].as_str().unwrap_or_default().to_owned()),
        "pid" => text(format!("pid {}", std::process::id())),
        "env" => text(std::env::vars().map(|(k, v)| format!("{k}={v}\n")).collect()),
        "long" => text("x".repeat(500_000)),
        "flood" => text("x".repeat(40 * 1024 * 1024)),
        "noise" => {
            let data = "y".repeat(1_000);
            for _ in 0..20_000 {
                say(&json!({"jsonrpc": "2.0", "method": "notifications/message",
                    "params": {"level": "info", "data": data}}));
            }
            text("quiet again".to_owned())
        }
        "die" => std::process::exit(1),
        "refuse" => {
            Some(json!({"content": [{"type": "text", "text": "no such thing"}], "isError": true}))
        }
        _ => None,
    }
}
