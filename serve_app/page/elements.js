// Elements, made through the DOM: text never becomes markup.

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

// A probability (0 to 1) as a bar; beside it stands the figure, so that it is only for the eye.
export function bar(probability) {
  const filled = element("div");
  filled.style.width = `${Math.min(1, Math.max(0, probability)) * 100}%`;
  const whole = element("div", { className: "bar" }, filled);
  whole.setAttribute("aria-hidden", "true");
  return whole;
}

export function percent(probability) {
  const text = `${(probability * 100).toFixed(1)} %`;
  return element("span", { className: "percent", textContent: text });
}

export function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
