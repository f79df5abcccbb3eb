// The lineage picture: pan, zoom, minimap; fold and unfold in place; trace a path on hover and focus, keep it on click.
(() => {
  const SMALLEST = 0.2;
  const LARGEST = 2.5;

  function start(canvas, place = null) {
    if (canvas.dataset.ready) return;
    canvas.dataset.ready = "1";
    const graph = canvas.querySelector(".graph");
    const { width, height } = graph.viewBox.baseVal;
    let scale = 1;

    function zoom(to, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
      const next = Math.min(LARGEST, Math.max(SMALLEST, to));
      const left = ((canvas.scrollLeft + x) * next) / scale - x;
      const top = ((canvas.scrollTop + y) * next) / scale - y;
      scale = next;
      graph.setAttribute("width", width * scale);
      graph.setAttribute("height", height * scale);
      canvas.scrollTo(left, top);
      canvas.dataset.scale = scale;
    }

    function fit() {
      zoom(Math.min(1, (canvas.clientWidth - 2) / width, (canvas.clientHeight - 2) / height));
    }

    function center(box) {
      if (!box) return;
      const at = box.getBoundingClientRect();
      const frame = canvas.getBoundingClientRect();
      canvas.scrollLeft += at.left + at.width / 2 - frame.left - frame.width / 2;
      canvas.scrollTop += at.top + at.height / 2 - frame.top - frame.height / 2;
    }

    const tools = canvas.parentElement.querySelector(".picture-tools");
    if (tools) {
      tools.hidden = false;
      tools.addEventListener("click", (event) => {
        const how = event.target.closest("[data-zoom]")?.dataset.zoom;
        if (how === "in") zoom(scale * 1.25);
        if (how === "out") zoom(scale / 1.25);
        if (how === "fit") fit();
      });
    }

    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "+" || event.key === "=") zoom(scale * 1.25);
      else if (event.key === "-") zoom(scale / 1.25);
      else if (event.key === "0") fit();
      else if (event.key === "Escape") trace.pin(null);
      else return;
      event.preventDefault();
    });

    // The wheel scrolls the page, unless somebody asks for the picture: by Ctrl, a pinch, or by having clicked into it.
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey && !canvas.matches(":focus-within")) return;
        event.preventDefault();
        const frame = canvas.getBoundingClientRect();
        zoom(scale * Math.exp(-event.deltaY / 300), event.clientX - frame.left, event.clientY - frame.top);
      },
      { passive: false },
    );

    // Pan with the mouse; touch scrolls by itself. A drag that began on a box does not follow its link.
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      drag = { x: event.clientX, y: event.clientY, left: canvas.scrollLeft, top: canvas.scrollTop, moved: false };
    });
    window.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (!drag.moved && Math.hypot(dx, dy) < 4) return;
      drag.moved = true;
      canvas.classList.add("grabbing");
      canvas.scrollTo(drag.left - dx, drag.top - dy);
    });
    window.addEventListener("pointerup", () => {
      canvas.classList.remove("grabbing");
      setTimeout(() => (drag = null));
    });
    canvas.addEventListener("click", (event) => drag?.moved && event.preventDefault(), true);
    canvas.addEventListener("dragstart", (event) => event.preventDefault());

    const trace = tracer(graph);
    canvas.addEventListener("mouseover", (event) => trace.show(event.target.closest("[data-key]")));
    canvas.addEventListener("mouseleave", () => trace.show(null));
    canvas.addEventListener("focusin", (event) => trace.show(event.target.closest("[data-key]")));
    canvas.addEventListener("focusout", () => trace.show(null));
    canvas.addEventListener("click", (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const handle = event.target.closest(".in-place");
      const row = event.target.closest("a.row");
      if (handle) moveInPlace(handle, canvas);
      else if (row && !row.classList.contains("pinned")) trace.pin(row);
      else return;
      event.preventDefault();
    });

    const fitting = (canvas.clientWidth - 2) / width;
    const kept = place ? null : location.hash.match(/^#view=([\d.]+),(-?\d+),(-?\d+)$/);
    if (place) zoom(place.scale);
    else if (kept) zoom(Number(kept[1]));
    else if (fitting < 1 && fitting > 0.8) zoom(fitting);
    const held = place && graph.querySelector(`[data-key="${place.key}"]`);
    if (held) {
      const now = held.getBoundingClientRect();
      canvas.scrollLeft += now.left - place.left;
      canvas.scrollTop += now.top - place.top;
    } else if (kept) canvas.scrollTo(kept[2] * scale - canvas.clientWidth / 2, kept[3] * scale - canvas.clientHeight / 2);
    else center(graph.querySelector(".box.start"));
    const lit = new URLSearchParams(location.search).get("lit");
    if (lit) trace.pin(graph.querySelector(`[data-key="${CSS.escape(lit)}"]`));
    minimap(canvas, graph, () => scale);

    // What was zoomed and moved by hand stands in the address, behind the #: scale and the middle of what is in sight.
    let waiting = null;
    const remember = () => {
      const x = Math.round((canvas.scrollLeft + canvas.clientWidth / 2) / scale);
      const y = Math.round((canvas.scrollTop + canvas.clientHeight / 2) / scale);
      if (canvas.isConnected) history.replaceState(history.state, "", `#view=${scale.toFixed(3)},${x},${y}`);
    };
    const soon = () => {
      clearTimeout(waiting);
      waiting = setTimeout(remember, 250);
    };
    const byHand = () => {
      canvas.addEventListener("scroll", soon, { passive: true });
      soon();
    };
    for (const name of ["pointerdown", "wheel", "keydown"])
      canvas.parentElement.addEventListener(name, byHand, { passive: true });
  }

  // A link that changes what is drawn: the box that it belongs to stays where it is.
  async function moveInPlace(link, canvas) {
    const key = link.dataset.holds ?? "";
    const { left, top } = (canvas.querySelector(`[data-key="${key}"]`) ?? link).getBoundingClientRect();
    const place = { key, left, top, scale: Number(canvas.dataset.scale ?? 1) };
    const url = new URL(link.href.baseVal ?? link.href, location.href);
    canvas.setAttribute("aria-busy", "true");
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (!answer.ok) return location.assign(url);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("lineage");
    document.getElementById("lineage").replaceWith(fresh);
    history.pushState({ htmx: true }, "", url);
    window.htmx?.process(fresh);
    for (const each of fresh.querySelectorAll(".canvas")) start(each, place);
    fresh.querySelector(`[data-holds="${key}"], [data-key="${key}"] a`)?.focus({ preventScroll: true });
  }

  // Lights up everything up- and downstream of a box or column, and dims the rest.
  function tracer(graph) {
    const lines = [...graph.querySelectorAll(".line")];
    const into = Map.groupBy(lines, (line) => line.dataset.target);
    const out = Map.groupBy(lines, (line) => line.dataset.source);
    const marks = new Map([...graph.querySelectorAll("[data-key]")].map((mark) => [mark.dataset.key, mark]));
    let traced = null;
    let pinned = null;

    function follow(key, edges, end, seen) {
      for (const line of edges.get(key) ?? []) {
        line.classList.add("on");
        const next = line.dataset[end];
        if (seen.has(next)) continue;
        seen.add(next);
        follow(next, edges, end, seen);
      }
    }

    function show(wanted) {
      const mark = wanted ?? pinned;
      if (mark === traced) return;
      traced = mark;
      for (const on of graph.querySelectorAll(".on")) on.classList.remove("on");
      graph.classList.toggle("tracing", Boolean(mark));
      if (!mark) return;
      const key = mark.dataset.key;
      const seen = new Set([key]);
      follow(key, into, "source", seen);
      const below = new Set([key]);
      follow(key, out, "target", below);
      for (const each of [...seen, ...below]) {
        const lit = marks.get(each);
        lit?.classList.add("on");
        lit?.closest(".box")?.classList.add("on");
      }
    }

    function pin(mark) {
      pinned?.classList.remove("pinned");
      pinned = mark;
      mark?.classList.add("pinned");
      const url = new URL(location.href);
      if (mark) url.searchParams.set("lit", mark.dataset.key);
      else url.searchParams.delete("lit");
      history.replaceState(history.state, "", url);
      show(mark);
    }
    return { show, pin };
  }

  // The whole picture in small, with the part in sight: only where not all of it is.
  function minimap(canvas, graph, scale) {
    const map = canvas.parentElement.querySelector(".minimap");
    if (!map) return;
    const { x, y, width, height } = graph.viewBox.baseVal;
    map.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    for (const box of graph.querySelectorAll(".box")) {
      const { x: left, y: top, width: wide, height: high } = box.querySelector("rect").getBBox();
      const { e, f } = box.transform.baseVal.consolidate().matrix;
      draw(map, { x: left + e, y: top + f, width: wide, height: high }).classList.toggle("start", box.classList.contains("start"));
    }
    const seen = draw(map, {});
    seen.classList.add("seen");

    function follow() {
      const shown = { width: canvas.clientWidth / scale(), height: canvas.clientHeight / scale() };
      map.toggleAttribute("hidden", shown.width > width * 0.97 && shown.height > height * 0.97);
      place(seen, { x: x + canvas.scrollLeft / scale(), y: y + canvas.scrollTop / scale(), ...shown });
    }
    canvas.addEventListener("scroll", follow, { passive: true });
    new ResizeObserver(follow).observe(graph);
    for (const name of ["pointerdown", "pointermove"])
      map.addEventListener(name, (event) => {
        if (!event.buttons) return;
        const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
        canvas.scrollTo((at.x - x) * scale() - canvas.clientWidth / 2, (at.y - y) * scale() - canvas.clientHeight / 2);
      });
    follow();
  }

  function draw(svg, facts) {
    const rect = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
    place(rect, facts);
    return rect;
  }

  function place(rect, facts) {
    for (const [name, value] of Object.entries(facts)) rect.setAttribute(name, value);
  }

  const startAll = () => document.querySelectorAll(".canvas").forEach((canvas) => start(canvas));
  document.addEventListener("htmx:afterSettle", startAll);
  startAll();
})();
