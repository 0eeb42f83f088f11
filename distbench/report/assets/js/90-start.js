startTheme(() => redraw());
startSorting();
startFilters();
startKeyChart();
startSamples();
byId("save-result").addEventListener("click", () => saveJson("result.json", DATA.result));
startCharts();
