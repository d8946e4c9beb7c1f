// The state of the image browser and the address that holds it: `#d=<data set>&i=<image id>…`. What
// the address says and the data do not know is named, and falls back.
"use strict";
window.MICROSCOPE = window.MICROSCOPE || {};

(function (microscope) {
  const { ORDERS, ERRORS } = microscope.order;
  const VIEWS = ["classes", "outcomes", "agreement", "variance"];
  const RESFORMER = "resformer_par"; // compared with the others where nothing is said
  // d data set, i image, m method, s seed, g compared method, c class, f error type, o order, v view,
  // q text of the id or the group, min and max area in per cent, w panels ("seeds", or methods), p palette,
  // a opacity in per cent.
  const FREE = { c: "", f: "", o: "disagreement", v: "classes", q: "", min: "", max: "", w: "", p: "", a: "60" };

  function parse(fragment) {
    return Object.fromEntries(new URLSearchParams(fragment.replace(/^#/, "")));
  }

  function write(state, image) {
    const said = { d: state.d, i: image.id, m: state.m, s: state.s, g: state.g };
    for (const key of Object.keys(FREE)) if (state[key] !== FREE[key]) said[key] = state[key];
    const pairs = Object.entries(said).filter(([, value]) => value !== "");
    return "#" + pairs.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
  }

  // The data set that the address asks for, or the first.
  function dataset(said, datasets) {
    const known = datasets.some((one) => one.key === said.d);
    const problems = said.d === undefined || known ? [] : [`There is no data set “${said.d}” here.`];
    return { key: known ? said.d : datasets[0].key, problems };
  }

  const isShare = (text) => text === "" || (Number(text) >= 0 && Number(text) <= 100);

  // The whole state in a data set; `image` is null where the address names none.
  function read(said, key, cases) {
    const problems = [];
    const pick = function (name, what, allowed, otherwise) {
      if (said[name] === undefined || allowed(said[name])) return said[name] ?? otherwise;
      problems.push(`There is no ${what} “${said[name]}” here.`);
      return otherwise;
    };
    const isMethod = (one) => cases.method.has(one);
    const segmenting = cases.methods.filter((one) => one.key in cases.dice).map((one) => one.key);
    const first = segmenting.includes(RESFORMER) ? RESFORMER : segmenting[0] ?? cases.methods[0]?.key ?? "";
    const other = segmenting.find((one) => one !== first) ?? first;
    const seeds = new Set(cases.methods.flatMap((one) => one.seeds.map(String)));
    const isClass = (one) => ["", "none"].includes(one) || cases.classes.some((c) => c.key === one);
    const state = {
      d: key,
      m: pick("m", "method", isMethod, first),
      s: pick("s", "seed", (one) => seeds.has(one), [...seeds][0] ?? ""),
      g: pick("g", "method to compare with", isMethod, other),
      c: pick("c", "class", isClass, FREE.c),
      f: pick("f", "type of error", (one) => one === "" || ERRORS.includes(one), FREE.f),
      o: pick("o", "order", (one) => ORDERS.includes(one), FREE.o),
      v: pick("v", "view", (one) => VIEWS.includes(one), FREE.v),
      q: said.q ?? FREE.q,
      min: pick("min", "area", isShare, FREE.min),
      max: pick("max", "area", isShare, FREE.max),
      w: pick("w", "method", (one) => one === "seeds" || one.split(",").every(isMethod), FREE.w),
      p: pick("p", "palette", (one) => ["", "safe"].includes(one), FREE.p),
      a: pick("a", "opacity", isShare, FREE.a),
    };
    const image = cases.at.get(pick("i", "image", (one) => cases.at.has(one), undefined)) ?? null;
    return { state, image, problems };
  }

  microscope.address = { parse, write, dataset, read, VIEWS, FREE };
})(window.MICROSCOPE);
