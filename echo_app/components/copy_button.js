// A button that copies a text. The text and the label are data: they are set as text, and never read as markup.
const timers = new WeakMap();

export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button"), label = parentElement.querySelector("span");
  const shown = parentElement.querySelector("textarea");
  const say = (words) => { label.textContent = words; };
  if (!timers.has(button)) say(data.label);
  button.disabled = !data.text;
  button.onclick = async () => {
    const done = await copy(data.text, shown);
    shown.hidden = done;  // a browser that refuses shows the text, selected, to be copied by hand
    clearTimeout(timers.get(button));
    say(done ? "Copied" : "Press Ctrl+C to copy");
    timers.set(button, setTimeout(() => { timers.delete(button); say(data.label); }, 2500));
  };
}

async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {  // pages without HTTPS have no clipboard
    shown.value = text;
    shown.hidden = false;
    shown.select();
    return document.execCommand("copy");
  }
}
