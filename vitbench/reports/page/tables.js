"use strict";
// Tables: choose their columns, and take them along as CSV.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const tableOf = (element) => {
    let place = element.closest(".table-tools").previousElementSibling;
    while (place && !place.querySelector("table")) place = place.previousElementSibling;
    return place && place.querySelector("table");
  };
  const label = (cell) => {
    const name = cell.querySelector("button") || cell;
    return (name.firstChild ? name.firstChild.textContent : "").trim();
  };

  // A column is hidden by its place, in every row; the first one stays.
  const showColumn = (table, place, shown) => {
    for (const row of table.rows) row.children[place].classList.toggle("gone", !shown);
  };
  for (const details of all(".columns")) {
    const table = tableOf(details);
    const heads = table ? [...table.tHead.rows[0].cells] : [];
    if (heads.length < 4) { details.hidden = true; continue; }
    heads.forEach((head, place) => {
      if (place === 0 || !label(head) || head.classList.contains("track")) return;
      const choice = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.addEventListener("change", () => showColumn(table, place, box.checked));
      choice.append(box, ` ${label(head)}`);
      details.lastElementChild.append(choice);
    });
  }

  // What is hidden stays out; numbers go out as they are kept, texts never as formulas.
  const hidden = (cell) => cell.hidden || cell.classList.contains("gone") || cell.classList.contains("track");
  const value = (cell) => {
    if (cell.dataset.v) return cell.dataset.v;
    const copy = cell.cloneNode(true);
    for (const aside of copy.querySelectorAll(".tag, .off, small")) aside.remove();
    const text = copy.textContent.replace(/\s+/g, " ").trim();
    return /^[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  };
  const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const csv = (table) => [...table.rows]
    .filter((row) => !row.hidden)
    .map((row) => [...row.cells].filter((cell) => !hidden(cell))
      .map((cell) => quote(cell.closest("thead") ? label(cell) : value(cell))).join(","))
    .join("\n");
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".download");
    if (!button) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${csv(tableOf(button))}\n`], { type: "text/csv" }));
    link.download = `${button.dataset.file.replace(/[^\w.-]+/g, "-")}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });

  // Boards of one family or protocol: what does not belong to it is hidden.
  const chooser = document.getElementById("protocol");
  const choose = () => {
    const [kind, wanted] = chooser.value ? chooser.value.split(/:(.*)/) : ["", ""];
    const fits = (element) => !kind || element.dataset[kind] === wanted;
    for (const part of all("section.board, #boards a[data-protocol]")) part.hidden = !fits(part);
    for (const answer of all(".answers [data-family]")) {
      answer.hidden = kind === "family" && answer.dataset.family !== wanted;
    }
    for (const head of all("#leaderboard thead th[data-protocol]")) {
      const place = [...head.parentElement.children].indexOf(head);
      for (const row of head.closest("table").rows) row.children[place].hidden = !fits(head);
    }
    document.dispatchEvent(new CustomEvent("boards", { detail: fits }));
  };
  chooser.addEventListener("change", choose);

  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea, dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = { "/": "find", p: "protocol", c: "versus-a" }[event.key];
    const found = target && document.getElementById(target);
    if (!found) return;
    event.preventDefault();
    found.scrollIntoView({ block: "center" });
    found.focus();
  });
})();
