// Two comforts; every page works without them.
// One box marks or clears all boxes of its table.
for (const all of document.querySelectorAll("input[data-all]")) {
  const boxes = () => document.querySelectorAll(`input[name="${all.dataset.all}"]`);
  all.hidden = false;
  all.addEventListener("change", () => boxes().forEach((box) => { box.checked = all.checked; }));
}
// A part that shows what is going on now is fetched anew, unless somebody is looking elsewhere.
for (const part of document.querySelectorAll("[data-anew]")) {
  setInterval(async () => {
    if (document.hidden || part.contains(document.activeElement)) return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(part.id);
      if (fresh) part.replaceChildren(...fresh.childNodes);
    } catch { /* the next time comes */ }
  }, Number(part.dataset.anew) * 1000);
}
