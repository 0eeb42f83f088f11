async function start() {
  startTheme(() => redraw());
  startSorting();
  startFilters();
  startKeyChart();
  startPermalinks();
  reserveHeights();
  byId("save-result").addEventListener("click", () => saveJson("result.json", DATA.result));
  const filterSamples = await startSamples();
  startChoice([filterSamples, () => redraw()]);
  startState(); // last: it sets the controls to what the address says
  root.classList.add("started");
  await startCharts();
}

start();
