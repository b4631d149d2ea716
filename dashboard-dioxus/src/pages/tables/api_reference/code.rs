//! Writes a request as code.

use api_types::ApiCaller;

use super::calls::Call;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Curl,
    Fetch,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::Curl, Self::Fetch];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Fetch => "fetch",
        }
    }
}

/// Returns the code that sends a request.
pub(super) fn write(language: Language, api_url: &str, call: &Call) -> String {
    let key = match call.caller {
        ApiCaller::SecretKey => "ATLASHUB_SECRET_KEY",
        ApiCaller::Publishable | ApiCaller::SignedIn => "ATLASHUB_PUBLISHABLE_KEY",
    };
    let with_token = call.caller == ApiCaller::SignedIn;
    match language {
        Language::Curl => curl(api_url, call, key, with_token),
        Language::Fetch => fetch(api_url, call, key, with_token),
    }
}

fn curl(api_url: &str, call: &Call, key: &str, with_token: bool) -> String {
    let method = if call.method == "GET" { String::new() } else { format!("-X {} ", call.method) };
    let mut lines = vec![format!("curl {method}\"{api_url}{}\"", call.path), format!("-H \"x-api-key: ${key}\"")];
    if with_token {
        lines.push("-H \"authorization: Bearer $ACCESS_TOKEN\"".to_owned());
    }
    if let Some(body) = &call.body {
        lines.push("-H \"content-type: application/json\"".to_owned());
        lines.push(format!("-d '{}'", body.replace('\'', r"'\''")));
    }
    lines.join(" \\\n  ")
}

fn fetch(api_url: &str, call: &Call, key: &str, with_token: bool) -> String {
    let mut headers = vec![format!("\"x-api-key\": process.env.{key}")];
    if with_token {
        headers.push("authorization: `Bearer ${accessToken}`".to_owned());
    }
    if call.body.is_some() {
        headers.push("\"content-type\": \"application/json\"".to_owned());
    }
    let mut options = Vec::new();
    if call.method != "GET" {
        options.push(format!("method: \"{}\"", call.method));
    }
    options.push(format!("headers: {{ {} }}", headers.join(", ")));
    if let Some(body) = &call.body {
        options.push(format!("body: JSON.stringify({body})"));
    }
    format!(
        "const response = await fetch(\"{api_url}{}\", {{\n  {},\n}});\n\
         if (!response.ok) throw new Error(await response.text());\nconst {{ {} }} = await response.json();",
        call.path,
        options.join(",\n  "),
        call.result
    )
}

#[cfg(test)]
mod tests {
    use super::{super::calls::Operation, *};

    fn insert(caller: ApiCaller) -> Call {
        Call {
            name: "Insert a row",
            operation: Operation::Insert,
            method: "POST",
            path: "/v1/db/books".to_owned(),
            body: Some("{\"rows\": [{\"it's\": 1}]}".to_owned()),
            caller,
            result: "rows",
        }
    }

    #[test]
    fn shell_reads_the_body_as_one_argument() {
        assert_eq!(
            write(Language::Curl, "https://api.example.com", &insert(ApiCaller::SecretKey)),
            "curl -X POST \"https://api.example.com/v1/db/books\" \\\n  -H \"x-api-key: $ATLASHUB_SECRET_KEY\" \\\n  \
             -H \"content-type: application/json\" \\\n  -d '{\"rows\": [{\"it'\\''s\": 1}]}'"
        );
    }

    #[test]
    fn user_sends_a_token_with_the_publishable_key() {
        let code = write(Language::Fetch, "", &insert(ApiCaller::SignedIn));
        assert!(code.contains("\"x-api-key\": process.env.ATLASHUB_PUBLISHABLE_KEY"), "{code}");
        assert!(code.contains("authorization: `Bearer ${accessToken}`"), "{code}");
    }
}
