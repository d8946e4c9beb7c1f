// Which images the list of the image browser shows, and in which order. Nothing here knows of the page.
"use strict";
window.MICROSCOPE = window.MICROSCOPE || {};

(function (microscope) {
  const { dice, share, mislabels, seedOf } = microscope.store;
  const CLIPPED = 254 / 2000; // shares stop here
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // Classes that count: the chosen one, or all.
  function places(cases, state) {
    const chosen = cases.classes.findIndex((one) => one.key === state.c);
    return chosen < 0 ? cases.classes.map((_, place) => place) : [chosen];
  }

  // Mean Dice of a method over the classes that count; null where none exists.
  function quality(cases, state, image, key) {
    const method = cases.method.get(key);
    if (!method) return null;
    const seed = seedOf(method, state.s);
    const found = places(cases, state)
      .map((place) => dice(cases, key, seed, image, place))
      .filter((value) => value !== null);
    return found.length ? sum(found) / found.length : null;
  }

  // The share of a class that a method misses. Where the byte is clipped, Dice and the false share say it.
  function missed(cases, state, image, place) {
    const seed = seedOf(cases.method.get(state.m), state.s);
    const area = cases.images[image].area[place];
    const lost = share(cases, "fn", state.m, seed, image, place);
    if (!area || lost === null) return 0;
    if (lost < CLIPPED) return lost / area;
    const score = (dice(cases, state.m, seed, image, place) || 0) / 100;
    const wrong = share(cases, "fp", state.m, seed, image, place);
    return 1 - (score * (wrong + area)) / (2 - score) / area;
  }

  function invents(cases, state, image, place) {
    const seed = seedOf(cases.method.get(state.m), state.s);
    return !cases.images[image].area[place] && share(cases, "fp", state.m, seed, image, place) > 0;
  }

  function labelsWrong(cases, state, image) {
    const seed = seedOf(cases.method.get(state.m), state.s);
    return cases.labels.some((label, place) => mislabels(cases, state.m, seed, image, place));
  }

  const ERRORS = {
    miss: (cases, state, image) => places(cases, state).some((k) => missed(cases, state, image, k) > 0.5),
    alarm: (cases, state, image) => places(cases, state).some((k) => invents(cases, state, image, k)),
    label: labelsWrong,
  };

  function keeps(cases, state, image) {
    const { id, group, area } = cases.images[image];
    const total = sum(places(cases, state).map((place) => area[place]));
    if (state.q && !`${id}\n${group}`.toLowerCase().includes(state.q.toLowerCase())) return false;
    if (state.c === "none" ? sum(area) > 0 : state.c && !total) return false;
    if (state.min !== "" && 100 * total < Number(state.min)) return false;
    if (state.max !== "" && 100 * total > Number(state.max)) return false;
    return !state.f || ERRORS[state.f](cases, state, image);
  }

  // What each order sorts by, smallest first; null comes last.
  const KEYS = {
    id: () => 0,
    disagreement: (cases, state, image) => -cases.disagreement[image],
    worst: (cases, state, image) => quality(cases, state, image, state.m),
    gain: (cases, state, image) => negative(gain(cases, state, image)),
    loss: (cases, state, image) => gain(cases, state, image),
  };

  const negative = (value) => (value === null ? null : -value);

  // Dice of the method minus that of the compared one, in points.
  function gain(cases, state, image) {
    const [own, theirs] = [state.m, state.g].map((key) => quality(cases, state, image, key));
    return own === null || theirs === null ? null : own - theirs;
  }

  function choose(cases, state) {
    const kept = cases.images.map((_, image) => image).filter((image) => keeps(cases, state, image));
    const keyed = kept.map((image) => ({ image, key: KEYS[state.o](cases, state, image) }));
    keyed.sort(function (a, b) {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.image - b.image;
      return a.key - b.key || a.image - b.image;
    });
    return keyed.map((one) => one.image);
  }

  // The number beside an image in the list: what it is sorted by.
  function score(cases, state, image) {
    if (state.o === "disagreement") return `differ ${(cases.disagreement[image] / 2).toFixed(0)} %`;
    const compares = state.o === "gain" || state.o === "loss";
    const value = compares ? gain(cases, state, image) : quality(cases, state, image, state.m);
    if (value === null) return "no Dice";
    const sign = value < 0 ? "−" : compares ? "+" : "";
    return `${compares ? "Δ" : "Dice"} ${sign}${Math.abs(value).toFixed(1)}`;
  }

  microscope.order = { choose, score, ERRORS: Object.keys(ERRORS), ORDERS: Object.keys(KEYS) };
})(window.MICROSCOPE);
