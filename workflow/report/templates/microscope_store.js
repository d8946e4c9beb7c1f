// The image browser's data. Pages from disk cannot read files, so data are scripts that call
// MICROSCOPE.index, .cases and .masks; a mask is a PNG in base64 whose red channel is the label.
"use strict";
window.MICROSCOPE = window.MICROSCOPE || {};

(function (microscope) {
  const KEPT = 160; // blocks, and decoded masks, held in memory
  const NEVER = 255; // the byte of a Dice, or of a probability, that does not exist
  const loading = new Map();
  const blocks = new Map();
  const decoded = new Map();
  const prepared = new Map();
  let datasets = null;

  microscope.index = (given) => (datasets = given.datasets);
  microscope.cases = (dataset, given) => prepared.set(dataset, prepare(given));
  microscope.masks = (dataset, source, seed, block, pictures) =>
    keep(blocks, blockAddress(dataset, source, seed, block), pictures);

  // A map holds what was used last; the oldest gives way.
  function keep(map, key, value) {
    map.delete(key);
    map.set(key, value);
    if (map.size > KEPT) map.delete(map.keys().next().value);
    return value;
  }

  function blockAddress(dataset, source, seed, block) {
    const folder = seed === null ? source : `${source}/seed${seed}`;
    return `images/${dataset}/${folder}/${block}.js`;
  }

  // Run a script once at a time; `held` says whether it brought what it should.
  function load(address, held) {
    if (held()) return Promise.resolve();
    if (loading.has(address)) return loading.get(address);
    const promise = new Promise(function (resolve, reject) {
      const script = document.createElement("script");
      const end = function (problem) {
        script.remove();
        loading.delete(address);
        if (problem) reject(new Error(`${address} ${problem}`));
        else resolve();
      };
      script.onload = () => end(held() ? null : "does not hold what it should: make the report again.");
      script.onerror = () => end("could not be loaded: is the report's folder whole?");
      script.src = address;
      document.head.append(script);
    });
    loading.set(address, promise);
    return promise;
  }

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  function unpack(given) {
    return Object.fromEntries(
      Object.entries(given || {}).map(([method, seeds]) => [
        method,
        Object.fromEntries(Object.entries(seeds).map(([seed, text]) => [seed, bytes(text)])),
      ]),
    );
  }

  function prepare(given) {
    const cases = { ...given, disagreement: bytes(given.disagreement) };
    for (const name of ["dice", "fp", "fn", "probabilities", "called"]) cases[name] = unpack(given[name]);
    cases.method = new Map(given.methods.map((method) => [method.key, method]));
    cases.at = new Map(given.images.map((image, i) => [image.id, i]));
    return cases;
  }

  // The seed to show of a method: the wanted one, or the first with masks, or the first.
  function seedOf(method, wanted) {
    const seeds = method.seeds.map(String);
    if (seeds.includes(String(wanted))) return String(wanted);
    return String(method.kept.length ? method.kept[0] : seeds[0]);
  }

  function read(table, method, seed, at) {
    const seeds = table[method];
    return seeds && seeds[seed] ? seeds[seed][at] : null;
  }

  // Dice of a class in an image, per cent; null where it does not exist.
  function dice(cases, method, seed, image, place) {
    const byte = read(cases.dice, method, seed, image * cases.classes.length + place);
    return byte === null || byte === NEVER ? null : byte / 2;
  }

  // Share of the image's pixels that are false ("fp") or missed ("fn") of a class.
  function share(cases, kind, method, seed, image, place) {
    const byte = read(cases[kind], method, seed, image * cases.classes.length + place);
    return byte === null ? null : byte / 2000;
  }

  function probability(cases, method, seed, image, place) {
    const byte = read(cases.probabilities, method, seed, image * cases.labels.length + place);
    return byte === null || byte === NEVER ? null : byte / 250;
  }

  // Whether a method calls a label that is not there, or does not call one that is.
  function mislabels(cases, method, seed, image, place) {
    if (probability(cases, method, seed, image, place) === null) return false;
    const called = read(cases.called, method, seed, image * cases.labels.length + place);
    return Boolean(called) !== Boolean(cases.images[image].truth[place]);
  }

  // The labels of a mask, row by row: of a method's seed, or of the reference (seed null).
  async function mask(dataset, source, seed, image) {
    const cases = prepared.get(dataset);
    const block = Math.floor(image / cases.block);
    const address = blockAddress(dataset, source, seed, block);
    const key = `${address}#${image % cases.block}`;
    if (decoded.has(key)) return keep(decoded, key, decoded.get(key));
    await load(address, () => blocks.has(address));
    const text = blocks.get(address)[image % cases.block];
    if (!text) throw new Error(`${address} has no mask for image ${image}: make the report again.`);
    return keep(decoded, key, await labels(text, address));
  }

  async function labels(text, address) {
    const picture = new Image();
    picture.src = `data:image/png;base64,${text}`;
    await picture.decode().catch(function () {
      throw new Error(`${address} holds a mask that is no picture: make the report again.`);
    });
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    const values = new Uint8Array(canvas.width * canvas.height);
    for (let i = 0; i < values.length; i++) values[i] = pixels[4 * i];
    return values;
  }

  async function openIndex() {
    await load("images/index.js", () => datasets !== null);
    return datasets;
  }

  async function openCases(dataset) {
    await load(`images/${dataset}/cases.js`, () => prepared.has(dataset));
    return prepared.get(dataset);
  }

  const file = (image) => `${String(image).padStart(5, "0")}.webp`;
  microscope.store = {
    openIndex, openCases, mask, dice, share, probability, mislabels, seedOf,
    picture: (dataset, image) => `images/${dataset}/pictures/${file(image)}`,
    thumbnail: (dataset, image) => `images/${dataset}/thumbs/${file(image)}`,
  };
})(window.MICROSCOPE);
