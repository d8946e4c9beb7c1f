// The panels of a case: the picture, the reference, and each method's answer, with what it scored.
"use strict";
window.MICROSCOPE = window.MICROSCOPE || {};

(function (microscope) {
  const { store, draw } = microscope;

  function make(tag, className, ...content) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...content);
    return element;
  }

  const number = (value) => (value === null ? "–" : value.toFixed(1));

  function swatch(colour) {
    const square = make("i", "swatch");
    square.style.background = colour;
    return square;
  }

  // What the panels of a case are, in order: {kind, title, method, seed}.
  function plan(cases, state) {
    const panels = [
      { kind: "picture", title: "Image" },
      { kind: "reference", title: "Reference" },
    ];
    const chosen = state.w && state.w !== "seeds" ? state.w.split(",") : [...cases.method.keys()];
    const methods = (state.w === "seeds" ? [state.m] : chosen).map((key) => cases.method.get(key)).filter(Boolean);
    if (state.v === "agreement") return [...panels, { kind: "agreement", title: "Agreement", methods }];
    for (const method of methods) {
      const all = state.w === "seeds" && state.v !== "variance";
      for (const seed of all ? method.seeds.map(String) : [store.seedOf(method, state.s)]) {
        panels.push({ kind: state.v === "variance" ? "variance" : "method", title: method.title, method, seed });
      }
    }
    return panels;
  }

  const has = (seeds, seed) => seeds.map(String).includes(seed);

  // Why a method's seed has no mask to show; empty where it has one.
  function absence(cases, method, seed) {
    if (has(method.failed, seed)) return `Seed ${seed} failed: it made no prediction.`;
    if (!method.kept.length && !cases.dice[method.key]) return "No masks: this method labels whole images.";
    if (has(method.kept, seed)) return "";
    const kept = method.kept.length ? `seeds ${method.kept.join(", ")} are` : "none is";
    return `The masks of seed ${seed} are not kept in this report (${kept}).`;
  }

  function scores(cases, method, seed, image, safe) {
    const found = cases.classes.map(function (one, place) {
      const value = store.dice(cases, method.key, seed, image, place);
      return { text: `${one.title}: Dice ${number(value)}`, short: `${one.key.toUpperCase()} ${number(value)}`, colour: draw.tone(one, safe), known: value !== null };
    });
    return method.key in cases.dice && !has(method.failed, seed) ? found : [];
  }

  function labels(cases, method, seed, image) {
    if (has(method.failed, seed)) return [];
    return cases.labels.flatMap(function (label, place) {
      const said = store.probability(cases, method.key, seed, image, place);
      if (said === null) return [];
      const truth = cases.images[image].truth[place] ? "yes" : "no";
      return {
        text: `${label.title} ${said.toFixed(2)}, truth ${truth}`,
        wrong: store.mislabels(cases, method.key, seed, image, place),
      };
    });
  }

  function areas(cases, image) {
    const { area, truth } = cases.images[image];
    const drawn = cases.classes.map((one, k) => `${one.title} ${(100 * area[k]).toFixed(1)}\u00a0%`);
    const said = cases.labels.map((one, k) => `${one.title} ${truth[k] ? "yes" : "no"}`);
    return [drawn.join(", "), said.join(", ")].filter(Boolean);
  }

  function caption(cases, state, image, panel, focus) {
    const safe = state.p === "safe";
    const figcaption = make("figcaption");
    if (!panel.method) {
      figcaption.append(make("b", "", panel.title));
      if (panel.kind === "picture") figcaption.append(make("span", "muted", cases.images[image].group));
      if (panel.kind === "reference") figcaption.append(...areas(cases, image).map((text) => make("span", "muted", text)));
      return figcaption;
    }
    const button = make("button", "title", panel.title);
    button.type = "button";
    button.setAttribute("aria-pressed", String(panel.method.key === state.m));
    button.addEventListener("click", () => focus(panel.method.key));
    const kept = panel.kind === "variance" && panel.method.kept.length > 1;
    const which = `${kept ? `seeds ${panel.method.kept.join(", ")}; scores of ` : ""}seed ${panel.seed}`;
    const run = make("a", "", "run");
    run.href = `runs/${state.d}--${panel.method.key}.html`;
    run.setAttribute("aria-label", `${panel.title}: its run and tables`);
    figcaption.append(button, make("small", "seed", which, " · ", run));
    const line = make("span", "scores");
    for (const one of scores(cases, panel.method, panel.seed, image, safe)) {
      const item = make("span", one.known ? "" : "muted", swatch(one.colour), one.short);
      item.title = one.text;
      line.append(item);
    }
    if (line.childNodes.length) figcaption.append(line);
    for (const one of labels(cases, panel.method, panel.seed, image)) {
      figcaption.append(make("span", one.wrong ? "label wrong" : "label", one.text));
    }
    return figcaption;
  }

  // A panel in words, for who cannot see it.
  function words(cases, state, image, panel) {
    const parts = [`${panel.title}${panel.seed === undefined ? "" : `, seed ${panel.seed}`}, ${cases.images[image].id}`];
    if (panel.kind === "reference") parts.push(...areas(cases, image));
    if (panel.kind === "agreement") parts.push("where methods differ");
    if (panel.kind === "variance") parts.push("where seeds differ");
    if (panel.method) {
      parts.push(...scores(cases, panel.method, panel.seed, image).map((one) => one.text));
      parts.push(...labels(cases, panel.method, panel.seed, image).map((one) => one.text));
    }
    return parts.join(". ");
  }

  const get = (state, image, method, seed) => store.mask(state.d, method, seed, image);

  // The overlay of a panel as pixels, or a sentence where it has none.
  async function overlay(cases, state, image, panel) {
    const safe = state.p === "safe";
    if (panel.kind === "reference") return draw.classes(cases, await get(state, image, "reference", null), safe);
    if (panel.kind === "agreement") {
      const seeds = panel.methods.map((one) => [one, store.seedOf(one, state.s)]);
      const usable = seeds.filter(([one, seed]) => !absence(cases, one, seed));
      if (usable.length < 2) return "Agreement needs the masks of two methods; choose more.";
      const masks = await Promise.all(usable.map(([one, seed]) => get(state, image, one.key, seed)));
      panel.note = `${usable.length} of ${seeds.length} methods have masks here`;
      return draw.heat(draw.spread(masks));
    }
    if (panel.kind === "variance") {
      const { kept, key } = panel.method;
      if (!kept.length) return absence(cases, panel.method, panel.seed);
      if (kept.length < 2) return `Only seed ${kept[0]} is kept: nothing to compare.`;
      return draw.heat(draw.spread(await Promise.all(kept.map((seed) => get(state, image, key, seed)))));
    }
    const why = absence(cases, panel.method, panel.seed);
    if (why) return why;
    const mask = await get(state, image, panel.method.key, panel.seed);
    if (state.v === "classes") return draw.classes(cases, mask, safe);
    return draw.outcomes(cases, await get(state, image, "reference", null), mask, safe);
  }

  function build(cases, state, image, panel, focus) {
    const figure = make("figure", "panel");
    figure.dataset.kind = panel.kind;
    if (panel.method) Object.assign(figure.dataset, { method: panel.method.key, seed: panel.seed });
    const stage = make("div", "stage");
    stage.style.aspectRatio = `${cases.width} / ${cases.height}`;
    const picture = make("img", "layer");
    picture.alt = panel.kind === "picture" ? `Test image ${cases.images[image].id}` : "";
    picture.draggable = false;
    const place = store.picture(state.d, image);
    picture.onerror = () => stage.append(make("p", "why trouble", `${place} could not be loaded.`));
    picture.src = place;
    stage.append(picture);
    figure.append(stage, caption(cases, state, image, panel, focus));
    if (panel.kind === "picture") return { figure, done: Promise.resolve() };
    const canvas = make("canvas", "layer overlay");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", words(cases, state, image, panel));
    [canvas.width, canvas.height] = [cases.width, cases.height];
    stage.append(canvas);
    const done = overlay(cases, state, image, panel).then(function (pixels) {
      if (typeof pixels === "string") {
        canvas.remove();
        return stage.append(make("p", "why", pixels));
      }
      draw.show(canvas, cases, pixels);
      if (panel.note) figure.querySelector("figcaption").append(make("span", "muted", panel.note));
    }).catch(function (error) {
      canvas.remove();
      stage.append(make("p", "why trouble", error.message));
    });
    return { figure, done };
  }

  // Fill the grid; resolves when all is painted. focus(method) is called for a panel's title.
  function show(grid, cases, state, image, focus) {
    const built = plan(cases, state).map((panel) => build(cases, state, image, panel, focus));
    grid.setAttribute("aria-busy", "true");
    grid.replaceChildren(...built.map((one) => one.figure));
    return Promise.all(built.map((one) => one.done)).then(function () {
      if (grid.contains(built[0].figure)) grid.setAttribute("aria-busy", "false");
    });
  }

  function legend(box, cases, state) {
    const safe = state.p === "safe";
    const item = (colour, title) => make("span", "", swatch(colour), title);
    const classes = cases.classes.map((one) => item(draw.tone(one, safe), one.title));
    const outcomes = Object.values(cases.outcomes).map((one) => item(draw.tone(one, safe), one.title));
    const ramp = make("i", "ramp");
    ramp.style.background = `linear-gradient(to right, ${draw.RAMP.join(", ")})`;
    const whom = state.v === "variance" ? "seeds" : "methods";
    const heat = [make("span", "", ramp, `share of ${whom} that differ from the most common label: 0 to ${100 * draw.FULL} % and more`)];
    const reference = state.v === "classes" ? [] : [make("span", "muted", "Reference: "), ...classes, make("span", "muted", "Others: ")];
    box.replaceChildren(...reference, ...({ classes, outcomes }[state.v] || heat));
  }

  microscope.panels = { show, legend, plan, make };
})(window.MICROSCOPE);
