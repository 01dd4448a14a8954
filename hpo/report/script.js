"use strict";
(function () {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 640px)");

  function coloured(value, style) {
    if (typeof value === "string" && value.charCodeAt(0) === 0xe000) {
      return style.getPropertyValue("--" + value.slice(1)).trim();
    }
    if (Array.isArray(value)) return value.map((one) => coloured(one, style));
    if (value && typeof value === "object") {
      const done = {};
      for (const key of Object.keys(value)) done[key] = coloured(value[key], style);
      return done;
    }
    return value;
  }

  function axis(given, style) {
    const grid = style.getPropertyValue("--grid").trim();
    const base = { gridcolor: grid, zeroline: false, linecolor: grid, automargin: true };
    const full = Object.assign(base, given);
    full.title = Object.assign({ standoff: 12 }, given.title);
    return full;
  }

  function drawn(key) {
    const place = document.getElementById(key);
    if (!place) return;
    const style = getComputedStyle(document.documentElement);
    const figure = coloured(figures[key], style);
    const ink = style.getPropertyValue("--ink").trim();
    const card = style.getPropertyValue("--card").trim();
    const rest = figure.layout;
    const layout = Object.assign({}, rest, {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: narrow.matches ? 11 : 13, color: ink },
      margin: { l: 16, r: 16, t: 8, b: 16, pad: 4 },
      legend: { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom" },
      hoverlabel: { bgcolor: card, bordercolor: ink, font: { color: ink, size: 12 }, align: "left" },
      hovermode: "closest",
      dragmode: narrow.matches ? false : "zoom",
      xaxis: axis(rest.xaxis, style),
      yaxis: axis(rest.yaxis, style),
    });
    const options = {
      responsive: true,
      displayModeBar: false,
      scrollZoom: false,
    };
    Plotly.react(place, figure.data, layout, options);
  }

  function all() {
    for (const key of Object.keys(figures)) drawn(key);
  }

  for (const place of document.querySelectorAll(".plot")) {
    place.style.minHeight = place.dataset.height + "px";
  }
  all();
  dark.addEventListener("change", all);
  narrow.addEventListener("change", all);
  window.addEventListener("beforeprint", function () {
    document.documentElement.classList.add("paper");
    all();
  });
  window.addEventListener("afterprint", function () {
    document.documentElement.classList.remove("paper");
    all();
  });
})();
