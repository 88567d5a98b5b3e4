"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  root.classList.add("scripted");

  for (const button of all(".theme")) {
    button.addEventListener("click", () => {
      const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
      root.dataset.theme = isDark ? "light" : "dark";
    });
  }

  const copyByHand = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand("copy");
  };
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const source = button.parentElement.querySelector(".copied");
      let copied = false;
      try {
        await navigator.clipboard.writeText(source.innerText.trim());
        copied = true;
      } catch {
        copied = copyByHand(source);
      }
      button.textContent = copied ? "Copied" : "Select and copy";
    });
  }

  // The same numbers as in the page: four digits.
  const shown = (value) => {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 1e6 || size < 1e-4) return value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
    return size >= 1000 ? Math.round(value).toLocaleString("en-US") : String(+value.toPrecision(4));
  };
  const clock = (seconds) => {
    const whole = Math.floor(seconds), two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return (hours ? hours + ":" + two(minutes) : minutes) + ":" + two(whole % 60);
  };

  // A curve's points are its data: the values follow from the places and the axes.
  const plots = all(".plot").map((box) => {
    const data = box.dataset, x0 = +data.x0, x1 = +data.x1, y0 = +data.y0, y1 = +data.y1;
    const curves = all(".curves polyline", box).map((line) => ({
      line,
      name: line.dataset.name,
      colour: line.getAttribute("class"),
      points: line.getAttribute("points").split(" ").filter(Boolean).map((point) => {
        const [left, top] = point.split(",");
        return [x0 + (left / 1000) * (x1 - x0), y1 - (top / 100) * (y1 - y0)];
      }),
    }));
    return { box, axis: data.axis, x0, x1, y0, y1, unit: data.unit, curves, cross: box.querySelector(".cross"),
      tip: box.querySelector(".tip"), live: box.parentElement.querySelector(".live"), at: x1 };
  });
  const nearest = (points, x) => {
    let low = 0, high = points.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < x) low = middle; else high = middle;
    }
    return x - points[low][0] < points[high][0] - x ? points[low] : points[high];
  };
  const hide = (plot) => { plot.cross.style.display = plot.tip.style.display = "none"; };
  const hideAll = () => plots.forEach(hide);
  const mark = (plot, x) => {
    if (x < plot.x0 || x > plot.x1) return hide(plot);
    plot.cross.style.display = "block";
    plot.cross.style.left = (100 * (x - plot.x0)) / (plot.x1 - plot.x0) + "%";
    plot.tip.style.display = "none";
  };
  const read = (plot, x) => {
    const share = (x - plot.x0) / (plot.x1 - plot.x0);
    const curves = plot.curves.filter((curve) => curve.points.length && !curve.line.classList.contains("off"));
    const values = curves.slice(0, 9).map((curve) => [curve, shown(nearest(curve.points, x)[1]) + plot.unit]);
    const place = plot.axis === "step" ? "step " + Math.round(x).toLocaleString("en-US") : plot.x1 < 10 ? shown(x) + " s" : clock(x);
    const heading = document.createElement("b");
    heading.textContent = place;
    plot.tip.replaceChildren(heading);
    for (const [curve, value] of values) {
      const row = document.createElement("div"), dot = document.createElement("i");
      dot.className = curve.colour;
      row.append(dot, (plot.curves.length > 1 ? curve.name + " " : "") + value);
      plot.tip.append(row);
    }
    plot.tip.style.display = "block";
    plot.tip.style.left = share > 0.55 ? "auto" : 100 * share + 2 + "%";
    plot.tip.style.right = share > 0.55 ? 100 * (1 - share) + 2 + "%" : "auto";
    plot.live.textContent = place + ": " + values.slice(0, 4).map(([curve, value]) => curve.name + " " + value).join(", ");
  };
  const show = (plot, x) => {
    plot.at = Math.min(plot.x1, Math.max(plot.x0, x));
    for (const other of plots) if (other.axis === plot.axis) mark(other, plot.at); else hide(other);
    read(plot, plot.at);
  };
  for (const plot of plots) {
    const pointed = (event) => {
      const place = plot.box.getBoundingClientRect();
      show(plot, plot.x0 + ((event.clientX - place.left) / place.width) * (plot.x1 - plot.x0));
    };
    plot.box.addEventListener("pointermove", pointed);
    plot.box.addEventListener("pointerdown", pointed);
    plot.box.addEventListener("pointerleave", hideAll);
    plot.box.addEventListener("blur", hideAll);
    plot.box.addEventListener("keydown", (event) => {
      const step = (plot.x1 - plot.x0) / (event.shiftKey ? 10 : 100);
      const to = { ArrowLeft: plot.at - step, ArrowRight: plot.at + step, Home: plot.x0, End: plot.x1 }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        show(plot, to);
      } else if (event.key === "Escape") hideAll();
    });
    const figure = plot.box.parentElement;
    for (const entry of all(".legend span", figure)) {
      const button = document.createElement("button"), curve = plot.curves[+entry.dataset.curve];
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.append(...entry.childNodes);
      button.addEventListener("click", () => {
        const isOff = curve.line.classList.toggle("off");
        button.setAttribute("aria-pressed", String(!isOff));
      });
      entry.replaceWith(button);
    }
    const log = figure.querySelector(".log");
    if (log) log.addEventListener("click", () => scale(plot, log));
  }
  // Between a linear and a logarithmic scale, only the places change.
  const scale = (plot, button) => {
    const isLog = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isLog));
    const values = plot.curves.flatMap((curve) => curve.points.map((point) => point[1])).filter((value) => value > 0);
    const least = Math.min(...values), greatest = Math.max(...values);
    const from = isLog ? Math.log10(least) : plot.y0, to = isLog ? Math.log10(greatest) : plot.y1;
    const place = (value) => 100 - ((isLog ? Math.log10(Math.max(value, least)) : value) - from) / (to - from) * 100;
    for (const curve of plot.curves) {
      curve.line.setAttribute("points", curve.points.map(([x, y]) =>
        ((x - plot.x0) / (plot.x1 - plot.x0) * 1000).toFixed(1) + "," + place(y).toFixed(2)).join(" "));
    }
    for (const text of all("text.y", plot.box)) {
      text.dataset.linear ??= text.textContent;
      const share = 1 - parseFloat(text.getAttribute("y")) / 100;
      text.textContent = isLog ? shown(10 ** (from + share * (to - from))) : text.dataset.linear;
    }
    for (const dot of all("circle", plot.box)) dot.classList.toggle("off", isLog);
  };

  for (const table of all("table.sorted")) {
    all("thead th", table).forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const isUp = heading.getAttribute("aria-sort") !== "ascending";
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", isUp ? "ascending" : "descending");
        const body = table.tBodies[0];
        const rows = Array.from(body.rows, (row) => {
          const text = row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
          const number = text === "" ? NaN : Number(text.replace(/,/g, ""));
          return { row, text, number };
        });
        rows.sort((one, other) => {
          const both = !Number.isNaN(one.number) && !Number.isNaN(other.number);
          const order = both ? one.number - other.number : one.text.localeCompare(other.text, "en", { numeric: true });
          return isUp ? order : -order;
        });
        body.append(...rows.map((entry) => entry.row));
      });
    });
  }
})();
