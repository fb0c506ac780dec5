//! The one way of every sale, lead and event: look up what speaks for whom, choose, write down.

use super::{
    Conversions,
    fields::{Fields, raw, text_of},
    sale::Sale,
    write::Written,
};
use crate::{
    Refusal,
    attribution::{By, Choice, Doubt, Rule, Rules, Seen, Signal, Standing, Trace, WhyNot, choose},
    capture::late_click,
};
use serde_json::Value;
use usher_model::{
    AffiliateCode, Click, ClickId, CodeUse, Entry, Job, RecordId, Send, Site, UnixMs, Upstream, limits,
};

/// What is known when a sale is about to be written down.
struct Chosen<'a> {
    sale: &'a Sale,
    signals: &'a [Signal],
    choice: Choice,
    /// When it was made, or came in.
    made_at: UnixMs,
    now: UnixMs,
}

/// The click that is credited.
struct Credited {
    id: ClickId,
    standing: Standing,
}

impl Conversions {
    /// Takes a sale, a lead or an event: whom to credit, written down once. It is on stable storage when this comes back
    /// well.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub(crate) async fn take(&self, site: &Site, sale: &Sale) -> Result<Written, Refusal> {
        match self.attribute(site, sale).await {
            Err(refusal @ (Refusal::NotFound { .. } | Refusal::Invalid { .. })) => {
                // What was accepted stays accepted, also when its code or its click counts no longer.
                let earlier = self.earlier(&site.name, &sale.source, sale.job, &sale.key, &sale.fingerprint);
                earlier.await?.map(Written::Known).ok_or(refusal)
            }
            outcome => outcome,
        }
    }

    async fn attribute(&self, site: &Site, sale: &Sale) -> Result<Written, Refusal> {
        let now = self.tools.clock.now();
        // A sale that says that it lies ahead would make old clicks young.
        let made_at = sale.made_at.map_or(now, |at| at.min(now));
        let evidence = self.evidence(site);
        let mut signals = evidence.signals(&sale.hints, made_at).await?;
        let rules = match sale.is_subscription() {
            true => Rules::from(site).for_subscriptions(),
            false => Rules::from(site),
        };
        loop {
            let choice = choose(&mut signals, rules, made_at);
            let entry = self.entry(site, &Chosen { sale, signals: &signals, choice, made_at, now })?;
            match (self.write(entry).await?, choice.code.and_then(|code| signals.get_mut(code))) {
                (Some(written), _) => return Ok(written),
                // The last use went to another order between our look and our write.
                (None, Some(code)) => code.seen.why_not = Some(WhyNot::UsedUp),
                (None, None) => return Err(nobody(sale, &signals)),
            }
        }
    }

    /// What is to be written, by the rule that won.
    fn entry(&self, site: &Site, chosen: &Chosen<'_>) -> Result<Entry, Refusal> {
        let Chosen { sale, signals, choice, now, .. } = chosen;
        let mut fields = sale.fields.clone();
        let (credited, mut mint) = self.credited(site, chosen);
        let mut send = self.delivery.when(&site.name, sale.job);
        let mut needs = None;
        match &credited {
            Some(Credited { standing: Standing::Usable(upstream), .. }) => {
                fields.insert(sale.click_field.to_owned(), raw(upstream)?);
            }
            Some(Credited { id, .. }) => needs = Some(id.clone()),
            None if choice.rule == Rule::Platform => {}
            None => match &sale.close_unbrought {
                Some(why) => send = Send::Never(why.clone()),
                None => return Err(nobody(sale, signals)),
            },
        }
        drop_strangers(&mut fields, chosen);
        let (job, body) = told_to(sale, &credited, &fields)?;
        if matches!(send, Send::Never(_)) {
            mint = None;
        }
        let code = choice.code.and_then(|code| signals.get(code));
        let click = credited.map(|credited| credited.id);
        Ok(Entry {
            id: RecordId::mint(kind(sale), *now, self.tools.random.as_ref()),
            site: site.name.clone(),
            source: sale.source.clone(),
            job,
            key: sale.key.clone(),
            fingerprint: sale.fingerprint,
            body,
            needs,
            mint: mint.map(|click| {
                let body = Value::Object(late_click(site, &click)).to_string();
                (click, body)
            }),
            code: code.and_then(code_use),
            bind: click.clone().filter(|_| !sale.bind.is_empty()).map(|click| (click, sale.bind.clone())),
            click,
            names: sale.names.clone(),
            paid: sale.paid,
            refund: None,
            send,
            trace: Trace { proof: sale.proof, ..trace(chosen) }.to_json(),
            now: *now,
        })
    }

    /// The click that is credited, and the one that is to be written with the sale.
    fn credited(&self, site: &Site, chosen: &Chosen<'_>) -> (Option<Credited>, Option<Click>) {
        let Some(winner) = chosen.choice.winner.and_then(|place| chosen.signals.get(place)) else {
            return (None, None);
        };
        match (winner.seen.by, &winner.seen.affiliate, winner.click()) {
            (By::Code, Some(affiliate), _) => {
                let click = self.minted(site, affiliate, chosen.now);
                (Some(Credited { id: click.id.clone(), standing: Standing::Awaited }), Some(click))
            }
            (_, _, Some(id)) => {
                let unwritten = match &winner.standing {
                    Standing::Unwritten(click) => Some(Click::clone(click)),
                    _ => None,
                };
                (Some(Credited { id, standing: winner.standing.clone() }), unwritten)
            }
            _ => (None, None),
        }
    }

    /// A click for the affiliate of a code, since the platform takes no codes.
    fn minted(&self, site: &Site, affiliate: &AffiliateCode, now: UnixMs) -> Click {
        Click {
            id: ClickId::mint(now, self.tools.random.as_ref()),
            site: site.name.clone(),
            affiliate: affiliate.clone(),
            visitor: None,
            created_at: now,
            upstream: Upstream::Pending,
        }
    }
}

