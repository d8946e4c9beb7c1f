// The controls of the image browser: what they offer, what they say, and the keys.
"use strict";
window.MICROSCOPE = window.MICROSCOPE || {};

(function (microscope) {
  const { make } = microscope.panels;
  const { VIEWS, FREE } = microscope.address;
  const FILTERS = ["q", "c", "f", "min", "max"];

  const byName = (name) => document.querySelector(`#browser [name="${name}"]`);
  const byId = (id) => document.getElementById(id);

  function options(name, entries) {
    byName(name).replaceChildren(...entries.map(function ([value, title]) {
      const option = make("option", "", title);
      option.value = value;
      return option;
    }));
  }

  function boxes(cases, toggle) {
    byId("methods").replaceChildren(...cases.methods.map(function (method) {
      const input = make("input");
      Object.assign(input, { type: "checkbox", value: method.key });
      input.addEventListener("change", toggle);
      return make("label", "", input, " ", method.title);
    }));
  }

  // Offer what a data set has. toggle() is called when the chosen methods change.
  function fill(datasets, cases, toggle) {
    const methods = cases.methods.map((one) => [one.key, one.title]);
    const seeds = [...new Set(cases.methods.flatMap((one) => one.seeds))].map((seed) => [seed, seed]);
    options("d", datasets.map((one) => [one.key, one.title]));
    options("m", methods);
    options("g", methods);
    options("s", seeds);
    options("c", [["", "all"], ...cases.classes.map((one) => [one.key, one.title]), ["none", "no class at all"]]);
    boxes(cases, toggle);
  }

  function show(state) {
    for (const name of ["d", "m", "s", "g", "o", "f", "c", "min", "max", "q", "a"]) {
      if (byName(name).value !== state[name]) byName(name).value = state[name];
    }
    byName("p").checked = state.p === "safe";
    byName("seeds").checked = state.w === "seeds";
    document.querySelectorAll('#browser [name="v"]').forEach((one) => (one.checked = one.value === state.v));
    const chosen = state.w.split(",");
    document.querySelectorAll("#methods input").forEach(function (one) {
      one.checked = state.w === "" || state.w === "seeds" || chosen.includes(one.value);
    });
    if (FILTERS.some((name) => name !== "q" && state[name] !== "")) byId("more").open = true;
  }

  const checked = () => Array.from(document.querySelectorAll("#methods input"), (one) => one.checked && one.value);

  // The methods shown as the address has them: empty for all, and where none is chosen.
  function chosenMethods() {
    const all = checked();
    const some = all.filter(Boolean);
    return some.length === all.length ? "" : some.join(",");
  }

  function listen(change) {
    for (const name of ["d", "m", "s", "g", "o", "f", "c"]) {
      byName(name).addEventListener("change", (event) => change({ [name]: event.target.value }));
    }
    for (const name of ["q", "min", "max", "a"]) {
      byName(name).addEventListener("input", (event) => change({ [name]: event.target.value }, "quiet"));
    }
    document.querySelectorAll('#browser [name="v"]').forEach(function (one) {
      one.addEventListener("change", () => change({ v: one.value }));
    });
    byName("p").addEventListener("change", (event) => change({ p: event.target.checked ? "safe" : "" }));
    byName("seeds").addEventListener("change", (event) => change({ w: event.target.checked ? "seeds" : "" }));
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("all-methods").addEventListener("click", () => change({ w: "" }));
    byId("clear").addEventListener("click", function () {
      change(Object.fromEntries(FILTERS.map((name) => [name, FREE[name]])));
    });
  }

  const TYPING = "input:not([type=checkbox], [type=radio], [type=range]), select, textarea";

  // Keys of the page; what is typed into a field, or moves a control, is left to it.
  function keys({ change, step, seed, zoom, palette }) {
    const actions = {
      j: () => step(1), ArrowRight: () => step(1), ArrowDown: () => step(1),
      k: () => step(-1), ArrowLeft: () => step(-1), ArrowUp: () => step(-1),
      "[": () => seed(-1), "]": () => seed(1), p: palette,
      "+": zoom.in, "=": zoom.in, "-": zoom.out, "0": zoom.reset,
      f: () => byName("q").focus(), "?": () => byId("help").showModal(),
    };
    VIEWS.forEach((view, k) => (actions[k + 1] = () => change({ v: view })));
    document.addEventListener("keydown", function (event) {
      const action = actions[event.key];
      const moves = event.key.startsWith("Arrow") && event.target.matches("[type=radio], [type=range]");
      if (!action || event.ctrlKey || event.altKey || event.metaKey || byId("help").open) return;
      if (event.target.matches(TYPING) || moves) return;
      event.preventDefault();
      action();
    });
  }

  microscope.controls = { fill, show, listen, keys, chosenMethods, byName, byId, FILTERS };
})(window.MICROSCOPE);
