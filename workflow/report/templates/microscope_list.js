// The list of test images: only the rows in sight exist, so that thousands scroll like ten.
"use strict";
window.MICROSCOPE = window.MICROSCOPE || {};

(function (microscope) {
  const ROW = 72; // CSS pixels, as in microscope.css
  const SPARE = 4; // rows above and below what is in sight

  // box: the scrolling list; pick(image) is called for a clicked row.
  microscope.list = function (box, pick) {
    const rows = document.createElement("div");
    box.append(rows);
    let shown = { order: [], image: null, cases: null, state: null };

    function row(place) {
      const { order, cases, state } = shown;
      const image = order[place];
      const option = document.createElement("div");
      option.setAttribute("role", "option");
      option.id = `row-${image}`;
      option.className = "row";
      option.style.top = `${place * ROW}px`;
      option.setAttribute("aria-selected", String(image === shown.image));
      option.setAttribute("aria-posinset", place + 1);
      option.setAttribute("aria-setsize", order.length);
      const picture = document.createElement("img");
      picture.src = microscope.store.thumbnail(state.d, image);
      picture.alt = "";
      const words = document.createElement("span");
      const name = document.createElement("b");
      name.textContent = cases.images[image].id;
      const score = document.createElement("small");
      score.textContent = microscope.order.score(cases, state, image);
      words.append(name, score);
      option.append(picture, words);
      option.addEventListener("click", () => pick(image));
      return option;
    }

    function draw() {
      const first = Math.max(0, Math.floor(box.scrollTop / ROW) - SPARE);
      const last = Math.min(shown.order.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + SPARE);
      rows.style.height = `${shown.order.length * ROW}px`;
      rows.replaceChildren(...Array.from({ length: Math.max(0, last - first) }, (_, k) => row(first + k)));
      if (document.getElementById(`row-${shown.image}`)) {
        box.setAttribute("aria-activedescendant", `row-${shown.image}`);
      } else {
        box.removeAttribute("aria-activedescendant");
      }
    }

    function show(order, image, cases, state) {
      shown = { order, image, cases, state };
      rows.style.height = `${order.length * ROW}px`;
      const place = order.indexOf(image);
      const top = place * ROW;
      if (place >= 0 && (top < box.scrollTop || top + ROW > box.scrollTop + box.clientHeight)) {
        box.scrollTop = top - (box.clientHeight - ROW) / 2;
      }
      draw();
    }

    box.addEventListener("scroll", draw, { passive: true });
    new ResizeObserver(draw).observe(box);
    return { show };
  };
})(window.MICROSCOPE);
