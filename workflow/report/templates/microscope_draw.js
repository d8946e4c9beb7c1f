// What the image browser paints over a picture: masks as labels in, pixels out. Nothing here knows
// of the page. Colours are "#rrggbb"; a pixel without a colour stays transparent.
"use strict";
window.MICROSCOPE = window.MICROSCOPE || {};

(function (microscope) {
  const UNKNOWN = 255; // the reference's label where nobody drew
  // Dark to light, so that it reads without hues: 0 to `FULL` of the masks differ.
  const RAMP = ["#3b0f70", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf"];
  const FULL = 0.5;

  function rgb(colour) {
    return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  }

  const tone = (entry, safe) => (safe ? entry.safe : entry.colour);

  function paint(count, colourOf) {
    const pixels = new Uint8ClampedArray(4 * count);
    for (let i = 0; i < count; i++) {
      const colour = colourOf(i);
      if (!colour) continue;
      pixels[4 * i] = colour[0];
      pixels[4 * i + 1] = colour[1];
      pixels[4 * i + 2] = colour[2];
      pixels[4 * i + 3] = 255;
    }
    return pixels;
  }

  function classes(cases, mask, safe) {
    const colours = new Map(cases.classes.map((one) => [one.value, rgb(tone(one, safe))]));
    return paint(mask.length, (i) => colours.get(mask[i]));
  }

  // A lesion taken for another lesion is a miss, as in Figures 6 and 8.
  function outcomes(cases, reference, mask, safe) {
    const [hit, miss, alarm] = ["tp", "fn", "fp"].map((key) => rgb(tone(cases.outcomes[key], safe)));
    return paint(mask.length, function (i) {
      if (reference[i] === UNKNOWN) return null;
      if (reference[i] > 0) return mask[i] === reference[i] ? hit : miss;
      return mask[i] > 0 ? alarm : null;
    });
  }

  // Per pixel, the share of the masks that differ from the most common label.
  function spread(masks) {
    const values = new Float32Array(masks[0].length);
    const counts = new Uint16Array(256);
    for (let i = 0; i < values.length; i++) {
      let most = 0;
      for (const mask of masks) most = Math.max(most, ++counts[mask[i]]);
      for (const mask of masks) counts[mask[i]] = 0;
      values[i] = 1 - most / masks.length;
    }
    return values;
  }

  function heat(values) {
    const stops = RAMP.map(rgb);
    return paint(values.length, function (i) {
      if (values[i] <= 0) return null;
      const place = Math.min(1, values[i] / FULL) * (stops.length - 1);
      const low = Math.min(stops.length - 2, Math.floor(place));
      return stops[low].map((from, k) => Math.round(from + (place - low) * (stops[low + 1][k] - from)));
    });
  }

  function show(canvas, cases, pixels) {
    [canvas.width, canvas.height] = [cases.width, cases.height];
    if (pixels.length !== 4 * cases.width * cases.height) {
      throw new Error(`A mask is not ${cases.width} × ${cases.height} pixels: make the report again.`);
    }
    canvas.getContext("2d").putImageData(new ImageData(pixels, cases.width, cases.height), 0, 0);
  }

  microscope.draw = { classes, outcomes, spread, heat, show, tone, RAMP, FULL };
})(window.MICROSCOPE);
