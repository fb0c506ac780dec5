//! `usher snippet`: the tag to paste, as the platform's own guide writes it
//! (<https://affonso.io/help/faq/troubleshooting-tracking>), with this site's names.

use crate::{cli, config::Config};
use anyhow::bail;
use std::{
    io::{self, Write},
    process::ExitCode,
};
use usher_edge::names::Names;
use usher_model::{Consent, Site};

/// Prints the tag for plain HTML, Next.js and Google Tag Manager.
pub(super) fn run(config: &Config, options: &cli::Snippet, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let site = super::choose(&config.sites, options.site.as_deref())?;
    let base = match &options.host {
        None => site.prefix.clone(),
        Some(host) if site.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) => {
            let host = host.to_ascii_lowercase();
            // An IPv6 address stands in brackets in a URL (RFC 3986 section 3.2.2).
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            format!("https://{host}{}", site.prefix)
        }
        Some(host) => bail!("site {} has no host {host:?}; it has: {}", site.name, site.hosts.join(", ")),
    };
    let tag = Tag::new(site, &base);
    tag.html(out)?;
    tag.next(out)?;
    tag.tag_manager(out)?;
    Ok(ExitCode::SUCCESS)
}

/// The tag's attributes. Their values need no escaping: the configuration lets no other characters in.
struct Tag {
    src: String,
    data: Vec<(&'static str, String)>,
}

impl Tag {
    fn new(site: &Site, base: &str) -> Self {
        let names = Names::derive(site.names_secret.as_ref(), &site.name);
        let mut data = vec![
            ("data-affonso", site.program.clone()),
            ("data-cookie_duration", site.cookie_days.to_string()),
            ("data-api-base", base.to_owned()),
        ];
        if site.consent == Consent::Required {
            data.push(("data-requires-consent", "true".to_owned()));
        }
        Self { src: format!("{base}/{}", names.script), data }
    }

    fn html(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "Plain HTML: in <head>, before any router starts\n")?;
        write!(out, "<script async defer src=\"{}\"", self.src)?;
        for (name, value) in &self.data {
            write!(out, " {name}=\"{value}\"")?;
        }
        writeln!(out, "></script>\n")
    }

    fn next(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "Next.js (App Router): in app/layout.tsx\n")?;
        writeln!(out, "import Script from \"next/script\";\n")?;
        writeln!(out, "<Script\n  strategy=\"beforeInteractive\"\n  src=\"{}\"", self.src)?;
        for (name, value) in &self.data {
            writeln!(out, "  {name}=\"{value}\"")?;
        }
        writeln!(out, "/>\n")
    }

    fn tag_manager(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "Google Tag Manager: a Custom HTML tag, fired on Initialization - All Pages\n")?;
        writeln!(out, "<script>\n  (function () {{\n    var tag = document.createElement(\"script\");")?;
        writeln!(out, "    tag.async = true;\n    tag.src = \"{}\";", self.src)?;
        for (name, value) in &self.data {
            writeln!(out, "    tag.setAttribute(\"{name}\", \"{value}\");")?;
        }
        writeln!(out, "    document.head.appendChild(tag);\n  }})();\n</script>")
    }
}
