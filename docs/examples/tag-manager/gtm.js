// PLAYS GOOGLE'S PART: your page loads https://www.googletagmanager.com/gtm.js, which holds your container. This one has one
// Custom HTML tag, custom-html.html, and puts it into the page as Google does: markup first, and then each script made anew,
// with no attributes but those that it knows.
(async function () {
  const html = await (await fetch("/custom-html.html")).text();
  const holder = document.createElement("div");
  holder.style.display = "none";
  holder.innerHTML = html;
  for (const written of holder.querySelectorAll("script")) {
    const script = document.createElement("script");
    for (const name of ["src", "type", "id", "charset", "async", "defer"])
      if (written.hasAttribute(name)) script.setAttribute(name, written.getAttribute(name));
    script.text = written.text;
    written.replaceWith(script);
  }
  document.body.append(holder);
})();
