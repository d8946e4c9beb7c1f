// Zoom and pan of all panels at once: their layers follow three custom properties of the grid.
"use strict";
window.MICROSCOPE = window.MICROSCOPE || {};

(function (microscope) {
  const MOST = 16;
  const STEP = 1.5;

  // grid: what holds the panels; stage: the selector of what shows one picture.
  microscope.zoom = function (grid, stage) {
    const at = { scale: 1, x: 0, y: 0 }; // x, y: where the picture's corner lies, in stage sizes
    const touches = new Map();
    let held = null; // the stage that a pointer went down on

    const within = (value) => Math.min(0, Math.max(1 - at.scale, value));

    function apply() {
      [at.x, at.y] = [within(at.x), within(at.y)];
      grid.style.setProperty("--scale", at.scale);
      grid.style.setProperty("--x", `${100 * at.x}%`);
      grid.style.setProperty("--y", `${100 * at.y}%`);
      grid.classList.toggle("zoomed", at.scale > 1);
    }

    // Zoom by a factor; what lies at (x, y), in stage sizes, stays there.
    function by(factor, x = 0.5, y = 0.5) {
      const scale = Math.min(MOST, Math.max(1, at.scale * factor));
      at.x = x - ((x - at.x) * scale) / at.scale;
      at.y = y - ((y - at.y) * scale) / at.scale;
      at.scale = scale;
      apply();
    }

    function reset() {
      Object.assign(at, { scale: 1, x: 0, y: 0 });
      apply();
    }

    const place = function (point, box) {
      return [(point.clientX - box.left) / box.width, (point.clientY - box.top) / box.height];
    };

    // The wheel scrolls the page until something is zoomed.
    grid.addEventListener("wheel", function (event) {
      const over = event.target.closest(stage);
      if (!over || !(event.ctrlKey || event.metaKey || at.scale > 1)) return;
      event.preventDefault();
      by(Math.exp(-event.deltaY / 300), ...place(event, over.getBoundingClientRect()));
    }, { passive: false });

    grid.addEventListener("pointerdown", function (event) {
      const over = event.target.closest(stage);
      if (!over || event.button !== 0) return;
      held = over;
      over.setPointerCapture(event.pointerId);
      touches.set(event.pointerId, { clientX: event.clientX, clientY: event.clientY });
    });

    const middle = (points, name) => points.reduce((sum, one) => sum + one[name], 0) / points.length;
    const apart = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;

    // One pointer drags; two zoom around their middle and drag with it.
    grid.addEventListener("pointermove", function (event) {
      if (!touches.has(event.pointerId)) return;
      const before = [...touches.values()];
      touches.set(event.pointerId, { clientX: event.clientX, clientY: event.clientY });
      const now = [...touches.values()];
      const box = held.getBoundingClientRect();
      at.x += (middle(now, "clientX") - middle(before, "clientX")) / box.width;
      at.y += (middle(now, "clientY") - middle(before, "clientY")) / box.height;
      if (now.length !== 2) return apply();
      const centre = { clientX: middle(now, "clientX"), clientY: middle(now, "clientY") };
      by(apart(now) / apart(before), ...place(centre, box));
    });

    for (const name of ["pointerup", "pointercancel"]) {
      grid.addEventListener(name, (event) => touches.delete(event.pointerId));
    }
    apply();
    return { in: () => by(STEP), out: () => by(1 / STEP), reset, pan: (x, y) => { at.x += x; at.y += y; apply(); } };
  };
})(window.MICROSCOPE);
