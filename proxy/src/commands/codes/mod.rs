//! `usher codes`: promo codes in the configured store.

mod discount;
mod table;
mod transfer;

use crate::{
    cli::{AddCode, Codes, CodesAction},
    config::Config,
};
use anyhow::{anyhow, bail};
use serde_json::{Value, json};
use std::{io::Write, process::ExitCode};
use usher_model::{AffiliateCode, Clock, Code, PromoCode, SiteName};
use usher_store::Store;

/// Opens the store and does it.
pub(super) async fn run(
    config: &Config,
    options: Codes,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let site = &super::choose(&config.sites, options.site.as_deref())?.name;
    let open = async || super::open(config).await;
    match options.action {
        CodesAction::List => {
            let codes = sorted(&*open().await?, site).await?;
            if codes.is_empty() && !options.json {
                writeln!(
                    out,
                    "Site {site} has no codes; `usher codes add CODE --affiliate NAME` writes one."
                )?;
            } else {
                table::list(&codes, clock.now(), options.json, out)?;
            }
        }
        CodesAction::Add(written) => {
            let (code, says) = code(&written)?;
            let affiliate = says.affiliate.clone();
            open().await?.put_codes(site, vec![(code.clone(), says)]).await?;
            let json = json!({"written": code, "affiliate": affiliate});
            tell(out, options.json, &json, &format!("{code} is written for {affiliate}"))?;
        }
        CodesAction::Remove { code } => {
            let code = fold(&code)?;
            if !open().await?.remove_code(site, &code).await? {
                bail!("site {site} has no code {code}");
            }
            tell(out, options.json, &json!({"removed": code}), &format!("{code} is removed"))?;
        }
        CodesAction::Import { file } => {
            let codes = transfer::read(&file)?;
            let count = codes.len();
            transfer::write(&*open().await?, site, codes).await?;
            tell(out, options.json, &json!({"imported": count}), &format!("codes written: {count}"))?;
        }
        CodesAction::Export if options.json => {
            table::list(&sorted(&*open().await?, site).await?, clock.now(), true, out)?;
        }
        CodesAction::Export => transfer::export(&sorted(&*open().await?, site).await?, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn sorted(store: &dyn Store, site: &SiteName) -> anyhow::Result<Vec<(PromoCode, Code)>> {
    let mut codes = store.codes(site).await?;
    codes.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(codes)
}

fn tell(out: &mut dyn Write, as_json: bool, json: &Value, words: &str) -> std::io::Result<()> {
    if as_json { writeln!(out, "{json}") } else { writeln!(out, "{words}") }
}

fn fold(written: &str) -> anyhow::Result<PromoCode> {
    PromoCode::fold(written).ok_or_else(|| anyhow!("{written:?} is no code; write 1 to 64 characters"))
}

/// A code as the command line says it.
fn code(written: &AddCode) -> anyhow::Result<(PromoCode, Code)> {
    let discount = match (&written.discount, &written.percent, &written.amount, written.currency) {
        (Some(text), ..) => Some(discount::read(text).map_err(|why| anyhow!("--discount {why}"))?),
        (None, Some(percent), ..) => Some(discount::percentage(percent.clone())),
        (None, None, Some(amount), Some(currency)) => Some(discount::fixed(amount.clone(), currency)),
        // The command line lets no amount through that has no currency.
        (None, None, ..) => None,
    };
    let code = Code {
        affiliate: AffiliateCode::new(written.affiliate.as_str())
            .map_err(|error| anyhow!("{error}, not {:?}", written.affiliate))?,
        discount,
        starts_at: written.starts_at,
        expires_at: written.expires_at,
        max_uses: written.max_uses,
        provider_ids: written.provider_id.clone(),
        uses: 0,
    };
    check_span(&code).map_err(|why| anyhow!(why))?;
    Ok((fold(&written.code)?, code))
}

/// Whether there is a moment at which the code counts.
fn check_span(code: &Code) -> Result<(), &'static str> {
    match (code.starts_at, code.expires_at) {
        (Some(start), Some(end)) if end <= start => Err("it would expire before it starts, and never count"),
        _ => Ok(()),
    }
}
