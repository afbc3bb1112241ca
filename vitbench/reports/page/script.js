"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Tables: a click on a heading sorts, a second one turns round; what has no number comes last.
  const sort = (heading) => {
    const numeric = heading.querySelector("button").dataset.kind === "number";
    const first = numeric ? "descending" : "ascending";
    const now = heading.getAttribute("aria-sort");
    const down = (now === "descending" ? "ascending" : now ? "descending" : first) === "descending";
    const row = heading.parentElement;
    const body = row.closest("table").tBodies[0];
    const place = [...row.children].indexOf(heading);
    const key = (line) => {
      const cell = line.children[place];
      if (!numeric) return cell.textContent.trim().toLowerCase();
      return cell.dataset.v === undefined || cell.dataset.v === "" ? null : Number(cell.dataset.v);
    };
    const compare = (a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      const order = numeric ? a.key - b.key : a.key.localeCompare(b.key, "en", { numeric: true });
      return down ? -order : order;
    };
    const lines = [...body.rows].map((line) => ({ line, key: key(line) }));
    body.append(...lines.sort(compare).map((entry) => entry.line));
    for (const other of row.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  for (const button of all(".sortable thead button")) {
    button.addEventListener("click", () => sort(button.closest("th")));
  }

  // Filter: names and sources.
  const find = document.getElementById("find");
  const rows = all("tr[data-name]");
  let source = "all";
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const named = words.every((word) => row.dataset.name.includes(word));
      row.hidden = !(named && (source === "all" || row.dataset.source === source));
      shown += !row.hidden;
    }
    const told = document.getElementById("found");
    if (told) told.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} rows shown`;
  };
  find.addEventListener("input", filter);
  for (const button of all("[data-show]")) {
    button.addEventListener("click", () => {
      source = button.dataset.show;
      for (const other of all("[data-show]")) other.setAttribute("aria-pressed", other === button);
      filter();
    });
  }

  // Pictures are made when they are first looked at.
  const unpack = (details) => {
    for (const template of all(":scope > template", details)) {
      template.replaceWith(template.content.cloneNode(true));
    }
  };
  for (const details of all("details")) {
    details.addEventListener("toggle", () => {
      if (!details.open) return;
      unpack(details);
      const first = details.querySelector(":scope > details.item");
      if (first && !details.querySelector("details.item[open]")) first.open = true;
    });
  }
  // A link to one item opens it: #item=board-0/its%20id
  const openItem = () => {
    const [, wanted] = /^#item=(.*)$/.exec(location.hash) || [];
    if (!wanted) return;
    const item = document.querySelector(`[data-item="${CSS.escape(decodeURIComponent(wanted))}"]`);
    if (!item) return;
    for (let place = item; place; place = place.parentElement) {
      if (place.localName === "details") { place.open = true; unpack(place); }
    }
    for (const other of item.parentElement.querySelectorAll("details.item[open]")) other.open = other === item;
    item.scrollIntoView({ block: "start" });
    item.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", openItem);
  document.addEventListener("click", (event) => {
    const summary = event.target.closest("details.item > summary");
    if (!summary || summary.parentElement.open) return;
    history.replaceState(null, "", `#item=${encodeURIComponent(summary.parentElement.dataset.item)}`);
  });
  const gallery = document.querySelector("details.gallery");
  if (gallery && gallery.querySelector("template")) gallery.open = true;
  openItem();

  // One picture large; the arrow keys turn over to its neighbors.
  const viewer = document.getElementById("viewer");
  let shelf = [];
  let at = 0;
  const show = (index) => {
    at = (index + shelf.length) % shelf.length;
    const image = viewer.querySelector("img");
    image.src = shelf[at].src;
    image.alt = shelf[at].alt;
    viewer.querySelector("figcaption").textContent = shelf[at].alt;
  };
  document.addEventListener("click", (event) => {
    const opener = event.target.closest(".shot .open");
    if (opener) {
      shelf = all(".shot img", opener.closest(".shots"));
      show(shelf.indexOf(opener.querySelector("img")));
      viewer.showModal();
    }
    const turner = event.target.closest("[data-step]");
    if (turner) show(at + Number(turner.dataset.step));
    const copier = event.target.closest(".copy button");
    if (copier) copy(copier);
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") show(at + 1);
    if (event.key === "ArrowLeft") show(at - 1);
  });

  const copy = (button) => {
    const range = document.createRange();
    range.selectNodeContents(button.previousElementSibling);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    document.execCommand("copy"); // works from a file too, where the clipboard object may not
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  };

  // Light or dark: as the system says until the button is used.
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
