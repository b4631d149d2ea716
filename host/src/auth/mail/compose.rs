//! Composes a mail from its texts and the values of their placeholders.

use api_types::MailTexts;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use super::MailKind;
use crate::auth::email_address::EmailAddress;

/// Values of the placeholders of a mail.
#[derive(Debug, Clone)]
pub(in crate::auth) struct MailValues {
    /// Name of the project.
    pub project: String,
    /// The link, for kinds that have one.
    pub link: Option<String>,
}

/// The reason why a mail could not be composed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComposeError {
    #[error(transparent)]
    Address(#[from] lettre::address::AddressError),
    #[error(transparent)]
    Message(#[from] lettre::error::Error),
}

pub(super) fn compose(
    from: &Mailbox,
    to: &EmailAddress,
    kind: MailKind,
    texts: &MailTexts,
    values: &MailValues,
) -> Result<Message, ComposeError> {
    let text = kind.text(texts);
    let fill = |template: &str, escape: fn(&str) -> String| {
        replace(template, |name| match name {
            "link" => Some(escape(values.link.as_deref().unwrap_or_default())),
            "email" => Some(escape(to.as_str())),
            "project" => Some(escape(&values.project)),
            _ => None,
        })
    };
    let builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.as_str().parse::<Address>()?))
        .subject(one_line(&fill(&text.subject, str::to_owned)))
        .message_id(None)
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    let plain = fill(&text.text, str::to_owned);
    Ok(match &text.html {
        Some(html) => builder.multipart(MultiPart::alternative_plain_html(plain, fill(html, escape_html)))?,
        None => builder.header(ContentType::TEXT_PLAIN).body(plain)?,
    })
}

/// Replaces placeholders such as `{{link}}`, in one pass, so that a value with braces stays as it is. Unknown
/// placeholders stay too.
fn replace(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let name = after.split_once("}}").map(|(name, after)| (name.trim(), after));
        match name.and_then(|(name, after)| Some((value(name)?, after))) {
            Some((value, after)) => {
                filled.push_str(&value);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(project: &str, texts: &MailTexts) -> String {
        let from = "App <app@example.com>".parse().unwrap();
        let to = EmailAddress::parse("ada@example.com").unwrap();
        let values = MailValues { project: project.to_owned(), link: Some("https://a.example.com/?token=x&y".into()) };
        String::from_utf8(compose(&from, &to, MailKind::Verify, texts, &values).unwrap().formatted()).unwrap()
    }

    #[test]
    fn mail_has_plain_text_and_html() {
        let mail = formatted("Shop", &MailTexts::default());
        assert!(mail.contains("multipart/alternative") && mail.contains("text/html"), "{mail}");
        assert!(mail.contains("To: ada@example.com\r\n") && mail.contains("From: App <app@example.com>\r\n"), "{mail}");
        assert!(mail.contains("Auto-Submitted: auto-generated\r\n"), "{mail}");
    }

    #[test]
    fn values_add_no_headers_and_no_markup() {
        let text = api_types::MailText {
            subject: "For {{project}}".into(),
            text: "{{ project }} {{link}} {{unknown}} {{".into(),
            html: Some("<b>{{project}}</b>".into()),
        };
        let texts = MailTexts { verify: Some(text), ..MailTexts::default() };
        let mail = formatted("x\r\nBcc: eve@example.com <script>{{link}}", &texts);
        let (headers, body) = mail.split_once("\r\n\r\n").unwrap();
        assert!(!headers.contains("\r\nBcc:"), "{headers}");
        let (_, html) = body.split_once("text/html").unwrap();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"), "{html}");
    }

    #[test]
    fn placeholders_are_replaced_in_one_pass() {
        let value = |name: &str| (name == "a").then(|| "{{b}}{{a}}".to_owned());
        assert_eq!(replace("1{{a}}2{{ b }}3{{a", value), "1{{b}}{{a}}2{{ b }}3{{a");
        assert_eq!(escape_html("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }
}
