//! `usher snippet`

use super::{GOOD, Place};

const WELL_KNOWN: &str = r#"Plain HTML: in <head>, before any router starts

<script async defer src="/r/pixel.js" data-affonso="cm4ya9sik0009l9fbcvl9m05z" data-cookie_duration="30" data-api-base="/r"></script>

Next.js (App Router): in app/layout.tsx

import Script from "next/script";

<Script
  strategy="beforeInteractive"
  src="/r/pixel.js"
  data-affonso="cm4ya9sik0009l9fbcvl9m05z"
  data-cookie_duration="30"
  data-api-base="/r"
/>

Google Tag Manager: a Custom HTML tag, fired on Initialization - All Pages

<script>
  (function () {
    var tag = document.createElement("script");
    tag.async = true;
    tag.src = "/r/pixel.js";
    tag.setAttribute("data-affonso", "cm4ya9sik0009l9fbcvl9m05z");
    tag.setAttribute("data-cookie_duration", "30");
    tag.setAttribute("data-api-base", "/r");
    document.head.appendChild(tag);
  })();
</script>
"#;

#[test]
fn the_tag_for_each_kind_of_page() {
    let place = Place::new(&GOOD.replace("names_secret = { env = \"NAMES_SECRET\" }", ""));
    assert_eq!(place.run(&["snippet", "--site", "shop"]).done(), WELL_KNOWN);
    assert_eq!(place.run(&["snippet"]).done(), WELL_KNOWN);
}

#[test]
fn the_tag_has_the_sites_own_name_prefix_days_and_consent() {
    let place = Place::new(&format!("{GOOD}prefix = \"/k7q\"\ncookie_days = 90\nconsent = \"required\"\n"));
    let said = place.run(&["snippet"]).done();
    assert!(!said.contains("pixel"), "{said}");
    for (part, times) in [
        ("=\"/k7q\"", 2),
        (", \"/k7q\")", 1),
        ("\"/k7q/", 3),
        (".js\"", 3),
        ("data-cookie_duration=\"90\"", 2),
        ("(\"data-cookie_duration\", \"90\")", 1),
        ("data-requires-consent=\"true\"", 2),
        ("(\"data-requires-consent\", \"true\")", 1),
    ] {
        assert_eq!(said.matches(part).count(), times, "{part} in {said}");
    }
}

#[test]
fn pages_on_another_host_get_whole_addresses() {
    let place = Place::new(GOOD);
    let said = place.run(&["snippet", "--host", "GO.shop.example"]).done();
    assert!(
        said.contains(" data-api-base=\"https://go.shop.example/r\"")
            && said.contains(" src=\"https://go.shop.example/r/")
    );
    let said = place.run(&["snippet", "--host", "evil.example"]).failed();
    assert_eq!(
        said,
        "usher: site shop has no host \"evil.example\"; it has: shop.example, go.shop.example\n"
    );
}
