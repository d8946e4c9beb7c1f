// The image browser: one state, read from the address and written to it; everything shown follows it.
"use strict";

(function (microscope) {
  const { store, order, address, panels, controls } = microscope;
  const { byId } = controls;
  let datasets, cases, state, image, list, zoom;
  let listed = [];
  let turn = 0; // what an older turn still loads is not shown

  function complain(problems) {
    byId("trouble").textContent = problems.join(" ");
    byId("trouble").hidden = problems.length === 0;
  }

  // Show what the address asks for.
  async function follow() {
    const mine = ++turn;
    const said = address.parse(window.location.hash);
    try {
      datasets = await store.openIndex();
      if (!datasets.length) throw new Error("No data set of this report has test images to show.");
      const wanted = address.dataset(said, datasets);
      const opened = await store.openCases(wanted.key);
      if (!opened.images.length) throw new Error("This data set has no test images to show.");
      if (mine !== turn) return;
      const read = address.read(said, wanted.key, opened);
      [cases, state] = [opened, read.state];
      byId("browser").hidden = false;
      controls.fill(datasets, cases, () => change({ w: controls.chosenMethods() }));
      listed = order.choose(cases, state);
      image = read.image ?? listed[0] ?? 0;
      complain([...wanted.problems, ...read.problems]);
      draw();
    } catch (error) {
      complain([error.message]);
    }
  }

  // Change the state and the address; quiet changes leave no step to go back to.
  function change(wanted, how) {
    const before = state;
    state = { ...state, ...wanted };
    complain([]);
    if (wanted.d !== undefined && wanted.d !== before.d) return go({ d: state.d, v: state.v, p: state.p, a: state.a, m: state.m });
    listed = order.choose(cases, state);
    const filtered = controls.FILTERS.some((name) => wanted[name] !== undefined);
    if (filtered && listed.length && !listed.includes(image)) image = listed[0];
    save(how);
    draw(Object.keys(wanted).join() === "a");
  }

  // Another data set: what it does not have is left out of the address without a word.
  async function go(said) {
    const mine = ++turn;
    try {
      const opened = await store.openCases(said.d);
      if (mine !== turn) return;
      if (!opened.method.has(said.m)) delete said.m;
      window.location.hash = new URLSearchParams(said).toString();
    } catch (error) {
      complain([error.message]);
    }
  }

  function save(how) {
    const text = address.write(state, cases.images[image]);
    if (text === window.location.hash) return;
    if (how === "quiet") window.history.replaceState(null, "", text);
    else window.history.pushState(null, "", text);
  }

  function pick(chosen) {
    image = chosen;
    save();
    draw();
  }

  function step(by) {
    if (!listed.length) return;
    const here = listed.indexOf(image);
    const next = here < 0 ? 0 : Math.min(listed.length - 1, Math.max(0, here + by));
    if (listed[next] !== image) pick(listed[next]);
  }

  function seed(by) {
    const all = Array.from(controls.byName("s").options, (one) => one.value);
    const next = all.indexOf(state.s) + by;
    if (all[next] !== undefined) change({ s: all[next] });
  }

  // lightly: only the opacity changed, the panels stay.
  function draw(lightly) {
    controls.show(state);
    byId("grid").style.setProperty("--opacity", Number(state.a) / 100);
    if (lightly) return;
    const here = cases.images[image];
    const place = listed.indexOf(image);
    byId("case-title").textContent = here.id;
    byId("notice").textContent = cases.notice || "";
    byId("notice").hidden = !cases.notice;
    byId("count").textContent = `${listed.length} of ${cases.images.length} images${listed.length ? "" : ": none passes the filters"}`;
    byId("previous").disabled = place <= 0 && listed.length > 0 && place !== -1;
    byId("next").disabled = !listed.length || place === listed.length - 1;
    panels.legend(byId("legend"), cases, state);
    list.show(listed, image, cases, state);
    panels.show(byId("grid"), cases, state, image, (method) => change({ m: method }));
    const where = place < 0 ? "not among the images listed" : `${place + 1} of ${listed.length}`;
    byId("announcer").textContent =
      `${here.id}, ${where}. ${cases.method.get(state.m)?.title ?? ""}, seed ${state.s}: ${order.score(cases, { ...state, o: "worst" }, image)}.`;
  }

  list = microscope.list(byId("list"), pick);
  zoom = microscope.zoom(byId("grid"), ".stage");
  controls.listen(change);
  const palette = () => change({ p: state.p ? "" : "safe" });
  const ready = (action) => (...given) => state && action(...given);
  controls.keys({ change: ready(change), step: ready(step), seed: ready(seed), palette: ready(palette), zoom });
  byId("zoom-in").addEventListener("click", zoom.in);
  byId("zoom-out").addEventListener("click", zoom.out);
  byId("zoom-reset").addEventListener("click", zoom.reset);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  window.addEventListener("hashchange", follow);
  follow();
})(window.MICROSCOPE);
