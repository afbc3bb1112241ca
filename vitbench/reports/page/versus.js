"use strict";
// Two runs face to face: every metric's difference, and the items that changed most.
(() => {
  const store = document.getElementById("versus-data");
  if (!store) return;
  const data = JSON.parse(store.textContent);
  const [a, b] = ["a", "b"].map((side) => document.getElementById(`versus-${side}`));
  const out = document.getElementById("versus-out");
  const MOST = 8; // items on either side
  let fits = () => true;

  const make = (name, text, kind) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const number = (value, digits) => (value === null || value === undefined ? "—" : digits === 3 ? String(Number(value.toPrecision(4))) : (Number(value.toFixed(digits)) + 0).toFixed(digits)); // + 0: no -0
  const signed = (value, digits) => (value === null ? "—" : `${value > 0 ? "+" : ""}${number(value, digits)}`);
  const minus = (one, other) => (one === null || other === null || one === undefined || other === undefined ? null : one - other);
  const better = (gap, up) => (up === null || !gap ? "" : (gap > 0) === up ? "up" : "down");

  const row = (body, cells) => {
    const line = body.insertRow();
    cells.forEach(([text, kind, value], place) => {
      const cell = place ? line.insertCell() : line.appendChild(make("th"));
      if (!place) cell.scope = "row";
      cell.className = kind || "";
      if (text instanceof Node) cell.append(text); else cell.textContent = text;
      if (value !== undefined && value !== null) cell.dataset.v = value;
    });
  };
  const table = (heads, caption) => {
    const whole = make("div", undefined, "scroll");
    whole.tabIndex = 0;
    whole.setAttribute("role", "region");
    whole.setAttribute("aria-label", caption);
    const grid = make("table");
    const top = grid.createTHead().insertRow();
    heads.forEach((text, place) => {
      const head = top.appendChild(make("th", text, place ? "num" : "who"));
      head.scope = "col";
    });
    whole.append(grid);
    return [whole, grid.createTBody()];
  };

  const noted = (text, note) => {
    const whole = make("span", text);
    whole.append(make("small", note, "note"));
    return whole;
  };

  const changed = (board, one, other) => {
    const [left, right] = [board.items[one], board.items[other]];
    if (!left || !right) return [];
    return board.ids
      .map((id, place) => ({ id, one: left[place], other: right[place], gap: minus(right[place], left[place]) }))
      .filter((item) => item.gap)
      .sort((x, y) => y.gap - x.gap);
  };
  const link = (board, id) => {
    const anchor = `${board.anchor}/${id}`;
    if (!document.querySelector(`[data-item="${CSS.escape(anchor)}"]`)) return document.createTextNode(id);
    const found = make("a", id);
    found.href = `#item=${encodeURIComponent(anchor)}`;
    return found;
  };

  const show = () => {
    const [one, other] = [a.value, b.value];
    const [whole, lines] = table(["board", "A", "B", "B − A"], "every board");
    const more = make("details", undefined, "more");
    more.open = Boolean(out.querySelector(":scope > details[open]"));
    more.append(make("summary", "Every metric, and the items that changed most"));
    const duels = more.appendChild(make("div", undefined, "duels"));
    const counts = { a: 0, b: 0, open: 0 };
    for (const board of data.boards) {
      const section = document.getElementById(board.anchor);
      if (!board.scores[one] || !board.scores[other] || (section && !fits(section))) continue;
      const part = make("article", undefined, "duel");
      part.append(make("h3", board.title));
      const said = board.said.find(({ runs }) => runs.includes(one) && runs.includes(other));
      part.append(make("p", said ? said.text : "not compared item by item: can't tell", said && said.sure ? "fine sure" : "fine soft"));
      const head = board.columns[board.place];
      const [left, right] = [board.scores[one][board.place], board.scores[other][board.place]];
      const gap = minus(right, left);
      const ahead = said && said.sure ? ((gap > 0) === (head.up !== false) ? "b" : "a") : "open";
      counts[ahead] += 1;
      row(lines, [[noted(board.name, head.label), "who"], [number(left, head.digits), "num", left], [number(right, head.digits), "num", right],
        [noted(signed(gap, head.digits), { a: "A is better", b: "B is better", open: "can't tell" }[ahead]), `num delta ${ahead === "open" ? "" : better(gap, head.up)}`, gap]]);
      const [grid, body] = table(["metric", "A", "B", "B − A"], board.title);
      board.columns.forEach((column, place) => {
        const [left, right] = [board.scores[one][place], board.scores[other][place]];
        const gap = minus(right, left);
        row(body, [[column.label, "who"], [number(left, column.digits), "num", left], [number(right, column.digits), "num", right],
          [signed(gap, column.digits), `num delta ${said && said.sure && place === board.place ? better(gap, column.up) : ""}`, gap]]);
      });
      part.append(grid);
      const items = changed(board, one, other);
      if (items.length) {
        const gains = items.filter((item) => item.gap > 0).slice(0, MOST);
        const falls = items.filter((item) => item.gap < 0).slice(-MOST);
        const more = make("details", undefined, "more");
        more.append(make("summary", `${items.length.toLocaleString("en")} of ${board.ids.length.toLocaleString("en")} ${board.noun} changed; those that changed most`));
        const [list, lines] = table([board.noun, "A", "B", "B − A"], `${board.noun} that changed most`);
        for (const item of [...gains, ...falls]) {
          row(lines, [[link(board, item.id), "who"], [number(item.one, 1), "num"], [number(item.other, 1), "num"],
            [signed(item.gap, 1), `num delta ${better(item.gap, board.up)}`]]);
        }
        more.append(list);
        part.append(more);
      }
      duels.append(part);
    }
    if (!duels.children.length) {
      out.replaceChildren(make("p", "These two stand on no board together.", "soft"));
      return;
    }
    const boards = (count) => `${count} board${count === 1 ? "" : "s"}`;
    out.replaceChildren(
      make("p", `${one} (A) is surely better on ${boards(counts.a)}, ${other} (B) on ${boards(counts.b)}; on ${boards(counts.open)} nobody can tell.`),
      whole, more,
    );
  };

  // The leaderboard's differences to one run; those that the comparisons call sure are marked.
  const against = document.getElementById("against");
  const hold = () => {
    for (const old of document.querySelectorAll("#leaderboard .against")) old.remove();
    const held = against.value;
    if (!held) return;
    const lines = [...document.querySelectorAll("#leaderboard tbody tr")];
    const heads = [...document.querySelectorAll("#leaderboard thead th")];
    heads.forEach((head, place) => {
      const board = data.boards.find(({ key }) => key === head.dataset.key);
      if (!board || !board.scores[held]) return;
      const column = board.columns[board.place];
      for (const line of lines) {
        const scores = board.scores[line.dataset.run];
        if (!scores || line.dataset.run === held) continue;
        const gap = minus(scores[board.place], board.scores[held][board.place]);
        if (gap === null) continue;
        const said = board.said.find(({ runs }) => runs.includes(held) && runs.includes(line.dataset.run));
        const sure = Boolean(said && said.sure);
        const note = make("small", `${signed(gap, column.digits)} ${sure ? "sure" : "can't tell"}`, `against delta ${sure ? better(gap, column.up) : ""}`);
        note.title = said ? said.text : "not compared item by item";
        line.children[place].append(note);
      }
    });
  };
  for (const run of data.runs) against.add(new Option(run, run));
  against.addEventListener("change", hold);

  [a, b].forEach((side, place) => {
    for (const run of data.runs) side.add(new Option(run, run, false, run === data.pair[place]));
  });
  const change = () => {
    if (a.value === b.value) out.replaceChildren(make("p", "Choose two runs.", "soft")); else show();
  };
  a.addEventListener("change", change);
  b.addEventListener("change", change);
  document.getElementById("versus-swap").addEventListener("click", () => {
    [a.value, b.value] = [b.value, a.value];
    change();
  });
  document.addEventListener("boards", (event) => { fits = event.detail; change(); });
  change();
})();
