"use strict";
// One view at a time, and thumbnails as they come into sight. Without this script
// the page is one long document without pictures.
document.documentElement.classList.add("js");

document.addEventListener("DOMContentLoaded", () => {
  const views = [...document.querySelectorAll(".view")];
  const nav = document.querySelector(".views");

  const show = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const view = target?.closest(".view");
    // A link to elsewhere on the page leaves the view as it is.
    if (target && !view) return;
    const chosen = view ?? views[0];
    for (const one of views) one.classList.toggle("current", one === chosen);
    for (const link of nav.querySelectorAll("a")) {
      if (link.hash === `#${chosen.id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    // What was hidden when the browser looked for it. A view begins below the bar.
    if (target && target !== view) target.scrollIntoView();
    else if (scrollY > nav.offsetTop) scrollTo(0, document.getElementById("main").offsetTop - nav.offsetHeight);
  };
  if (nav) {
    addEventListener("hashchange", show);
    show();
  }

  const table = JSON.parse(document.getElementById("thumbnails").textContent);
  const load = (image) => {
    image.src ||= `data:image/webp;base64,${table[image.dataset.photo]}`;
  };
  const sight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      load(target);
      sight.unobserve(target);
    }
  }, { rootMargin: "800px" });
  // On paper all of a view comes into sight at once.
  addEventListener("beforeprint", () => document.querySelectorAll(".current img[data-photo]").forEach(load));
  for (const image of document.querySelectorAll("img[data-photo]")) sight.observe(image);
});
