// The theme is set before the first paint, so that nothing flashes: this file is no module and stands in the head.
(() => {
  try {
    const kept = localStorage.getItem("headrace.theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch {
    // Storage is switched off: the system's theme it is.
  }
})();
