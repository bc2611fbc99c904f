// Draws what stands beside each chart as JSON; uPlot does the drawing. See figures.py for the form.
(() => {
  "use strict";
  const ROLES = { current: "--accent", reference: "--reference", second: "--second", bad: "--bad", line: "--reference" };
  const drawn = new Map();

  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const faded = (name, share) => {
    probe.style.color = `color-mix(in srgb, var(${name}) ${share}%, transparent)`;
    return getComputedStyle(probe).color;
  };
  const shown = (value, unit) => {
    if (value == null) return "none";
    const digits = Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
    return unit ? `${digits} ${unit}` : digits;
  };
  const clock = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const number = (value) => String(Number(value.toPrecision(4)));

  function marks(chart) {
    return (plot) => {
      if (!chart.marks) return;
      const { ctx } = plot;
      const size = 5 * devicePixelRatio;
      ctx.save();
      ctx.fillStyle = colour("--bad");
      for (const at of chart.marks) {
        const x = plot.valToPos(chart.x[at], "x", true);
        const y = plot.valToPos(chart.series[0].values[at], "y", true);
        ctx.beginPath();
        ctx.moveTo(x, y - size);
        ctx.lineTo(x + size, y + size * 0.7);
        ctx.lineTo(x - size, y + size * 0.7);
        ctx.fill();
      }
      ctx.restore();
    };
  }

  function limit(chart) {
    return (plot) => {
      if (chart.line == null) return;
      const { ctx } = plot;
      const y = Math.round(plot.valToPos(chart.line, "y", true));
      ctx.save();
      ctx.strokeStyle = colour("--bad");
      ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(plot.bbox.left, y);
      ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
      ctx.stroke();
      ctx.restore();
    };
  }

  function legend(holder, chart) {
    const place = holder.querySelector(".legend");
    return (plot) => {
      const at = plot.cursor.idx;
      const parts = [];
      if (at != null) {
        const bar = chart.kind === "histogram";
        const last = Math.min(at, chart.x.length - 2);
        if (bar) parts.push(`${number(chart.x[last])} to ${number(chart.x[last + 1])}`);
        else parts.push(chart.kind === "time" ? clock(chart.x[at]) : `score ${number(chart.x[at])}`);
      }
      place.replaceChildren(
        ...parts.map((text) => Object.assign(document.createElement("span"), { textContent: text })),
        ...chart.series.map((line) => {
          const item = document.createElement("span");
          const key = document.createElement("i");
          key.className = `key key-${line.role}`;
          item.append(key, line.label);
          if (at != null) {
            const value = document.createElement("b");
            value.textContent = ` ${shown(line.values[at], line.unit)}`;
            item.append(value);
            if (chart.marks && chart.marks.includes(at)) item.append(" alarm");
          }
          return item;
        }),
      );
    };
  }

  function options(holder, chart) {
    const plot = holder.querySelector(".plot");
    const steps = chart.kind === "histogram" ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const unit = chart.series[0].unit;
    const update = legend(holder, chart);
    return {
      width: plot.clientWidth,
      height: plot.clientHeight,
      padding: [8, 8, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 }, sync: chart.sync ? { key: chart.sync } : undefined },
      legend: { show: false },
      scales: {
        x: { time: chart.kind === "time" },
        y: { range: (_, low, high) => [0, Math.max(high ?? 0, chart.least ?? 0) * 1.08 || 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 30, ...(chart.kind === "time" ? { values: times } : {}) },
        { ...axis, size: 52, space: 34, values: (_, ticks) => ticks.map((tick) => shown(tick, unit)) },
      ],
      series: [
        {},
        ...chart.series.map((line) => ({
          label: line.label,
          stroke: colour(ROLES[line.role]),
          width: line.role === "reference" ? 1 : 1.75,
          fill: line.role === "reference" ? faded(ROLES.reference, 30) : chart.kind === "histogram" ? faded(ROLES.current, 10) : undefined,
          paths: steps,
          spanGaps: false,
          dash: line.role === "line" ? [4, 4] : undefined,
          points: { show: chart.kind !== "histogram" && line.role !== "line" && chart.x.length < 60, size: 4, fill: colour(ROLES[line.role]) },
        })),
      ],
      hooks: { draw: [limit(chart), marks(chart)], setCursor: [update], ready: [update] },
    };
  }

  // Hours and minutes, seconds where they matter, and the day where it begins; all of it UTC.
  function times(_, ticks, __, ___, step) {
    return ticks.map((tick) => {
      const iso = new Date(tick * 1000).toISOString();
      if (step >= 86400 || iso.slice(11, 19) === "00:00:00") return iso.slice(5, 10);
      return iso.slice(11, step < 60 ? 19 : 16);
    });
  }

  function draw(holder) {
    const before = drawn.get(holder.id);
    const at = before && before.holder === holder ? before.plot.cursor.idx : null;
    if (before) before.plot.destroy();
    const chart = JSON.parse(holder.querySelector("script").textContent);
    const place = holder.querySelector(".plot");
    const plot = new uPlot(options(holder, chart), [chart.x, ...chart.series.map((line) => line.values)], place);
    drawn.set(holder.id, { plot, holder, chart });
    if (at != null) point(plot, at);
  }

  function point(plot, at) {
    const last = plot.data[0].length - 1;
    const index = Math.max(0, Math.min(at, last));
    plot.setCursor({ left: plot.valToPos(plot.data[0][index], "x"), top: 0 });
  }

  document.addEventListener("keydown", (event) => {
    const place = event.target.closest?.("[data-chart] .plot");
    if (!place) return;
    const { plot } = drawn.get(place.parentElement.id);
    const at = plot.cursor.idx;
    const last = plot.data[0].length - 1;
    const to = { ArrowLeft: at == null ? last : at - 1, ArrowRight: at == null ? 0 : at + 1, Home: 0, End: last }[event.key];
    if (event.key === "Enter") show(place, at);
    else if (event.key === "Escape") plot.setCursor({ left: -10, top: -10 });
    else if (to !== undefined) point(plot, to);
    else return;
    event.preventDefault();
  });

  // Of a chart of windows each point leads to its window.
  function show(place, at) {
    const { windows } = drawn.get(place.parentElement.id).chart;
    if (!windows || at == null) return;
    const address = new URL(location.href);
    address.searchParams.set("window", windows[at]);
    location.assign(address);
  }

  document.addEventListener("click", (event) => {
    const place = event.target.closest?.("[data-chart] .plot");
    if (place) show(place, drawn.get(place.parentElement.id).plot.cursor.idx);
  });

  const all = () => document.querySelectorAll("[data-chart]").forEach(draw);
  all();
  document.addEventListener("themechange", all);
  document.addEventListener("refreshed", (event) => event.detail.querySelectorAll?.("[data-chart]").forEach(draw));
  document.addEventListener("redraw", (event) => draw(event.detail));
  let waiting = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      for (const { plot, holder } of drawn.values()) {
        const place = holder.querySelector(".plot");
        plot.setSize({ width: place.clientWidth, height: place.clientHeight });
      }
    });
  });
})();
