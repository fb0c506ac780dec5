//! Who never counts as a visitor.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use std::sync::LazyLock;

/// Words that crawlers, link previewers, scanners, monitors and HTTP libraries put into `User-Agent`, and browsers do not.
const WORDS: &[&str] = &[
    "bot/",
    "bot;",
    "bot)",
    "-bot",
    "_bot",
    "robot",
    "googlebot",
    "bingbot",
    "crawl",
    "spider",
    "slurp",
    "scraper",
    "archiver",
    "scanner",
    "validator",
    "monitor",
    "uptime",
    "pingdom",
    "lighthouse",
    "headless",
    "phantomjs",
    "preview",
    "facebookexternalhit",
    "facebookcatalog",
    "meta-external",
    "whatsapp/",
    "telegrambot",
    "twitterbot",
    "slackbot",
    "slack-img",
    "discordbot",
    "linkedinbot",
    "skypeuripreview",
    "embedly",
    "quora link",
    "outbrain",
    "vkshare",
    "w3c_",
    "bingpreview",
    "google-read-aloud",
    "googleother",
    "google-inspection",
    "adsbot",
    "mediapartners",
    "apis-google",
    "feedfetcher",
    "yandex.com/bots",
    "baidu",
    "duckduck",
    "ia_archiver",
    "semrush",
    "ahrefs",
    "mj12",
    "dotbot",
    "petalbot",
    "bytespider",
    "gptbot",
    "chatgpt",
    "claude",
    "perplexity",
    "anthropic",
    "ccbot",
    "applebot",
    "amazonbot",
    "barracuda",
    "proofpoint",
    "mimecast",
    "urldefense",
    "safelinks",
    "curl/",
    "wget/",
    "python",
    "java/",
    "okhttp",
    "go-http-client",
    "libwww",
    "http_request",
    "httpclient",
    "axios",
    "node-fetch",
    "undici",
    "guzzle",
    "ruby",
    "perl",
    "php/",
    "scrapy",
    "http.rb",
    "postman",
    "insomnia",
    "wrk/",
    "apachebench",
    "k6/",
    "jmeter",
    "playwright",
    "puppeteer",
    "selenium",
];

static LIST: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasickBuilder::new()
        .ascii_case_insensitive(true)
        .build(WORDS)
        .unwrap_or_else(|_| unreachable!("the list is short and fixed"))
});

/// Whether nobody is behind this user agent. One that is empty is no browser's.
pub(super) fn is_bot(user_agent: &str) -> bool {
    user_agent.trim().is_empty()
        || user_agent.eq_ignore_ascii_case("node")
        || user_agent.to_ascii_lowercase().ends_with("bot")
        || LIST.is_match(user_agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_count() {
        for user_agent in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 400.0.0",
            "Mozilla/5.0 (Linux; Android 16; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36",
            "Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18",
        ] {
            assert!(!is_bot(user_agent), "{user_agent}");
        }
    }

    #[test]
    fn machines_do_not() {
        for user_agent in [
            "",
            "  ",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "WhatsApp/2.23.20.0",
            "Twitterbot/1.0",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36",
            "curl/8.5.0",
            "python-requests/2.32",
            "Go-http-client/2.0",
            "node",
            "SomeNewBot",
        ] {
            assert!(is_bot(user_agent), "{user_agent}");
        }
    }
}
