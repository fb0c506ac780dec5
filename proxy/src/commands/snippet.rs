//! `usher snippet`: the tag to paste.

use crate::{cli, config::Config};
use anyhow::bail;
use std::{
    io::{self, Write},
    process::ExitCode,
};
use usher_edge::Tag;

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
    let tag = usher_edge::tag(site, &base);
    html(&tag, out)?;
    next(&tag, out)?;
    tag_manager(&tag, out)?;
    Ok(ExitCode::SUCCESS)
}

fn html(tag: &Tag, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Plain HTML: in <head>, before any router starts\n")?;
    writeln!(out, "{}\n", tag.html())
}

fn next(tag: &Tag, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Next.js (App Router): in app/layout.tsx\n")?;
    writeln!(out, "import Script from \"next/script\";\n")?;
    writeln!(out, "<Script\n  strategy=\"beforeInteractive\"\n  src=\"{}\"", tag.src)?;
    for (name, value) in &tag.data {
        writeln!(out, "  {name}=\"{value}\"")?;
    }
    writeln!(out, "/>\n")
}

fn tag_manager(tag: &Tag, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Google Tag Manager: a Custom HTML tag, fired on Initialization - All Pages\n")?;
    writeln!(out, "<script>\n  (function () {{\n    var tag = document.createElement(\"script\");")?;
    writeln!(out, "    tag.async = true;\n    tag.src = \"{}\";", tag.src)?;
    for (name, value) in &tag.data {
        writeln!(out, "    tag.setAttribute(\"{name}\", \"{value}\");")?;
    }
    writeln!(out, "    document.head.appendChild(tag);\n  }})();\n</script>")
}
