// The lineage picture: drag to pan, zoom by buttons, keys and ctrl+wheel, trace a path on hover and focus.
(() => {
  const SMALLEST = 0.2;
  const LARGEST = 2.5;

  function start(canvas) {
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
    }

    function fit() {
      zoom(Math.min(1, (canvas.clientWidth - 2) / width, (canvas.clientHeight - 2) / height));
    }

    function showStart() {
      const box = graph.querySelector(".box.start");
      if (!box) return;
      const place = box.getBoundingClientRect();
      const frame = canvas.getBoundingClientRect();
      canvas.scrollLeft += place.left + place.width / 2 - frame.left - frame.width / 2;
      canvas.scrollTop += place.top + place.height / 2 - frame.top - frame.height / 2;
    }

    const tools = canvas.parentElement.querySelector(".picture-tools");
    tools.hidden = false;
    tools.addEventListener("click", (event) => {
      const how = event.target.closest("[data-zoom]")?.dataset.zoom;
      if (how === "in") zoom(scale * 1.25);
      if (how === "out") zoom(scale / 1.25);
      if (how === "fit") fit();
    });

    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "+" || event.key === "=") zoom(scale * 1.25);
      else if (event.key === "-") zoom(scale / 1.25);
      else if (event.key === "0") fit();
      else return;
      event.preventDefault();
    });

    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
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
    canvas.addEventListener("mouseover", (event) => trace(event.target.closest("[data-key]")));
    canvas.addEventListener("mouseleave", () => trace(null));
    canvas.addEventListener("focusin", (event) => trace(event.target.closest("[data-key]")));
    canvas.addEventListener("focusout", () => trace(null));

    const fitting = (canvas.clientWidth - 2) / width;
    if (fitting < 1 && fitting > 0.8) zoom(fitting);
    showStart();
  }

  // Lights up everything up- and downstream of a box or column, and dims the rest.
  function tracer(graph) {
    const lines = [...graph.querySelectorAll(".line")];
    const into = Map.groupBy(lines, (line) => line.dataset.target);
    const out = Map.groupBy(lines, (line) => line.dataset.source);
    const marks = new Map([...graph.querySelectorAll("[data-key]")].map((mark) => [mark.dataset.key, mark]));
    let traced = null;

    function follow(key, edges, end, seen) {
      for (const line of edges.get(key) ?? []) {
        line.classList.add("on");
        const next = line.dataset[end];
        if (seen.has(next)) continue;
        seen.add(next);
        follow(next, edges, end, seen);
      }
    }

    return (mark) => {
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
    };
  }

  const startAll = () => document.querySelectorAll(".canvas").forEach(start);
  document.addEventListener("htmx:afterSettle", startAll);
  startAll();
})();
