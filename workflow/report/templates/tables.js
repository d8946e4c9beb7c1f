// The tables of the report: views, sorting within groups, copying. The address of the page holds the
// view and the order (`#view=printed&sort=3&order=down`), so that both can be linked to.
// Without this script the page reads as the paper's table does.
"use strict";

(function () {
  const FIRST = "down"; // numbers: the largest first
  const state = { view: "all", sort: null, order: FIRST };
  let results, tools, headings, bodies;

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("table.results-table").forEach(function (table) {
      if (table.dataset.view) return;
      const parts = prepare(table);
      let sorted = null;
      parts.headings.forEach(function (heading, column) {
        addButton(heading, function () {
          sorted = next(sorted, column, parts.bodies);
          sort(parts, sorted, "all");
          say(ordered(parts, sorted));
        });
      });
    });
    results = document.querySelector("table.results-table[data-view]");
    tools = document.querySelector(".tools");
    if (!results || !tools) return;
    ({ headings, bodies } = prepare(results));
    headings.forEach((heading, column) => addButton(heading, () => choose(column)));
    tools.hidden = false;
    tools.querySelectorAll("input[name=view]").forEach(function (input) {
      input.addEventListener("change", () => change({ view: input.value }));
    });
    tools.querySelector(".reset").addEventListener("click", function () {
      change({ sort: null });
      headings[0].querySelector("button").focus();
    });
    tools.querySelectorAll("button[data-copy]").forEach(function (button) {
      button.addEventListener("click", () => copy(button));
    });
    window.addEventListener("hashchange", follow);
    follow();
  });

  // The headings of the columns, left to right, and the rows of each group in the paper's order. A
  // title that spans rows is kept for each of them, to be shown where sorting parts them.
  function prepare(table) {
    const rows = Array.from(table.tHead.rows);
    const found = rows.flatMap((row) => Array.from(row.cells));
    const groups = Array.from(table.tBodies).map(function (body) {
      const all = Array.from(body.rows).filter((row) => !row.classList.contains("group"));
      let title = null;
      return all.map(function (row) {
        const first = row.cells[0];
        if (first.classList.contains("stub")) title = first;
        const own = first === title;
        const copy = own ? null : title.cloneNode(true);
        if (copy) copy.rowSpan = 1;
        return { row, title, span: title.rowSpan, copy };
      });
    });
    return { headings: found.filter((cell) => !cell.classList.contains("span")), bodies: groups };
  }

  function addButton(heading, action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...heading.childNodes);
    button.addEventListener("click", action);
    heading.append(button);
  }

  // Clicking a column sorts it, clicking it again turns the order round.
  function next(sorted, column, bodies) {
    if (sorted && sorted.column === column) {
      return { column, order: sorted.order === "down" ? "up" : "down" };
    }
    const whole = bodies.flat().filter((line) => !line.copy);
    const texts = whole.some((line) => typeof key(line.row.cells[column], "all") === "string");
    return { column, order: texts ? "up" : FIRST };
  }

  function choose(column) {
    const sorted = state.sort === null ? null : { column: state.sort, order: state.order };
    const wanted = next(sorted, column, bodies);
    change({ sort: wanted.column, order: wanted.order });
  }

  // What a cell is sorted by: its number in the view, the number its text begins with, its text.
  function key(cell, view) {
    const exact = cell.dataset[view === "all" ? "run" : view];
    if (exact !== undefined) return Number(exact);
    if (/state-(?!fact)/.test(cell.className)) return null;
    const text = cell.textContent.trim().replace("\u2212", "-").replace(/^< /, "");
    if (cell.matches("th, .setup") || !/^[-+]?\d/.test(text)) return text || null;
    return parseFloat(text);
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null); // what is missing comes last
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), "en", { numeric: true });
  }

  // Order the rows of each group; null is the order of the paper, with its spanning titles.
  function sort(parts, sorted, view) {
    parts.headings.forEach(function (heading, column) {
      heading.removeAttribute("aria-sort");
      if (sorted && sorted.column === column) {
        heading.setAttribute("aria-sort", sorted.order === "up" ? "ascending" : "descending");
      }
    });
    parts.bodies.forEach(function (lines) {
      let order = lines;
      lines.forEach(function (line) {
        if (!line.copy) line.title.rowSpan = sorted ? 1 : line.span;
        else if (sorted) line.row.prepend(line.copy);
        else line.copy.remove();
      });
      if (sorted) {
        const sign = sorted.order === "up" ? 1 : -1;
        const keyed = lines.map((line) => ({ line, key: key(line.row.cells[sorted.column], view) }));
        order = keyed.sort((a, b) => compare(a.key, b.key, sign)).map((one) => one.line);
      }
      order.forEach((line) => line.row.parentNode.append(line.row));
    });
  }

  function change(wanted) {
    Object.assign(state, wanted);
    const said = new URLSearchParams();
    if (state.view !== "all") said.set("view", state.view);
    if (state.sort !== null) {
      said.set("sort", state.sort + 1);
      said.set("order", state.order);
    }
    const fragment = said.toString();
    window.history.replaceState(null, "", fragment ? "#" + fragment : window.location.pathname);
    apply();
  }

  // Take view and order from the address; what it does not know is left as the paper has it.
  function follow() {
    const said = new URLSearchParams(window.location.hash.slice(1));
    const views = Array.from(tools.querySelectorAll("input[name=view]"), (input) => input.value);
    const column = Number(said.get("sort")) - 1;
    state.view = views.includes(said.get("view")) ? said.get("view") : "all";
    state.sort = said.has("sort") && headings[column] ? column : null;
    state.order = said.get("order") === "up" ? "up" : "down";
    apply();
  }

  function apply() {
    const input = Array.from(tools.querySelectorAll("input[name=view]")).find((one) => one.value === state.view);
    const sorted = state.sort === null ? null : { column: state.sort, order: state.order };
    input.checked = true;
    results.dataset.view = state.view;
    sort({ headings, bodies }, sorted, state.view);
    tools.querySelector(".reset").hidden = !sorted;
    say(sorted ? input.dataset.note + " " + ordered({ headings }, sorted) : input.dataset.note);
  }

  // The order of a table in words, for those who do not see the arrow.
  function ordered(parts, sorted) {
    const name = parts.headings[sorted.column].textContent.trim();
    return "Sorted by " + name + (sorted.order === "up" ? ", ascending." : ", descending.");
  }

  function say(text) {
    const status = tools && tools.querySelector("[role=status]");
    if (status) status.textContent = text;
  }

  function copy(button) {
    const text = window.resformer.texts[button.dataset.copy];
    const done = () => say(button.dataset.name + " copied: the whole table, every view.");
    if (copyBySelection(text)) return done();
    const clipboard = window.navigator.clipboard;
    const failed = () => say("The browser does not allow copying; the downloads below hold the same text.");
    return clipboard ? clipboard.writeText(text).then(done, failed) : failed();
  }

  // Works for pages from disk too, where the clipboard itself may be out of reach.
  function copyBySelection(text) {
    const area = document.createElement("textarea");
    const focused = document.activeElement;
    area.className = "said";
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (focused) focused.focus();
    return copied;
  }
})();
