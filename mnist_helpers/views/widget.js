// How a notebook's widget opens a view; the pages of the book have lab.js for it.

// A view as JupyterLab asks for it.
export const widget = (view) => ({
  render({ model, el }) {
    const port = {
      get: (name) => model.get(name),
      send: (message) => model.send(message),
      // A view may be closed while its model lives on, and then must not be told any more.
      on: (name, tell) => {
        const event = name === "message" ? "msg:custom" : `change:${name}`;
        const listener = name === "message" ? (message) => tell(message) : () => tell(model.get(name));
        model.on(event, listener);
        port.leave.push(() => model.off(event, listener));
      },
      leave: [],
    };
    el.append(view(port));
    port.send({ do: "hello" });
    return () => port.leave.forEach((leave) => leave());
  },
});