/// Identifiers that resolve to different referrals are an error upstream: a customer of another click is left out.
fn drop_strangers(fields: &mut Fields, chosen: &Chosen<'_>) {
    let winner = chosen.choice.winner.and_then(|place| chosen.signals.get(place));
    for customer in chosen.signals.iter().filter(|signal| signal.seen.by == By::Customer) {
        // The platform never learned of a customer through a click that it refused.
        let is_known = customer.standing != Standing::None;
        if is_known && winner.is_some_and(|winner| !customer.leads_to_click_of(winner)) {
            fields.remove(customer.field);
        }
    }
}

/// What the platform is told, and where.
fn told_to(sale: &Sale, credited: &Option<Credited>, fields: &Fields) -> Result<(Job, String), Refusal> {
    match &sale.as_it_came {
        Some(as_it_came) if credited.is_none() && sale.hints.clicks.is_empty() => Ok(as_it_came.clone()),
        _ => Ok((sale.job, text_of(fields)?)),
    }
}

/// The word that its readers recognise a record by.
fn kind(sale: &Sale) -> &'static str {
    match (sale.paid, sale.job) {
        (Some(_), _) => "conv",
        (None, Job::Signup) => "lead",
        (None, _) => "evt",
    }
}

fn code_use(code: &Signal) -> Option<CodeUse> {
    let folded = usher_model::PromoCode::fold(&code.seen.what)?;
    Some(CodeUse { code: folded, max_uses: code.max_uses })
}

fn trace(chosen: &Chosen<'_>) -> Trace {
    Trace {
        rule: chosen.choice.rule,
        policy: chosen.choice.policy,
        paid_at: (chosen.made_at != chosen.now).then_some(chosen.made_at),
        proof: None,
        seen: chosen.signals.iter().map(|signal| seen(signal, chosen)).collect(),
    }
}

/// Whoever buys has looked at something first; a click in the same moments was made by the shop's own page, or by somebody
/// who fakes one at the checkout.
fn seen(signal: &Signal, chosen: &Chosen<'_>) -> Seen {
    let age_ms = signal.seen.at.map(|at| chosen.made_at.since(at));
    let is_hasty =
        chosen.sale.paid.is_some() && age_ms.is_some_and(|age_ms| (0..limits::HASTY_MS).contains(&age_ms));
    Seen { doubt: signal.seen.doubt.or(is_hasty.then_some(Doubt::Hasty)), ..signal.seen.clone() }
}

/// Nobody can be credited: says what was looked at.
fn nobody(sale: &Sale, signals: &[Signal]) -> Refusal {
    let strongest = signals.iter().find(|signal| signal.seen.by != By::Customer);
    match strongest {
        Some(signal) => Refusal::NotFound { field: Some(signal.field), message: why_not(signal) },
        None if sale.paid.is_some() => Refusal::invalid(
            "referral_id",
            "one of referral_id, promo_code, order_id, customer_id or external_user_id is required",
        ),
        None => {
            Refusal::invalid("referral_id", "one of referral_id, customer_id or external_user_id is required")
        }
    }
}

fn why_not(signal: &Signal) -> String {
    let what = &signal.seen.what;
    if let Some(words) = &signal.words {
        return words.clone();
    }
    match (signal.seen.by, signal.seen.why_not) {
        (By::Code, _) => {
            format!(
                "{what} is no promo code of an affiliate that counts now, and nothing else names a referral"
            )
        }
        (By::Order, _) => {
            format!("the order {what} is not tied to a click that counts, and nothing else names a referral")
        }
        (_, Some(WhyNot::TooOld)) => format!("the click {what} is older than this site's cookie_days"),
        _ => format!("the click {what} credits nobody"),
    }
}
