"use strict";
const told = JSON.parse(document.getElementById("data").textContent);
const config = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false };
function draw() {
  const colour = getComputedStyle(document.body).color;
  told.charts.forEach((chart, place) => {
    const layout = { ...chart.layout, font: { ...(chart.layout.font || {}), color: colour, family: "system-ui, sans-serif" } };
    Plotly.react("chart-" + place, chart.data, layout, config);
  });
}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
