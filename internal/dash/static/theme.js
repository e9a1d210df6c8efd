(() => {
  try {
    const kept = localStorage.getItem("headrace.theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch {
  }
})();
