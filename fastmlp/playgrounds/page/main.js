// The page in a browser: its transport is a WebSocket beside the page's own address.
import { mount } from "./app.js";

const address = new URL("play", location.href);
address.protocol = "ws:";
address.search = "";
const socket = new WebSocket(address);
socket.binaryType = "arraybuffer";
const wanted = new URLSearchParams(location.search).get("lesson");

const page = mount(document.getElementById("app"), (message) => {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
});
socket.onopen = () => {
  if (wanted) socket.send(JSON.stringify({ do: "lesson", name: wanted }));
};
socket.onmessage = (event) => page.receive(event.data);
socket.onclose = (event) =>
  page.closed(
    event.code === 4409
      ? "This playground was opened in another window."
      : "The playground has ended. Start it again with: fastmlp playground",
  );
