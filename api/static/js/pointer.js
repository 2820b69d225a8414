// What moves the page while a button is pressed makes the click miss it: such work waits until the pointer is released.

let isPressed = false;
let waiting = [];

addEventListener("pointerdown", () => { isPressed = true; }, true);
for (const kind of ["pointerup", "pointercancel"]) {
  addEventListener(kind, () => {
    isPressed = false;
    setTimeout(() => waiting.splice(0).forEach((work) => work())); // the click is first
  }, true);
}

/** Run `work` now, or once no pointer is pressed. */
export function whenReleased(work) {
  if (isPressed) waiting.push(work);
  else work();
}
